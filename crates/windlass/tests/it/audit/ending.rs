//! Sessions that upkeep marks ended, because their time is over or one above
//! them ended, are told, and each once.

use std::sync::Arc;

use windlass::session::{Agent, Delegate};
use windlass::store::{Store, StoreErrorKind};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Fault, Faulty, Moment, Pausing, Verb};

use super::{Stage, acme, at_once, caller, full, request};

/// How long a session lasts that says nothing about it.
const LASTS_MS: u64 = 3_600_000;

async fn sweep(stage: &Stage) {
    stage.engine.sessions().sweep(100).await.unwrap();
}

#[tokio::test]
async fn what_upkeep_ends_is_told_once_and_as_nobodys_doing() {
    let stage = Stage::with(full());
    let ids = stage.create(2).await;
    let child = Delegate::new(Agent::Unchecked, request());
    let sessions = stage.engine.sessions();
    let child = sessions.delegate(&caller(), &ids[0], child).await.unwrap();
    sessions.close(&caller(), &ids[0], None).await.unwrap();
    for _ in 0..3 {
        sweep(&stage).await;
    }
    stage.env.advance_ms(LASTS_MS);
    for _ in 0..3 {
        sweep(&stage).await;
    }
    let told = stage.told().await;
    assert_eq!(
        told[3..],
        [
            "session.closed done",
            "session.closed done",
            "session.expired done",
        ]
    );
    let events = stage.events(&acme()).await;
    for (event, id) in events[4..].iter().zip([&child.id, &ids[1]]) {
        assert_eq!(event.event.principal, None, "{event:?}");
        assert_eq!(event.event.on, [("session".into(), id.to_string())]);
    }
}

#[tokio::test]
async fn what_upkeep_ends_is_no_event_where_only_what_was_asked_for_is() {
    let stage = Stage::with(at_once());
    stage.create(2).await;
    stage.env.advance_ms(LASTS_MS);
    sweep(&stage).await;
    assert_eq!(stage.told().await, ["session.created done"; 2]);
}

#[tokio::test]
async fn a_session_that_two_processes_would_mark_is_told_once() {
    let inner: Arc<dyn Store> = Arc::new(MemoryStore::new().unwrap());
    let held = Arc::new(Pausing::new(Arc::clone(&inner)));
    let late = Stage::over(Arc::clone(&held) as Arc<dyn Store>, full());
    late.create(1).await;
    let early = Stage::over(inner, full());
    late.env.advance_ms(LASTS_MS);
    early.env.advance_ms(LASTS_MS);
    let pause = held.pause(Verb::Commit, Moment::Before);
    let sessions = late.engine.sessions().clone();
    let sweeping = tokio::spawn(async move { sessions.sweep(100).await });
    let paused = pause.reached().await;
    sweep(&early).await;
    early.engine.audit().flush().await;
    paused.release();
    sweeping.await.unwrap().unwrap();
    let expected = ["session.created done", "session.expired done"];
    assert_eq!(late.told().await, expected);
}

#[tokio::test]
async fn a_mark_of_unknown_outcome_is_told_once() {
    for moment in [Moment::Before, Moment::After] {
        let store = Arc::new(Faulty::new(Arc::new(MemoryStore::new().unwrap())));
        let stage = Stage::over(Arc::clone(&store) as Arc<dyn Store>, full());
        stage.create(1).await;
        stage.env.advance_ms(LASTS_MS);
        store.plan(Fault {
            verb: Some(Verb::Commit),
            number: store.calls(Some(Verb::Commit)) + 1,
            moment,
            kind: StoreErrorKind::Indeterminate,
        });
        sweep(&stage).await;
        sweep(&stage).await;
        assert_eq!(store.hits(), 1);
        let expected = ["session.created done", "session.expired done"];
        assert_eq!(stage.told().await, expected, "{moment:?}");
    }
}
