//! The engine from outside: opening, refusing to open, upkeep and closing.

#![allow(clippy::unwrap_used, reason = "a test may end where it fails")]

#[cfg(all(feature = "memory", feature = "sqlite"))]
mod access;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod audit;
#[cfg(all(feature = "memory", feature = "sqlite", feature = "transfer"))]
mod backup;
#[cfg(feature = "sqlite")]
mod cache;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod chain;
#[cfg(all(feature = "memory", feature = "sqlite", feature = "transfer"))]
mod check;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod engine;
mod environment;
mod features;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod maintenance;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod place;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod processes;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod quotas;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod races;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod refusals;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod requests;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod sources;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod stash;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod states;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod streams;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod timings;
#[cfg(all(feature = "memory", feature = "sqlite", feature = "transfer"))]
mod transfer;
#[cfg(all(feature = "memory", feature = "sqlite"))]
mod turns;
#[cfg(all(feature = "memory", feature = "postgres", feature = "sqlite"))]
mod unanswered;

/// The stores of this build that the same tests run on.
#[cfg(all(feature = "memory", feature = "sqlite"))]
const SCHEMES: &[&str] = &[
    "memory",
    "sqlite",
    #[cfg(feature = "sled")]
    "sled",
    #[cfg(feature = "postgres")]
    "postgres",
];
