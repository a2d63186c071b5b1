//! The rules of a stash: an index of what is held, a request and the time
//! give an answer and the changes to write, or a refusal and no change. Pure:
//! no values, no store, no clock, no lock.
//!
//! Both forms keep an [`Index`] and apply the same changes to their values. A
//! rule changes the index and appends what it did to a list of [`Change`]s;
//! [`Index::undo`] takes a list back, for a form whose commit failed.
//!
//! Invariants, kept in `index.rs`:
//!
//! - `held` is the sum over all entries, `live` over those not known to be
//!   expired, each group's figures over the live ones of that group;
//! - each entry is in exactly one of `order` (by a lower bound of its
//!   deadline) and `lapsed` (by its deadline);
//! - nothing lapses before its deadline, and a lapsed entry is never live
//!   again.
//!
//! | module | what is in it |
//! |---|---|
//! | `index` | the index and its figures |
//! | `entry` | get, delete, touch: one key |
//! | `put` | put and increment: one key and room for it |
//! | `many` | step, listing, clearing, reaping |

mod entry;
mod index;
mod many;
mod put;

pub(crate) use index::Index;

use windlass_core::{GroupId, Millis};

use crate::config::Config;
use crate::key::Key;
use crate::metadata::Metadata;
use crate::value::Value;

/// Who asks, when, and under which settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) config: &'a Config,
    pub(crate) caller: Option<&'a GroupId>,
    pub(crate) now: Millis,
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: Key,
    /// What was held before, expired or not.
    pub(crate) before: Option<Metadata>,
    /// What is held now.
    pub(crate) after: Option<Metadata>,
    /// The new value, if it is another one.
    pub(crate) value: Option<Value>,
}

/// Reads the value of an entry that the index has. `None` says that the form
/// no longer holds that version; the rule then answers
/// [`StashError::Busy`](crate::StashError::Busy).
pub(crate) type Read<'a> = &'a dyn Fn(&Key, &Metadata) -> Option<Value>;
