//! What stashes say about their own entries: the rows that a head counts, the
//! pieces that values are in, and the index of due work.

use std::collections::BTreeMap;

use bytes::Bytes;
use windlass_store::Entry;
use windlass_store::check::{Auditor, Notes};
use windlass_store::key::{number, segments};

use super::keys::{DueRow, StashKeys};
use super::record::{Digest, Head, Kept, Pieces, decode};
use super::state::decode_row;
use crate::metadata::Figures;

/// An auditor of stashes.
#[must_use]
pub fn auditor() -> impl Auditor {
    Rounds::default()
}

#[derive(Debug, Default)]
struct Rounds {
    stash: Option<Stash>,
}

impl Auditor for Rounds {
    fn entry(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        let Some(parts) = segments(&entry.key) else {
            return;
        };
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match *parts.as_slice() {
            ["due", _, "stash", ..] => due(entry, notes),
            [tenant, "stash", session, ref rest @ ..] => {
                if let (Ok(tenant), Ok(session)) = (tenant.parse(), session.parse()) {
                    let keys = StashKeys { tenant, session };
                    self.stash(keys, notes).take(rest, entry, notes);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, notes: &mut dyn Notes) {
        if let Some(stash) = self.stash.take() {
            stash.finish(notes);
        }
    }
}

impl Rounds {
    fn stash(&mut self, keys: StashKeys, notes: &mut dyn Notes) -> &mut Stash {
        if self.stash.as_ref().is_some_and(|open| open.keys != keys)
            && let Some(before) = self.stash.take()
        {
            before.finish(notes);
        }
        self.stash.get_or_insert_with(|| Stash::new(keys))
    }
}

fn due(entry: &Entry, notes: &mut dyn Notes) {
    match DueRow::parse(&entry.key) {
        None => notes.wrong(&entry.key, "unreadable_key"),
        Some(DueRow {
            keys, loose: None, ..
        }) => notes.found(&[keys.head()], entry.key.clone(), entry.value.clone()),
        Some(DueRow {
            keys,
            loose: Some((name, first)),
            ..
        }) => notes.refer(&entry.key, keys.loose(&name, first)),
    }
}

/// The rows of one stash, as they come.
#[derive(Debug)]
struct Stash {
    keys: StashKeys,
    head: Option<Bytes>,
    figures: Figures,
    digest: Digest,
    /// Pieces that entries are in, by the entry: as many as a stash may have
    /// keys.
    apart: BTreeMap<Bytes, Pieces>,
}

impl Stash {
    fn new(keys: StashKeys) -> Self {
        Self {
            keys,
            head: None,
            figures: Figures::default(),
            digest: Digest::default(),
            apart: BTreeMap::new(),
        }
    }

    fn take(&mut self, rest: &[&str], entry: &Entry, notes: &mut dyn Notes) {
        match rest {
            ["entry", _] => self.entry(entry, notes),
            ["head"] => self.head = Some(entry.value.clone()),
            ["piece", name, piece] => self.piece(name, number(piece)),
            _ => {}
        }
    }

    fn entry(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        let Ok((key, metadata, kept)) = decode_row(&self.keys, entry) else {
            return notes.wrong(&entry.key, "corrupt_record");
        };
        let figures = Figures::of(&key, metadata.group.as_ref(), metadata.size);
        self.figures = self.figures.plus(figures);
        self.digest.add(&key, &metadata);
        if let Kept::Apart(pieces) = kept {
            self.apart.insert(entry.key.clone(), pieces);
        }
    }

    /// Pieces come in order; of each value the next one has to be the first of
    /// those that are left.
    fn piece(&mut self, name: &str, number: Option<u64>) {
        let Some(number) = number else { return };
        for pieces in self.apart.values_mut() {
            if *pieces.0 == *name && pieces.1 == number && pieces.2 > 0 {
                pieces.1 += 1;
                pieces.2 -= 1;
            }
        }
        self.apart.retain(|_, pieces| pieces.2 > 0);
    }

    fn finish(self, notes: &mut dyn Notes) {
        let key = self.keys.head();
        let Some(head) = &self.head else {
            if self.figures.keys > 0 {
                notes.wrong(&key, "record_missing");
            }
            return;
        };
        let Ok(head) = decode::<Head>("stash head", head) else {
            return notes.wrong(&key, "corrupt_record");
        };
        notes.demand(
            std::slice::from_ref(&key),
            self.keys.due(head.due),
            Bytes::new(),
        );
        let figures = (head.rows, head.value_bytes, head.charged_bytes);
        let found = self.figures;
        if (found.keys, self.digest) != (head.rows, head.digest) {
            notes.wrong(&key, "rows_missing");
        } else if (found.keys, found.value_bytes, found.charged_bytes) != figures {
            notes.wrong(&key, "figures_differ");
        }
        for entry in self.apart.keys() {
            notes.wrong(entry, "rows_missing");
        }
    }
}
