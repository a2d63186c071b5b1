//! What a state is, said as simply as can be: every revision with everything
//! in it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use windlass_checkpoint::Payload;
use windlass_core::Millis;

/// One revision.
#[derive(Clone, Debug, Default)]
pub(super) struct Revision {
    pub(super) at: Millis,
    pub(super) parts: BTreeMap<String, Payload>,
    pub(super) leaf: Option<u64>,
    /// The last node appended.
    pub(super) nodes: u64,
    pub(super) hidden: BTreeSet<u64>,
}

/// A node that was appended.
#[derive(Clone, Debug)]
pub(super) struct Appended {
    pub(super) parent: Option<u64>,
    pub(super) payload: Payload,
}

/// One session.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) revisions: BTreeMap<u64, Revision>,
    pub(super) nodes: BTreeMap<u64, Appended>,
    pub(super) tags: BTreeMap<String, u64>,
    /// The first revision of its own: what is before came with a fork.
    pub(super) own_from: u64,
}

impl Session {
    pub(super) fn revision(&self) -> u64 {
        self.revisions.keys().next_back().copied().unwrap_or(0)
    }

    pub(super) fn head(&self) -> Revision {
        let last = self.revisions.values().next_back();
        last.cloned().unwrap_or_default()
    }

    /// The way to a leaf, oldest first.
    pub(super) fn way(&self, leaf: Option<u64>) -> Vec<u64> {
        let mut way = Vec::new();
        let mut next = leaf;
        while let Some(node) = next {
            way.push(node);
            next = self.nodes[&node].parent;
        }
        way.reverse();
        way
    }

    /// What it needs beside the contents of its parts: those of its nodes, and
    /// the sets of those that left the graph.
    pub(super) fn contents(&self) -> impl Iterator<Item = Bytes> {
        let nodes = self.nodes.values().map(|node| node.payload.bytes().clone());
        let hidden = self.revisions.values().map(|it| ranges(&it.hidden));
        nodes.chain(hidden)
    }

    /// What a fork at `revision` begins with.
    pub(super) fn forked(&self, revision: u64, now: Millis) -> Self {
        let mut fork = self.clone();
        fork.revisions.retain(|it, _| *it <= revision);
        let nodes = fork.head().nodes;
        fork.nodes.retain(|it, _| *it <= nodes);
        fork.tags.clear();
        fork.own_from = revision;
        if let Some(first) = fork.revisions.get_mut(&revision) {
            first.at = now;
        }
        fork
    }

    /// Whether `revision` has to be there still.
    pub(super) fn is_kept(&self, revision: u64, now: Millis, keep_ms: u64, last: u64) -> bool {
        let young = !self.revisions[&revision]
            .at
            .plus_ms(keep_ms)
            .has_passed(now);
        let late = revision + last > self.revision();
        let tagged = self.tags.values().any(|it| *it == revision);
        revision >= self.own_from && (young || late || tagged)
    }
}

/// A set as it is stored: its ranges, first and last number of each.
fn ranges(set: &BTreeSet<u64>) -> Bytes {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in set {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let ranges = ranges
        .iter()
        .map(|(first, last)| format!("[{first},{last}]"));
    format!("[{}]", ranges.collect::<Vec<_>>().join(",")).into()
}
