//! What every revision of every session has to hold.

use std::collections::BTreeMap;

use bytes::Bytes;
use windlass_checkpoint::{At, Checkpoints};

use super::contents::name;
use crate::reachable::log;
use crate::support::{caller, id};

/// The parts of a state.
pub(super) type Parts = BTreeMap<String, Bytes>;

/// The parts of every revision that was ever committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) sessions: BTreeMap<String, BTreeMap<u64, Parts>>,
}

impl Ledger {
    pub(super) fn head(&self, session: &str) -> (u64, Parts) {
        let revisions = self.sessions.get(session);
        let last = revisions.and_then(|it| it.last_key_value());
        last.map_or((0, Parts::new()), |(revision, parts)| {
            (*revision, parts.clone())
        })
    }

    pub(super) fn note(&mut self, session: &str, revision: u64, parts: Parts) {
        let revisions = self.sessions.entry(session.to_owned()).or_default();
        revisions.insert(revision, parts);
    }

    /// Compares every revision that is still there with what it was.
    pub(super) async fn check(&self, states: &Checkpoints, place: &str) {
        for (session, revisions) in &self.sessions {
            let commits = log(states, session).await;
            let newest = commits.first().map(|commit| commit.revision);
            assert_eq!(
                newest,
                revisions.keys().next_back().copied(),
                "{place}: {session}"
            );
            for commit in commits {
                let parts = revisions.get(&commit.revision);
                let parts = parts.unwrap_or_else(|| panic!("{place}: {session} {commit:?}"));
                check_parts(states, session, commit.revision, parts, place).await;
            }
        }
    }
}

async fn check_parts(
    states: &Checkpoints,
    session: &str,
    revision: u64,
    parts: &Parts,
    place: &str,
) {
    let place = format!("{place}: {session} at {revision}");
    let at = At::Revision(revision);
    let shown = states.show(&caller(), &id(session), &at).await;
    let shown = shown.unwrap_or_else(|error| panic!("{place}: {error:?}"));
    let shown = shown.unwrap_or_else(|| panic!("{place}: it is gone"));
    let names: Vec<String> = shown.parts.keys().map(ToString::to_string).collect();
    assert_eq!(names, parts.keys().cloned().collect::<Vec<_>>(), "{place}");
    for (part, content) in parts {
        let found = states.part(&caller(), &id(session), &at, &name(part)).await;
        let found = found.unwrap_or_else(|error| panic!("{place}: {part}: {error:?}"));
        let (_, payload) = found.unwrap_or_else(|| panic!("{place}: {part} is gone"));
        assert!(payload.bytes() == content, "{place}: {part} is another one");
    }
}
