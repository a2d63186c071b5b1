//! Whether the sides that are compared really do the same.

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::harness::contest::Side;
use crate::harness::throughput::Throughput;

use super::super::fixture::{caller, open, session_id};
use super::*;

const SPAN: Duration = Duration::from_millis(100);

fn work(spreading: Spreading, operations: bool) -> Work {
    Work {
        callers: 8,
        spreading,
        operations,
        hope: Hope::Grants,
    }
}

/// Lets a plain side work, then looks at what it left through the engine: all
/// calls are counted, and every event of a session is there.
fn assert_read_by_the_engine(spreading: Spreading, operations: bool, naive: bool) {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plain.db");
    Fixture::create(&runtime, path.clone(), 8, CALLS).unwrap();
    let work = work(spreading, operations);
    let mut side: Box<dyn Side<Sample = Throughput>> = if naive {
        Box::new(Naive::open(&runtime, &path, None, work).unwrap())
    } else {
        Box::new(Bare::open(&runtime, &path, None, work).unwrap())
    };
    let calls = side.run(SPAN).unwrap().calls;
    drop(side);
    runtime.block_on(async {
        let windlass = open(&path, None).await.unwrap();
        let mut made = 0;
        for number in 0..8 {
            let (who, id) = (caller(), session_id(number));
            let session = windlass.sessions().get(&who, &id).await.unwrap().unwrap();
            assert_eq!(session.calls_made, session.budget.calls.used);
            let history = windlass
                .sessions()
                .history(&who, &id, 0, 1_000)
                .await
                .unwrap();
            let events = history.unwrap().events;
            let expected = session.calls_made.min(1_000);
            assert_eq!(u64::try_from(events.len()).unwrap(), expected);
            assert_eq!(events[0].operation, None, "made with the fixture");
            let last = events.last().unwrap();
            let used = events.len() > 1;
            assert_eq!(last.operation.is_some(), operations && used, "{last:?}");
            made += session.calls_made - 1;
        }
        windlass.close().await.unwrap();
        assert_eq!(made, calls);
    });
}

#[test]
fn what_the_naive_side_writes_is_read_by_the_engine() {
    assert_read_by_the_engine(Spreading::OwnSession, false, true);
    assert_read_by_the_engine(Spreading::OwnSession, true, true);
    assert_read_by_the_engine(Spreading::OneSession, true, true);
}

#[test]
fn what_the_bare_loop_writes_is_read_by_the_engine() {
    assert_read_by_the_engine(Spreading::OwnSession, false, false);
    assert_read_by_the_engine(Spreading::OwnSession, true, false);
    assert_read_by_the_engine(Spreading::OneSession, true, false);
}

#[test]
fn all_sides_write_rows_of_the_same_sizes() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let files = ["ours", "naive", "bare"].map(path);
    let first = Fixture::create(&runtime, files[0].clone(), 8, CALLS).unwrap();
    first.copy_to(files[1].clone()).unwrap();
    first.copy_to(files[2].clone()).unwrap();
    let work = work(Spreading::OwnSession, true);
    let mut ours = Ours::open(&runtime, &files[0], None, work).unwrap();
    ours.run(SPAN * 4).unwrap();
    ours.close().unwrap();
    Naive::open(&runtime, &files[1], None, work)
        .unwrap()
        .run(SPAN)
        .unwrap();
    Bare::open(&runtime, &files[2], None, work)
        .unwrap()
        .run(SPAN)
        .unwrap();
    let [ours, naive, bare] = files.map(|path| Sizes::of(&path).unwrap());
    ours.assert_alike(&naive).unwrap();
    ours.assert_alike(&bare).unwrap();
    assert!((200.0..=360.0).contains(&ours.head), "{ours:?}");
}
