//! The server as its clients see it.

mod cache;
mod console;
mod coverage;
mod document;
mod draining;
mod durable;
mod hostile;
mod inputs;
mod matrix;
mod queues;
mod revoking;
mod serving;
mod states;
mod streams;
mod subscriptions;
mod support;
mod tokens;
mod turns;
