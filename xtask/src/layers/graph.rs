//! The dependency graph, reduced to what the table of layers speaks of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cargo_metadata::{DependencyKind, Metadata, Package};

/// Crates by name and what each depends on. Versions of one crate are one.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Ours, and whether each is published.
    pub(crate) members: BTreeMap<String, bool>,
    edges: BTreeMap<String, Vec<Edge>>,
}

/// One dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) to: String,
    pub(crate) purpose: Purpose,
    /// Whether it takes a feature to get it.
    pub(crate) optional: bool,
}

/// What a dependency is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Shipped,
    Build,
    Tests,
}

impl Graph {
    /// Reads cargo's description. Edges of ours are those the manifests
    /// declare, so one behind a feature or for another platform counts too;
    /// edges between crates of others are those cargo resolved.
    pub(crate) fn read(metadata: &Metadata) -> Self {
        let mut graph = Self::default();
        for package in metadata.workspace_packages() {
            let published = package.publish.as_ref().is_none_or(|to| !to.is_empty());
            let name = package.name.to_string();
            graph.members.insert(name.clone(), published);
            graph.edges.insert(name, declared(package));
        }
        graph.add_resolved(metadata);
        graph
    }

    fn add_resolved(&mut self, metadata: &Metadata) {
        let nodes = metadata.resolve.as_ref().map(|resolve| &resolve.nodes);
        for node in nodes.into_iter().flatten() {
            let name = metadata[&node.id].name.to_string();
            if !self.members.contains_key(&name) {
                let shipped = node.deps.iter().map(|dependency| Edge {
                    to: metadata[&dependency.pkg].name.to_string(),
                    purpose: Purpose::Shipped,
                    optional: false,
                });
                self.edges.entry(name).or_default().extend(shipped);
            }
        }
    }

    /// What `name` depends on directly.
    pub(crate) fn edges(&self, name: &str) -> &[Edge] {
        self.edges.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every crate that `name` cannot be built without, tests apart, each with
    /// the shortest way to it, beginning with `name`.
    pub(crate) fn reached(&self, name: &str) -> Vec<Vec<String>> {
        let mut seen = BTreeSet::from([name.to_owned()]);
        let mut queue = VecDeque::from([vec![name.to_owned()]]);
        let mut ways = Vec::new();
        while let Some(way) = queue.pop_front() {
            let last = way.last().expect("a way has at least its beginning");
            let shipped = self.edges(last).iter();
            for edge in shipped.filter(|edge| edge.purpose != Purpose::Tests) {
                if seen.insert(edge.to.clone()) {
                    let mut longer = way.clone();
                    longer.push(edge.to.clone());
                    queue.push_back(longer.clone());
                    ways.push(longer);
                }
            }
        }
        ways
    }

    /// Adds one of ours, for tests.
    #[cfg(test)]
    pub(crate) fn with_member(mut self, name: &str, edges: Vec<Edge>) -> Self {
        self.members.insert(name.to_owned(), true);
        self.edges.insert(name.to_owned(), edges);
        self
    }

    /// Adds one of others, for tests.
    #[cfg(test)]
    pub(crate) fn with_foreign(mut self, name: &str, edges: Vec<Edge>) -> Self {
        self.edges.insert(name.to_owned(), edges);
        self
    }
}

fn declared(package: &Package) -> Vec<Edge> {
    let edges = package.dependencies.iter().map(|dependency| Edge {
        to: dependency.name.clone(),
        purpose: match dependency.kind {
            DependencyKind::Development => Purpose::Tests,
            DependencyKind::Build => Purpose::Build,
            _ => Purpose::Shipped,
        },
        optional: dependency.optional,
    });
    edges.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn the_graph_of_this_workspace_reaches_what_is_behind_features() {
        let graph = Graph::read(&workspace::graph().unwrap());
        let ways = graph.reached("windlass");
        let way = ways.iter().find(|way| way.last().unwrap() == "rusqlite");
        let expected = ["windlass", "windlass-store-sqlite", "rusqlite"];
        assert_eq!(way.expect("the facade can open sqlite"), &expected);
        assert_eq!(graph.members.get("xtask"), Some(&false));
        assert_eq!(graph.members.get("windlass"), Some(&true));
    }
}
