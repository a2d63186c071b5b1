//! The server as its clients see it.

mod coverage;
mod matrix;
mod serving;
mod support;
