//! Tests of the memory store: the contract, and what is its own.

mod conformance;
mod histories;
mod memory;
