//! Append-only output of agents, durable before anybody reads it.
//!
//! A stream is a sequence of rows that only grows until it is closed. Rows are
//! collected into chunks; a chunk is stored in one commit and is sent as it is
//! stored. Whoever reads can be cut off at any byte and read on, and the digest
//! at each mark proves that nothing is missing and nothing was sent twice.
//!
//! This crate does not know which store it runs on, has no clock and no
//! runtime (time and randomness come through [`windlass_core::Env`]), speaks no
//! HTTP, and knows nothing of the other parts: a session is a name here.
//!
//! Read first: [`Streams`] (what can be done), [`StreamWriter`] and [`Reader`]
//! (the two ends), [`Row`] (what is appended), [`Mark`] (how it is proven),
//! [`StreamError`] (how it is refused); and [`subscription`], who is woken when
//! there is something new. The rule for when rows are written is
//! in `chunker.rs`, what is stored in `mark.rs` and `record.rs`, why nothing is
//! written twice in `append.rs`, how rows longer than a chunk are kept in
//! `pieces.rs`, and how what is not recorded is read in `source.rs`.
//!
//! ```
//! use std::time::Duration;
//! use windlass_stream::{Chunker, Digest, Offset, Reason, Row, Settings};
//!
//! let (settings, changed) = Settings { chunk_rows: 0, ..Settings::default() }.in_range()?;
//! assert_eq!((settings.chunk_rows, changed.len()), (1, 1));
//!
//! let mut chunker = Chunker::new(settings.caps(), 0, Duration::ZERO);
//! chunker.push(&Row::json(r#"{"token":"Hel"}"#)?);
//! assert_eq!(chunker.reached(Duration::ZERO), Some(Reason::Rows));
//! let cut = chunker.cut(Reason::Rows).expect("a row");
//! assert_eq!(cut.lines, b"{\"row\":{\"token\":\"Hel\"}}\n");
//! let digest = Digest::START.chain(Offset::START, cut.hash);
//! assert_eq!(digest.to_string().len(), 64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ahead;
mod append;
mod audit;
mod caller;
mod capacity;
pub mod check;
mod chunker;
mod cursor;
mod digest;
mod durable;
mod engine;
pub mod error;
mod heard;
mod hold;
mod keys;
mod lease;
pub mod limits;
mod mark;
mod model;
mod offset;
mod open;
mod operation;
mod pieces;
mod reader;
mod record;
mod remove;
mod rooms;
mod row;
mod running;
mod scan;
mod scan_reader;
mod secret;
mod settings;
mod source;
mod step;
mod streams;
pub mod subscription;
mod sweep;
mod trim;
mod unknown;
mod wire;
mod writer;

pub use audit::{Audit, CloseReason, Event};
pub use caller::Caller;
pub use capacity::{Capacity, Occupancy, Refusal, Slot};
pub use chunker::{Chunker, Cut, Flushed, Reason};
pub use cursor::CursorView;
pub use digest::{Digest, DigestError, RowsHash, RowsHasher};
pub use durable::{
    ContentType, DurableStreams, DurableView, ForkFrom, From, InputId, InputState, InputView, Live,
    NewInput, PRODUCER_NUMBER_MAX, Path, Piece, Post, Posted, Producer, Put, Wanted, Withdrawn,
};
pub use error::{AppendError, StreamError};
pub use mark::{Chunk, Mark};
pub use model::{Closed, Ending, Expiry, NewStream, Placed, StreamView};
pub use offset::{Offset, OffsetError};
pub use open::{Open, Start};
pub use pieces::RowPiece;
pub use reader::Reader;
pub use row::{Row, RowError};
pub use running::Credential;
pub use scan::ScanView;
pub use scan_reader::ScanReader;
pub use secret::{Cursor, CursorError, CursorHash, Handle};
pub use settings::{Adjustment, Caps, Settings, SettingsError};
pub use source::{Source, SourceKind, SourcePage};
pub use step::{Applied, Made, Planned, Step};
pub use streams::{StreamPage, Streams};
pub use sweep::SweepReport;
pub use trim::Trimmed;
pub use wire::{End, Failure, Frame, Opened};
pub use writer::StreamWriter;

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
