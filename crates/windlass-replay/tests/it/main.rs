//! Recorded runs, read and played: over examples of our own always, over
//! published recordings where they are at hand.

#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

mod common;
mod count;
mod crew;
mod cut;
mod interrupted;
mod invented;
mod outputs;
mod played;
mod reading;
mod recorded;
mod refusals;
