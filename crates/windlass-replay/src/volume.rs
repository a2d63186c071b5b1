//! How many bytes a recording's conversations are, kept in different ways.

use std::collections::HashSet;

use crate::model::{Recording, Run};

impl Recording {
    /// What it takes to store the whole conversation anew after every step:
    /// the sum, over all tool calls, of the compact JSON array of the
    /// messages of its conversation up to and including the call's answer.
    #[must_use]
    pub fn full_snapshot_bytes(&self) -> u64 {
        self.runs.iter().map(full_snapshot_bytes).sum()
    }

    /// What it takes to store each message once: the sum of the lengths of
    /// the distinct messages of all runs, each as compact JSON.
    #[must_use]
    pub fn distinct_message_bytes(&self) -> u64 {
        let messages: HashSet<&str> = self
            .runs
            .iter()
            .flat_map(|run| &run.messages)
            .map(|message| message.text.as_str())
            .collect();
        messages.into_iter().map(length).sum()
    }
}

fn full_snapshot_bytes(run: &Run) -> u64 {
    // The array of a conversation up to each message: a bracket, and every
    // message with a comma or the closing bracket behind it.
    let mut arrays: Vec<u64> = Vec::with_capacity(run.messages.len());
    for message in &run.messages {
        let before = message.after.map_or(1, |place| arrays[place]);
        arrays.push(before + length(&message.text) + 1);
    }
    run.steps.iter().map(|step| arrays[step.last_message]).sum()
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}
