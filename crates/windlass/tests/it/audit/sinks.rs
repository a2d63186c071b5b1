//! Auditing fails no operation and delays none, whatever its sinks do; and what
//! it loses is counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use windlass::audit::{
    AuditEvent, AuditOptions, AuditSink, AuditSinkHandle, LOST_ACTION, SinkFailure, Verify,
};
use windlass::core::BoxFuture;
use windlass::store::StoreErrorKind;
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Fault, Faulty, Moment, Strict, StrictOptions, Verb};

use super::{Stage, at_once, full};

/// What a sink does with what it is given.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Take,
    Never,
    Hang,
    Panic,
}

#[derive(Debug)]
struct Moody {
    mood: Mutex<Mood>,
    taken: Mutex<Vec<String>>,
    asked: AtomicUsize,
}

impl Moody {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            mood: Mutex::new(mood),
            taken: Mutex::default(),
            asked: AtomicUsize::new(0),
        })
    }
}

impl AuditSink for Moody {
    fn write<'a>(
        &'a self,
        events: &'a [Arc<AuditEvent>],
    ) -> BoxFuture<'a, Result<(), SinkFailure>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mood = *self.mood.lock().unwrap();
        Box::pin(async move {
            match mood {
                Mood::Take => {
                    let actions = events.iter().map(|event| event.action.to_string());
                    self.taken.lock().unwrap().extend(actions);
                    Ok(())
                }
                Mood::Never => Err(SinkFailure::never("it does not like them")),
                Mood::Hang => std::future::pending().await,
                Mood::Panic => panic!("as asked"),
            }
        })
    }
}

fn with(sink: &Arc<Moody>, in_store: bool) -> AuditOptions {
    AuditOptions {
        sinks: vec![AuditSinkHandle::new(sink.clone())],
        in_store,
        ..at_once()
    }
}

/// Lets the tasks of the audit do what they can.
async fn settle(stage: &Stage, until: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if until() {
            return;
        }
        tokio::task::yield_now().await;
        stage.env.advance_ms(1);
    }
    panic!("{:?}", stage.engine.audit());
}

#[tokio::test]
async fn a_sink_of_the_callers_has_every_event_beside_the_store() {
    let sink = Moody::new(Mood::Take);
    let stage = Stage::with(with(&sink, true));
    stage.create(3).await;
    settle(&stage, || sink.taken.lock().unwrap().len() == 3).await;
    assert_eq!(*sink.taken.lock().unwrap(), ["session.created"; 3]);
    assert_eq!(stage.told().await.len(), 3);
    let figures = stage.engine.audit().sink_figures();
    assert_eq!((figures[0].told, figures[0].written), (3, 3));
}

#[tokio::test]
async fn sinks_that_fail_hang_or_panic_fail_no_operation_and_keep_nothing_from_the_store() {
    for mood in [Mood::Never, Mood::Hang, Mood::Panic] {
        let sink = Moody::new(mood);
        let stage = Stage::with(with(&sink, true));
        stage.create(5).await;
        settle(&stage, || sink.asked.load(Ordering::Relaxed) > 0).await;
        stage.create(5).await;
        assert_eq!(stage.told().await.len(), 10, "{mood:?}");
        let figures = stage.engine.audit().sink_figures()[0];
        assert_eq!((figures.told, figures.written), (10, 0), "{mood:?}");
        assert_eq!(
            figures.waiting + figures.lost(),
            10,
            "{mood:?}: {figures:?}"
        );
    }
}

#[tokio::test]
async fn a_sink_that_hangs_takes_no_more_memory_than_was_allowed() {
    let sink = Moody::new(Mood::Hang);
    let options = AuditOptions {
        waiting_max: 8,
        ..with(&sink, false)
    };
    let stage = Stage::with(options);
    stage.create(30).await;
    let figures = stage.engine.audit().sink_figures()[0];
    assert_eq!((figures.waiting, figures.lost_full), (8, 22));
}

#[tokio::test]
async fn a_gap_is_told_in_the_chain_once_events_are_taken_again() {
    let options = AuditOptions {
        waiting_max: 3,
        ..at_once()
    };
    let stage = Stage::with(options);
    stage.env.advance_ms(1);
    for _ in 0..5 {
        stage.make().await.unwrap();
    }
    assert_eq!(stage.engine.audit().figures().lost_full, 2);
    let told = stage.told().await;
    assert_eq!(told.len(), 4);
    assert_eq!(told[0], format!("{LOST_ACTION} done"));
    let verified = stage.verify(Verify::default()).await;
    assert_eq!((verified.broken, verified.lost), (None, 2));
}

#[tokio::test]
async fn a_store_that_fails_under_the_audit_fails_no_operation_and_the_loss_is_told_later() {
    let store = Arc::new(Faulty::new(Arc::new(MemoryStore::new().unwrap())));
    let stage = Stage::over(store.clone(), at_once());
    stage.make().await.unwrap();
    let fault = Fault {
        verb: Some(Verb::Commit),
        number: store.calls(Some(Verb::Commit)) + 1,
        moment: Moment::Before,
        kind: StoreErrorKind::Corrupt,
    };
    store.plan(fault);
    stage.engine.audit().flush().await;
    assert_eq!(stage.engine.audit().figures().lost_failed, 1);
    stage.create(1).await;
    let told = stage.told().await;
    assert_eq!(
        told,
        [
            format!("{LOST_ACTION} done"),
            "session.created done".to_owned()
        ]
    );
    assert_eq!(stage.verify(Verify::default()).await.lost, 1);
}

#[tokio::test]
async fn commits_of_unknown_outcome_append_each_event_once() {
    for moment in [Moment::Before, Moment::After] {
        let store = Arc::new(Faulty::new(Arc::new(MemoryStore::new().unwrap())));
        let stage = Stage::over(store.clone(), at_once());
        stage.create(2).await;
        stage.make().await.unwrap();
        let fault = Fault {
            verb: Some(Verb::Commit),
            number: store.calls(Some(Verb::Commit)) + 1,
            moment,
            kind: StoreErrorKind::Indeterminate,
        };
        store.plan(fault);
        assert_eq!(stage.told().await.len(), 3, "{moment:?}");
        assert_eq!(store.hits(), 1);
        assert_eq!(stage.verify(Verify::default()).await.broken, None);
    }
}

#[tokio::test]
async fn over_the_worst_store_that_is_allowed_every_event_is_written_once_or_counted() {
    let inner = Arc::new(MemoryStore::new().unwrap());
    let strict = Strict::new(inner.clone(), StrictOptions::ALL);
    let stage = Stage::over(Arc::new(strict), full());
    let mut told = 0;
    for _ in 0..60 {
        told += usize::from(stage.make().await.is_ok());
        stage.engine.audit().flush().await;
    }
    assert!(told > 20, "{told} sessions were made");
    let plain = Stage::over(inner, full());
    let verified = plain.verify(Verify::default()).await;
    assert_eq!(verified.broken, None);
    let figures = stage.engine.audit().figures();
    assert_eq!(figures.written + figures.lost(), figures.told);
    let own = plain.told().await;
    let own = own.iter().filter(|event| !event.starts_with(LOST_ACTION));
    let own = u64::try_from(own.count()).unwrap();
    assert_eq!(own, figures.written, "{figures:?}");
}

#[tokio::test]
async fn closing_writes_what_waits_and_counts_what_comes_later() {
    let stage = Stage::new();
    stage.make().await.unwrap();
    assert_eq!(stage.engine.audit().figures().waiting, 1);
    stage.engine.close().await.unwrap();
    assert_eq!(stage.engine.audit().figures().written, 1);
    let late = AuditEvent::new(super::Millis::new(1), super::acme(), "test.late");
    stage.engine.audit().tell(late);
    assert_eq!(stage.engine.audit().figures().lost_closed, 1);
}

#[tokio::test]
async fn closing_does_not_wait_for_ever_for_a_sink_that_hangs() {
    let sink = Moody::new(Mood::Hang);
    let stage = Stage::with(with(&sink, false));
    stage.create(2).await;
    stage.engine.close().await.unwrap();
    let figures = stage.engine.audit().sink_figures()[0];
    assert_eq!((figures.written, figures.lost()), (0, 2), "{figures:?}");
}

#[tokio::test]
async fn a_sink_that_panics_is_nothing_to_whoever_closes_the_engine() {
    let sink = Moody::new(Mood::Panic);
    let stage = Stage::with(with(&sink, true));
    stage.make().await.unwrap();
    stage.engine.close().await.unwrap();
    let figures = stage.engine.audit().sink_figures()[0];
    assert_eq!(
        (figures.written, figures.lost_failed),
        (0, 1),
        "{figures:?}"
    );
    assert_eq!(stage.engine.audit().figures().written, 1);
}
