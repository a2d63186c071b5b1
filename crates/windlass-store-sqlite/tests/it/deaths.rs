//! A process is killed at a random moment: what it acknowledged is there,
//! and nothing is there by half.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use windlass_store::{Batch, Commit, Entry, Expect, KeyRange, Store, StoreExt};
use windlass_store_sqlite::{Copies, Options, SqliteStore};
use windlass_store_testing::Random;

use crate::children::{Player, Role, setting, tell};
use crate::common::Place;

/// Kills in one run; the nightly run takes more.
const CYCLES: &str = "WINDLASS_KILL_CYCLES";
const CYCLES_DEFAULT: u64 = 30;
/// Kills of one store: each is followed by a look at all of it.
const CYCLES_A_STORE: usize = 300;
const SEED: &str = "WINDLASS_KILL_SEED";

/// The mark of cycles in which the log is copied beside commits.
const BESIDE: &str = "beside";

/// Those of a store like any other, or of one whose log is copied all the time
/// beside commits.
fn options(path: &Path) -> Options {
    if !path.with_extension(BESIDE).exists() {
        return Options::default();
    }
    Options {
        copies: Copies::Beside,
        wal_copy_bytes: 64 << 10,
        wal_empty_bytes: 256 << 10,
        ..Options::default()
    }
}

/// Sessions that commit at the same time.
const SESSIONS: usize = 8;
/// Most acknowledgements that are waited for before a kill.
const ACKNOWLEDGED_MAX: usize = 60;

#[tokio::test]
async fn what_a_killed_process_acknowledged_is_there_and_nothing_by_half() {
    let seed = setting(SEED, 7);
    let mut random = Random::new(seed);
    let cycles = setting(CYCLES, CYCLES_DEFAULT);
    for first in (0..cycles).step_by(CYCLES_A_STORE) {
        let last = cycles.min(first + CYCLES_A_STORE as u64);
        kill_again_and_again(&mut random, seed, first..last).await;
    }
}

async fn kill_again_and_again(random: &mut Random, seed: u64, cycles: Range<u64>) {
    let place = Place::new();
    let mut known = [0; SESSIONS];
    for cycle in cycles {
        let when = format!("seed {seed}, cycle {cycle}");
        let mark = place.store().with_extension(BESIDE);
        if cycle.is_multiple_of(2) {
            std::fs::write(mark, []).expect("the mark is made");
        } else {
            let _ = std::fs::remove_file(mark);
        }
        let mut child = Player::start(Role::Mortal, &place.store());
        let mut told: Vec<_> = (0..random.below(ACKNOWLEDGED_MAX))
            .filter_map(|_| child.hear())
            .collect();
        told.extend(child.kill());
        for (session, number) in told.iter().map(|line| acknowledgement(line)) {
            assert_eq!(
                number,
                known[session] + 1,
                "{when}: session {session} acknowledged"
            );
            known[session] = number;
        }
        let found = verify(&place, &when).await;
        for (session, (known, found)) in known.iter_mut().zip(found).enumerate() {
            // One commit of a session can be on its way when the process dies.
            assert!(
                (*known..=*known + 1).contains(&found),
                "{when}: session {session} has {found} commits, of which it acknowledged {known}"
            );
            *known = found;
        }
    }
    assert!(
        known.iter().all(|known| *known > 0),
        "seed {seed}: a session never committed: {known:?}"
    );
}

fn acknowledgement(line: &str) -> (usize, u64) {
    let (session, number) = line.split_once(' ').expect("a session and a number");
    (
        session.parse().expect("a session"),
        number.parse().expect("a number"),
    )
}

/// How many commits each session has.
async fn verify(place: &Place, when: &str) -> [u64; SESSIONS] {
    let store = place.open().await;
    let mut found = [0; SESSIONS];
    for (session, found) in found.iter_mut().enumerate() {
        let range = KeyRange::prefix(format!("acme/session/{session}/"));
        let entries = store.scan_all(range).await.expect("all can be read");
        *found = verify_whole(&entries, when);
    }
    store.close().await.expect("the store closes");
    found
}

/// The number of commits of a session, each of which must be whole.
fn verify_whole(entries: &[Entry], when: &str) -> u64 {
    let Some(head) = entries.first() else {
        return 0;
    };
    let count = parse(&head.value);
    assert_eq!(
        entries.len() as u64,
        1 + 2 * count,
        "{when}: rows beside a head of {count}"
    );
    for (place, row) in entries[1..].iter().enumerate() {
        assert_eq!(
            parse(&row.value),
            place as u64 / 2 + 1,
            "{when}: the row {:?}",
            row.key
        );
    }
    assert_eq!(
        head.version,
        entries[entries.len() - 1].version,
        "{when}: head and last row are of one commit"
    );
    count
}

fn parse(text: &[u8]) -> u64 {
    std::str::from_utf8(text)
        .expect("digits")
        .trim_start_matches('.')
        .parse()
        .expect("a number")
}

/// Commits until killed: a head and two rows at a time.
pub(crate) async fn play_mortal(path: &Path) {
    let store = Arc::new(
        SqliteStore::open(path, options(path))
            .await
            .expect("the store opens"),
    );
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|session| tokio::spawn(commit_for_ever(Arc::clone(&store), session)))
        .collect();
    for session in sessions {
        session
            .await
            .expect("a session goes on until the process is killed");
    }
}

async fn commit_for_ever(store: Arc<SqliteStore>, session: usize) {
    let head = Bytes::from(format!("acme/session/{session}/head"));
    let entry = store.get(head.clone()).await.expect("the head can be read");
    let mut count = entry.as_ref().map_or(0, |entry| parse(&entry.value));
    let mut expect = entry.map_or(Expect::Absent, |entry| Expect::Version(entry.version));
    loop {
        count += 1;
        // Rows of all sizes, so that commits end within and between pages.
        let padding = ".".repeat(usize::try_from(count * 97 % 3_000).expect("it is small"));
        let row = |half| format!("acme/session/{session}/row/{count:06}/{half}");
        let batch = Batch::new()
            .check(head.clone(), expect)
            .put(head.clone(), count.to_string())
            .put(row('a'), format!("{padding}{count}"))
            .put(row('b'), count.to_string());
        match store.commit(batch).await.expect("no error") {
            Commit::Applied(version) => expect = Expect::Version(version),
            Commit::Conflict { key } => panic!("nobody else writes {key:?}"),
        }
        tell(&format!("{session} {count}"));
    }
}
