//! Proofs of the suite: what keeps the contract passes, what breaks a promise
//! is rejected by the trial of that promise, and the wrappers do what they
//! say.

mod model;
#[cfg(feature = "postgres")]
mod postgres;
mod proofs;
mod sim;
mod wrappers;
