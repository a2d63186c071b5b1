//! A log as a drawing: one line a commit, and where other sessions fork off.

use std::collections::BTreeMap;

use windlass_client::state::{LogEntry, LogPage, Origin};

use crate::table::{moment, plain, rows};

/// Parts that a line names before it only counts them.
const NAMES_MAX: usize = 3;

/// What hangs on revisions.
#[derive(Debug, Default)]
pub(super) struct Marks {
    tags: BTreeMap<u64, Vec<String>>,
    forks: BTreeMap<u64, Vec<String>>,
}

impl Marks {
    pub(super) fn add_tag(&mut self, revision: u64, name: String) {
        self.tags.entry(revision).or_default().push(name);
    }

    pub(super) fn add_fork(&mut self, revision: u64, session: String) {
        self.forks.entry(revision).or_default().push(session);
    }

    /// The tags of a revision, and the sessions that begin there.
    pub(super) fn of(&self, revision: u64) -> (&[String], &[String]) {
        (marked(&self.tags, revision), marked(&self.forks, revision))
    }
}

fn marked(marks: &BTreeMap<u64, Vec<String>>, revision: u64) -> &[String] {
    marks.get(&revision).map_or(&[], Vec::as_slice)
}

/// Commits, newest first: `*` for one of the session's own, `o` for where it
/// begins as a fork, `:` for one from before that, and `|` beside each session
/// that forks off.
pub(super) fn log(log: &LogPage, marks: &Marks) -> String {
    let mut lines = Vec::new();
    let mut inherited = false;
    for (place, commit) in log.commits.iter().enumerate() {
        let (tags, forks) = marks.of(commit.revision);
        lines.extend(
            forks
                .iter()
                .map(|fork| beside("| o", &format!("`{fork}` forks off"))),
        );
        if !forks.is_empty() {
            lines.push(beside("|/", ""));
        }
        let is_begin = matches!(commit.origin, Some(Origin::Fork { .. }));
        let graph = match (is_begin, inherited) {
            (true, _) => "o",
            (false, true) => ":",
            (false, false) => "*",
        };
        inherited |= is_begin;
        lines.push([
            graph.to_owned(),
            commit.revision.to_string(),
            moment(commit.at),
            commit.principal.clone(),
            changes(commit, log.commits.get(place + 1), log.before.is_none()),
            tags.join(", "),
            commit.note.as_deref().map(plain).unwrap_or_default(),
        ]);
    }
    let header = ["GRAPH", "REVISION", "AT", "BY", "CHANGES", "TAGS", "NOTE"];
    rows(header, lines)
}

fn beside(graph: &str, said: &str) -> [String; 7] {
    let mut line: [String; 7] = std::array::from_fn(|_| String::new());
    line[0] = graph.to_owned();
    line[4] = said.to_owned();
    line
}

/// What a commit did, in a few words.
fn changes(commit: &LogEntry, before: Option<&LogEntry>, is_whole: bool) -> String {
    match &commit.origin {
        Some(Origin::Fork { session, revision }) => {
            return format!("fork of `{session}` at {revision}");
        }
        Some(Origin::Rollback { revision }) => return format!("back to {revision}"),
        None => {}
    }
    let mut said = Vec::new();
    if !commit.put.is_empty() {
        said.push(format!("put {}", names(&commit.put)));
    }
    if !commit.removed.is_empty() {
        said.push(format!("remove {}", names(&commit.removed)));
    }
    let appended = match before {
        Some(before) => Some(commit.nodes.saturating_sub(before.nodes)),
        None if is_whole && commit.revision == 1 => Some(commit.nodes),
        None => None,
    };
    match appended {
        Some(0) => {}
        Some(1) => said.push("1 node".to_owned()),
        Some(count) => said.push(format!("{count} nodes")),
        None => said.push(format!("up to node {}", commit.nodes)),
    }
    if said.is_empty() {
        return "nothing".to_owned();
    }
    said.join(", ")
}

fn names(names: &[String]) -> String {
    if names.len() > NAMES_MAX {
        return format!("{} parts", names.len());
    }
    names.join(" ")
}
