//! Reading nodes: one, the way from a leaf to its root, the whole graph.
//!
//! A node that is not there is an error, never a shorter answer.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::blob::{self, LineageKeys};
use crate::engine::{Engine, lineage_keys};
use crate::error::CheckpointError;
use crate::keys::StateKeys;
use crate::limits::PAGE_BYTES_MAX;
use crate::model::{Node, Payload};
use crate::ranges::Ranges;
use crate::record::Points;
use crate::run::{Loose, Packed, Run};
use crate::stored::Held;

/// Rows of nodes that are read at once, at most.
const ROWS_AT_ONCE_MAX: usize = 32;
/// Rows that are read first by whoever wants more nodes than a row may hold
/// anyway; a conversation of some hundred messages is in fewer.
const ROWS_AT_FIRST: usize = 4;
/// From how many nodes on that is so.
const MANY_NODES: usize = 64;

/// Part of the way from a leaf to its root, the one nearest to the root
/// first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// The revision whose graph it is part of.
    pub revision: u64,
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

/// A graph that was found, and where reading it begins.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) graph: Graph,
    pub(crate) revision: u64,
    /// The leaf that was asked for, or else that of the graph.
    pub(crate) leaf: Option<u64>,
    /// Nodes that were read with it.
    pub(crate) run: Option<Run>,
}

impl Engine {
    /// The graph of a session as it is, and in the same read the nodes where
    /// the way from `leaf` begins; `None` if there is no such session.
    pub(crate) async fn found(
        &self,
        keys: &StateKeys,
        leaf: Option<u64>,
        limit: usize,
    ) -> Result<Option<Found>, CheckpointError> {
        let until = leaf.unwrap_or(u64::MAX - 1);
        let rows = rows_at_first(limit);
        let window = self.window(keys, until, rows, &Packed::default()).await?;
        let Some(window) = window.filter(|window| window.head.removed.is_none()) else {
            return Ok(None);
        };
        let (revision, points) = (window.head.rev, window.head.points);
        let graph = self.graph_at(keys, &window.head.lineage, points).await?;
        let leaf = leaf.or(points.leaf);
        let run = match leaf {
            Some(leaf) => self.run_in(window, leaf).await?,
            None => None,
        };
        Ok(Some(Found {
            graph,
            revision,
            leaf,
            run,
        }))
    }

    /// The way from the leaf upwards: at most `limit` nodes.
    pub(crate) async fn path(&self, found: Found, limit: usize) -> Result<Path, CheckpointError> {
        let graph = &found.graph;
        let mut way: Vec<Loose> = Vec::with_capacity(limit.min(1_024));
        let mut wanted = found.leaf;
        let mut rows = rows_at_first(limit);
        let mut packed = Packed::default();
        let mut first = found.run;
        while let Some(number) = wanted
            && way.len() < limit
        {
            let run = match first.take() {
                Some(run) if run.get(number).is_some() => run,
                _ => self.run_until(&graph.keys, number, rows, &packed).await?,
            };
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
        let (mut nodes, first_left) = self.fill(graph, way, PAGE_BYTES_MAX).await?;
        nodes.reverse();
        Ok(Path {
            revision: found.revision,
            nodes,
            above: first_left.or(wanted),
        })
    }

    /// The nodes after number `after`: at most `limit` are looked at, and so
    /// many bytes of contents.
    pub(crate) async fn graph(
        &self,
        graph: &Graph,
        after: u64,
        (limit, bytes): (usize, usize),
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
        let (nodes, first_left) = self.fill(graph, there.collect(), bytes).await?;
        let last = first_left.map_or(last, |number| number - 1);
        Ok(GraphPage {
            nodes,
            after: (last < graph.nodes).then_some(last),
        })
    }

    /// Puts contents into nodes: those that are blobs are read, tombstones
    /// get none. Ends before what it holds would be more bytes, and then gives
    /// the number of the first node that is left.
    async fn fill(
        &self,
        graph: &Graph,
        nodes: Vec<Loose>,
        bytes: usize,
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
            if held > bytes && !filled.is_empty() {
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
        points: Points,
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

/// How many rows are read first for so many nodes.
const fn rows_at_first(limit: usize) -> usize {
    if limit > MANY_NODES { ROWS_AT_FIRST } else { 1 }
}

fn corrupt(node: u64, why: &str) -> CheckpointError {
    CheckpointError::corrupt(format!("node {node}"), why)
}
