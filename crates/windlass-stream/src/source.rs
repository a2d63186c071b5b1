//! What can be streamed beside recorded streams: whatever gives rows page by
//! page.
//!
//! A source says by its kind whether a read of it can go on; there is no text
//! of a query to guess from. One whose rows have an order of their own that
//! nothing is inserted into can: commits, an audit, usage. One whose rows come
//! as they please cannot. A generator can, once it is
//! [recorded](crate::StreamWriter::record).

use std::fmt;

use windlass_core::BoxFuture;

use crate::error::StreamError;
use crate::row::Row;

/// Whether a read of a source can go on where it was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// It gives the same rows in the same order whenever it is asked: a scan of
    /// data that is only appended to, in ascending or descending order of keys,
    /// up to a bound that its request names.
    Ordered,
    /// It gives what it gives: a second time it may be something else.
    Unordered,
}

/// Some rows of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePage {
    /// Rows, each with its position, which is a text of up to 1,024 bytes from
    /// which the source can go on behind the row.
    pub rows: Vec<(String, Row)>,
    /// The position to go on from, which may be behind rows that a filter left
    /// out; none at the end.
    pub next: Option<String>,
}

/// Gives rows page by page.
pub trait Source: fmt::Debug + Send + Sync {
    /// All that it takes to make the same source again, in up to 4 KiB: filters,
    /// order, and where it ends. Kept with the cursor.
    fn request(&self) -> String;

    /// Whether a read can go on.
    fn kind(&self) -> SourceKind;

    /// The rows behind a position, or the first ones: at most `limit`, and no
    /// more once they are [`SOURCE_PAGE_BYTES_MAX`] long. A page is held in
    /// memory whole. May be empty and have a next one.
    ///
    /// [`SOURCE_PAGE_BYTES_MAX`]: crate::limits::SOURCE_PAGE_BYTES_MAX
    fn page<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<SourcePage, StreamError>>;
}
