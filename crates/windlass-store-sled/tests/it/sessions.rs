//! Sessions that commit side by side, and what must be found of them: a head
//! that counts, two rows for each commit, and one large value that each commit
//! replaces, so that sled has something to clear away.

use std::sync::Arc;

use bytes::Bytes;
use windlass_store::{Batch, Commit, Entry, Expect, KeyRange, Store, StoreExt};
use windlass_store_sled::SledStore;

/// Sessions that commit at the same time.
pub(crate) const SESSIONS: usize = 8;
/// Bytes of the value that each commit of a session replaces.
const SCRATCH_BYTES: usize = 60_000;

/// Has every session commit until it has made so many more commits, and tells
/// of each that was answered.
pub(crate) async fn commit_each(
    store: &Arc<SledStore>,
    commits: u64,
    acknowledge: impl Fn(usize, u64) + Clone + Send + Sync + 'static,
) {
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|session| {
            let (store, acknowledge) = (Arc::clone(store), acknowledge.clone());
            tokio::spawn(async move {
                commit(&store, session, commits, |count| {
                    acknowledge(session, count)
                })
                .await;
            })
        })
        .collect();
    for session in sessions {
        session.await.expect("a session goes on to its end");
    }
}

async fn commit(store: &SledStore, session: usize, commits: u64, acknowledge: impl Fn(u64)) {
    let head = Bytes::from(format!("acme/session/{session}/head"));
    let entry = store.get(head.clone()).await.expect("the head can be read");
    let first = entry.as_ref().map_or(0, |entry| parse(&entry.value)) + 1;
    let mut expect = entry.map_or(Expect::Absent, |entry| Expect::Version(entry.version));
    for count in first..first.saturating_add(commits) {
        let row = |half| format!("acme/session/{session}/row/{count:06}/{half}");
        let batch = Batch::new()
            .check(head.clone(), expect)
            .put(head.clone(), count.to_string())
            .put(row('a'), padded(padding(count), count))
            .put(row('b'), count.to_string())
            .put(scratch(session), padded(SCRATCH_BYTES, count));
        match store.commit(batch).await.expect("no error") {
            Commit::Applied(version) => expect = Expect::Version(version),
            Commit::Conflict { key } => panic!("nobody else writes {key:?}"),
        }
        acknowledge(count);
    }
}

fn scratch(session: usize) -> Bytes {
    format!("acme/scratch/{session}").into()
}

fn padded(padding: usize, count: u64) -> String {
    format!("{}{count}", ".".repeat(padding))
}

/// Rows of all sizes: within a page, and now and then one in pieces.
fn padding(count: u64) -> usize {
    let long = if count.is_multiple_of(20) { 90_000 } else { 0 };
    usize::try_from(count * 97 % 3_000).expect("it is small") + long
}

fn parse(text: &[u8]) -> u64 {
    let text = std::str::from_utf8(text).expect("digits");
    text.trim_start_matches('.').parse().expect("a number")
}

/// How many commits of each session are there; or what is there by half.
pub(crate) async fn found(store: &SledStore) -> Result<[u64; SESSIONS], String> {
    let mut found = [0; SESSIONS];
    for (session, found) in found.iter_mut().enumerate() {
        let range = KeyRange::prefix(format!("acme/session/{session}/"));
        let entries = store.scan_all(range).await;
        let entries = entries.map_err(|error| format!("session {session}: {error:?}"))?;
        *found = whole(&entries).map_err(|what| format!("session {session}: {what}"))?;
        let scratch = store.get(scratch(session)).await;
        let scratch = scratch.map_err(|error| format!("scratch {session}: {error:?}"))?;
        let last = scratch.map_or(0, |entry| parse(&entry.value));
        if last != *found {
            return Err(format!("scratch {session} is of {last}, not of {found}"));
        }
    }
    Ok(found)
}

/// The number of commits of a session, each of which must be whole.
fn whole(entries: &[Entry]) -> Result<u64, String> {
    let Some((head, rows)) = entries.split_first() else {
        return Ok(0);
    };
    let count = parse(&head.value);
    if rows.len() as u64 != 2 * count {
        return Err(format!("{} rows beside a head of {count}", rows.len()));
    }
    for (place, row) in rows.iter().enumerate() {
        if parse(&row.value) != place as u64 / 2 + 1 {
            return Err(format!("a row of another commit at {:?}", row.key));
        }
    }
    if rows.last().map(|row| row.version) != Some(head.version) {
        return Err("the head and the last row are of two commits".into());
    }
    Ok(count)
}
