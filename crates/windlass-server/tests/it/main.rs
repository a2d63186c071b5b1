//! The server as its clients see it.

mod coverage;
mod hostile;
mod matrix;
mod serving;
mod support;
