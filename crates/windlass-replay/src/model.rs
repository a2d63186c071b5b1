//! Recorded runs, whatever the format they were written in.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass::core::AgentId;
use windlass::session::Name;

use crate::Format;

/// Recorded runs in the order of their files and of their places in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The runs.
    pub runs: Vec<Run>,
}

impl Recording {
    /// How many tool calls all runs make together.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.runs.iter().map(|run| run.steps.len()).sum()
    }
}

/// One file of recorded runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file's path below the path that was read; its name if that was
    /// the file itself. For people: nothing is derived from it.
    pub name: String,
    /// What the file was read as.
    pub format: Format,
    /// SHA-256 of its bytes, decompressed, in hexadecimal.
    pub digest: String,
}

/// What one agent did from a task's beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The file it was recorded in.
    pub source: Arc<Source>,
    /// Its place in the file, counted from 0.
    pub index: u64,
    /// Its name within the file: 1 to 64 characters of an identifier.
    pub key: String,
    /// Who ran.
    pub agent: AgentId,
    /// How many tool calls the run was allowed, if the record says.
    pub calls_budget: Option<u64>,
    /// The conversation, each message as compact JSON with its keys in the
    /// order in which they were recorded.
    pub messages: Vec<String>,
    /// The tool calls, in order.
    pub steps: Vec<Step>,
}

impl Run {
    /// A name that no other run has, made of format, content and key:
    /// `tau-bench:0123456789abcdef:7.2`. The name of the file is no part of
    /// it, so a file that was moved or compressed holds the same runs.
    #[must_use]
    pub fn id(&self) -> String {
        let digest = &self.source.digest[..16];
        format!("{}:{digest}:{}", self.source.format, self.key)
    }

    /// How often each tool is called, by name.
    #[must_use]
    pub fn tools(&self) -> BTreeMap<&Name, u64> {
        let mut calls = BTreeMap::new();
        for step in &self.steps {
            *calls.entry(&step.tool).or_default() += 1;
        }
        calls
    }

    /// The tool that is called most often; of several, the first by name.
    #[must_use]
    pub fn most_used_tool(&self) -> Option<&Name> {
        let calls = self.tools();
        let most = calls.values().max().copied()?;
        calls
            .into_iter()
            .find(|(_, count)| *count == most)
            .map(|(tool, _)| tool)
    }
}

/// One tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The tool.
    pub tool: Name,
    /// What it was called with, as recorded.
    pub arguments: String,
    /// What it answered; `None` if the record ends before that.
    pub output: Option<String>,
    /// How many messages the conversation has once the call is answered, or
    /// made if it never was.
    pub messages: usize,
}
