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
//! Read first: [`BlobId`] (how contents are named), [`Compression`] (which
//! are stored smaller), [`CheckpointError`] (how things are refused).
//!
//! ```
//! use windlass_checkpoint::BlobId;
//!
//! let id = BlobId::of(b"{}");
//! assert_eq!(id.to_string().parse::<BlobId>()?, id);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blob;
pub mod error;
pub mod limits;

pub use blob::{BlobId, BlobIdError, Compression, Profile};
pub use error::{CheckpointError, Problem};

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
