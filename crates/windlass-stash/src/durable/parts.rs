//! Values that are too long for the rows of their entries: how they are cut
//! into pieces, written ahead of the change that needs them, and taken back.
//!
//! Pieces that are written ahead have a note, and a row in the index of due
//! work that leads upkeep to it. The change that makes an entry point at them
//! checks the version of the note and deletes it; whoever takes the pieces
//! back rewrites or deletes the note first. So only one of the two happens.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Millis, unique_id};
use windlass_store::{Batch, Commit, Expect, Scan, StoreErrorKind, StoreExt, Version};

use super::engine::Engine;
use super::keys::StashKeys;
use super::limits::{
    BESIDE_BYTES_MAX, BESIDE_VALUES_MAX, BITE_PIECES, INLINE_BYTES_MAX, LOOSE_MS, PIECE_BYTES_MAX,
};
use super::record::{Format, Loose, Pieces, corrupt, decode, encode};
use crate::error::StashError;
use crate::key::Key;
use crate::request::Operation;
use crate::value::Value;

/// The longer values of one change.
#[derive(Debug)]
pub(super) struct Parts {
    name: Arc<str>,
    parts: Vec<Part>,
    /// The note of what was written ahead; `None` if the change itself is to
    /// carry the pieces.
    note: Option<Note>,
}

#[derive(Debug)]
struct Part {
    value: Value,
    first: u64,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Note {
    version: Version,
    due: Millis,
}

impl Parts {
    /// The values of `operations` that need pieces; `None` if there are none.
    pub(super) fn of(
        operations: &[Operation],
        engine: &Engine,
    ) -> Result<Option<Self>, StashError> {
        let values = operations.iter().filter_map(|operation| match operation {
            Operation::Put(put) if put.value.size() > INLINE_BYTES_MAX => Some(&put.value),
            _ => None,
        });
        let mut parts: Vec<Part> = Vec::new();
        // Number 0 is that of the note.
        let mut first = 1;
        for value in values {
            let count = count_of(value.as_json().len().div_ceil(PIECE_BYTES_MAX));
            parts.push(Part {
                value: value.clone(),
                first,
                count,
            });
            first += count;
        }
        if parts.is_empty() {
            return Ok(None);
        }
        // The key as well: it tells the pieces of two changes apart also where
        // time and randomness are made to repeat themselves, as in a replay.
        let put = |operation: &&Operation| matches!(operation, Operation::Put(_));
        let first = operations.iter().find(put).map(Operation::key);
        let key = first.map_or("", Key::as_str);
        Ok(Some(Self {
            name: format!("{}:{key}", unique_id(engine.env.as_ref())?).into(),
            parts,
            note: None,
        }))
    }

    /// Their length, all together.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.value.size()).sum()
    }

    /// Whether they have to be written ahead of their change.
    pub(super) fn go_ahead(&self) -> bool {
        self.bytes() > BESIDE_BYTES_MAX || self.parts.len() > BESIDE_VALUES_MAX
    }

    /// Whether they were.
    pub(super) const fn are_ahead(&self) -> bool {
        self.note.is_some()
    }

    /// Whether `row` is the note of what was written ahead.
    pub(super) fn has_note(&self, keys: &StashKeys, row: &[u8]) -> bool {
        self.note.is_some() && *row == keys.loose(&self.name, 0)
    }

    /// How many writes the change carries for them.
    pub(super) fn writes(&self) -> usize {
        match self.note {
            Some(_) => 2,
            None => usize::try_from(self.count()).unwrap_or(usize::MAX),
        }
    }

    fn count(&self) -> u64 {
        self.parts.iter().map(|part| part.count).sum()
    }

    /// Where a value is that is one of these, not merely equal to one, and
    /// that nobody uses yet: the same value may be put under two keys.
    pub(super) fn place(&self, value: &Value, used: &[Pieces]) -> Option<Pieces> {
        let same = self.parts.iter().filter(|part| part.value.is(value));
        let mut pieces = same.map(|part| self.pieces(part));
        pieces.find(|pieces| !used.contains(pieces))
    }

    fn pieces(&self, part: &Part) -> Pieces {
        Pieces(Arc::clone(&self.name), part.first, part.count)
    }

    /// What was written ahead and is not among `used`.
    pub(super) fn unused<'a>(&'a self, used: &'a [Pieces]) -> impl Iterator<Item = Pieces> + 'a {
        let written = self.parts.iter().filter(|_| self.note.is_some());
        let pieces = written.map(|part| self.pieces(part));
        pieces.filter(|pieces| !used.contains(pieces))
    }

    /// Adds to a change what makes it the owner of the pieces: those of
    /// `used`, or all where they were written ahead.
    pub(super) fn claim(&self, keys: &StashKeys, used: &[Pieces], mut batch: Batch) -> Batch {
        if let Some(note) = self.note {
            let row = keys.loose(&self.name, 0);
            return batch
                .check(row.clone(), Expect::Version(note.version))
                .delete(row)
                .delete(keys.due_loose(note.due, &self.name, 0));
        }
        for part in &self.parts {
            if used.contains(&self.pieces(part)) {
                for (number, bytes) in part.bytes() {
                    batch = batch.put(keys.piece(&self.name, number), bytes);
                }
            }
        }
        batch
    }

    /// Writes them ahead of their change, a piece a commit, so that no commit
    /// holds up others for long.
    ///
    /// # Errors
    ///
    /// The store's failures; `Busy` if upkeep took the pieces back because
    /// it took longer than [`LOOSE_MS`].
    pub(super) async fn write_ahead(
        &mut self,
        engine: &Engine,
        keys: &StashKeys,
    ) -> Result<(), StashError> {
        let due = engine.env.now().plus_ms(LOOSE_MS);
        let loose = Loose {
            v: Format,
            count: self.count() + 1,
            doomed: false,
        };
        let row = keys.loose(&self.name, 0);
        let begin = Batch::new()
            .put(row.clone(), encode(&loose))
            .put(keys.due_loose(due, &self.name, 0), Bytes::new());
        let version = applied(&commit_surely(engine, &begin).await?)?;
        self.note = Some(Note { version, due });
        for (number, bytes) in self.parts.iter().flat_map(Part::bytes) {
            let piece = Batch::new()
                .check(row.clone(), Expect::Version(version))
                .put(keys.piece(&self.name, number), bytes);
            applied(&commit_surely(engine, &piece).await?)?;
        }
        Ok(())
    }

    /// Takes back what was written ahead and is not needed. If it cannot,
    /// upkeep will.
    pub(super) async fn take_back(&self, engine: &Engine, keys: &StashKeys) {
        if let Some(note) = self.note {
            let _ = take_back(engine, keys, (&self.name, 0), note.due).await;
        }
    }
}

impl Part {
    /// Number and content of each piece, sharing the value's text.
    fn bytes(&self) -> impl Iterator<Item = (u64, Bytes)> + use<> {
        let (all, first) = (Bytes::from_owner(Shared(self.value.clone())), self.first);
        let starts = (0..all.len()).step_by(PIECE_BYTES_MAX);
        starts.zip(first..).map(move |(start, number)| {
            let end = all.len().min(start + PIECE_BYTES_MAX);
            (number, all.slice(start..end))
        })
    }
}

/// A value as the owner of its bytes.
struct Shared(Value);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_json().as_bytes()
    }
}

fn count_of(pieces: usize) -> u64 {
    u64::try_from(pieces).unwrap_or(u64::MAX)
}

/// Commits what may as well be committed twice: once more where the outcome
/// is unknown.
async fn commit_surely(engine: &Engine, batch: &Batch) -> Result<Commit, StashError> {
    match engine.store.commit(batch.clone()).await {
        Err(error) if error.kind() == StoreErrorKind::Indeterminate => {
            Ok(engine.store.commit(batch.clone()).await?)
        }
        done => Ok(done?),
    }
}

fn applied(commit: &Commit) -> Result<Version, StashError> {
    match commit {
        Commit::Applied(version) => Ok(*version),
        Commit::Conflict { .. } => Err(StashError::Busy),
    }
}

/// The note that frees pieces which no entry points at any more, for upkeep to
/// delete at once.
pub(super) fn let_go(keys: &StashKeys, pieces: &Pieces, now: Millis, batch: Batch) -> Batch {
    let loose = Loose {
        v: Format,
        count: pieces.2,
        doomed: true,
    };
    batch
        .put(keys.loose(&pieces.0, pieces.1), encode(&loose))
        .put(keys.due_loose(now, &pieces.0, pieces.1), Bytes::new())
}

/// Deletes loose pieces, a bite a commit, then their note, and says how many;
/// nothing if an entry has taken them meanwhile. Can be repeated from wherever
/// it stopped.
pub(super) async fn take_back(
    engine: &Engine,
    keys: &StashKeys,
    (name, first): (&str, u64),
    due: Millis,
) -> Result<u64, StashError> {
    let (row, due) = (keys.loose(name, first), keys.due_loose(due, name, first));
    let mut freed = 0;
    let Some(entry) = engine.store.get(row.clone()).await? else {
        // An entry has taken them, or they are gone: only the index row is left.
        let _: Commit = engine.store.commit(Batch::new().delete(due)).await?;
        return Ok(freed);
    };
    let loose: Loose = decode("note of loose pieces", &entry.value)?;
    let end = first.checked_add(loose.count);
    let end = end.ok_or_else(|| corrupt("note of loose pieces", "it counts too many"))?;
    let doomed = encode(&Loose {
        doomed: true,
        ..loose
    });
    let mut version = entry.version;
    loop {
        let scan = keys.pieces(name, first, end).limit(BITE_PIECES).keys();
        let (pieces, more) = page(engine, scan).await?;
        let mut batch = Batch::new().check(row.clone(), Expect::Version(version));
        for piece in &pieces {
            batch = batch.delete(piece.clone());
        }
        batch = if more {
            batch.put(row.clone(), doomed.clone())
        } else {
            batch.delete(row.clone()).delete(due.clone())
        };
        let Commit::Applied(next) = engine.store.commit(batch).await? else {
            return Ok(freed);
        };
        freed += count_of(pieces.len());
        if !more {
            return Ok(freed);
        }
        version = next;
    }
}

async fn page(engine: &Engine, scan: Scan) -> Result<(Vec<Bytes>, bool), StashError> {
    let pages = engine.store.read(&[scan]).await?;
    let page = pages.into_iter().next().unwrap_or_default();
    let keys = page.entries.into_iter().map(|entry| entry.key).collect();
    Ok((keys, page.more))
}
