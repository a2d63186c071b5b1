//! The server as its clients see it.

mod coverage;
mod draining;
mod hostile;
mod matrix;
mod serving;
mod support;
