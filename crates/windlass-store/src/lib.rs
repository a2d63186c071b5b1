//! The one storage trait of Windlass.
//!
//! An ordered key space; reads of several ranges at one point in time; writes
//! as one conditional batch; one consistent export; nothing interactive. A
//! write is data ([`Batch`]), so it can be validated, combined, replayed and
//! sent to another machine, and no caller ever holds a transaction open.
//!
//! This crate does not know what a session is, has no JSON, no clock and no
//! runtime. It holds what every store shares: the trait and its limits, the
//! ordered key codec, the seal around every stored value, and the rules that
//! must not differ between stores ([`Batch::validate`], [`ReadBudget`]).
//!
//! Read first: [`Store`] (the trait and its promises), [`Batch`] and
//! [`Scan`] (what goes in), [`StoreExt`] (conveniences for callers).
//!
//! ```
//! use windlass_store::{Batch, Expect, key};
//!
//! // "acme/session/s1/head", created only if nobody else did.
//! let head = key::Key::new("acme").text("session").text("s1").text("head").finish();
//! let batch = Batch::new().check(head.clone(), Expect::Absent).put(head, "{}");
//! batch.validate()?;
//! # Ok::<(), windlass_store::StoreError>(())
//! ```

pub mod batch;
pub mod bookmark;
pub mod changes;
pub mod check;
pub mod error;
pub mod export;
pub mod ext;
pub mod key;
pub mod limits;
pub mod listing;
pub mod scan;
pub mod seal;
pub mod version;

use std::fmt;

use async_trait::async_trait;

pub use batch::{Batch, Check, Commit, Expect, Write};
pub use bookmark::{Bookmark, Walk};
pub use changes::{ChangeHub, Changes};
pub use error::{StoreError, StoreErrorKind};
pub use export::{Export, ExportSource};
pub use ext::StoreExt;
pub use listing::Listed;
pub use scan::{Entry, KeyRange, Order, Page, ReadBudget, Scan, Take};
pub use version::{Incarnation, Version};

/// A durable, ordered, transactional key space.
///
/// # Promises
///
/// The conformance suite has one test for each, under its number:
///
/// - **P1** a committed put is read back.
/// - **P2** a batch applies whole or not at all, also when the process dies.
/// - **P3** [`Expect::Absent`] refuses an existing key, [`Expect::Present`] a
///   missing one.
/// - **P4** a stale version conflicts and writes nothing.
/// - **P5** a version is never used twice for a key.
/// - **P6** keys sort as unsigned bytes.
/// - **P7** [`Page::more`] is exact, in both orders and under every bound.
/// - **P8** all pages of one [`read`](Store::read) show one point in time.
/// - **P9** concurrent increments lose nothing.
/// - **P10** crossed checks never both apply; what applied has a serial order.
/// - **P11** what [`commit`](Store::commit) acknowledged is there after
///   re-opening.
/// - **P12** limits are enforced before anything happens.
/// - **P13** use after [`close`](Store::close) fails with
///   [`StoreErrorKind::Closed`].
/// - **P14** dropping a commit future leaves its batch applied or not
///   applied, never half.
/// - **P15** all hints of [`subscribe`](Store::subscribe) may be lost without
///   harm to anything else.
/// - **P16** seeded random histories give what the model gives.
/// - **P17** two processes, where a store allows two, never both win one
///   check.
/// - **P18** a flipped bit in a key or a value, a truncated, emptied or
///   foreign file is refused, never given out as data.
/// - **P19** an export shows one point in time whatever commits meanwhile.
///
/// There are no default methods: a wrapper that forgot one would silently
/// bypass what it wraps. Conveniences are in [`StoreExt`].
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Reads every scan at one point in time, no earlier than the call.
    ///
    /// The pages come in the order of the scans. Together they hold at most
    /// [`limits::READ_ENTRIES_MAX`] entries and [`limits::READ_BYTES_MAX`]
    /// bytes (see [`ReadBudget`]); a page may also be shorter than asked for,
    /// but its [`more`](Page::more) is always exact.
    ///
    /// # Errors
    ///
    /// `Invalid` for no scan, too many scans or a bad limit; `Corrupt` where
    /// a stored value fails its seal; otherwise as the store's state has it.
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError>;

    /// Applies a batch if all its checks hold, and answers once it is as
    /// durable as the store promises.
    ///
    /// A lost race is an answer, [`Commit::Conflict`], not an error. Dropping
    /// the future neither cancels nor tears the batch.
    ///
    /// # Errors
    ///
    /// `Invalid` as [`Batch::validate`] says. `Indeterminate` if the batch
    /// may or may not have been applied: read before deciding again. After
    /// any other error nothing has happened.
    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError>;

    /// Streams all entries of `range` in key order as they were at one point
    /// in time, no earlier than the call, whatever commits meanwhile.
    ///
    /// An export holds resources of the store (an old snapshot, a
    /// write-ahead log that cannot shrink); one that is not finished within
    /// the store's time limit ends with an `Unavailable` error.
    async fn export(&self, range: KeyRange) -> Result<Export, StoreError>;

    /// Hints that keys below `prefix` may have changed. Hints may be late,
    /// merged or lost; none is needed for correctness.
    fn subscribe(&self, prefix: &[u8]) -> Changes;

    /// Finishes what was accepted and releases the store's resources. Every
    /// later call fails with `Closed`, except `close`, which succeeds again.
    async fn close(&self) -> Result<(), StoreError>;
}

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
