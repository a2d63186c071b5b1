//! The server as its clients see it.

mod coverage;
mod serving;
mod support;
