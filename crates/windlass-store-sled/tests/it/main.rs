//! What the store promises, tried from outside.

mod conformance;
mod fixture;
