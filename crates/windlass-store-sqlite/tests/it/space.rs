//! A store that was filled and emptied gives its space back, and nothing of
//! what is left in it changes by that.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::Connection;
use windlass_store::{Batch, Entry, KeyRange, Store, StoreExt};
use windlass_store_sqlite::{Options, SqliteStore};
use windlass_store_testing::Random;

use crate::children::{Player, Role, tell};
use crate::common::{Place, apply, value};

const MIB: u64 = 1 << 20;
/// Rows that go, of which 20 take a MiB.
const ROWS: u64 = 200;
const ROW_BYTES: usize = 52_000;
/// Rows that stay, put between the others.
const LEFT: u64 = 40;

/// Long enough for any machine; only a store that does not shrink needs it.
const PATIENCE: Duration = Duration::from_secs(60);

async fn fill(store: &SqliteStore) {
    for number in 0..ROWS {
        let mut batch = Batch::new().put(format!("acme/row/{number:04}"), vec![7; ROW_BYTES]);
        if number % (ROWS / LEFT) == 0 {
            batch = batch.put(format!("acme/left/{number:04}"), format!("{number}"));
        }
        apply(store, batch).await;
    }
}

async fn empty(store: &SqliteStore) {
    let delete = |batch: Batch, number| batch.delete(format!("acme/row/{number:04}"));
    apply(store, (0..ROWS).fold(Batch::new(), delete)).await;
}

async fn all(store: &SqliteStore) -> Vec<Entry> {
    let all = store.scan_all(KeyRange::all()).await;
    all.expect("all can be read")
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).expect("the file is there").len()
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long to wait, not what to find"
)]
fn now() -> Instant {
    Instant::now()
}

/// Waits until the file has at most `bytes`, which takes no call of ours.
async fn shrunk(path: &Path, bytes: u64) {
    let end = now() + PATIENCE;
    while length(path) > bytes {
        assert!(now() < end, "the file still has {} bytes", length(path));
        tokio::task::yield_now().await;
    }
}

/// Asserts that SQLite finds nothing wrong in a store that is closed.
fn assert_sound(path: &Path) {
    let connection = Connection::open(path).expect("the file opens");
    let found: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert_eq!(found, "ok");
}

#[tokio::test]
async fn a_store_that_was_emptied_gives_its_space_back_while_nobody_waits() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store).await;
    empty(&store).await;
    let left = all(&store).await;
    shrunk(&place.store(), MIB).await;
    assert!(store.health().free_bytes < MIB, "{:?}", store.health());
    assert_eq!(all(&store).await, left);
    assert_eq!(left.len(), usize::try_from(LEFT).expect("small"));
    // It goes on as before: filled again, it is what it was.
    fill(&store).await;
    assert_eq!(all(&store).await.len(), left.len() + 200);
    store.close().await.expect("the store closes");
    assert_sound(&place.store());
}

#[tokio::test]
async fn a_store_that_is_closed_at_once_gives_back_what_it_has_time_for() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store).await;
    empty(&store).await;
    store.close().await.expect("the store closes");
    assert!(length(&place.store()) < MIB, "{}", length(&place.store()));
    let store = place.open().await;
    assert_eq!(value(&store, "acme/left/0195").await, Some("195".into()));
    store.close().await.expect("the store closes");
    assert_sound(&place.store());
}

#[tokio::test]
async fn what_is_little_stays_for_what_is_written_next() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store).await;
    // A tenth of the file, which is more than is kept in any case.
    let delete = |batch: Batch, number| batch.delete(format!("acme/row/{number:04}"));
    apply(&store, (0..ROWS / 10).fold(Batch::new(), delete)).await;
    store.close().await.expect("the store closes");
    assert!(
        length(&place.store()) > 9 * MIB,
        "{}",
        length(&place.store())
    );
    let keeping = Options {
        free_bytes_kept: u64::MAX,
        ..Options::default()
    };
    let store = place.open_with(keeping).await;
    empty(&store).await;
    store.close().await.expect("the store closes");
    assert!(
        length(&place.store()) > 9 * MIB,
        "{}",
        length(&place.store())
    );
    // The next who opens it finds it so, and shrinks it without a commit.
    let store = place.open().await;
    shrunk(&place.store(), MIB).await;
    store.close().await.expect("the store closes");
}

/// A file is about as large as what is in it, however small that is.
#[tokio::test]
async fn a_small_file_keeps_no_more_free_than_a_share_of_what_is_in_it() {
    let place = Place::new();
    let store = place.open().await;
    let value = "x".repeat(4_096);
    let put = |batch: Batch, number| batch.put(format!("acme/{number:02}"), value.clone());
    apply(&store, (0..50).fold(Batch::new(), put)).await;
    let delete = |batch: Batch, number| batch.delete(format!("acme/{number:02}"));
    apply(&store, (0..25).fold(Batch::new(), delete)).await;
    store.close().await.expect("the store closes");
    let length = length(&place.store());
    assert!((100 * 1_024..200 * 1_024).contains(&length), "{length}");
}

/// Small rows, of which every other one goes.
const SCATTERED: usize = 8_000;

async fn scatter(store: &SqliteStore) {
    let numbers: Vec<_> = (0..SCATTERED).collect();
    for some in numbers.chunks(1_000) {
        let put = |batch: Batch, number: &usize| {
            batch.put(format!("acme/{number:05}"), format!("{number:0300}"))
        };
        apply(store, some.iter().fold(Batch::new(), put)).await;
    }
    for some in numbers.chunks(1_000) {
        let delete = |batch: Batch, number: &usize| match number % 2 {
            0 => batch,
            _ => batch.delete(format!("acme/{number:05}")),
        };
        apply(store, some.iter().fold(Batch::new(), delete)).await;
    }
}

/// Bytes of a closed store's pages that are in use.
fn used(path: &Path) -> u64 {
    let connection = Connection::open(path).expect("the file opens");
    let ask = |pragma: &str| -> u32 {
        let asked = connection.pragma_query_value(None, pragma, |row| row.get(0));
        asked.expect("it can be asked")
    };
    u64::from(ask("page_count") - ask("freelist_count")) * u64::from(ask("page_size"))
}

#[tokio::test]
async fn what_is_left_between_deleted_rows_moves_together_while_nobody_waits() {
    let place = Place::new();
    let store = place.open().await;
    scatter(&store).await;
    let (left, long) = (all(&store).await, store.health());
    shrunk(&place.store(), 5 * MIB / 2).await;
    assert_eq!(all(&store).await, left, "{long:?}");
    store.close().await.expect("the store closes");
    assert!(
        used(&place.store()) < 2 * MIB,
        "{} bytes",
        used(&place.store())
    );
    assert_sound(&place.store());
}

#[tokio::test]
async fn a_store_that_is_closed_at_once_moves_what_it_has_time_for() {
    let place = Place::new();
    let keeping = Options {
        free_bytes_kept: u64::MAX,
        ..Options::default()
    };
    let store = place.open_with(keeping).await;
    scatter(&store).await;
    let left = all(&store).await;
    store.close().await.expect("the store closes");
    let scattered = used(&place.store());
    assert!(scattered > 5 * MIB / 2, "{scattered} bytes");
    // It deletes one row more, so it looks before it closes.
    let store = place.open().await;
    apply(&store, Batch::new().delete("acme/00000")).await;
    store.close().await.expect("the store closes");
    let together = used(&place.store());
    assert!(
        together * 10 < scattered * 6,
        "{together} of {scattered} bytes"
    );
    assert_sound(&place.store());
    let store = place.open().await;
    assert_eq!(all(&store).await, left[1..]);
    store.close().await.expect("the store closes");
}

/// One store moves rows while another, as another process would, writes and
/// reads the same ones; what both show is what a map says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_move_under_the_hands_of_another_writer_stay_what_they_are() {
    const ROUNDS: usize = 4;
    let mut random = Random::new(0x401e5);
    let place = Place::new();
    let writer = place.open().await;
    scatter(&writer).await;
    let entries = all(&writer).await;
    let mut model: BTreeMap<_, _> = entries
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect();
    for round in 0..ROUNDS {
        let mover = place.open().await;
        for _ in 0..100 {
            let mut batch = Batch::new();
            for _ in 0..random.below(20) {
                let number = random.below(SCATTERED);
                let key = Bytes::from(format!("acme/{number:05}"));
                if batch.writes.iter().any(|write| *write.key() == key) {
                    continue;
                }
                if random.one_in(2) {
                    model.remove(&key);
                    batch = batch.delete(key);
                } else {
                    let value = Bytes::from(vec![7; random.below(600)]);
                    model.insert(key.clone(), value.clone());
                    batch = batch.put(key, value);
                }
            }
            if !batch.writes.is_empty() {
                apply(&writer, batch).await;
            }
        }
        for store in [&mover, &writer] {
            let found = all(store).await;
            assert_eq!(found.len(), model.len(), "round {round}");
            for (entry, expected) in found.iter().zip(&model) {
                assert_eq!((&entry.key, &entry.value), expected, "round {round}");
            }
        }
        mover.close().await.expect("the store closes");
    }
    writer.close().await.expect("the store closes");
    assert_sound(&place.store());
}

#[tokio::test]
async fn an_export_shows_what_was_there_though_its_pages_are_given_back() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store).await;
    let before = all(&store).await;
    let mut export = store.export(KeyRange::all()).await.expect("it starts");
    empty(&store).await;
    let end = now() + PATIENCE;
    // Through a connection of its own: the figure of the health passes by.
    let other = Connection::open(place.store()).expect("the file opens");
    let bytes = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let database = || other.query_row(bytes, [], |row| row.get::<_, i64>(0));
    while database().expect("it answers").unsigned_abs() > MIB {
        assert!(now() < end, "nothing is given back: {:?}", store.health());
        tokio::task::yield_now().await;
    }
    drop(other);
    let mut exported = Vec::new();
    while let Some(page) = export.next().await.expect("it goes on") {
        exported.extend(page);
    }
    assert_eq!(exported, before);
    drop(export);
    store.close().await.expect("the store closes");
    assert!(length(&place.store()) < MIB, "{}", length(&place.store()));
    assert_sound(&place.store());
}

#[tokio::test]
async fn a_file_that_was_made_before_stays_as_long_as_it_was_and_works() {
    let place = Place::new();
    let store = place.open().await;
    store.close().await.expect("the store closes");
    let connection = Connection::open(place.store()).expect("the file opens");
    // The file is made as it was before.
    for statement in [
        "PRAGMA journal_mode = DELETE",
        "PRAGMA auto_vacuum = NONE",
        "VACUUM",
        "PRAGMA journal_mode = WAL",
    ] {
        let mut statement = connection.prepare(statement).expect("SQL");
        let mut rows = statement.query([]).expect("it can be run");
        while rows.next().expect("it goes to its end").is_some() {}
    }
    connection.close().expect("the file closes");
    let store = place.open().await;
    fill(&store).await;
    empty(&store).await;
    assert_eq!(all(&store).await.len(), 40);
    store.close().await.expect("the store closes");
    assert!(
        length(&place.store()) > 9 * MIB,
        "{}",
        length(&place.store())
    );
    let store = place.open().await;
    assert_eq!(all(&store).await.len(), 40);
    store.close().await.expect("the store closes");
}

/// Kills, each of a process that has given back less or more.
const KILLS: usize = 5;

#[tokio::test]
async fn a_process_that_is_killed_while_it_gives_space_back_loses_nothing() {
    let mut random = Random::new(0x5bace);
    let place = Place::new();
    for kill in 0..KILLS {
        let mut child = Player::start(Role::Shrinking, &place.store());
        let left: usize = child.expect("emptied").parse().expect("a number");
        let heard = std::iter::from_fn(|| child.hear()).take(random.below(12));
        let heard = heard.take_while(|told| told != "done").count();
        assert!(heard < 12, "kill {kill}");
        child.kill();
        let store = place.open().await;
        let entries = all(&store).await;
        assert_eq!(entries.len(), left, "kill {kill}");
        for entry in entries {
            let name = std::str::from_utf8(&entry.key).expect("text");
            let number: u64 = name[name.len() - 4..].parse().expect("a number");
            assert_eq!(entry.value, number.to_string(), "kill {kill}");
        }
        shrunk(&place.store(), MIB).await;
        store.close().await.expect("the store closes");
        assert_sound(&place.store());
    }
}

/// Fills and empties a store, and tells whenever some of it was given back.
pub(crate) async fn play_shrinking(path: &Path) {
    let store = SqliteStore::open(path, Options::default()).await;
    let store = store.expect("the store opens");
    fill(&store).await;
    empty(&store).await;
    tell(&format!("emptied {}", all(&store).await.len()));
    let mut free = 0;
    loop {
        let now = store.health().free_bytes;
        if now != free {
            free = now;
            let is_done = now < MIB;
            tell(if is_done { "done" } else { "some" });
        }
        tokio::task::yield_now().await;
    }
}
