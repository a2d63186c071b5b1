//! Authorised, budgeted agent sessions on a durable store.
//!
//! A session says what an agent may call, how often, for how long, and what
//! is left. Every authorised use is durable before it is answered, budgets
//! hold across restarts and processes, and a retried request takes effect
//! once.
//!
//! This crate does not know which store it runs on, has no clock and no
//! runtime (time and randomness come through [`windlass_core::Env`]), and
//! knows nothing of the other parts.
//!
//! Read first: [`Sessions`] (what can be done), [`Create`] and [`Use`] (what
//! is asked), [`SessionError`] (how it is refused). The rules themselves are
//! in `rules.rs`, the driver that makes them durable in `cell.rs`.
//!
//! ```
//! use std::sync::Arc;
//! use windlass_core::{ManualEnv, Millis};
//! use windlass_session::{Agent, Allow, Caller, Config, Create, Sessions, Use};
//! use windlass_store_memory::MemoryStore;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let store = Arc::new(MemoryStore::new()?);
//! let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
//! let sessions = Sessions::new(store, env, Config::default())?;
//!
//! let caller = Caller::new("acme".parse()?, "runtime".parse()?);
//! let mut request = Create::new("researcher".parse()?, "find three sources");
//! request.tools = Allow::only(["search", "fetch_*"])?;
//! request.budget.calls = 2;
//! let session = sessions.create(&caller, request).await?;
//!
//! let one = |tool: &str| Ok::<_, windlass_session::Problem>(Use::one(Agent::Unchecked, tool.parse()?));
//! let receipt = sessions.use_tools(&caller, &session.id, one("search")?).await?;
//! assert_eq!((receipt.first_call, receipt.left.calls), (1, 1));
//!
//! let refused = sessions.use_tools(&caller, &session.id, one("shell")?).await;
//! assert_eq!(refused.unwrap_err().to_string(), "the tool is not allowed in this session");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod above;
mod birth;
mod caller;
mod cell;
pub mod check;
mod close;
pub mod config;
mod delegate;
mod engine;
pub mod error;
mod gather;
mod heard;
mod keys;
mod lent;
pub mod limits;
mod list;
mod memory;
mod model;
mod names;
mod operation;
mod plan;
mod rate;
mod record;
mod rules;
mod sessions;
mod stored;
mod sweep;
mod tally;
mod tree;
mod turn;
mod view;
mod wind;
mod writers;

pub use caller::{Caller, Reach};
pub use close::CloseAgentError;
pub use config::Config;
pub use error::{Excess, Meter, Problem, SessionError};
pub use list::{HistoryPage, ListCursor, ListQuery, SessionPage, Unreadable};
pub use model::{
    Agent, Budget, Charge, Create, Delegate, Funding, Outcome, RateKind, RateLimit, Sensitivity,
    Settle, TopUp, UnknownSensitivity, Use, UseItem,
};
pub use names::{Allow, Name, Pattern};
pub use sessions::Sessions;
pub use sweep::SweepReport;
pub use tally::Tally;
pub use tree::{TreeCursor, TreeNode, TreePage, TreeQuery};
pub use turn::{Planned, Step, StepAnswer};
pub use view::{Event, Left, Reading, Readings, Receipt, Session, Status, What};

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
