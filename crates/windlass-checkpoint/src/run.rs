//! Runs of nodes: what one read finds of a graph, in whichever rows it lies.
//!
//! Nodes are numbered without a gap, so a number says which row holds a node:
//! the last row that begins at or before it, or one of the few rows of
//! commits that are not packed yet.

use std::collections::VecDeque;
use std::sync::Arc;

use windlass_store::{Entry, Page, Scan, Version};

use crate::engine::Engine;
use crate::error::CheckpointError;
use crate::find::first_of;
use crate::keys::StateKeys;
use crate::record::{self, Head};
use crate::row;
use crate::stored::{Held, StoredNode, log_row, packed_nodes};

/// A node without the row it came from.
#[derive(Clone, Debug)]
pub(crate) struct Loose {
    pub(crate) number: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) revision: u64,
    pub(crate) kind: Arc<str>,
    pub(crate) held: Held,
}

/// The last node of a session that is known to be packed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    owner: Option<StateKeys>,
    node: u64,
}

impl Packed {
    /// Whether that is known of node `number` of a session.
    fn covers(&self, keys: &StateKeys, number: u64) -> bool {
        number <= self.node && self.owner.as_ref() == Some(keys)
    }
}

/// Some nodes in a row, numbered without a gap.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) nodes: VecDeque<Loose>,
    pub(crate) packed: Packed,
}

impl Run {
    pub(crate) fn get(&self, number: u64) -> Option<&Loose> {
        let first = self.nodes.front()?.number;
        let place = usize::try_from(number.checked_sub(first)?).ok()?;
        self.nodes.get(place)
    }

    /// Adds nodes that come directly before those that are there.
    fn prepend(&mut self, nodes: Vec<Loose>) {
        for node in nodes.into_iter().rev() {
            self.nodes.push_front(node);
        }
    }
}

/// A session's head with some rows of its nodes, all of one point in time.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) keys: StateKeys,
    pub(crate) head: Head,
    version: Version,
    /// Rows of many nodes, the last ones first.
    segments: Vec<Entry>,
    /// Rows of single commits; none if they were not asked for.
    logs: Page,
}

impl Engine {
    /// The head of a session, and the last rows of nodes that begin at or
    /// before `number`, at most `rows`. Where `packed` covers that node, rows
    /// of single commits are not read. `None` if there is no head.
    pub(crate) async fn window(
        &self,
        keys: &StateKeys,
        number: u64,
        rows: usize,
        packed: &Packed,
    ) -> Result<Option<Window>, CheckpointError> {
        let mut scans = vec![
            Scan::point(keys.head()),
            keys.nodes_until(number).limit(rows),
        ];
        if !packed.covers(keys, number) {
            scans.push(Scan::new(keys.logs()));
        }
        let mut pages = self.store.read(&scans).await?.into_iter();
        let mut page = || pages.next().unwrap_or_default();
        let (head, segments, logs) = (page(), page(), page());
        let Some(entry) = first_of(head) else {
            return Ok(None);
        };
        Ok(Some(Window {
            keys: keys.clone(),
            head: record::head(&entry.value)?,
            version: entry.version,
            segments: segments.entries,
            logs,
        }))
    }

    /// A run of nodes that ends with `number` or later, from at most `rows`
    /// rows.
    pub(crate) async fn run_until(
        &self,
        keys: &StateKeys,
        number: u64,
        rows: usize,
        packed: &Packed,
    ) -> Result<Run, CheckpointError> {
        let mut keys = keys.clone();
        loop {
            let window = self.window(&keys, number, rows, packed).await?;
            let window = window.ok_or_else(|| corrupt(number, "its session is gone"))?;
            let base = window.head.base.as_ref();
            if let Some(base) = base.filter(|base| number <= base.nodes) {
                keys = keys.other(&base.session);
                continue;
            }
            let Some(run) = self.run_in(window, number).await? else {
                continue;
            };
            return match run.get(number) {
                Some(_) => Ok(run),
                None => Err(corrupt(number, "it is missing")),
            };
        }
    }

    /// The nodes of a window, without those in rows that begin after
    /// `number`; `None` if the head was rewritten before all were read.
    pub(crate) async fn run_in(
        &self,
        window: Window,
        number: u64,
    ) -> Result<Option<Run>, CheckpointError> {
        let mut run = Run {
            packed: Packed {
                owner: Some(window.keys.clone()),
                node: window.head.packed.node,
            },
            ..Run::default()
        };
        if number > window.head.packed.node {
            let Some(tail) = self.tail(&window).await? else {
                return Ok(None);
            };
            run.prepend(tail);
        }
        for entry in &window.segments {
            let text = row::unpack("packed nodes", &entry.value)?;
            let nodes = loose(packed_nodes(&text)?)?;
            if !fits(&nodes, &run, number) {
                break;
            }
            run.prepend(nodes);
        }
        Ok(Some(run))
    }

    /// The nodes of the commits that are not packed, all of them as the head
    /// has them; `None` if it was rewritten meanwhile.
    async fn tail(&self, window: &Window) -> Result<Option<Vec<Loose>>, CheckpointError> {
        let keys = &window.keys;
        let (mut entries, mut more) = (window.logs.entries.clone(), window.logs.more);
        while let (true, Some(last)) = (more, entries.last()) {
            let rest = Scan::new(keys.logs()).after(&last.key);
            let scans = [Scan::point(keys.head()).keys(), rest];
            let mut pages = self.store.read(&scans).await?.into_iter();
            let now = pages.next().and_then(first_of);
            if now.map(|entry| entry.version) != Some(window.version) {
                return Ok(None);
            }
            let page = pages.next().unwrap_or_default();
            entries.extend(page.entries);
            more = page.more;
        }
        let mut nodes = Vec::new();
        for entry in &entries {
            let text = row::unpack("commit", &entry.value)?;
            nodes.extend(loose(log_row(&text)?.nodes)?);
        }
        for (expected, node) in (window.head.packed.node + 1..).zip(&nodes) {
            if node.number != expected {
                return Err(corrupt(expected, "it is missing"));
            }
        }
        Ok(Some(nodes))
    }
}

/// Whether `nodes` end directly before `run` begins, or at `number` or later
/// if it has not begun.
fn fits(nodes: &[Loose], run: &Run, number: u64) -> bool {
    let Some(last) = nodes.last() else {
        return false;
    };
    match run.nodes.front() {
        Some(first) => last.number + 1 == first.number,
        None => last.number >= number,
    }
}

fn loose(nodes: Vec<StoredNode<'_>>) -> Result<Vec<Loose>, CheckpointError> {
    let mut kind: Arc<str> = "".into();
    let mut loose: Vec<Loose> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let number = node.number;
        if *node.kind != *kind {
            kind = node.kind.as_ref().into();
        }
        if (loose.last()).is_some_and(|before| before.number + 1 != number) {
            return Err(corrupt(number, "its number does not follow"));
        }
        loose.push(Loose {
            number,
            parent: node.parent,
            revision: node.revision,
            kind: Arc::clone(&kind),
            held: node.held,
        });
    }
    Ok(loose)
}

fn corrupt(node: u64, why: &str) -> CheckpointError {
    CheckpointError::corrupt(format!("node {node}"), why)
}
