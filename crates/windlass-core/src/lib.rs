//! What every part of Windlass shares: identifiers, time and randomness as
//! arguments, error kinds, and the combiner that lets many callers of one
//! aggregate share one commit.
//!
//! This crate does no I/O and has no runtime: it never sees a store, the
//! system clock, an environment variable or a thread of its own.
//!
//! Read first: [`Env`] (where time and randomness come from),
//! [`SessionId`] and its siblings (identifiers that are valid by
//! construction), [`Combiner`] (shared commits).
//!
//! ```
//! use windlass_core::{ManualEnv, Env, Millis, TenantId};
//!
//! let tenant: TenantId = "acme".parse()?;
//! let env = ManualEnv::new(7, Millis::new(1_700_000_000_000));
//! let deadline = env.now().plus_ms(1_000);
//! assert!(!deadline.has_passed(env.now()));
//! env.advance_ms(1_000);
//! assert!(deadline.has_passed(env.now()), "a deadline is inclusive");
//! assert!("no/slash".parse::<TenantId>().is_err());
//! # assert_eq!(tenant.as_str(), "acme");
//! # Ok::<(), windlass_core::IdError>(())
//! ```

pub mod audit;
pub mod backoff;
pub mod combine;
pub mod env;
pub mod error;
pub mod format;
pub mod id;
pub mod limits;
pub mod manual;
pub mod time;
pub mod writers;

pub use audit::{Act, Audit, Detail, Ear, Outcome};
pub use backoff::back_off;
pub use combine::{Abandoned, Combiner, Drive};
pub use env::{BoxFuture, Env, RandomError, Sharing};
pub use error::{Coded, ErrorKind};
pub use format::Format;
pub use id::{
    AgentId, GroupId, IdError, OperationId, OwnerId, PrincipalId, SessionId, StreamId,
    SubscriptionId, TenantId, unique_id,
};
pub use manual::ManualEnv;
pub use time::Millis;
pub use writers::{Writer, WriterId, Writers, Written};

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
