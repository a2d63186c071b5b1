//! Counts, straight from the recorded files, the refusals that a restriction
//! demands. Shares no code with the crate it checks: it has its own idea of
//! the order of the rules (budget before tool) and, in `count/calls.rs`, of
//! the formats, written down from their description.

#[path = "count/calls.rs"]
mod calls;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use self::calls::{Counted, runs};

/// Refusals of each run by code, under the run's key.
pub(crate) type Refusals = BTreeMap<String, BTreeMap<String, u64>>;

/// What the sessions are denied.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Denied {
    /// The tool each run uses most.
    pub(crate) most_used_tool: bool,
    /// All but so many percent of the run's calls.
    pub(crate) calls_percent: Option<usize>,
}

/// The refusals of every run in a file.
pub(crate) fn refusals(path: &Path, denied: Denied) -> io::Result<Refusals> {
    let runs = runs(&content(path)?)?;
    Ok(runs
        .iter()
        .map(|run| (run.key.clone(), refused(run, &runs, denied)))
        .collect())
}

fn content(path: &Path) -> io::Result<String> {
    let bytes = fs::read(path)?;
    let bytes = if path.extension().is_some_and(|extension| extension == "zst") {
        zstd::decode_all(bytes.as_slice())?
    } else {
        bytes
    };
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn refused(run: &Counted, runs: &[Counted], denied: Denied) -> BTreeMap<String, u64> {
    let withheld = if denied.most_used_tool {
        withheld(run, runs)
    } else {
        BTreeSet::new()
    };
    let budget = budget(run, runs, denied);
    let mut granted = 0;
    let mut refused = BTreeMap::new();
    for call in &run.calls {
        if granted >= budget {
            *refused.entry("budget_exceeded".to_owned()).or_default() += 1;
        } else if withheld.contains(call) {
            *refused.entry("tool_not_allowed".to_owned()).or_default() += 1;
        } else {
            granted += 1;
        }
    }
    refused
}

/// A delegated run is denied what is withheld from any run above it.
fn withheld(run: &Counted, runs: &[Counted]) -> BTreeSet<String> {
    let above = run
        .parent
        .as_ref()
        .and_then(|parent| runs.iter().find(|run| run.key == *parent));
    let mut tools = above.map_or_else(BTreeSet::new, |above| withheld(above, runs));
    tools.extend(most_used(&run.calls));
    tools
}

/// What delegated runs need is set aside from the budget of the run above.
fn budget(run: &Counted, runs: &[Counted], denied: Denied) -> usize {
    let made = run.calls.len();
    if let Some(percent) = denied.calls_percent {
        return (made * percent / 100).max(1);
    }
    if run.parent.is_some() {
        return made.max(1);
    }
    let below = |other: &&Counted| other.key.starts_with(&format!("{}.", run.key));
    let set_aside: usize = runs
        .iter()
        .filter(|other| other.parent.is_some())
        .filter(below)
        .map(|other| other.calls.len().max(1))
        .sum();
    let budget = run.budget.map(|budget| budget.saturating_sub(set_aside));
    budget.map_or(usize::MAX, |budget| budget.max(1))
}

fn most_used(calls: &[String]) -> Option<String> {
    let mut names = calls.to_vec();
    names.sort();
    names.dedup();
    let uses = |name: &String| calls.iter().filter(|call| *call == name).count();
    let most = names.iter().map(uses).max()?;
    names.into_iter().find(|name| uses(name) == most)
}
