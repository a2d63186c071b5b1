//! Leased, fenced, durable work for agent sessions.
//!
//! Each session has a line of work. Whoever claims the head of the line holds
//! it for a time and alone; what was completed is gone for good, what was not
//! comes back, and whoever lost a claim can change nothing any more.
//!
//! This crate does not know which store it runs on, has no clock and no
//! runtime (time and randomness come through [`windlass_core::Env`]), and
//! knows nothing of the other parts: a session is a name here.
//!
//! Read first: [`Queue`] (what can be done), [`Work`] (what is enqueued),
//! [`Ask`] and [`Claim`] (how it is taken), [`Settle`] (what becomes of it),
//! [`QueueError`] (how it is refused). The rules themselves are in `rules.rs`,
//! the driver that makes them durable in `run.rs`.
//!
//! ```
//! use std::sync::Arc;
//! use windlass_core::{ManualEnv, Millis};
//! use windlass_queue::{Ask, Caller, Config, Queue, Under, Work};
//! use windlass_store_memory::MemoryStore;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let store = Arc::new(MemoryStore::new()?);
//! let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
//! let queue = Queue::new(store, env.clone(), Config::default())?;
//!
//! let caller = Caller::new("acme".parse()?, "runtime".parse()?);
//! let session = "chat-7".parse()?;
//! let question = Work::json("question", "where is my order?")?;
//! queue.enqueue(&caller, &session, vec![question], Under::NOTHING).await?;
//!
//! let ask = Ask::new("worker-1".parse()?, 30_000);
//! let claim = queue.claim_any(&caller, &ask, Under::NOTHING).await?.expect("work");
//! assert_eq!(claim.work[0].payloads[0].parse::<&str>()?, "where is my order?");
//! assert_eq!(queue.claim_any(&caller, &ask, Under::NOTHING).await?, None, "it is held");
//!
//! // A worker that stopped for too long changes nothing any more.
//! env.advance_ms(30_000);
//! let late = queue.settle(&caller, &session, claim.completed(), Under::NOTHING).await;
//! assert_eq!(late.unwrap_err().to_string(), "the claim has ended");
//!
//! let again = queue.claim(&caller, &session, &ask, Under::NOTHING).await?.expect("work");
//! assert_eq!((again.token, again.work[0].attempt), (claim.token + 1, 2));
//! queue.settle(&caller, &session, again.completed(), Under::NOTHING).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod caller;
mod cell;
pub mod check;
pub mod config;
mod desk;
mod draft;
mod engine;
pub mod error;
mod heard;
mod held;
mod id;
mod keep;
mod keys;
mod lease;
pub mod limits;
mod list;
mod model;
mod operation;
mod plan;
mod queue;
mod record;
mod remove;
mod rows;
mod rules;
mod run;
mod sweep;
mod turn;
mod wait;

pub use caller::Caller;
pub use config::Config;
pub use error::{Problem, QueueError};
pub use id::WorkId;
pub use lease::{Lease, LeaseView};
pub use list::{Counts, ListQuery, Listed, Overview, State, WorkPage};
pub use model::{
    Ask, Backoff, Bound, Boundary, Claim, Claimed, Content, Delivery, Enqueued, Failure, Payload,
    Return, Settle, Settled, Slot, Under, Work,
};
pub use queue::Queue;
pub use sweep::SweepReport;
pub use turn::{Done, Planned, Step};

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
