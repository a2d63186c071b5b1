//! The server as its clients see it.

mod serving;
mod support;
