//! Recorded runs, whatever the format they were written in.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass::core::AgentId;
use windlass::session::Name;

use crate::Format;
use crate::times::Times;

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
    /// The run that delegated to this one, if the record has sub-agents.
    pub parent: Option<Parent>,
    /// How many tool calls the run was allowed, if the record says.
    pub calls_budget: Option<u64>,
    /// When it began and made its calls.
    pub times: Times,
    /// What was said, in the order of its first appearance.
    pub messages: Vec<Message>,
    /// The tool calls, in order.
    pub steps: Vec<Step>,
    /// What the record calls the whole conversation where it writes all of it
    /// out again with every step, as agents do that change what was said
    /// before.
    pub whole: Option<&'static str>,
    /// The output that was recorded, where a record is nothing but that: JSON
    /// texts, each on one line.
    pub rows: Vec<String>,
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

    /// The id of call `number`, counted from 1: as recorded, or `call-NUMBER`
    /// where the format has none. Models use an id more than once, so it need
    /// not be the only one of its run.
    ///
    /// # Panics
    ///
    /// If there is no such call.
    #[must_use]
    pub fn call_id(&self, number: usize) -> String {
        let recorded = self.steps[number - 1].call.clone();
        recorded.unwrap_or_else(|| format!("call-{number}"))
    }

    /// The places of the messages of a conversation, from its first one to
    /// the one at place `last`.
    #[must_use]
    pub fn conversation(&self, last: usize) -> Vec<usize> {
        let before = |place: &usize| self.messages[*place].after;
        let mut places: Vec<usize> = std::iter::successors(Some(last), before).collect();
        places.reverse();
        places
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

/// Where a run was delegated from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The key of the run that delegated; it is in the same file, before this
    /// one.
    pub key: String,
    /// The call of that run which did it, counted from 1.
    pub step: usize,
}

/// One message, as part of one or several conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Compact JSON with its keys in the order in which they were recorded.
    pub text: String,
    /// The place of the message before it; `None` if it is the first. As a
    /// rule that is the place before its own, but a search goes back and
    /// continues from earlier messages, and some agents shorten old ones.
    pub after: Option<usize>,
}

/// One tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The tool.
    pub tool: Name,
    /// The call's id as recorded, if the format has one; see [`Run::call_id`].
    pub call: Option<String>,
    /// What it was called with, as recorded.
    pub arguments: String,
    /// What it answered; `None` if the record ends before that or nothing was
    /// answered.
    pub output: Option<String>,
    /// The place of the last message of the conversation as it was once the
    /// call was answered, or made if it never was.
    pub last_message: usize,
    /// What the record says the agent's surroundings were after the call, as
    /// compact JSON.
    pub state: Option<String>,
}
