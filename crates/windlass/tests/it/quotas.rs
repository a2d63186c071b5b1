//! Quotas of tenants, asked by two engines on one store.

use std::sync::Arc;

use futures_util::future::join_all;
use windlass::access::{Quota, Status};
use windlass::core::{Coded, ErrorKind, ManualEnv, Millis, TenantId};
use windlass::session::{Caller, Create};
use windlass::stash::Key;
use windlass::store::Store;
use windlass::{AdmitError, Options, QuotaMeter, TenantUsage, Windlass};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Counting, Slow, Strict, StrictOptions};

const START: Millis = Millis::new(1_700_000_000_000);

/// Two engines on one store, as two processes have it.
struct Bench {
    counting: Arc<Counting<MemoryStore>>,
    env: Arc<ManualEnv>,
    one: Windlass,
    other: Windlass,
}

impl Bench {
    fn new() -> Self {
        let ground = Arc::new(MemoryStore::new().unwrap());
        let counting = Arc::new(Counting::new(ground));
        let env = Arc::new(ManualEnv::new(1, START));
        let open = |store: Arc<dyn Store>| {
            Windlass::over(store, &Options::default(), env.clone()).unwrap()
        };
        // The one is told nothing of what the other does.
        let silent = Strict::new(Arc::clone(&counting), StrictOptions::WITHOUT_ERRORS);
        Self {
            one: open(counting.clone()),
            other: open(Arc::new(silent)),
            counting,
            env,
        }
    }

    async fn limit(&self, sessions: Option<u64>, stash_bytes: Option<u64>) {
        let quota = Quota {
            sessions,
            stash_bytes,
        };
        self.one
            .tenants()
            .set_quota(&tenant(), quota)
            .await
            .unwrap();
    }
}

fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

/// A session as a service makes it.
async fn create(engine: &Windlass) -> Result<(), AdmitError> {
    let admission = engine.admit_session(&tenant()).await?;
    let caller = Caller::new(tenant(), "runtime".parse().unwrap());
    let request = Create::new("scout".parse().unwrap(), "look around");
    engine.sessions().create(&caller, request).await.unwrap();
    admission.keep();
    Ok(())
}

/// The figures of a refusal.
fn refused(result: Result<(), AdmitError>) -> (QuotaMeter, u64, u64) {
    let error = result.expect_err("the quota is used up");
    assert_eq!(
        (error.code(), error.kind()),
        ("tenant_quota_exceeded", ErrorKind::Refused)
    );
    match error {
        AdmitError::TenantQuotaExceeded { meter, limit, used } => (meter, limit, used),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_limit_admits_as_many_as_it_says_and_no_more() {
    let bench = Bench::new();
    bench.limit(Some(3), None).await;
    for _ in 0..3 {
        create(&bench.one).await.unwrap();
    }
    assert_eq!(
        refused(create(&bench.one).await),
        (QuotaMeter::Sessions, 3, 3)
    );
    let usage = bench.one.usage(&tenant()).await.unwrap();
    assert_eq!(
        usage,
        TenantUsage {
            sessions: 3,
            stash_bytes: 0
        }
    );
    bench.limit(Some(4), None).await;
    create(&bench.one).await.expect("the quota was raised");
}

#[tokio::test]
async fn of_many_at_once_only_those_get_in_for_whom_there_is_a_place() {
    let ground = Arc::new(MemoryStore::new().unwrap());
    let env = Arc::new(ManualEnv::new(1, START));
    let engine = Windlass::over(Arc::new(Slow::new(ground, 5)), &Options::default(), env).unwrap();
    let quota = Quota {
        sessions: Some(5),
        stash_bytes: None,
    };
    engine.tenants().set_quota(&tenant(), quota).await.unwrap();
    let made = join_all((0..20).map(|_| {
        let engine = engine.clone();
        tokio::spawn(async move { create(&engine).await })
    }));
    let made: Vec<_> = made.await.into_iter().map(Result::unwrap).collect();
    let admitted = made.iter().filter(|made| made.is_ok()).count();
    assert_eq!(admitted, 5, "{made:?}");
    assert_eq!(engine.sessions().stored(&tenant()).await.unwrap(), 5);
}

#[tokio::test]
async fn what_is_admitted_and_not_taken_is_given_back() {
    let bench = Bench::new();
    bench.limit(Some(1), Some(100)).await;
    let first = bench.one.admit_session(&tenant()).await.unwrap();
    assert_eq!(
        refused(create(&bench.one).await),
        (QuotaMeter::Sessions, 1, 1)
    );
    first.give_back();
    create(&bench.one).await.expect("the place was given back");
    let bytes = bench.one.admit_bytes(&tenant(), 60).await.unwrap();
    let more = bench.one.admit_bytes(&tenant(), 41).await.map(drop);
    assert_eq!(refused(more), (QuotaMeter::StashBytes, 100, 60));
    bytes.give_back();
    bench
        .one
        .admit_bytes(&tenant(), 100)
        .await
        .expect("all of it")
        .keep();
}

#[tokio::test]
async fn who_goes_away_while_a_commit_is_under_way_gives_nothing_back() {
    let bench = Bench::new();
    bench.limit(Some(1), None).await;
    drop(bench.one.admit_session(&tenant()).await.unwrap());
    assert_eq!(
        refused(create(&bench.one).await),
        (QuotaMeter::Sessions, 1, 1)
    );
    bench.env.advance_ms(101);
    create(&bench.one)
        .await
        .expect("nothing was stored after all");
}

#[tokio::test]
async fn what_another_process_took_is_known_after_five_seconds() {
    let bench = Bench::new();
    bench.limit(Some(2), None).await;
    let stale = bench.other.admit_session(&tenant()).await.unwrap();
    stale.give_back();
    create(&bench.one).await.unwrap();
    create(&bench.one).await.unwrap();
    bench.env.advance_ms(5_000);
    bench
        .other
        .admit_session(&tenant())
        .await
        .expect("by a figure of five seconds ago")
        .give_back();
    bench.env.advance_ms(1);
    assert_eq!(
        refused(create(&bench.other).await),
        (QuotaMeter::Sessions, 2, 2)
    );
}

#[tokio::test]
async fn a_refusal_looks_again_whether_something_was_given_back() {
    let bench = Bench::new();
    bench.limit(None, Some(10)).await;
    let session = "s1".parse().unwrap();
    let stash = bench
        .one
        .stashes()
        .stash(&tenant(), &session)
        .execution(None);
    let key: Key = "k".parse().unwrap();
    let admission = bench.one.admit_bytes(&tenant(), 10).await.unwrap();
    stash.put(&key, "12345678", None).await.unwrap();
    admission.keep();
    assert_eq!(bench.one.usage(&tenant()).await.unwrap().stash_bytes, 10);
    let more = async || bench.one.admit_bytes(&tenant(), 1).await.map(drop);
    assert_eq!(refused(more().await), (QuotaMeter::StashBytes, 10, 10));
    stash.delete(&key).await.unwrap();
    assert_eq!(
        refused(more().await),
        (QuotaMeter::StashBytes, 10, 10),
        "at once"
    );
    bench.env.advance_ms(101);
    more().await.expect("it was deleted");
}

#[tokio::test]
async fn a_tenant_without_a_quota_costs_one_look_a_second() {
    let bench = Bench::new();
    let before = bench.counting.counts();
    for _ in 0..100 {
        bench.one.admit_session(&tenant()).await.unwrap().keep();
        bench
            .one
            .admit_bytes(&tenant(), u64::MAX)
            .await
            .unwrap()
            .keep();
    }
    assert_eq!((bench.counting.counts() - before).reads, 1);
    bench.env.advance_ms(1_001);
    drop(bench.one.admit_session(&tenant()).await.unwrap());
    assert_eq!((bench.counting.counts() - before).reads, 2);
}

#[tokio::test]
async fn a_changed_quota_holds_at_once_where_a_hint_comes_and_else_after_a_second() {
    let bench = Bench::new();
    drop(bench.one.admit_session(&tenant()).await.unwrap());
    drop(bench.other.admit_session(&tenant()).await.unwrap());
    bench.limit(Some(0), None).await;
    assert_eq!(
        refused(create(&bench.one).await),
        (QuotaMeter::Sessions, 0, 0)
    );
    drop(
        bench
            .other
            .admit_session(&tenant())
            .await
            .expect("nobody told it"),
    );
    bench.env.advance_ms(1_001);
    assert_eq!(
        refused(create(&bench.other).await),
        (QuotaMeter::Sessions, 0, 0)
    );
}

#[tokio::test]
async fn an_erased_tenant_is_admitted_nothing() {
    let bench = Bench::new();
    create(&bench.one).await.unwrap();
    bench
        .one
        .tenants()
        .erase(&tenant(), &mut |_| {})
        .await
        .unwrap();
    let status = bench.one.tenants().status(&tenant()).await.unwrap();
    assert_eq!(status, Status::Erased);
    let refused = create(&bench.one).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.kind()),
        ("tenant_not_active", ErrorKind::Refused)
    );
}

#[tokio::test]
async fn more_tenants_than_are_remembered_all_keep_their_limits() {
    let bench = Bench::new();
    bench.limit(Some(1), None).await;
    let held = bench.one.admit_session(&tenant()).await.unwrap();
    for number in 0..2_500 {
        let other: TenantId = format!("t{number}").parse().unwrap();
        bench.one.admit_session(&other).await.unwrap().give_back();
    }
    assert_eq!(
        refused(create(&bench.one).await),
        (QuotaMeter::Sessions, 1, 1),
        "it is held"
    );
    held.give_back();
    create(&bench.one).await.unwrap();
    assert_eq!(
        refused(create(&bench.one).await),
        (QuotaMeter::Sessions, 1, 1)
    );
}

#[tokio::test]
async fn usage_adds_up_over_agents_and_stashes_and_over_nobody_elses() {
    let bench = Bench::new();
    for (name, agents) in [("a", 3), ("a.b", 2), ("ab", 1), ("a-", 4)] {
        let caller = Caller::new(name.parse().unwrap(), "runtime".parse().unwrap());
        for number in 0..agents * 2 {
            let agent = format!("agent-{}", number % agents).parse().unwrap();
            let made = bench
                .one
                .sessions()
                .create(&caller, Create::new(agent, "look around"));
            let session = made.await.unwrap();
            let stash = bench
                .one
                .stashes()
                .stash(&caller.tenant, &session.id)
                .execution(None);
            stash
                .put(&"k".parse().unwrap(), &"x".repeat(1_998), None)
                .await
                .unwrap();
        }
    }
    for (name, sessions) in [("a", 6), ("a.b", 4), ("ab", 2), ("a-", 8), ("b", 0)] {
        let usage = bench.other.usage(&name.parse().unwrap()).await.unwrap();
        let stash_bytes = sessions * 2_000;
        assert_eq!(
            usage,
            TenantUsage {
                sessions,
                stash_bytes
            },
            "{name}"
        );
    }
    let head = "a/agent/agent-1/head";
    let gone = windlass::store::Batch::new().delete(head);
    let _ = bench.one.store().commit(gone).await.unwrap();
    let failed = bench.one.usage(&"a".parse().unwrap()).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Corrupt, "{failed:?}");
}
