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
//! Read first: [`Work`] (what is enqueued), [`Ask`] and [`Claim`] (how it is
//! taken), [`Settle`] (what becomes of it), [`QueueError`].

mod caller;
mod cell;
pub mod config;
mod desk;
mod draft;
mod engine;
pub mod error;
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
