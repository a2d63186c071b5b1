//! What every revision of every session has to hold, and what the store may
//! hold because of it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use windlass_checkpoint::{At, BlobId, Checkpoints, LogEntry};
use windlass_store::{KeyRange, StoreExt};
use windlass_store_memory::MemoryStore;

use super::contents::name;
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

/// All commits of a session that are kept, newest first.
async fn log(states: &Checkpoints, session: &str) -> Vec<LogEntry> {
    let mut commits = Vec::new();
    let mut before = None;
    loop {
        let page = states.log(&caller(), &id(session), before, 100).await;
        let page = page.expect("a readable log").expect("a state");
        commits.extend(page.commits);
        before = page.before;
        if before.is_none() {
            return commits;
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

/// Asserts that the store has nothing that no commit of these sessions needs:
/// blobs that some state names, and below them what is listed.
pub(super) async fn assert_clean(
    ground: &MemoryStore,
    states: &Checkpoints,
    sessions: &[String],
    place: &str,
) {
    let mut needed = BTreeSet::new();
    for session in sessions {
        for commit in log(states, session).await {
            needed.insert(format!("blob/{}", commit.manifest));
            needed.extend(blobs_of(states, session, commit.manifest).await);
        }
    }
    let rows = rows(ground).await;
    for (name, value) in &rows {
        if !name.starts_with("chunk/") {
            needed.extend(listed(value));
        }
    }
    let there: BTreeSet<&String> = rows.keys().collect();
    let extra: Vec<_> = there.iter().filter(|it| !needed.contains(**it)).collect();
    assert!(extra.is_empty(), "{place}: nothing needs {extra:?}");
}

async fn blobs_of(states: &Checkpoints, session: &str, manifest: BlobId) -> Vec<String> {
    let found = states.manifest(&caller(), &id(session), manifest).await;
    let found = found.expect("a readable manifest").expect("a manifest");
    let blobs = found
        .parts
        .values()
        .map(|part| format!("blob/{}", part.blob));
    blobs.collect()
}

/// The rows that hold contents, by kind and id, and those under `condemned`.
pub(super) async fn rows(ground: &MemoryStore) -> BTreeMap<String, Bytes> {
    let all = ground.scan_all(KeyRange::prefix("acme/lineage/")).await;
    let mut rows = BTreeMap::new();
    for entry in all.expect("a readable store") {
        let key = String::from_utf8(entry.key.to_vec()).expect("keys are text");
        let name = key
            .splitn(4, '/')
            .nth(3)
            .expect("a row of a lineage")
            .to_owned();
        if !name.starts_with("member/") && name != "gc" {
            rows.insert(name, entry.value);
        }
    }
    rows
}

/// What a row lists, read as the layout says.
fn listed(row: &[u8]) -> Vec<String> {
    let mut listed = Vec::new();
    if row[1] != 2 {
        return listed;
    }
    let (_, mut rest) = number(&row[8..]);
    while !rest.is_empty() {
        let (size, after) = number(rest);
        let (digest, after) = after.split_first_chunk::<32>().expect("an id");
        let kind = if size % 2 == 1 { "list" } else { "chunk" };
        listed.push(format!("{kind}/{}", BlobId::from_digest(*digest)));
        rest = after;
    }
    listed
}

fn number(bytes: &[u8]) -> (u64, &[u8]) {
    let end = bytes.iter().position(|byte| *byte < 0x80).expect("an end");
    let digits = bytes[..=end].iter().rev();
    let value = digits.fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    (value, &bytes[end + 1..])
}
