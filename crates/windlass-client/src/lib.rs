//! What is said between a Windlass server and its callers, and the client that
//! says it.
//!
//! Requests refuse fields they do not know; answers ignore them, so an older
//! client understands a newer server. Times are Unix milliseconds and end in
//! `_at` (or are named by what happens then), lengths of time end in `_ms`.
//!
//! This crate does not know the engine: it imports no other crate of Windlass,
//! and checks none of the rules that the server checks. The limits that its
//! types mention are described, for readers and for the OpenAPI document.
//!
//! Read first: `Client` (with the feature of that name), [`session`] (the requests and answers a runtime needs),
//! [`problem::Problem`] (what every refusal looks like).
//!
//! ```
//! use windlass_client::session::{Receipt, UseTools};
//!
//! let request = UseTools::one("researcher", "search");
//! assert_eq!(
//!     serde_json::to_string(&request)?,
//!     r#"{"agent":"researcher","items":[{"tool":"search"}]}"#,
//! );
//! let answer = r#"{"first_call":1,"last_call":1,"low":false,
//!     "left":{"calls":9,"tokens":null,"cost_micros":null,"time_ms":3600000}}"#;
//! let receipt: Receipt = serde_json::from_str(answer)?;
//! assert_eq!(receipt.left.calls, 9);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Features
//!
//! `client`, on by default, brings the client; `schema` describes the wire
//! types for an OpenAPI document. Features only add.

pub mod access;
pub mod audit;
pub mod cache;
#[cfg(feature = "client")]
mod client;
pub mod console;
pub mod durable;
pub mod maintenance;
pub mod page;
pub mod problem;
pub mod queue;
#[cfg(feature = "schema")]
pub mod schema;
pub mod session;
pub mod stash;
pub mod state;
pub mod store;
pub mod stream;
pub mod subscription;

#[cfg(feature = "client")]
pub use client::{
    ANSWER_BYTES_MAX_DEFAULT, ATTEMPT_DEFAULT, BACKOFF_FIRST_DEFAULT, BACKOFF_MAX_DEFAULT,
    BrokenAnswer, CONNECT_DEFAULT, Client, ClientError, DEADLINE_DEFAULT, Events, Export,
    PartContent, Proven, QUIET_DEFAULT, QueueClient, RETRIES_DEFAULT, RETRY_AFTER_MAX_DEFAULT, Row,
    Rows, RowsEnd, Settings, SettingsError, SourceClient, StashClient, StateClient, StreamClient,
    Token,
};

/// Compiles and runs the example that README.md shows.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
mod readme {}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
