//! Durable session state for AI agent runtimes.
//!
//! An agent runtime asks Windlass before each tool call whether the agent may
//! still make it, and what Windlass has granted stays granted: through
//! crashes, restarts and second processes. This crate opens a store, puts the
//! parts over it, and brings the operating system's time and randomness.
//!
//! It does not know HTTP or a terminal, starts no thread of its own and
//! prints nothing.
//!
//! Read first: [`Windlass`] (the engine), [`session::Sessions`] and
//! [`stash::durable::Stashes`] (what it does for agents), [`StoreLocation`]
//! (where it keeps it).
//!
//! ```
//! use windlass::core::{AgentId, Coded};
//! use windlass::session::{Agent, Allow, Caller, Create, Use};
//! use windlass::{Options, Windlass};
//!
//! # #[cfg(feature = "memory")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let windlass = Windlass::open(&"memory:".parse()?, Options::default()).await?;
//! let caller = Caller::new("acme".parse()?, "runtime".parse()?);
//! let agent: AgentId = "researcher".parse()?;
//!
//! let mut request = Create::new(agent.clone(), "compare three suppliers");
//! request.tools = Allow::only(["search", "read_*"])?;
//! request.budget.calls = 2;
//! let session = windlass.sessions().create(&caller, request).await?;
//!
//! let search = Use::one(Agent::Is(agent.clone()), "search".parse()?);
//! let receipt = windlass.sessions().use_tools(&caller, &session.id, search).await?;
//! assert_eq!((receipt.first_call, receipt.left.calls), (1, 1));
//!
//! let email = Use::one(Agent::Is(agent), "send_email".parse()?);
//! let refused = windlass.sessions().use_tools(&caller, &session.id, email).await.unwrap_err();
//! assert_eq!(refused.code(), "tool_not_allowed");
//! windlass.close().await?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "memory"))]
//! # fn main() {}
//! ```
//!
//! # Features
//!
//! `memory`, `sqlite`, `sled` and `postgres`, the first two on by default, bring
//! the store of that name. `transfer`, on by default, moves everything stored into another store by way
//! of a file, and makes backups. Features only add.
//!
//! # Other crates of the engine
//!
//! [`access`], [`cache`], [`checkpoint`], [`core`], [`queue`], [`session`], [`stash`], [`store`] and [`stream`] are the whole of the crates
//! `windlass-access`, `windlass-cache`, `windlass-checkpoint`, `windlass-core`, `windlass-queue`, `windlass-session`, `windlass-stash`, `windlass-store` and `windlass-stream`;
//! nobody who uses the engine needs to name those.

pub mod activity;
pub mod audit;
#[cfg(feature = "transfer")]
pub mod backup;
mod caching;
pub mod check;
mod engine;
mod env;
mod erasing;
mod error;
mod health;
mod location;
pub mod maintenance;
pub mod migration;
mod opening;
mod options;
mod quota;
pub mod sources;
#[cfg(feature = "transfer")]
pub mod transfer;
mod turn;
mod unfinished;
mod watch;

pub use caching::CacheOptions;
pub use engine::Windlass;
pub use env::SystemEnv;
pub use error::{MaintainError, OpenError, StoreFailure};
pub use health::Health;
pub use location::{LocationError, PostgresAddress, StoreLocation};
pub use maintenance::{Due, Maintained};
pub use options::{Options, StashAudit, StreamAudit};
pub use quota::{Admission, AdmitError, QuotaMeter, TenantUsage};
pub use turn::{Turn, TurnDone, TurnError};

pub use windlass_access as access;
pub use windlass_cache as cache;
pub use windlass_checkpoint as checkpoint;
pub use windlass_core as core;
pub use windlass_queue as queue;
pub use windlass_session as session;
pub use windlass_stash as stash;
pub use windlass_store as store;
pub use windlass_stream as stream;

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
