//! A state under change: what a group of requests makes of it, and the one
//! batch that makes that true.
//!
//! A request is decided on a [`Step`], which is taken over only if nothing in
//! it was refused; so what is refused leaves no trace.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Format, Millis, WriterId, Writers};
use windlass_store::{Batch, Expect, Version, Write};

use crate::blob::{BlobId, BlobRow, LineageKeys, Name};
use crate::engine::Loaded;
use crate::keys::StateKeys;
use crate::limits::{COMMIT_BLOB_BYTES_MAX, COMMIT_BLOBS_MAX};
use crate::manifest::Manifest;
use crate::model::{PartName, Usage};
use crate::ranges::Ranges;
use crate::record::{Head, Packed, Points};
use crate::row;

/// A state with the changes decided so far.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) head: Head,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) hidden: Arc<Ranges>,
    pub(crate) now: Millis,
    /// The version of the head this is made from; none before the first
    /// commit.
    pub(crate) version: Option<Version>,
    /// What the stored head points at.
    pub(crate) stored: Points,
    stored_manifest: Arc<Manifest>,
    /// Checks and writes beside the head's.
    rows: Batch,
    /// Blobs that are written, here or ahead.
    blobs: HashSet<Name>,
    /// Those to be written in the commit itself.
    blob_rows: Vec<BlobRow>,
    /// The state of the collector that the commit relies on.
    gc: Option<Version>,
    size: usize,
    changed: bool,
}

/// What one request adds to a draft.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) head: Head,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) hidden: Arc<Ranges>,
    pub(crate) rows: Batch,
    pub(crate) blob_rows: Vec<BlobRow>,
}

impl Draft {
    /// Nothing changed yet in what is loaded, or in a state that begins, in
    /// `lineage`.
    pub(crate) fn new(loaded: Option<&Loaded>, lineage: &Arc<str>, now: Millis) -> Self {
        let (head, version, manifest, hidden) = match loaded {
            Some(it) => (
                it.head.clone(),
                Some(it.version),
                Arc::clone(&it.manifest),
                Arc::clone(&it.hidden),
            ),
            None => (
                fresh_head(lineage, now),
                None,
                Arc::default(),
                Arc::default(),
            ),
        };
        Self {
            now: now.max(head.at),
            stored: head.points,
            stored_manifest: Arc::clone(&manifest),
            head,
            manifest,
            hidden,
            version,
            rows: Batch::new(),
            blobs: HashSet::new(),
            blob_rows: Vec::new(),
            gc: None,
            size: 0,
            changed: false,
        }
    }

    /// A step from where the draft is.
    pub(crate) fn step(&self) -> Step {
        Step {
            head: self.head.clone(),
            manifest: Arc::clone(&self.manifest),
            hidden: Arc::clone(&self.hidden),
            rows: Batch::new(),
            blob_rows: Vec::new(),
        }
    }

    /// Takes over what a step decided.
    pub(crate) fn take(&mut self, step: Step) {
        self.head = step.head;
        self.manifest = step.manifest;
        self.hidden = step.hidden;
        self.size += step.rows.size();
        self.take_rows(step.rows);
        self.take_blobs(step.blob_rows);
        self.changed = true;
    }

    /// Adds rows, but none twice: two requests may rest on the same one.
    fn take_rows(&mut self, rows: Batch) {
        for check in rows.checks {
            if !self.rows.checks.contains(&check) {
                self.rows.checks.push(check);
            }
        }
        for write in rows.writes {
            let same = |it: &&mut Write| it.key() == write.key();
            match self.rows.writes.iter_mut().find(same) {
                Some(before) => *before = write,
                None => self.rows.writes.push(write),
            }
        }
    }

    fn take_blobs(&mut self, rows: Vec<BlobRow>) {
        for row in rows {
            if self.blobs.insert(row.name) {
                self.size += row.value.len();
                self.blob_rows.push(row);
            }
        }
    }

    /// Notes that blobs were stored ahead, or are reused without being
    /// written, since the collector stood at `gc`.
    pub(crate) fn relies_on(&mut self, gc: Version) {
        self.gc.get_or_insert(gc);
    }

    /// Adds writes that belong to no request.
    pub(crate) fn add(&mut self, rows: Batch) {
        self.rows.append(rows);
        self.changed = true;
    }

    /// Whether one more request should wait for the next commit.
    pub(crate) fn is_full(&self) -> bool {
        self.size > 2 * COMMIT_BLOB_BYTES_MAX
            || self.blob_rows.len() > COMMIT_BLOBS_MAX
            || self.rows.checks.len() > 64
            || self.rows.writes.len() > 512
    }

    pub(crate) const fn is_changed(&self) -> bool {
        self.changed
    }

    /// The content that a part has in the store.
    pub(crate) fn stored_part(&self, name: &PartName) -> Option<BlobId> {
        Some(self.stored_manifest.parts.get(name)?.blob)
    }

    /// Prepares the head for being written by `writer`.
    pub(crate) fn stamp(&mut self, writer: &WriterId) {
        self.head.writes += 1;
        self.head.by.note(writer, self.head.writes);
    }

    /// The batch of a stamped draft. The checks of turns come first, so that
    /// a repeated request learns that it is one.
    pub(crate) fn batch(&self, keys: &StateKeys, lineage: &LineageKeys) -> Batch {
        let mut batch = self.rows.clone();
        let head = keys.head();
        let expect = self.version.map_or(Expect::Absent, Expect::Version);
        batch = batch
            .check(head.clone(), expect)
            .put(head, row::encode(&self.head, None));
        if self.version.is_none() {
            batch = batch
                .check(lineage.gc(), Expect::Absent)
                .put(lineage.gc(), crate::blob::fresh_gc())
                .put(lineage.member(&keys.session), Bytes::new());
        } else if let Some(gc) = self.gc {
            batch = batch.check(lineage.gc(), Expect::Version(gc));
        }
        for row in &self.blob_rows {
            batch = batch.put(row.key(lineage), row.value.clone());
        }
        batch
    }

    /// The state after the batch was applied.
    pub(crate) fn applied(self, version: Version) -> Loaded {
        Loaded {
            head: self.head,
            version,
            manifest: self.manifest,
            hidden: self.hidden,
        }
    }
}

fn fresh_head(lineage: &Arc<str>, now: Millis) -> Head {
    Head {
        v: Format,
        rev: 0,
        at: now,
        id: "".into(),
        points: Points::default(),
        usage: Usage::default(),
        packed: Packed::default(),
        tail_bytes: 0,
        lineage: Arc::clone(lineage),
        base: None,
        oldest: 1,
        due: None,
        tags: 0,
        removed: None,
        writes: 0,
        by: Writers::default(),
    }
}
