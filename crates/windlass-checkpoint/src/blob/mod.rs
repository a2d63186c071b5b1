//! Contents of any size, stored once within a lineage and named by what they
//! hold.
//!
//! A content of one row is that row. A larger one is cut into chunks, and its
//! row is a list of them, over lists in between if they are many. There are
//! three kinds of rows (see [`Kind`]); what a row needs follows from its name,
//! whoever writes it and when: a chunk and a list within a tree are named by
//! what they hold, and the list at the top, named by the whole content, follows
//! from the content because cutting does. So putting a row that is there
//! already changes nothing for whoever rests on it, and nobody has to look
//! before a put.
//!
//! What a commit has to keep to, so that no collection takes what it needs:
//!
//! - It puts every row of a content that it does not know to be there. Rows of
//!   the state under the head that it checks are there.
//! - Lists at the top are put with the commit, never ahead of it. So where one
//!   is present, what is below it was there when it was committed.
//! - If it rests on a row in any other way (put ahead, or referred to by its
//!   name), it reads `gc` before that, and checks that it is unchanged. Of a
//!   blob that it refers to it also checks that it is present, and deletes its
//!   row under `condemned`, if there is one.

mod built;
mod compression;
mod cut;
mod fetch;
mod id;
mod keys;
mod known;
mod limits;
mod read;
mod row;
#[cfg(test)]
mod tests;

pub(crate) use built::{BlobRow, Built};
pub use compression::{Compression, Profile};
pub(crate) use fetch::fetch;
pub use id::{BlobId, BlobIdError};
pub(crate) use keys::{Kind, LineageKeys, Name};
pub(crate) use known::drop_known;
pub(crate) use read::{Reader, children_of_row, read, read_many, size_of};
pub(crate) use row::{Body, Decoder, Encoder, Row};

use bytes::Bytes;
use windlass_core::Millis;

/// Whether a content of that many bytes is one row.
pub(crate) const fn has_one_row(size: u64) -> bool {
    size <= limits::WHOLE_BYTES_MAX as u64
}

/// When a row was written, as far as it can be read.
pub(crate) fn written_of(value: &[u8]) -> Option<Millis> {
    Row::written(value)
}

/// The row that guards collections as a lineage begins with it.
pub(crate) const fn fresh_gc() -> Bytes {
    Bytes::from_static(br#"{"v":1,"run":0}"#)
}
