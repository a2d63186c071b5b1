//! Packing: the rows of many commits become one row of their records and one
//! of their nodes.
//!
//! A commit is written as a row of its own, which is what a commit can cost.
//! Every 64 of them are moved together, in the same batch as the next commit,
//! so that the rows of a long history are few and compress well, and what a
//! commit costs stays the same however long the history is.

use bytes::Bytes;
use windlass_core::Format;
use windlass_store::{Batch, Entry, Scan};

use crate::engine::{Engine, Loaded};
use crate::error::CheckpointError;
use crate::keys::{StateKeys, last_number};
use crate::limits::{PACKED_BYTES_MAX, PACKED_COUNT_MAX, TAIL_BYTES_MAX, TAIL_ROWS_MAX};
use crate::record::{Head, OldRow, Packed, Record, parse};
use crate::row::{self, Effort};
use crate::stored::{StoredNode, encode_nodes, log_row, packed_nodes};

/// What packing comes to.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) rows: Batch,
    pub(crate) packed: Packed,
}

/// Whether the rows of single commits have become too many.
pub(crate) const fn is_due(head: &Head) -> bool {
    tail(head) >= TAIL_ROWS_MAX || head.tail_bytes >= TAIL_BYTES_MAX
}

/// How many commits lie in rows of their own.
pub(crate) const fn tail(head: &Head) -> u64 {
    head.rev.saturating_sub(head.packed.rev)
}

/// The rows to be packed, and the last ones that were, unpacked.
struct Found {
    logs: Vec<Bytes>,
    old: Option<(u64, Bytes)>,
    nodes: Option<(u64, Bytes)>,
}

impl Engine {
    /// Packs all commits of `loaded` that are not; `None` if there is none,
    /// or if the state has moved on meanwhile.
    ///
    /// The batch is good only together with a check of the head's version.
    pub(crate) async fn pack(
        &self,
        keys: &StateKeys,
        loaded: &Loaded,
        effort: Effort,
    ) -> Result<Option<Bundle>, CheckpointError> {
        if tail(&loaded.head) == 0 {
            return Ok(None);
        }
        let Some(found) = self.find(keys, loaded).await? else {
            return Ok(None);
        };
        let mut records: Vec<Record> = Vec::new();
        let mut nodes: Vec<StoredNode<'_>> = Vec::new();
        let mut first_old = loaded.head.packed.rev + 1;
        let mut first_node = loaded.head.packed.node + 1;
        if let Some((first, text)) = &found.old {
            let row: OldRow = parse("packed commits", text)?;
            records.extend(row.records);
            first_old = *first;
        }
        if let Some((first, text)) = &found.nodes {
            nodes.extend(packed_nodes(text)?);
            first_node = *first;
        }
        let mut rows = Batch::new();
        for (text, revision) in found.logs.iter().zip(loaded.head.packed.rev + 1..) {
            let row = log_row(text)?;
            if row.record.rev != revision {
                return Err(missing(revision));
            }
            records.push(row.record);
            nodes.extend(row.nodes);
            rows = rows.delete(keys.log(revision));
        }
        check_dense(&nodes, first_node, loaded.head.points.nodes)?;
        for (first, row) in self.old_rows(first_old, records, effort) {
            rows = rows.put(keys.old(first), row);
        }
        for (first, row) in self.node_rows(nodes, effort) {
            rows = rows.put(keys.node(first), row);
        }
        let packed = Packed {
            rev: loaded.head.rev,
            node: loaded.head.points.nodes,
        };
        Ok(Some(Bundle { rows, packed }))
    }

    /// Reads what is to be packed, all of it beside the same head.
    async fn find(
        &self,
        keys: &StateKeys,
        loaded: &Loaded,
    ) -> Result<Option<Found>, CheckpointError> {
        let (from, to) = (loaded.head.packed.rev + 1, loaded.head.rev);
        let mut logs: Vec<Bytes> = Vec::new();
        let mut last = None;
        loop {
            let first = from + u64::try_from(logs.len()).unwrap_or(u64::MAX);
            let scans = [
                Scan::point(keys.head()).keys(),
                keys.olds_until(u64::MAX - 1).limit(1),
                keys.nodes_until(u64::MAX - 1).limit(1),
                Scan::new(keys.logs_within(first, to)),
            ];
            let mut pages = self.store.read(&scans).await?.into_iter();
            let mut page = || pages.next().unwrap_or_default();
            let (head, old, nodes, rows) = (page(), page(), page(), page());
            if head.entries.first().map(|entry| entry.version) != Some(loaded.version) {
                return Ok(None);
            }
            last.get_or_insert((old.entries, nodes.entries));
            for entry in &rows.entries {
                logs.push(row::unpack("commit", &entry.value)?);
            }
            if !rows.more {
                break;
            }
        }
        if count(logs.len()) != to + 1 - from {
            return Err(missing(from));
        }
        let (old, nodes) = last.unwrap_or_default();
        Ok(Some(Found {
            old: open_row("packed commits", old)?,
            nodes: open_row("packed nodes", nodes)?,
            logs,
        }))
    }

    fn old_rows(&self, first: u64, records: Vec<Record>, effort: Effort) -> Vec<(u64, Bytes)> {
        let sized = records.into_iter().map(|record| {
            let size = serde_json::to_vec(&record).map_or(0, |json| json.len());
            (record, size)
        });
        let threshold = self.row_threshold();
        let mut next = Some(first);
        let rows = grouped(sized).into_iter().map(|records| {
            let first = next.take().unwrap_or_else(|| records[0].rev);
            let row = OldRow { v: Format, records };
            (first, row::encode_with(&row, threshold, effort))
        });
        rows.collect()
    }

    fn node_rows(&self, nodes: Vec<StoredNode<'_>>, effort: Effort) -> Vec<(u64, Bytes)> {
        let sized = nodes.into_iter().map(|node| {
            let size = node.size();
            (node, size)
        });
        let threshold = self.row_threshold();
        let rows = grouped(sized)
            .into_iter()
            .map(|nodes| (nodes[0].number, encode_nodes(&nodes, threshold, effort)));
        rows.collect()
    }
}

/// The last packed row, if it is small enough to be packed again with more.
fn open_row(what: &str, entries: Vec<Entry>) -> Result<Option<(u64, Bytes)>, CheckpointError> {
    let Some(entry) = entries.into_iter().next() else {
        return Ok(None);
    };
    let text = row::unpack(what, &entry.value)?;
    let first = last_number(&entry.key)
        .ok_or_else(|| CheckpointError::corrupt(what, "its key has no number"))?;
    Ok((text.len() < PACKED_BYTES_MAX / 2).then_some((first, text)))
}

/// Items in groups, each within the limits of one row.
fn grouped<T>(items: impl Iterator<Item = (T, usize)>) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut size = usize::MAX;
    for (item, bytes) in items {
        let full = |group: &Vec<T>| group.len() >= PACKED_COUNT_MAX;
        if size.saturating_add(bytes) > PACKED_BYTES_MAX || groups.last().is_none_or(full) {
            groups.push(Vec::new());
            size = 0;
        }
        size += bytes;
        if let Some(group) = groups.last_mut() {
            group.push(item);
        }
    }
    groups
}

/// Refuses nodes that are not numbered from `first` to `last` without a gap.
fn check_dense(nodes: &[StoredNode<'_>], first: u64, last: u64) -> Result<(), CheckpointError> {
    let mut numbers = nodes.iter().map(|node| Some(node.number)).chain([None]);
    let gap = (first..=last).find(|expected| numbers.next().flatten() != Some(*expected));
    match gap {
        Some(node) => Err(CheckpointError::corrupt(
            format!("node {node}"),
            "it is missing",
        )),
        None => Ok(()),
    }
}

fn missing(revision: u64) -> CheckpointError {
    CheckpointError::corrupt(format!("commit {revision}"), "its row is missing")
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
