//! Counts, straight from the recorded files, the refusals that a restriction
//! demands. Shares no code with the crate it checks: it has its own idea of
//! the formats and of the order of the rules (budget before tool), written
//! down from their description.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

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
    let document: Value = serde_json::from_slice(&content(path)?)?;
    let runs = match &document {
        Value::Array(runs) => runs.iter().map(chat_run).collect(),
        Value::Object(runs) => runs.iter().map(|(key, run)| shell_run(key, run)).collect(),
        _ => Vec::new(),
    };
    Ok(runs
        .into_iter()
        .map(|run| (run.key.clone(), run.refusals(denied)))
        .collect())
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = fs::read(path)?;
    if path.extension().is_some_and(|extension| extension == "zst") {
        return zstd::decode_all(bytes.as_slice());
    }
    Ok(bytes)
}

struct Counted {
    key: String,
    calls: Vec<String>,
    budget: usize,
}

/// tau-bench: the function of every tool call of every message; no budget.
fn chat_run(run: &Value) -> Counted {
    let mut calls = Vec::new();
    for message in run["traj"].as_array().into_iter().flatten() {
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            calls.push(
                call["function"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
    }
    Counted {
        key: format!("{}.{}", run["task_id"], run["trial"]),
        calls,
        budget: usize::MAX,
    }
}

/// InterCode: one call of the environment for every action; `turns_max` of
/// them are allowed.
fn shell_run(key: &str, run: &Value) -> Counted {
    let actions = run["turn_history"]["actions"]
        .as_array()
        .map_or(0, Vec::len);
    let tool = run["environment"].as_str().unwrap_or_default().to_owned();
    let budget = run["summary"]["turns_max"]
        .as_u64()
        .and_then(|turns| usize::try_from(turns).ok());
    Counted {
        key: key.to_owned(),
        calls: vec![tool; actions],
        budget: budget.unwrap_or(usize::MAX),
    }
}

impl Counted {
    fn refusals(&self, denied: Denied) -> BTreeMap<String, u64> {
        let withheld = if denied.most_used_tool {
            self.most_used()
        } else {
            None
        };
        let budget = match denied.calls_percent {
            Some(percent) => (self.calls.len() * percent / 100).max(1),
            None => self.budget,
        };
        let mut granted = 0;
        let mut refused = BTreeMap::new();
        for call in &self.calls {
            if granted >= budget {
                *refused.entry("budget_exceeded".to_owned()).or_default() += 1;
            } else if Some(call) == withheld.as_ref() {
                *refused.entry("tool_not_allowed".to_owned()).or_default() += 1;
            } else {
                granted += 1;
            }
        }
        refused
    }

    fn most_used(&self) -> Option<String> {
        let mut names = self.calls.clone();
        names.sort();
        names.dedup();
        let uses = |name: &String| self.calls.iter().filter(|call| *call == name).count();
        let most = names.iter().map(uses).max()?;
        names.into_iter().find(|name| uses(name) == most)
    }
}
