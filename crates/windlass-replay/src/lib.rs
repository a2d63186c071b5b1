//! Recorded agent runs: readers of the formats they come in, and the driver
//! that plays them into Windlass.
//!
//! Every run becomes a session with the run's agent, tools and budget, within
//! that of another one where the run was delegated; every tool call becomes a
//! turn: a durable use under the tool's own name, and a commit of the run's
//! state, in one. A replay that was killed is simply
//! started again: it goes on where it was, and what it leaves is the same,
//! byte for byte, as if nothing had happened.
//!
//! This crate calls no model and no tool, knows no terminal, and looks at
//! nothing a run said beyond counting it. All it does to the store goes
//! through the engine.
//!
//! Read first: [`Recording`] (what is read), [`Replay`] (what plays it),
//! [`Report`] (what comes of it).
//!
//! ```
//! use std::path::Path;
//! use windlass::session::Caller;
//! use windlass::{Options, Windlass};
//! use windlass_replay::{ReadOptions, Recording, Replay, ReplayOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/airline.json"));
//! let recording = Recording::read(path, &ReadOptions::default())?;
//! let windlass = Windlass::open(&"memory:".parse()?, Options::default()).await?;
//! let caller = Caller::new("acme".parse()?, "replay".parse()?);
//! let options = ReplayOptions::default();
//!
//! let replay = Replay { windlass: &windlass, caller: &caller, recording: &recording, options: &options };
//! let report = replay.run(&()).await?;
//! assert_eq!(report.uses_allowed, report.steps);
//! replay.verify().await?;
//! # Ok(())
//! # }
//! ```

mod arrivals;
mod conversation;
mod crew;
mod document;
mod entries;
mod error;
mod failure;
mod files;
mod format;
mod formats;
mod grant;
mod json;
mod keeping;
pub mod limits;
mod live;
mod model;
mod names;
mod observe;
mod output;
mod playing;
mod reading;
mod replay;
mod report;
mod restrict;
mod script;
mod stage;
mod standing;
mod stashing;
mod task;
mod times;
mod verify;
mod volume;

pub use arrivals::Arrivals;
pub use crew::Crew;
pub use error::{ReadError, RunError};
pub use failure::ReplayError;
pub use format::{Format, UnknownFormatName};
pub use live::{Live, Played};
pub use model::{Message, Parent, Recording, Run, Source, Step};
pub use observe::{Observer, Outcome, StepDone};
pub use output::Outputs;
pub use reading::ReadOptions;
pub use replay::{Replay, ReplayOptions};
pub use report::{Report, RunReport};
pub use restrict::{NotAPercentage, NotATool, Percent, Restrictions, Withhold};
pub use script::Commits;
pub use times::Times;
pub use verify::{Difference, Verified};

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
