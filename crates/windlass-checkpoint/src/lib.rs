//! The state of agent sessions: commits with compare-and-set heads over
//! content-addressed blobs.
//!
//! A session's state is a head with a revision, named parts and an
//! append-only graph of nodes. What a commit costs follows the change, not
//! the history: contents are cut into blobs that are named by the SHA-256 of
//! what they hold, stored once within a lineage (a session and its forks), and
//! checked against their name whenever they are read.
//!
//! This crate does not know which store it runs on, has no clock and no
//! runtime (time and randomness come through [`windlass_core::Env`]), and
//! knows nothing of the other parts.
//!
//! Read first: [`Checkpoints`] (what can be done), [`Changes`] (what is
//! asked), [`CheckpointError`] (how it is refused). The rules of a commit are
//! in `decide.rs`, the driver that makes them durable in `cell.rs`.
//!
//! ```
//! use std::sync::Arc;
//! use windlass_checkpoint::{At, Caller, Changes, Checkpoints, Config, Payload};
//! use windlass_core::{ManualEnv, Millis};
//! use windlass_store_memory::MemoryStore;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let store = Arc::new(MemoryStore::new()?);
//! let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
//! let checkpoints = Checkpoints::new(store, env, Config::default())?;
//!
//! let caller = Caller::new("acme".parse()?, "runtime".parse()?);
//! let session = "s1".parse()?;
//! let first = Changes::at(0)
//!     .json("plan".parse()?, r#"["search","compare"]"#)
//!     .append("message", Payload::Json(r#"{"role":"user","content":"hello"}"#.into()));
//! let done = checkpoints.commit(&caller, &session, first).await?;
//! assert_eq!((done.revision, done.leaf), (1, Some(1)));
//!
//! let late = checkpoints.commit(&caller, &session, Changes::at(0)).await;
//! assert_eq!(
//!     late.unwrap_err().to_string(),
//!     "revision 0 was expected, but the head is at 1"
//! );
//!
//! let path = checkpoints.path(&caller, &session, &At::Head, None, 100).await?;
//! assert_eq!(path.expect("a state").nodes.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attach;
mod blob;
mod cell;
pub mod check;
mod checkpoints;
mod collect;
pub mod config;
mod decide;
mod draft;
mod engine;
pub mod error;
mod find;
mod fingerprint;
mod fork;
mod garbage;
mod heard;
mod history;
mod keys;
pub mod limits;
mod manifest;
mod model;
mod nodes;
mod pack;
mod ranges;
mod reads;
mod record;
mod relatives;
mod remove;
mod row;
mod run;
mod stored;
mod stream;
mod tenant;
mod turn;
mod upkeep;
mod view;

pub use attach::{Attachment, AttachmentPage, AttachmentReader, AttachmentReport, NewAttachment};
pub use blob::{BlobId, BlobIdError, Compression, Profile};
pub use checkpoints::{Checkpoints, Planned};
pub use collect::{Collect, CollectReport, Collection, Reason};
pub use config::{Config, Retention};
pub use error::{CheckpointError, Problem};
pub use garbage::GarbageReport;
pub use manifest::Manifest;
pub use model::{
    BaseView, Caller, Changes, Committed, Expected, Form, HeadView, Label, NewNode, Node, Parent,
    Part, PartChange, PartName, Payload, TagName, Usage,
};
pub use nodes::{GraphPage, Path};
pub use relatives::{ForkPage, ForkView};
pub use remove::Removal;
pub use stream::BlobReader;
pub use turn::Beside;
pub use upkeep::{Sweep, SweepReport, Unreadable};
pub use view::{At, Difference, LogEntry, LogPage, Origin, Snapshot, Tag};

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
