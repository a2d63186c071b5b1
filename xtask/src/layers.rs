//! Compares every edge of the dependency graph with the table of layers, and
//! fails on one that the table does not know.
//!
//! It sees what manifests declare. What a crate does with the standard library
//! (the clock, the environment) is kept by the lints in `clippy.toml`.

mod graph;
mod table;

use std::process::ExitCode;

use crate::error::TaskError;
use crate::finding::{self, Finding};
use crate::steps::Outcome;
use crate::workspace;
use graph::{Edge, Graph, Purpose};
pub(crate) use table::Family;
use table::{Floor, Row, TABLE};

/// Checks the workspace and prints the storeys, or what is wrong with them.
pub(crate) fn run() -> Result<ExitCode, TaskError> {
    Ok(match step()? {
        Outcome::Passed(_) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The same as a step of a longer run.
pub(crate) fn step() -> Result<Outcome, TaskError> {
    let graph = Graph::read(&workspace::graph()?);
    let findings = check(&graph, TABLE);
    if !finding::report(&findings) {
        return Ok(Outcome::Failed(format!("{} wrong edges", findings.len())));
    }
    print!("{}", storeys(TABLE));
    Ok(Outcome::Passed(format!("{} crates", graph.members.len())))
}

/// Everything in the graph that the table does not allow.
fn check(graph: &Graph, table: &[Row]) -> Vec<Finding> {
    let mut findings = unmatched(graph, table);
    for row in table {
        if row.floor == Floor::Tool {
            findings.extend(published_tool(graph, row));
        } else {
            findings.extend(wrong_edges(graph, row));
            findings.extend(forbidden_sights(graph, row));
        }
    }
    findings
}

/// Crates without a row, and rows without a crate.
fn unmatched(graph: &Graph, table: &[Row]) -> Vec<Finding> {
    let members = graph.members.keys();
    let strangers = members.filter(|name| table.iter().all(|row| row.name != **name));
    let strangers = strangers.map(|name| Finding::new(name, "has no row in the table of layers"));
    let rows = table.iter().map(|row| row.name);
    let ghosts = rows.filter(|name| !graph.members.contains_key(*name));
    let ghosts = ghosts.map(|name| Finding::new(name, "has a row but is not in the workspace"));
    strangers.chain(ghosts).collect()
}

fn published_tool(graph: &Graph, row: &Row) -> Option<Finding> {
    let published = graph.members.get(row.name) == Some(&true);
    published.then(|| Finding::new(row.name, "is a tool and must not be published"))
}

fn wrong_edges(graph: &Graph, row: &Row) -> Vec<Finding> {
    let edges = graph.edges(row.name).iter();
    let wrong = edges.filter_map(|edge| {
        let what = if graph.members.contains_key(&edge.to) {
            wrong_import(row, edge)
        } else {
            wrong_name(row, edge)
        };
        what.map(|what| Finding::new(row.name, what))
    });
    wrong.collect()
}

fn wrong_import(row: &Row, edge: &Edge) -> Option<String> {
    let to = edge.to.as_str();
    let in_tests = edge.purpose == Purpose::Tests;
    let known = row.imports.contains(&to)
        || row.optional.contains(&to) && (edge.optional || in_tests)
        || row.in_tests.contains(&to) && in_tests;
    if known {
        return None;
    }
    Some(if row.optional.contains(&to) {
        format!("imports `{to}` without a feature to leave it out")
    } else if row.in_tests.contains(&to) {
        format!("imports `{to}`, which only its tests may")
    } else {
        format!("imports `{to}`, which the table does not allow")
    })
}

fn wrong_name(row: &Row, edge: &Edge) -> Option<String> {
    let to = edge.to.as_str();
    let family = Family::ALL
        .into_iter()
        .find(|family| family.is_granted_by_name() && family.crates().contains(&to))?;
    let granted = row.names.contains(&to);
    (!granted).then(|| format!("names `{to}` ({family:?}), which its row does not grant"))
}

/// Dependencies at any depth that the crate must be blind to.
fn forbidden_sights(graph: &Graph, row: &Row) -> Vec<Finding> {
    let mut findings = Vec::new();
    for way in graph.reached(row.name) {
        let last = way.last().expect("a way has at least its beginning");
        let families = row.blind_to.iter();
        for family in families.filter(|family| family.crates().contains(&last.as_str())) {
            let way = way.join(" > ");
            findings.push(Finding::new(row.name, format!("sees {family:?}: {way}")));
        }
    }
    findings
}

/// The table for a reader: a floor a line, with what each crate may import.
fn storeys(table: &[Row]) -> String {
    let mut text = String::new();
    let mut floor = None;
    for row in table {
        if floor != Some(row.floor) {
            text.push_str(&format!("{}\n", row.floor.label()));
            floor = Some(row.floor);
        }
        let imports = row.imports.iter().map(|name| (*name).to_owned());
        let optional = row.optional.iter().map(|name| format!("{name}?"));
        let imports: Vec<_> = imports.chain(optional).collect();
        let arrow = if imports.is_empty() { "" } else { " -> " };
        text.push_str(&format!("   {}{arrow}{}\n", row.name, imports.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests;
