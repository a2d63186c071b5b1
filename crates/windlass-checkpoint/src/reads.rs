//! Reading states and their history.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use bytes::Bytes;
use windlass_core::SessionId;
use windlass_store::{Scan, StoreExt};

use crate::blob::{self, BlobId};
use crate::checkpoints::Checkpoints;
use crate::engine::{Engine, lineage_keys};
use crate::error::CheckpointError;
use crate::keys::{StateKeys, last_text};
use crate::limits::{PAGE_BYTES_MAX, PAGE_MAX};
use crate::manifest::Manifest;
use crate::model::{Caller, HeadView, Node, Part, PartName, Payload};
use crate::nodes::{Found, GraphPage, Path};
use crate::record::{Head, Record, TagRow};
use crate::row;
use crate::view::{At, Difference, LogEntry, LogPage, Snapshot, Tag};

/// Nodes of each side that a difference looks at.
const DIFFERENCE_NODES_MAX: usize = 1_000;

impl Checkpoints {
    /// The head of a session's state; `None` before its first commit. One
    /// point read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the head cannot be read, and the store's failures.
    pub async fn head(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<Option<HeadView>, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let head = self.engine().live_head(&keys).await?;
        Ok(head.map(|head| HeadView {
            revision: head.rev,
            manifest: head.points.manifest_id(),
            leaf: head.points.leaf,
            nodes: head.points.nodes,
            commit: head.id,
            at: head.at,
            usage: head.usage,
            lineage: head.lineage,
            base: head.base.as_ref().map(crate::record::Base::view),
        }))
    }

    /// A state, without its contents; `None` if the session has no such
    /// revision, or no longer.
    ///
    /// # Errors
    ///
    /// `Corrupt` naming what cannot be read, and the store's failures.
    pub async fn show(
        &self,
        caller: &Caller,
        session: &SessionId,
        at: &At,
    ) -> Result<Option<Snapshot>, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let Some((head, record)) = self.engine().state(&keys, at).await? else {
            return Ok(None);
        };
        let lineage = lineage_keys(&keys.tenant, &head.lineage);
        let manifest = self
            .engine()
            .manifest(&lineage, record.points.manifest)
            .await?;
        Ok(Some(Snapshot {
            commit: record.into(),
            parts: manifest.parts,
        }))
    }

    /// A part of a state with its content, checked against its hash; `None`
    /// if there is none of this name.
    ///
    /// # Errors
    ///
    /// `Corrupt` naming the blob that is missing or damaged, and the store's
    /// failures.
    pub async fn part(
        &self,
        caller: &Caller,
        session: &SessionId,
        at: &At,
        name: &PartName,
    ) -> Result<Option<(Part, Payload)>, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let Some((head, record)) = self.engine().state(&keys, at).await? else {
            return Ok(None);
        };
        let lineage = lineage_keys(&keys.tenant, &head.lineage);
        let mut manifest = self
            .engine()
            .manifest(&lineage, record.points.manifest)
            .await?;
        let Some(part) = manifest.parts.remove(name) else {
            return Ok(None);
        };
        let content = self
            .engine()
            .blob(&lineage, part.blob, "content of a part")
            .await?;
        let payload = Payload::of(part.form, content);
        Ok(Some((part, payload)))
    }

    /// A manifest by its reference; `None` if the lineage has none of this
    /// name, or no longer.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the blob is no manifest or damaged, and the store's
    /// failures.
    pub async fn manifest(
        &self,
        caller: &Caller,
        session: &SessionId,
        manifest: BlobId,
    ) -> Result<Option<Manifest>, CheckpointError> {
        if manifest == crate::manifest::empty_id() {
            let head = self.head(caller, session).await?;
            return Ok(head.map(|_| Manifest::default()));
        }
        match self.blob(caller, session, manifest).await? {
            Some(content) => Manifest::decode(manifest, &content).map(Some),
            None => Ok(None),
        }
    }

    /// A blob by its reference, checked against its hash; `None` if the
    /// lineage has none of this name, or no longer. Holds it whole.
    ///
    /// # Errors
    ///
    /// `Corrupt` naming what is missing or damaged, and the store's failures.
    pub async fn blob(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: BlobId,
    ) -> Result<Option<Bytes>, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let Some(head) = self.engine().live_head(&keys).await? else {
            return Ok(None);
        };
        let lineage = lineage_keys(&keys.tenant, &head.lineage);
        blob::read(self.engine().store.as_ref(), &lineage, id).await
    }

    /// The nodes from a leaf upwards, at most `limit` (1 to 1,000) of them and
    /// about 12 MiB of contents, the oldest first: by default from the leaf of
    /// the state.
    ///
    /// Reads the rows that hold them, and of a conversation that never
    /// branched no others.
    ///
    /// # Errors
    ///
    /// `NodeNotFound` for a leaf that is not in the graph, `Corrupt` naming a
    /// node that is missing, and the store's failures.
    pub async fn path(
        &self,
        caller: &Caller,
        session: &SessionId,
        at: &At,
        leaf: Option<u64>,
        limit: usize,
    ) -> Result<Option<Path>, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let limit = limit.clamp(1, PAGE_MAX);
        let found = match at {
            At::Head => self.engine().found(&keys, leaf, limit).await?,
            At::Revision(_) | At::Tag(_) => self.engine().found_at(&keys, at, leaf).await?,
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let last = found.graph.nodes;
        if let Some(node) = found.leaf.filter(|leaf| *leaf == 0 || *leaf > last) {
            return Err(CheckpointError::NodeNotFound { node });
        }
        self.engine().path(found, limit).await.map(Some)
    }

    /// One node; `None` if it is not in the graph.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it should be there and is not, and the store's failures.
    pub async fn node(
        &self,
        caller: &Caller,
        session: &SessionId,
        number: u64,
    ) -> Result<Option<Node>, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let Some(found) = self.engine().found(&keys, Some(number), 1).await? else {
            return Ok(None);
        };
        if !found.graph.has(number) {
            return Ok(None);
        }
        let path = self.engine().path(found, 1).await?;
        Ok(path.nodes.into_iter().next())
    }

    /// The nodes of a graph in the order they were appended, those after
    /// number `after` (0 for all); `limit` (1 to 1,000) are looked at, and
    /// about 12 MiB of contents.
    ///
    /// # Errors
    ///
    /// As [`Checkpoints::graph_within`].
    pub async fn graph(
        &self,
        caller: &Caller,
        session: &SessionId,
        at: &At,
        after: u64,
        limit: usize,
    ) -> Result<Option<GraphPage>, CheckpointError> {
        self.graph_within(caller, session, at, after, (limit, PAGE_BYTES_MAX))
            .await
    }

    /// As [`Checkpoints::graph`], with so many bytes of contents at most, and
    /// one node in any case.
    ///
    /// # Errors
    ///
    /// `Corrupt` naming a node that is missing, and the store's failures.
    pub async fn graph_within(
        &self,
        caller: &Caller,
        session: &SessionId,
        at: &At,
        after: u64,
        (limit, bytes): (usize, usize),
    ) -> Result<Option<GraphPage>, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let Some(found) = self.engine().found_at(&keys, at, None).await? else {
            return Ok(None);
        };
        let limit = limit.clamp(1, PAGE_MAX);
        let most = (limit, bytes.min(PAGE_BYTES_MAX));
        self.engine()
            .graph(&found.graph, after, most)
            .await
            .map(Some)
    }

    /// The commits of a session before a revision (all if none is given),
    /// newest first, those before it was forked included: at most `limit` (1
    /// to 1,000); a page may be shorter, its `before` says whether it is the
    /// last. `None` before the first commit.
    ///
    /// # Errors
    ///
    /// `Corrupt` naming a row that cannot be read, and the store's failures.
    pub async fn log(
        &self,
        caller: &Caller,
        session: &SessionId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Option<LogPage>, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let until = before.map_or(u64::MAX - 1, |before| before.saturating_sub(1));
        let limit = limit.clamp(1, PAGE_MAX);
        let found = self.engine().records(&keys, until, limit).await?;
        Ok(found.map(|(records, more)| {
            let last = records.last().map(|record| record.rev);
            LogPage {
                commits: records.into_iter().map(LogEntry::from).collect(),
                before: last.filter(|_| more),
            }
        }))
    }

    /// The first and the last revision of the commits that are all kept, those
    /// before a fork included; older ones may be kept for their tags. `None`
    /// before the first commit. One point read, and one for each fork.
    ///
    /// # Errors
    ///
    /// `Corrupt` if a head cannot be read, and the store's failures.
    pub async fn kept(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<Option<RangeInclusive<u64>>, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        self.engine().kept_revisions(&keys).await
    }

    /// The tags of a session, by name.
    ///
    /// # Errors
    ///
    /// `Corrupt` naming a row that cannot be read, and the store's failures.
    pub async fn tags(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<Vec<Tag>, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        self.engine().tags(&keys).await
    }

    /// What differs between two states; `None` if one of them is not there.
    /// Looks at the last page of nodes of each: a thousand, or about 12 MiB of
    /// contents.
    ///
    /// # Errors
    ///
    /// `Corrupt` naming what cannot be read, and the store's failures.
    pub async fn diff(
        &self,
        caller: &Caller,
        session: &SessionId,
        from: &At,
        to: &At,
    ) -> Result<Option<Difference>, CheckpointError> {
        let (Some(before), Some(after)) = (
            self.show(caller, session, from).await?,
            self.show(caller, session, to).await?,
        ) else {
            return Ok(None);
        };
        let limit = DIFFERENCE_NODES_MAX;
        let (Some(old), Some(new)) = (
            self.path(caller, session, from, None, limit).await?,
            self.path(caller, session, to, None, limit).await?,
        ) else {
            return Ok(None);
        };
        let (left, entered, truncated) = apart(old, new);
        Ok(Some(Difference {
            parts: parts_apart(before.parts, after.parts),
            from: before.commit,
            to: after.commit,
            left,
            entered,
            truncated,
        }))
    }
}

/// The nodes that only one of two ways has.
fn apart(old: Path, new: Path) -> (Vec<Node>, Vec<Node>, bool) {
    // A node and whether it has content: a tombstone differs from what it was.
    let seen = |path: &Path| -> BTreeSet<(u64, bool)> {
        let nodes = path.nodes.iter();
        nodes.map(|it| (it.number, it.payload.is_some())).collect()
    };
    let (before, after) = (seen(&old), seen(&new));
    let met = before.intersection(&after).next().is_some();
    let truncated = !met && (old.above.is_some() || new.above.is_some());
    let without = |nodes: Vec<Node>, other: &BTreeSet<(u64, bool)>| -> Vec<Node> {
        let only = |node: &Node| !other.contains(&(node.number, node.payload.is_some()));
        nodes.into_iter().filter(only).collect()
    };
    let lowest = |path: &Path| path.nodes.first().map_or(0, |node| node.number);
    // Below where both ways are known they cannot be told apart.
    let from = if old.above.is_some() || new.above.is_some() {
        lowest(&old).max(lowest(&new))
    } else {
        0
    };
    let known = |nodes: Vec<Node>| -> Vec<Node> {
        nodes
            .into_iter()
            .filter(|node| node.number >= from)
            .collect()
    };
    (
        known(without(old.nodes, &after)),
        known(without(new.nodes, &before)),
        truncated,
    )
}

fn parts_apart(
    before: BTreeMap<PartName, Part>,
    mut after: BTreeMap<PartName, Part>,
) -> BTreeMap<PartName, (Option<Part>, Option<Part>)> {
    let mut apart = BTreeMap::new();
    for (name, old) in before {
        let new = after.remove(&name);
        if new.as_ref() != Some(&old) {
            apart.insert(name, (Some(old), new));
        }
    }
    apart.extend(
        after
            .into_iter()
            .map(|(name, new)| (name, (None, Some(new)))),
    );
    apart
}

impl Engine {
    /// The head of a session and the record of one of its states.
    pub(crate) async fn state(
        &self,
        keys: &StateKeys,
        at: &At,
    ) -> Result<Option<(Head, Record)>, CheckpointError> {
        let Some(head) = self.live_head(keys).await? else {
            return Ok(None);
        };
        let revision = match at {
            At::Head => head.rev,
            At::Revision(revision) => *revision,
            At::Tag(name) => match self.store.get(keys.tag(name)).await? {
                Some(entry) => row::decode::<TagRow>("tag", &entry.value)?.rev,
                None => return Ok(None),
            },
        };
        let found = self.record(keys, revision).await?;
        Ok(found.map(|found| (head, found.record)))
    }

    /// The graph of a state, and `leaf` in it, or its own.
    async fn found_at(
        &self,
        keys: &StateKeys,
        at: &At,
        leaf: Option<u64>,
    ) -> Result<Option<Found>, CheckpointError> {
        let (lineage, revision, points) = match at {
            At::Head => match self.live_head(keys).await? {
                Some(head) => (head.lineage, head.rev, head.points),
                None => return Ok(None),
            },
            At::Revision(_) | At::Tag(_) => match self.state(keys, at).await? {
                Some((head, record)) => (head.lineage, record.rev, record.points),
                None => return Ok(None),
            },
        };
        Ok(Some(Found {
            graph: self.graph_at(keys, &lineage, points).await?,
            revision,
            leaf: leaf.or(points.leaf),
            run: None,
        }))
    }

    pub(crate) async fn tags(&self, keys: &StateKeys) -> Result<Vec<Tag>, CheckpointError> {
        let rows = self.all_of(Scan::new(keys.tags())).await?;
        let mut tags = Vec::with_capacity(rows.len());
        for entry in rows {
            let name = last_text(&entry.key).and_then(|name| name.parse().ok());
            let name =
                name.ok_or_else(|| CheckpointError::corrupt("tag", "its key has no name"))?;
            let row: TagRow = row::decode("tag", &entry.value)?;
            tags.push(Tag {
                name,
                revision: row.rev,
                at: row.at,
            });
        }
        Ok(tags)
    }
}
