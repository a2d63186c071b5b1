//! The engine from outside: opening, refusing to open, upkeep and closing.

#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

mod chain;
mod engine;
mod environment;
mod refusals;
mod requests;
