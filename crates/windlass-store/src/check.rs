//! What a part can say about the entries that are its own: which rows its
//! records call for, and what is wrong with them.
//!
//! An [`Auditor`] is shown entries in the order of their keys, as they were at
//! one point in time, and keeps no more than one aggregate in mind, so memory
//! is bounded whatever is stored. What cannot be told from neighbours it tells
//! as links: these records call for that row, and here is such a row. Whoever
//! shows it the entries brings the two sides together.
//!
//! Shown some records and rows only, an auditor says of those exactly what it
//! would say of them among all others; that is how one link is looked at again.

use std::fmt;

use bytes::Bytes;

use crate::Entry;

/// A part's own knowledge of what has to be.
pub trait Auditor: fmt::Debug + Send {
    /// Looks at the next entry.
    fn entry(&mut self, entry: &Entry, notes: &mut dyn Notes);

    /// Says what is left to be said once there are no more.
    fn end(&mut self, notes: &mut dyn Notes);
}

/// Takes what an auditor has to say.
pub trait Notes {
    /// The records under the keys `by` call for a row with this key and value,
    /// which follow from them.
    fn demand(&mut self, by: &[Bytes], row: Bytes, value: Bytes);

    /// There is a row that the records under the keys `by` have to call for.
    fn found(&mut self, by: &[Bytes], row: Bytes, value: Bytes);

    /// The record under `from` points at what is under `to`.
    fn refer(&mut self, from: &Bytes, to: Bytes);

    /// Something is wrong with the record under `key`.
    fn wrong(&mut self, key: &Bytes, code: &'static str);

    /// The record under `key` does not add up and follows from other rows: it
    /// has to have this value. All of them begin with `scope`, and every change
    /// of them rewrites the record.
    fn miscounted(&mut self, key: &Bytes, code: &'static str, scope: Bytes, value: Bytes);

    /// What the records now shown call for is just being changed, step by step.
    fn unsettled(&mut self);
}
