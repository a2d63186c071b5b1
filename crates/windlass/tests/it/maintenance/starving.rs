//! What cannot be done does not keep upkeep from what can.

use windlass::checkpoint::{Caller as Writes, Changes as StateChanges};
use windlass::store::StoreExt;

use super::*;

/// More rows than one bite is of, here.
const STUCK: usize = 40;

/// A task, the part of its rows of the index behind their time, and its
/// records, where `ID` stands for one of them.
const TASKS: [(&str, &str, &[&str]); 9] = [
    (
        "sessions",
        "session/acme/ID",
        &["acme/session/ID/head", "acme/session/ID/spec"],
    ),
    ("stash", "stash/acme/ID", &["acme/stash/ID/head"]),
    ("queue", "queue/acme/ID", &["acme/queue/ID/head"]),
    ("streams", "stream/acme/ID", &["acme/stream/ID/head"]),
    (
        "checkpoints",
        "checkpoint/acme/ID",
        &["acme/checkpoint/ID/head"],
    ),
    (
        "attachments",
        "attachment/acme/ID/a",
        &["acme/checkpoint/ID/attach/a"],
    ),
    ("blobs", "lineage/acme/ID", &["acme/lineage/ID/gc"]),
    ("keys", "access/acme/ID", &["system/key/ID"]),
    ("audit", "audit/ID", &["ID/audit/head"]),
];

/// An engine that takes small bites of what is in the store of `base`.
fn small(base: &Engine) -> Engine {
    let mut options = options();
    options.maintenance.step_entries = 16;
    options.maintenance.round_ms = 1_000;
    base.another(2, &options)
}

/// A round and the time until the next.
async fn pass(engine: &Engine, keeper: &mut Keeper) -> RoundReport {
    let report = round(keeper.turn().await.unwrap());
    engine.env.advance_ms(1_101);
    report
}

/// The row of the index of what is called `id`, due `before_ms` ago.
fn row(due: &str, id: &str, before_ms: u64) -> Vec<u8> {
    let time = START.get() - before_ms;
    format!("due/{time:020}/{}", due.replace("ID", id)).into_bytes()
}

#[tokio::test]
async fn what_cannot_be_read_keeps_no_task_from_what_is_behind_it() {
    for (task, due, records) in TASKS {
        let base = Engine::new().await;
        let mut batch = Batch::new();
        for number in 0..STUCK {
            let id = format!("{number:016x}");
            batch = batch.put(row(due, &id, 20_000), &b""[..]);
            for record in records {
                let record = record.replace("ID", &id).into_bytes();
                batch = batch.put(record, &b"no record"[..]);
            }
        }
        // It points at nothing, so its upkeep is to take it away.
        let behind = row(due, &format!("{STUCK:016x}"), 10_000);
        let batch = batch.put(behind.clone(), &b""[..]);
        let commit = base.windlass.store().commit(batch).await.unwrap();
        assert!(matches!(commit, Commit::Applied(_)), "{commit:?}");
        let engine = small(&base);
        let mut keeper = engine.keeper();
        for _ in 0..3 {
            let report = pass(&engine, &mut keeper).await;
            assert!(report.failed.is_empty(), "{task}: {report:?}");
        }
        let left = base
            .windlass
            .store()
            .get(behind.clone().into())
            .await
            .unwrap();
        assert_eq!(left.map(|row| row.key), None, "{task}");
        let last = engine.task(task).await.last.expect("it had its turn");
        let named = last.unreadable.len();
        assert!(task == "blobs" || named > 0, "{task}: {last:?}");
    }
}

fn writes() -> Writes {
    Writes::new("acme".parse().unwrap(), "tests".parse().unwrap())
}

/// A state of which one part was replaced, with so many forks.
async fn forked(base: &Engine, forks: usize) {
    let states = base.windlass.checkpoints();
    let first = "first".parse().unwrap();
    for number in 0..3 {
        let text = format!("[\"{number} {}\"]", "word ".repeat(4_000));
        let changes = StateChanges::default().json("state".parse().unwrap(), text);
        states.commit(&writes(), &first, changes).await.unwrap();
    }
    for number in 0..forks {
        let fork = format!("fork-{number}").parse().unwrap();
        let made = states.fork(&writes(), &first, None, &fork, None).await;
        made.unwrap();
        // Its own content becomes garbage with it.
        let text = format!("[\"{number} {}\"]", "other ".repeat(4_000));
        let changes = StateChanges::default().json("own".parse().unwrap(), text);
        states.commit(&writes(), &fork, changes).await.unwrap();
    }
    let gone = "fork-0".parse().unwrap();
    let tenant = writes().tenant;
    states.remove(&tenant, &gone).await.unwrap();
}

#[tokio::test]
async fn a_lineage_that_takes_long_to_mark_is_collected_in_one_round() {
    let base = Engine::new().await;
    forked(&base, 60).await;
    base.env.advance_ms(24 * 3_600_000);
    let mut options = options();
    options.maintenance.step_entries = 4;
    options.maintenance.round_ms = 60_000;
    let engine = base.another(2, &options);
    let report = round(engine.keeper().turn().await.unwrap());
    let last = engine.task("blobs").await.last.expect("it had its turn");
    assert!(last.counts.contains_key("deleted"), "{last:?} {report:?}");
    assert!(!last.truncated, "{last:?}");
    assert!(last.steps > 16, "too short to tell: {last:?}");
}
