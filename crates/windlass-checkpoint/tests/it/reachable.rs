//! Which contents the states of sessions need.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use windlass_checkpoint::{BlobId, Checkpoints, LogEntry};
use windlass_store::{KeyRange, Store, StoreExt};

use super::support::{caller, id};

/// All commits of a session that are kept, newest first.
pub(crate) async fn log(states: &Checkpoints, session: &str) -> Vec<LogEntry> {
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

/// Asserts that the store has nothing that no commit of these sessions needs:
/// blobs that some state names, what is `needed` beside them, and below all of
/// these what is listed.
pub(crate) async fn assert_clean(
    ground: &dyn Store,
    states: &Checkpoints,
    sessions: &[String],
    mut needed: BTreeSet<String>,
    place: &str,
) {
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
pub(crate) async fn rows(ground: &dyn Store) -> BTreeMap<String, Bytes> {
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
