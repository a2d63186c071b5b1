//! What a process that has the store alone shows without a read: what is
//! acknowledged, at once, and nothing that is not.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use futures_util::future::join_all;
use windlass_core::{Coded, Sharing};
use windlass_session::{Config, Session, Sessions, Status};
use windlass_store::{Batch, Commit, Expect, Scan, Store, StoreExt};
use windlass_store_testing::{
    Counting, Counts, Moment, Pausing, Random, Slow, Strict, StrictOptions, Verb,
};

use crate::late::Late;
use crate::support::{
    HOUR, SECOND, World, agent, call, caller, caller_of, close, code, delegate, delegation, get,
    session_id, top_up, use_tools,
};

/// A world whose process has the store to itself.
fn alone() -> World {
    World::with_config(Config {
        sharing: Sharing::Exclusive,
        retention_ms: 0,
        ..Config::default()
    })
}

/// The process of a world, over what counts its calls.
fn counted(world: &World) -> (Arc<Counting<dyn Store>>, Sessions) {
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground) as Arc<dyn Store>));
    let sessions = world.over(Arc::clone(&counting) as Arc<dyn Store>);
    (counting, sessions)
}

async fn shown(sessions: &Sessions, id: &str) -> Session {
    let found = get(sessions, id).await.expect("a readable session");
    found.expect("a session that exists")
}

/// What is stored, as nobody remembers it.
async fn truth(world: &World, id: &str) -> Session {
    shown(&world.reopen(), id).await
}

/// What is shown, which costs no call of the store.
async fn known(counting: &Counting<dyn Store>, sessions: &Sessions, id: &str) -> Session {
    let before = counting.counts();
    let session = shown(sessions, id).await;
    assert_eq!(counting.counts() - before, Counts::default(), "{session:?}");
    session
}

/// Polls a future once and leaves it.
fn touch<F: Future>(future: std::pin::Pin<&mut F>) {
    let polled = future.poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "it was to wait");
}

#[tokio::test]
async fn what_was_read_once_is_shown_without_a_read_whatever_is_acknowledged() {
    let world = alone();
    let (counting, sessions) = counted(&world);
    world.create(|_| {}).await;
    let first = shown(&sessions, "s1").await;
    assert_eq!(known(&counting, &sessions, "s1").await, first);
    for made in 1..=5 {
        use_tools(&sessions, "s1", call("search"))
            .await
            .expect("granted");
        let session = known(&counting, &sessions, "s1").await;
        assert_eq!((session.calls_made, session.revision), (made, made + 1));
        assert_eq!(session, truth(&world, "s1").await);
    }
    close(&sessions, "s1").await.expect("closed");
    let session = known(&counting, &sessions, "s1").await;
    assert_eq!(session.status, Status::Closed);
    assert_eq!(session, truth(&world, "s1").await);
}

#[tokio::test]
async fn what_is_known_is_shown_as_of_now_and_to_whom_it_is_open() {
    let world = alone();
    let (counting, sessions) = counted(&world);
    world
        .create(|request| request.time_limit_ms = 60 * SECOND)
        .await;
    assert_eq!(shown(&sessions, "s1").await.status, Status::Active);
    world.env.advance_ms(HOUR);
    let expired = known(&counting, &sessions, "s1").await;
    assert_eq!(expired.status, Status::Expired);
    let stranger = caller_of("acme", "somebody-else");
    let own = windlass_session::Caller::own(stranger.tenant, stranger.principal);
    let hidden = sessions.get(&own, &session_id("s1")).await;
    assert_eq!(hidden.expect("a readable store"), None);
    let elsewhere = caller_of("other", "runtime");
    let elsewhere = sessions.get(&elsewhere, &session_id("s1")).await;
    assert_eq!(elsewhere.expect("a readable store"), None);
}

#[tokio::test]
async fn where_others_may_write_everything_is_read() {
    let world = World::new();
    let (counting, sessions) = counted(&world);
    world.create(|_| {}).await;
    shown(&sessions, "s1").await;
    let before = counting.counts();
    shown(&sessions, "s1").await;
    assert_eq!((counting.counts() - before).reads, 1);
}

#[tokio::test]
async fn while_a_commit_is_under_way_what_is_stored_is_shown() {
    for moment in [Moment::Before, Moment::After] {
        let world = alone();
        world.create(|_| {}).await;
        let pausing = Arc::new(Pausing::new(Arc::clone(&world.ground)));
        let sessions = world.over(Arc::clone(&pausing) as Arc<dyn Store>);
        shown(&sessions, "s1").await;
        let pause = pausing.pause(Verb::Commit, moment);
        let (granted, ()) = tokio::join!(use_tools(&sessions, "s1", call("search")), async {
            let held = pause.reached().await;
            // Of what has arrived nobody can be shown less from now on.
            let made = shown(&sessions, "s1").await.calls_made;
            assert_eq!(made, u64::from(moment == Moment::After), "{moment:?}");
            held.release();
        });
        granted.expect("granted");
        assert_eq!(shown(&sessions, "s1").await.calls_made, 1);
    }
}

#[tokio::test]
async fn a_read_that_a_commit_overtook_is_not_remembered() {
    let world = alone();
    world.create(|_| {}).await;
    let pausing = Arc::new(Pausing::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&pausing) as Arc<dyn Store>);
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("granted");
    sessions.forget(&caller().tenant, &session_id("s1"));
    let pause = pausing.pause(Verb::Read, Moment::After);
    let (old, ()) = tokio::join!(shown(&sessions, "s1"), async {
        let held = pause.reached().await;
        use_tools(&sessions, "s1", call("search"))
            .await
            .expect("granted");
        held.release();
    });
    assert_eq!(old.calls_made, 1);
    assert_eq!(shown(&sessions, "s1").await.calls_made, 2);
}

#[tokio::test]
async fn a_read_within_a_commit_is_not_remembered() {
    let world = alone();
    world.create(|_| {}).await;
    let pausing = Arc::new(Pausing::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&pausing) as Arc<dyn Store>);
    // Loads what the use needs, so that it only commits.
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("granted");
    let pause = pausing.pause(Verb::Commit, Moment::Before);
    let mut using = pin!(use_tools(&sessions, "s1", call("search")));
    touch(using.as_mut());
    let held = pause.reached().await;
    assert_eq!(shown(&sessions, "s1").await.calls_made, 1);
    // Behind the held commit another one gets through, through the same store.
    let head = world.ground.get("acme/session/s1/head".into()).await;
    let head = head.expect("a store that works").expect("a head");
    let batch = Batch::new()
        .check(head.key.clone(), Expect::Version(head.version))
        .delete(head.key);
    let gone = world
        .ground
        .commit(batch)
        .await
        .expect("a store that works");
    assert!(matches!(gone, Commit::Applied(_)), "{gone:?}");
    let torn = get(&sessions, "s1").await.expect_err("a spec alone");
    assert_eq!(torn.code(), "corrupt_record");
    held.release();
    assert_eq!(code(using.await), "corrupt_record");
}

#[tokio::test]
async fn a_commit_in_doubt_that_arrives_late_is_shown() {
    let world = alone();
    let late = Late::new(&world.ground, &world.env);
    let sessions = world.over(Arc::clone(&late) as Arc<dyn Store>);
    world.create(|request| request.budget.calls = 1).await;
    shown(&sessions, "s1").await;
    // The budget is spent by what is in doubt, or not at all: the time of the
    // session is over before it could be tried again.
    late.hold(HOUR * 24);
    let unknown = use_tools(&sessions, "s1", call("search")).await;
    assert_eq!(code(unknown), "store_indeterminate");
    assert_eq!(shown(&sessions, "s1").await.calls_made, 0);
    assert_eq!(shown(&sessions, "s1").await.calls_made, 0);
    let arrived = late.arrive().await;
    assert!(matches!(arrived, Commit::Applied(_)), "{arrived:?}");
    assert_eq!(shown(&sessions, "s1").await.calls_made, 1);
}

#[tokio::test]
async fn after_a_doubt_is_settled_what_is_known_is_shown_again() {
    let world = alone();
    let late = Late::new(&world.ground, &world.env);
    let counting: Arc<Counting<dyn Store>> =
        Arc::new(Counting::new(Arc::clone(&late) as Arc<dyn Store>));
    let sessions = world.over(Arc::clone(&counting) as Arc<dyn Store>);
    world.create(|_| {}).await;
    shown(&sessions, "s1").await;
    late.hold_until_the_next();
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("granted");
    assert_eq!(shown(&sessions, "s1").await.calls_made, 1);
    assert_eq!(known(&counting, &sessions, "s1").await.calls_made, 1);
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_any_more_is_not_passed_over() {
    let world = alone();
    world.create(|_| {}).await;
    let pausing = Arc::new(Pausing::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&pausing) as Arc<dyn Store>);
    shown(&sessions, "s1").await;
    let pause = pausing.pause(Verb::Commit, Moment::Before);
    {
        let (caller, agent) = (caller(), agent());
        let mut closing = pin!(sessions.close_agent(&caller, &agent));
        touch(closing.as_mut());
        let held = pause.reached().await;
        drop(held);
    }
    // As if what was dropped had been on its way to the store.
    assert_eq!(shown(&sessions, "s1").await.status, Status::Active);
    let other = world.reopen();
    close(&other, "s1").await.expect("closed");
    assert_eq!(shown(&sessions, "s1").await.status, Status::Closed);
}

#[tokio::test]
async fn what_is_written_past_the_cells_is_seen_at_once() {
    let world = alone();
    let (counting, sessions) = counted(&world);
    for name in ["s1", "s2"] {
        world
            .create(|request| request.id = Some(session_id(name)))
            .await;
        shown(&sessions, name).await;
    }
    let child = delegate(&sessions, "s1", delegation("c1", |_| {}));
    child.await.expect("delegated");
    let parent = known(&counting, &sessions, "s1").await;
    assert_eq!((parent.budget.calls.lent, parent.revision), (2, 2));
    use_tools(&sessions, "c1", call("search"))
        .await
        .expect("granted");
    assert_eq!(shown(&sessions, "c1").await.calls_made, 1);
    // Spending it all makes the parent take back what its child left.
    world.env.advance_ms(60 * SECOND);
    for _ in 0..9 {
        use_tools(&sessions, "s1", call("search"))
            .await
            .expect("granted");
    }
    let parent = known(&counting, &sessions, "s1").await;
    assert_eq!(
        (parent.budget.calls.used, parent.budget.calls.lent),
        (10, 0)
    );
    let closed = sessions.close_agent(&caller(), &agent()).await;
    assert_eq!(closed.expect("closed"), 2);
    for name in ["s1", "s2"] {
        assert_eq!(shown(&sessions, name).await.status, Status::Closed);
    }
    assert_eq!(shown(&sessions, "c1").await.status, Status::Expired);
    world.env.advance_ms(24 * HOUR);
    let swept = sessions.sweep(100).await.expect("swept");
    assert_eq!(swept.removed, 3, "{swept:?}");
    for name in ["s1", "s2", "c1"] {
        assert_eq!(get(&sessions, name).await.expect("readable"), None);
    }
}

#[tokio::test]
async fn a_session_below_others_is_always_read() {
    let world = alone();
    let (counting, sessions) = counted(&world);
    world.create(|_| {}).await;
    let child = delegate(&sessions, "s1", delegation("c1", |_| {}));
    child.await.expect("delegated");
    shown(&sessions, "c1").await;
    close(&sessions, "s1").await.expect("closed");
    let before = counting.counts();
    let ended = shown(&sessions, "c1").await;
    assert_eq!(ended.status, Status::Closed);
    assert_eq!(ended.ended_through, Some(session_id("s1")));
    assert_eq!((counting.counts() - before).reads, 2);
}

#[tokio::test]
async fn whoever_writes_through_the_same_store_is_noticed() {
    let world = alone();
    let (_, sessions) = counted(&world);
    world.create(|_| {}).await;
    shown(&sessions, "s1").await;
    let store = sessions.store();
    let erase = async |name: &str| {
        let batch = Batch::new().delete(format!("acme/session/s1/{name}"));
        let erased = store.commit(batch).await.expect("a store that works");
        assert!(matches!(erased, Commit::Applied(_)), "{erased:?}");
    };
    erase("spec").await;
    assert_eq!(code(get(&sessions, "s1").await), "corrupt_record");
    erase("head").await;
    assert_eq!(get(&sessions, "s1").await.expect("readable"), None);
}

#[tokio::test]
async fn whoever_writes_past_the_store_has_to_say_so() {
    let world = alone();
    let (_, sessions) = counted(&world);
    world.create(|request| request.budget.calls = 1).await;
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("granted");
    top_up(&world.sessions, "s1", 5).await.expect("raised");
    sessions.forget(&caller().tenant, &session_id("s1"));
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("topped up");
    assert_eq!(shown(&sessions, "s1").await, truth(&world, "s1").await);
}

#[tokio::test]
async fn nothing_is_shown_of_a_closed_store() {
    let world = alone();
    let (_, sessions) = counted(&world);
    world.create(|_| {}).await;
    shown(&sessions, "s1").await;
    sessions.store().close().await.expect("closed");
    assert_eq!(code(get(&sessions, "s1").await), "store_closed");
}

#[tokio::test]
async fn a_refusal_after_an_acknowledged_change_knows_of_it_whoever_made_it() {
    let world = alone();
    world.create(|request| request.budget.calls = 1).await;
    let pausing = Arc::new(Pausing::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&pausing) as Arc<dyn Store>);
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("granted");
    let pause = pausing.pause(Verb::Commit, Moment::Before);
    let (raised, ()) = tokio::join!(top_up(&sessions, "s1", 5), async {
        let held = pause.reached().await;
        // What drives the session is dropped from memory, as by upkeep, and
        // its successor learns what is stored before the change arrives.
        sessions.forget(&caller().tenant, &session_id("s1"));
        let refused = use_tools(&sessions, "s1", call("search")).await;
        assert_eq!(code(refused), "budget_exceeded");
        held.release();
    });
    raised.expect("raised");
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("what was acknowledged counts");
}

const SESSIONS: usize = 3;
const SEEDS: &[u64] = &[1, 2, 0x5e77_1ed0];

/// What was acknowledged of each session, as its revision.
#[derive(Default)]
struct Acknowledged([AtomicU64; SESSIONS]);

impl Acknowledged {
    fn of(&self, session: usize) -> u64 {
        self.0[session].load(Ordering::SeqCst)
    }

    fn note(&self, session: usize, revision: u64) {
        self.0[session].fetch_max(revision, Ordering::SeqCst);
    }
}

/// One caller of many: uses, raises, reads and forgets, and says what of it
/// contradicts what was said before.
async fn act(sessions: &Sessions, acknowledged: &Acknowledged, seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let mut compared = 0;
    for _ in 0..60 {
        let session = random.below(SESSIONS);
        let name = format!("s{session}");
        let before = acknowledged.of(session);
        match random.below(8) {
            0 => drop(use_tools(sessions, &name, call("search")).await),
            1 => {
                if let Ok(raised) = top_up(sessions, &name, 1).await {
                    acknowledged.note(session, raised.revision);
                }
            }
            2 => drop(sessions.sweep(3).await),
            _ => {
                if let Ok(found) = get(sessions, &name).await {
                    let found = found.expect("a session that exists");
                    let seen = format!("seed {seed:#x}: {} after {before}", found.revision);
                    assert!(found.revision >= before, "{seen}");
                    acknowledged.note(session, found.revision);
                    compared += 1;
                }
            }
        }
    }
    compared
}

async fn play(seed: u64) {
    let world = alone();
    for number in 0..SESSIONS {
        world
            .create(|request| {
                request.id = Some(session_id(&format!("s{number}")));
                request.budget.calls = 40;
            })
            .await;
    }
    let failing = Strict::new(Arc::clone(&world.ground), StrictOptions::ALL);
    let sessions = world.over(Arc::new(Slow::new(Arc::new(failing), seed)));
    let acknowledged = Acknowledged::default();
    let callers = (0..16).map(|number| act(&sessions, &acknowledged, seed ^ (number << 32)));
    let compared: u64 = join_all(callers).await.iter().sum();
    assert!(compared > 100, "seed {seed:#x}: {compared}");
    for number in 0..SESSIONS {
        let name = format!("s{number}");
        let truth = truth(&world, &name).await;
        assert!(truth.revision >= acknowledged.of(number), "seed {seed:#x}");
        for _ in 0..16 {
            // Failing reads are tried again until one does not fail.
            if let Ok(found) = get(&sessions, &name).await {
                assert_eq!(found, Some(truth.clone()), "seed {seed:#x}");
            }
        }
    }
}

#[tokio::test]
async fn whatever_fails_no_reader_is_shown_less_than_one_before() {
    let fresh = RandomState::new().build_hasher().finish() >> 1;
    for seed in SEEDS.iter().copied().chain([fresh]) {
        play(seed).await;
    }
}

#[tokio::test]
async fn scans_and_exports_go_to_the_store_itself() {
    let world = alone();
    let (_, sessions) = counted(&world);
    world.create(|_| {}).await;
    let store = sessions.store();
    let key = "acme/session/s1/head";
    let pages = store.read(&[Scan::point(key)]).await;
    let pages = pages.expect("a store that works");
    assert_eq!(pages[0].entries.len(), 1);
    let all = store.scan_all(windlass_store::KeyRange::all()).await;
    assert_eq!(all.expect("a store that works"), world.rows().await);
}
