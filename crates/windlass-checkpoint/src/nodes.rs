//! Reading nodes: one, the way from a leaf to its root, the whole graph.
//!
//! Nodes are numbered without a gap, so a number says which row holds a node:
//! the last row that begins at or before it, or one of the few rows of
//! commits that are not packed yet. A node that is not there is an error,
//! never a shorter answer.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use windlass_store::{Page, Scan, Version};

use crate::blob::{self, LineageKeys};
use crate::engine::{Engine, lineage_keys};
use crate::error::CheckpointError;
use crate::find::first_of;
use crate::keys::StateKeys;
use crate::limits::PAGE_BYTES_MAX;
use crate::model::{Node, Payload};
use crate::ranges::Ranges;
use crate::record::{self, Head, Held, LogRow, NodeRow, StoredNode, parse};
use crate::row;

/// Rows of nodes that are read at once, at most.
const ROWS_AT_ONCE_MAX: usize = 32;

/// A node without the row it came from.
#[derive(Clone, Debug)]
struct Loose {
    number: u64,
    parent: Option<u64>,
    revision: u64,
    kind: Arc<str>,
    held: Held,
}

/// The last node of a session that is known to be packed.
#[derive(Clone, Debug, Default)]
struct Packed {
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
struct Run {
    nodes: VecDeque<Loose>,
    packed: Packed,
}

impl Run {
    fn get(&self, number: u64) -> Option<&Loose> {
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

/// Part of the way from a leaf to its root, the one nearest to the root
/// first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The node above the first of them, if there is one; go on from it.
    pub above: Option<u64>,
}

/// Part of a graph, in the order the nodes were appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphPage {
    /// The nodes that are in the graph.
    pub nodes: Vec<Node>,
    /// The number of the last node looked at, if there are more behind it.
    pub after: Option<u64>,
}

/// The graph that is read: of which session, and as of which revision.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) keys: StateKeys,
    pub(crate) lineage: LineageKeys,
    /// The number of the last node that revision had.
    pub(crate) nodes: u64,
    pub(crate) hidden: Ranges,
}

impl Graph {
    /// Whether a node of that number is in it.
    pub(crate) fn has(&self, number: u64) -> bool {
        (1..=self.nodes).contains(&number) && !self.hidden.contains(number)
    }
}

impl Engine {
    /// The way from `leaf` upwards: at most `limit` nodes.
    pub(crate) async fn path(
        &self,
        graph: &Graph,
        leaf: u64,
        limit: usize,
    ) -> Result<Path, CheckpointError> {
        let mut way: Vec<Loose> = Vec::with_capacity(limit.min(1_024));
        let mut wanted = Some(leaf);
        let mut rows = 1;
        let mut packed = Packed::default();
        while let Some(number) = wanted
            && way.len() < limit
        {
            let run = self.run_until(&graph.keys, number, rows, &packed).await?;
            packed = run.packed.clone();
            let before = way.len();
            while let Some(node) = wanted.and_then(|number| run.get(number))
                && way.len() < limit
            {
                if node.parent.is_some_and(|parent| parent >= node.number) {
                    return Err(corrupt(node.number, "it hangs below a later one"));
                }
                wanted = node.parent;
                way.push(node.clone());
            }
            // A way that uses most of what was read will use most of what
            // lies before it, too.
            let used = way.len() - before;
            rows = if used * 2 >= run.nodes.len() {
                (rows * 4).min(ROWS_AT_ONCE_MAX)
            } else {
                1
            };
        }
        let (mut nodes, first_left) = self.fill(graph, way).await?;
        nodes.reverse();
        let above = first_left.or(wanted);
        Ok(Path { nodes, above })
    }

    /// The nodes after number `after`: at most `limit` are looked at.
    pub(crate) async fn graph(
        &self,
        graph: &Graph,
        after: u64,
        limit: usize,
    ) -> Result<GraphPage, CheckpointError> {
        let last = after.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX));
        let last = last.min(graph.nodes);
        let mut found: VecDeque<Loose> = VecDeque::new();
        let mut number = last;
        let mut packed = Packed::default();
        while number > after {
            let rows = ROWS_AT_ONCE_MAX;
            let run = self.run_until(&graph.keys, number, rows, &packed).await?;
            packed = run.packed.clone();
            let first = run.nodes.front().map_or(number, |node| node.number);
            let wanted = |node: &Loose| node.number > after && node.number <= number;
            for node in run.nodes.into_iter().rev().filter(wanted) {
                found.push_front(node);
            }
            number = first - 1;
        }
        let there = found
            .into_iter()
            .filter(|node| !graph.hidden.contains(node.number));
        let (nodes, first_left) = self.fill(graph, there.collect()).await?;
        let last = first_left.map_or(last, |number| number - 1);
        Ok(GraphPage {
            nodes,
            after: (last < graph.nodes).then_some(last),
        })
    }

    /// A run of nodes that ends with `number` or later, from at most `rows`
    /// rows. Where `packed` covers it, rows of single commits are not read.
    async fn run_until(
        &self,
        keys: &StateKeys,
        number: u64,
        rows: usize,
        packed: &Packed,
    ) -> Result<Run, CheckpointError> {
        let mut keys = keys.clone();
        loop {
            let mut scans = vec![
                Scan::point(keys.head()),
                keys.nodes_until(number).limit(rows),
            ];
            if !packed.covers(&keys, number) {
                scans.push(Scan::new(keys.logs()));
            }
            let mut pages = self.store.read(&scans).await?.into_iter();
            let mut page = || pages.next().unwrap_or_default();
            let (head, segments, logs) = (page(), page(), page());
            let entry = first_of(head).ok_or_else(|| corrupt(number, "its session is gone"))?;
            let head = record::head(&entry.value)?;
            if let Some(base) = head.base.as_ref().filter(|base| number <= base.nodes) {
                keys = keys.other(&base.session);
                continue;
            }
            let mut run = Run {
                packed: Packed {
                    owner: Some(keys.clone()),
                    node: head.packed.node,
                },
                ..Run::default()
            };
            if number > head.packed.node {
                let Some(tail) = self.tail(&keys, &head, entry.version, logs).await? else {
                    continue;
                };
                run.prepend(tail);
            }
            for entry in &segments.entries {
                let text = row::unpack("packed nodes", &entry.value)?;
                let row: NodeRow<'_> = parse("packed nodes", &text)?;
                let nodes = loose(&row.nodes, &text)?;
                if !fits(&nodes, &run, number) {
                    break;
                }
                run.prepend(nodes);
            }
            return match run.get(number) {
                Some(_) => Ok(run),
                None => Err(corrupt(number, "it is missing")),
            };
        }
    }

    /// The nodes of the commits that are not packed, all of them as `head`
    /// has them; `None` if it was rewritten meanwhile.
    async fn tail(
        &self,
        keys: &StateKeys,
        head: &Head,
        version: Version,
        mut page: Page,
    ) -> Result<Option<Vec<Loose>>, CheckpointError> {
        let mut entries = page.entries;
        while let (true, Some(last)) = (page.more, entries.last()) {
            let rest = Scan::new(keys.logs()).after(&last.key);
            let scans = [Scan::point(keys.head()).keys(), rest];
            let mut pages = self.store.read(&scans).await?.into_iter();
            let now = pages.next().and_then(first_of);
            if now.map(|entry| entry.version) != Some(version) {
                return Ok(None);
            }
            page = pages.next().unwrap_or_default();
            entries.append(&mut page.entries);
        }
        let mut nodes = Vec::new();
        for entry in &entries {
            let text = row::unpack("commit", &entry.value)?;
            let row: LogRow<'_> = parse("commit", &text)?;
            nodes.extend(loose(&row.nodes, &text)?);
        }
        for (expected, node) in (head.packed.node + 1..).zip(&nodes) {
            if node.number != expected {
                return Err(corrupt(expected, "it is missing"));
            }
        }
        Ok(Some(nodes))
    }

    /// Puts contents into nodes: those that are blobs are read, tombstones
    /// get none. Ends before what it holds would be too much, and then gives
    /// the number of the first node that is left.
    async fn fill(
        &self,
        graph: &Graph,
        nodes: Vec<Loose>,
    ) -> Result<(Vec<Node>, Option<u64>), CheckpointError> {
        let mut filled = Vec::with_capacity(nodes.len());
        let mut held = 0;
        for node in nodes {
            let payload = match node.held {
                _ if graph.hidden.contains(node.number) => None,
                Held::Here(payload) => Some(payload),
                Held::Blob(id, form) => {
                    let bytes = blob::read(self.store.as_ref(), &graph.lineage, id).await?;
                    let bytes: Bytes =
                        bytes.ok_or_else(|| corrupt(node.number, "its content is missing"))?;
                    Some(Payload::of(form, bytes))
                }
            };
            held += payload.as_ref().map_or(0, |it| it.bytes().len());
            if held > PAGE_BYTES_MAX && !filled.is_empty() {
                return Ok((filled, Some(node.number)));
            }
            filled.push(Node {
                number: node.number,
                parent: node.parent,
                revision: node.revision,
                kind: node.kind,
                payload,
            });
        }
        Ok((filled, None))
    }

    /// The graph of a session as `points` has it.
    pub(crate) async fn graph_at(
        &self,
        keys: &StateKeys,
        lineage: &str,
        points: record::Points,
    ) -> Result<Graph, CheckpointError> {
        let lineage = lineage_keys(&keys.tenant, lineage);
        let hidden = self.hidden(&lineage, points.hidden).await?;
        Ok(Graph {
            keys: keys.clone(),
            lineage,
            nodes: points.nodes,
            hidden,
        })
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

fn loose(nodes: &[StoredNode<'_>], text: &Bytes) -> Result<Vec<Loose>, CheckpointError> {
    let mut kind: Arc<str> = "".into();
    let mut loose: Vec<Loose> = Vec::with_capacity(nodes.len());
    for node in nodes {
        if *node.k != *kind {
            kind = node.k.as_ref().into();
        }
        if loose
            .last()
            .is_some_and(|before| before.number + 1 != node.n)
        {
            return Err(corrupt(node.n, "its number does not follow"));
        }
        loose.push(Loose {
            number: node.n,
            parent: node.p,
            revision: node.r,
            kind: Arc::clone(&kind),
            held: node.held(text)?,
        });
    }
    Ok(loose)
}

fn corrupt(node: u64, why: &str) -> CheckpointError {
    CheckpointError::corrupt(format!("node {node}"), why)
}
