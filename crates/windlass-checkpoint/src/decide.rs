//! What a commit makes of a state: the rules, and the contents it stores.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{PrincipalId, unique_id};
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Batch, Expect, Scan};

use crate::blob::{self, BlobId, BlobRow, Built, LineageKeys, Profile};
use crate::draft::{Draft, Step};
use crate::engine::Engine;
use crate::error::CheckpointError;
use crate::keys::StateKeys;
use crate::limits::{
    COMMIT_BLOB_BYTES_MAX, COMMIT_BLOBS_MAX, HIDDEN_RANGES_MAX, NODE_INLINE_BYTES_MAX, PARTS_MAX,
    ROW_NODES_BYTES_MAX, STAGE_BYTES_MAX,
};
use crate::manifest::Manifest;
use crate::model::{Changes, Committed, Expected, Form, Parent, Part, PartChange, PartName};
use crate::ranges::Ranges;
use crate::record::{Points, Record};
use crate::stored::{Held, LogRow, StoredNode};

/// Who commits, and under which turn.
#[derive(Debug)]
pub(crate) struct Author<'a> {
    pub(crate) principal: &'a PrincipalId,
    pub(crate) turn: Option<&'a windlass_core::OperationId>,
}

impl Engine {
    /// Decides one commit on top of `draft`. What it stores beside the head
    /// is in the draft afterwards, or stored ahead.
    pub(crate) async fn decide(
        &self,
        keys: &StateKeys,
        lineage: &LineageKeys,
        draft: &mut Draft,
        author: &Author<'_>,
        changes: &Changes,
    ) -> Result<Committed, CheckpointError> {
        expect(changes.expected, draft.head.rev)?;
        let mut step = draft.step();
        step.head.usage =
            (step.head.usage.plus(changes.usage)).ok_or(CheckpointError::UsageOverflow)?;
        let hidden = hide(&mut step, changes)?;
        let parents = parents(&step, changes)?;
        let blobs = self.node_blobs(draft, &mut step, changes);
        self.put_parts(lineage, draft, &mut step, &changes.parts)
            .await?;
        if hidden {
            self.put_hidden(lineage, draft, &mut step).await?;
        }
        step.head.points.leaf = leaf(&step, changes)?;
        step.head.points.nodes += count(changes.nodes.len());
        let record = self.next_record(&mut step, draft, author, changes)?;
        let taken = self
            .take_attachments(keys, &changes.attachments, step.head.rev)
            .await?;
        step.rows.append(taken);
        let log = log_row(
            draft,
            record,
            changes,
            &parents,
            &blobs,
            self.row_threshold(),
        );
        step.head.tail_bytes += count(log.len());
        step.rows = step.rows.put(keys.log(step.head.rev), log);
        let committed = step.head.committed();
        self.stage_if_large(lineage, draft, &mut step).await?;
        draft.take(step);
        Ok(committed)
    }

    /// Moves the head on, and says what the next record holds.
    pub(crate) fn next_record(
        &self,
        step: &mut Step,
        draft: &Draft,
        author: &Author<'_>,
        changes: &Changes,
    ) -> Result<Record, CheckpointError> {
        let head = &mut step.head;
        head.rev += 1;
        head.at = draft.now;
        head.id = unique_id(self.env.as_ref())?.into();
        let names = |wanted: fn(&PartChange) -> bool| {
            let chosen = changes.parts.iter().filter(move |(_, it)| wanted(it));
            chosen.map(|(name, _)| name.clone()).collect()
        };
        Ok(Record {
            rev: head.rev,
            at: head.at,
            id: Arc::clone(&head.id),
            by: author.principal.clone(),
            turn: author.turn.cloned(),
            points: head.points,
            usage: changes.usage,
            note: changes.note.clone(),
            from: None,
            put: names(|it| !matches!(it, PartChange::Remove)),
            gone: names(|it| matches!(it, PartChange::Remove)),
            attached: changes.attachments.clone(),
        })
    }

    /// The blobs of contents that are too large for the row of their commit,
    /// by the place of their node.
    fn node_blobs(
        &self,
        draft: &Draft,
        step: &mut Step,
        changes: &Changes,
    ) -> BTreeMap<usize, (BlobId, Form)> {
        let mut inline = 0;
        let mut blobs = BTreeMap::new();
        for (place, node) in changes.nodes.iter().enumerate() {
            let size = node.payload.bytes().len();
            if size <= NODE_INLINE_BYTES_MAX && inline + size <= ROW_NODES_BYTES_MAX {
                inline += size;
                continue;
            }
            let built = self.build(node.payload.bytes(), true, draft);
            blobs.insert(place, (built.id, node.payload.form()));
            step.blob_rows.extend(built.into_rows());
        }
        blobs
    }

    fn build(&self, content: &Bytes, compressible: bool, draft: &Draft) -> Built {
        let compression = if compressible {
            self.config.compression
        } else {
            Profile::LowLatency.into()
        };
        Built::of(content, compression, draft.now)
    }

    /// Puts and removes parts, and stores the manifest that says so.
    async fn put_parts(
        &self,
        lineage: &LineageKeys,
        draft: &mut Draft,
        step: &mut Step,
        changes: &BTreeMap<PartName, PartChange>,
    ) -> Result<(), CheckpointError> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut manifest = Manifest::clone(&step.manifest);
        let mut refers = Vec::new();
        for (name, change) in changes {
            match change {
                PartChange::Remove => {
                    manifest.parts.remove(name);
                }
                PartChange::Put(payload, label) => {
                    let before = draft.stored_part(name);
                    let compressible = label.compressible != Some(false);
                    let mut built = self.build(payload.bytes(), compressible, draft);
                    self.drop_known(lineage, before, &mut built).await?;
                    let part = Part {
                        blob: built.id,
                        size: built.size,
                        form: payload.form(),
                        label: label.clone(),
                    };
                    step.blob_rows.extend(built.into_rows());
                    manifest.parts.insert(name.clone(), part);
                }
                PartChange::Refer(blob, form, label) => {
                    refers.push(*blob);
                    let part = Part {
                        blob: *blob,
                        size: 0,
                        form: *form,
                        label: label.clone(),
                    };
                    manifest.parts.insert(name.clone(), part);
                }
            }
        }
        if manifest.parts.len() > PARTS_MAX {
            let (what, max) = ("parts", PARTS_MAX);
            return Err(CheckpointError::Full { what, max });
        }
        let sizes = self.refer(lineage, draft, step, &refers).await?;
        for part in manifest.parts.values_mut() {
            if let Some(size) = sizes.get(&part.blob) {
                part.size = *size;
            }
        }
        step.manifest = Arc::new(manifest);
        let (content, before) = (step.manifest.encode(), draft.stored.manifest);
        step.head.points.manifest = if step.manifest.parts.is_empty() {
            None
        } else {
            Some(
                self.put_json(lineage, draft, step, &content, before)
                    .await?,
            )
        };
        Ok(())
    }

    pub(crate) async fn put_hidden(
        &self,
        lineage: &LineageKeys,
        draft: &Draft,
        step: &mut Step,
    ) -> Result<(), CheckpointError> {
        let content = serde_json::to_vec(step.hidden.as_ref())
            .expect("ranges are numbers")
            .into();
        let before = draft.stored.hidden;
        let id = self
            .put_json(lineage, draft, step, &content, before)
            .await?;
        step.head.points.hidden = Some(id);
        Ok(())
    }

    /// Adds a content of this part's own to the blobs of a step.
    async fn put_json(
        &self,
        lineage: &LineageKeys,
        draft: &Draft,
        step: &mut Step,
        content: &Bytes,
        before: Option<BlobId>,
    ) -> Result<BlobId, CheckpointError> {
        let mut built = self.build(content, true, draft);
        self.drop_known(lineage, before, &mut built).await?;
        let id = built.id;
        step.blob_rows.extend(built.into_rows());
        Ok(id)
    }

    /// Drops the rows that the content before has too: it is part of the head
    /// that the commit checks, so none of them can go meanwhile.
    async fn drop_known(
        &self,
        lineage: &LineageKeys,
        before: Option<BlobId>,
        built: &mut Built,
    ) -> Result<(), CheckpointError> {
        let Some(before) = before else {
            return Ok(());
        };
        blob::drop_known(self.store.as_ref(), lineage, before, built).await?;
        Ok(())
    }

    /// The sizes of blobs that are used without being written. What the
    /// collector has condemned is pardoned in the same commit.
    async fn refer(
        &self,
        lineage: &LineageKeys,
        draft: &mut Draft,
        step: &mut Step,
        blobs: &[BlobId],
    ) -> Result<BTreeMap<BlobId, u64>, CheckpointError> {
        let mut sizes = BTreeMap::new();
        let mut wanted = blobs.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        if let (Some(first), None) = (wanted.first(), draft.version) {
            return Err(CheckpointError::BlobNotFound { blob: *first });
        }
        for few in wanted.chunks((READ_SCANS_MAX - 1) / 2) {
            let each = few
                .iter()
                .flat_map(|id| [lineage.blob(*id), lineage.condemned(*id)].map(Scan::point));
            let scans: Vec<Scan> = [Scan::point(lineage.gc())]
                .into_iter()
                .chain(each)
                .collect();
            let mut pages = self.store.read(&scans).await?.into_iter();
            let mut entry = || {
                pages
                    .next()
                    .and_then(|page| page.entries.into_iter().next())
            };
            let gc =
                entry().ok_or_else(|| CheckpointError::corrupt("lineage", "it has no `gc`"))?;
            draft.relies_on(gc.version);
            for id in few {
                let (row, condemned) = (entry(), entry());
                let row = row.ok_or(CheckpointError::BlobNotFound { blob: *id })?;
                sizes.insert(*id, blob::size_of(*id, &row.value)?);
                step.rows = std::mem::take(&mut step.rows).check(row.key, Expect::Present);
                if condemned.is_some() {
                    step.rows = std::mem::take(&mut step.rows).delete(lineage.condemned(*id));
                }
            }
        }
        Ok(sizes)
    }

    /// Stores the blobs of a step ahead of its commit if they are too many
    /// for it. Nobody points at them yet; if the commit never comes, they are
    /// collected.
    async fn stage_if_large(
        &self,
        lineage: &LineageKeys,
        draft: &mut Draft,
        step: &mut Step,
    ) -> Result<(), CheckpointError> {
        if !is_much(&step.blob_rows) {
            return Ok(());
        }
        if draft.version.is_some() {
            let pages = self.store.read(&[Scan::point(lineage.gc())]).await?;
            let gc = pages.into_iter().flat_map(|page| page.entries).next();
            let gc = gc.ok_or_else(|| CheckpointError::corrupt("lineage", "it has no `gc`"))?;
            draft.relies_on(gc.version);
        }
        let (ahead, beside) = std::mem::take(&mut step.blob_rows)
            .into_iter()
            .partition(|row| row.may_go_ahead);
        step.blob_rows = beside;
        self.stage(lineage, ahead).await
    }

    async fn stage(
        &self,
        lineage: &LineageKeys,
        rows: Vec<BlobRow>,
    ) -> Result<(), CheckpointError> {
        let mut batch = Batch::new();
        if !rows.is_empty() {
            // If the commit never comes they are garbage.
            batch = batch.put(self.garbage_due(lineage, self.env.now()), Bytes::new());
        }
        let mut bytes = 0;
        let mut staged = std::collections::HashSet::new();
        for row in rows.into_iter().filter(|row| staged.insert(row.name)) {
            if bytes + row.value.len() > STAGE_BYTES_MAX || batch.writes.len() >= 512 {
                self.commit_staged(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += row.value.len();
            batch = batch.put(row.key(lineage), row.value);
        }
        self.commit_staged(batch).await
    }

    async fn commit_staged(&self, batch: Batch) -> Result<(), CheckpointError> {
        if batch.writes.is_empty() {
            return Ok(());
        }
        let _applied: windlass_store::Commit = self.store.commit(batch).await?;
        Ok(())
    }
}

/// Whether blobs are too many for the commit that points at them.
fn is_much(rows: &[BlobRow]) -> bool {
    let bytes: usize = rows.iter().map(|row| row.value.len()).sum();
    bytes > COMMIT_BLOB_BYTES_MAX || rows.len() > COMMIT_BLOBS_MAX
}

pub(crate) const fn expect(expected: Expected, actual: u64) -> Result<(), CheckpointError> {
    match expected {
        Expected::Revision(expected) if expected != actual => {
            Err(CheckpointError::HeadRevisionConflict { expected, actual })
        }
        Expected::Revision(_) | Expected::Any => Ok(()),
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Takes nodes out of the graph; whether any went.
fn hide(step: &mut Step, changes: &Changes) -> Result<bool, CheckpointError> {
    let nodes = step.head.points.nodes;
    for node in &changes.tombstones {
        check_node(step, *node)?;
    }
    let mut hidden = Ranges::clone(&step.hidden);
    for node in &changes.tombstones {
        hidden.add(*node, *node);
    }
    if changes.replace_nodes {
        hidden.add(1, nodes);
        step.head.points.leaf = None;
    }
    if hidden == *step.hidden {
        return Ok(false);
    }
    if hidden.len() > HIDDEN_RANGES_MAX {
        let (what, max) = ("stretches of nodes outside the graph", HIDDEN_RANGES_MAX);
        return Err(CheckpointError::Full { what, max });
    }
    step.hidden = Arc::new(hidden);
    Ok(true)
}

/// Refuses a node that is not in the graph.
fn check_node(step: &Step, node: u64) -> Result<(), CheckpointError> {
    let there = (1..=step.head.points.nodes).contains(&node) && !step.hidden.contains(node);
    if there {
        Ok(())
    } else {
        Err(CheckpointError::NodeNotFound { node })
    }
}

/// The numbers of the parents of the new nodes. A tombstone that was the leaf
/// stays the place where the graph goes on.
fn parents(step: &Step, changes: &Changes) -> Result<Vec<Option<u64>>, CheckpointError> {
    let first = step.head.points.nodes + 1;
    let mut parents = Vec::with_capacity(changes.nodes.len());
    let mut leaf = step.head.points.leaf;
    for (place, node) in changes.nodes.iter().enumerate() {
        let parent = match node.parent {
            Parent::Leaf => leaf,
            Parent::Root => None,
            Parent::Node(number) => {
                check_node(step, number)?;
                Some(number)
            }
            Parent::New(place) => Some(first + count(place)),
        };
        parents.push(parent);
        leaf = Some(first + count(place));
    }
    Ok(parents)
}

/// The leaf after the changes, whose nodes are not counted yet.
fn leaf(step: &Step, changes: &Changes) -> Result<Option<u64>, CheckpointError> {
    let last = step.head.points.nodes + count(changes.nodes.len());
    match changes.leaf {
        Some(leaf) if leaf > step.head.points.nodes && leaf <= last => Ok(Some(leaf)),
        Some(leaf) => check_node(step, leaf).map(|()| Some(leaf)),
        None if changes.nodes.is_empty() => Ok(step.head.points.leaf),
        None => Ok(Some(last)),
    }
}

fn log_row(
    draft: &Draft,
    record: Record,
    changes: &Changes,
    parents: &[Option<u64>],
    blobs: &BTreeMap<usize, (BlobId, Form)>,
    threshold: Option<usize>,
) -> Bytes {
    let first = draft.head.points.nodes + 1;
    let revision = record.rev;
    let nodes = changes.nodes.iter().zip(parents).enumerate();
    let stored = nodes.map(|(place, (node, parent))| StoredNode {
        number: first + count(place),
        parent: *parent,
        revision,
        kind: Cow::Borrowed(&node.kind),
        held: match blobs.get(&place) {
            Some((id, form)) => Held::Blob(*id, *form),
            None => Held::Here(node.payload.clone()),
        },
    });
    let nodes = stored.collect();
    LogRow { record, nodes }.encode(threshold)
}

/// The record of a rollback of `draft` to what `old` pointed at. Nodes that
/// came after it leave the graph; their numbers are not given out again.
pub(crate) fn rolled_back(step: &mut Step, old: &Record, mut hidden: Ranges) {
    hidden.add(old.points.nodes + 1, step.head.points.nodes);
    step.hidden = Arc::new(hidden);
    step.head.points = Points {
        nodes: step.head.points.nodes,
        ..old.points
    };
}
