//! A stash as a process knows it: the head, the index, and where the longer
//! values are.

use std::collections::HashMap;

use windlass_core::Millis;
use windlass_store::{Entry, Version};

use super::keys::StashKeys;
use super::record::{Digest, Head, Kept, Pieces, corrupt, decode_entry};
use crate::error::StashError;
use crate::key::Key;
use crate::metadata::Metadata;
use crate::rules::Index;

/// What the rows of a stash said at one point in time.
#[derive(Debug)]
pub(super) struct State {
    /// The head and its version; `None` where the stash has no rows.
    pub(super) head: Option<(Head, Version)>,
    pub(super) index: Index,
    /// Where the values are that do not lie in their entries' rows.
    pub(super) pieces: HashMap<Key, Pieces>,
    /// When the last decision was made: time never runs backwards for a
    /// stash, whoever made it.
    at: Millis,
}

/// What one entry's row held.
pub(super) type Row = (Key, Metadata, Kept);

impl State {
    /// What these rows add up to.
    ///
    /// # Errors
    ///
    /// `Corrupt` if they are not those that the head counts: an entry that is
    /// lost must not look like one that never was.
    pub(super) fn of(
        head: Option<(Head, Version)>,
        rows: &[Row],
        now: Millis,
    ) -> Result<Self, StashError> {
        let known = rows
            .iter()
            .map(|(key, metadata, _)| (key.clone(), metadata.clone()));
        let last_version = head.as_ref().map_or(now.get(), |(head, _)| head.version);
        let index = Index::load(known, last_version);
        let apart = rows.iter().filter_map(|(key, _, kept)| match kept {
            Kept::Within(_) => None,
            Kept::Apart(pieces) => Some((key.clone(), pieces.clone())),
        });
        let pieces = apart.collect();
        let at = head.as_ref().map_or(now, |(head, _)| head.at.max(now));
        let state = Self {
            head,
            index,
            pieces,
            at,
        };
        state.check(rows)?;
        Ok(state)
    }

    fn check(&self, rows: &[Row]) -> Result<(), StashError> {
        let Some((head, _)) = &self.head else {
            return if rows.is_empty() {
                Ok(())
            } else {
                Err(corrupt("stash head", "it is missing"))
            };
        };
        let mut digest = Digest::default();
        for (key, metadata, _) in rows {
            digest.add(key, metadata);
        }
        let held = self.index.held();
        if head.rows != held.keys || head.digest != digest {
            return Err(corrupt(
                "stash",
                format!("{} rows are not the {} it has", held.keys, head.rows),
            ));
        }
        if (head.value_bytes, head.charged_bytes) != (held.value_bytes, held.charged_bytes) {
            return Err(corrupt(
                "stash head",
                "its figures are not those of its rows",
            ));
        }
        Ok(())
    }

    /// The time of a decision made at `now`.
    pub(super) fn advance(&mut self, now: Millis) -> Millis {
        self.at = self.at.max(now);
        self.at
    }

    /// The version of the head; `None` where there is none.
    pub(super) fn version(&self) -> Option<Version> {
        self.head.as_ref().map(|(_, version)| *version)
    }
}

/// Reads the row of an entry.
pub(super) fn decode_row(keys: &StashKeys, row: &Entry) -> Result<Row, StashError> {
    let key = keys.entry_of(&row.key).and_then(|key| key.parse().ok());
    let key = key.ok_or_else(|| corrupt("entry", "its row has no key of an entry"))?;
    let (metadata, kept) = decode_entry(&row.value)?;
    Ok((key, metadata, kept))
}
