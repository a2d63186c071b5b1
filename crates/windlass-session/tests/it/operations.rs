//! Operation ids: the same id gives the first answer and takes effect once.

use std::sync::Arc;

use futures_util::future::join_all;
use windlass_core::{Coded, ErrorKind};
use windlass_session::limits::OPERATION_MS;
use windlass_session::{
    Agent, Caller, Charge, Config, Left, Outcome, Receipt, Session, SessionError, Sessions, Settle,
    TopUp, Use, UseItem,
};
use windlass_store::{Store, StoreErrorKind};
use windlass_store_testing::{Fault, Faulty, Moment, Pausing, Verb};

use crate::support::{
    DAY, HOUR, World, call, caller, caller_of, close, code, operation, request, session_id,
    use_tools,
};

/// What can be done under an operation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Create,
    Use,
    Settle,
    TopUp,
    Close,
}

const DEEDS: [Deed; 5] = [
    Deed::Create,
    Deed::Use,
    Deed::Settle,
    Deed::TopUp,
    Deed::Close,
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Session(Box<Session>),
    Receipt(Receipt),
    Left(Left),
}

/// What one deed asks, to be done by `caller` under `id`. With `other`, it
/// asks something else.
#[derive(Clone, Copy, Debug)]
struct Ask<'a> {
    deed: Deed,
    id: &'a str,
    other: bool,
}

impl<'a> Ask<'a> {
    const fn new(deed: Deed, id: &'a str) -> Self {
        let other = false;
        Self { deed, id, other }
    }

    async fn of(self, sessions: &Sessions) -> Result<Answer, SessionError> {
        self.by(sessions, &caller()).await
    }

    async fn by(self, sessions: &Sessions, caller: &Caller) -> Result<Answer, SessionError> {
        let (id, operation) = (session_id("s1"), Some(operation(self.id)));
        let session = |session: Session| Answer::Session(Box::new(session));
        match self.deed {
            Deed::Create => {
                let request = request(|request| {
                    request.operation = operation;
                    request.id = None;
                    request.budget.calls = if self.other { 9 } else { 10 };
                });
                sessions.create(caller, request).await.map(session)
            }
            Deed::Use => {
                let mut request = call(if self.other { "fetch" } else { "search" });
                request.operation = operation;
                let used = sessions.use_tools(caller, &id, request).await;
                used.map(Answer::Receipt)
            }
            Deed::Settle => {
                let request = Settle {
                    agent: Agent::Unchecked,
                    call: 1,
                    outcome: Outcome::Cost(Charge {
                        tokens: if self.other { 6 } else { 5 },
                        cost_micros: 0,
                    }),
                    operation,
                };
                let settled = sessions.settle(caller, &id, request).await;
                settled.map(Answer::Left)
            }
            Deed::TopUp => {
                let request = TopUp {
                    calls: if self.other { 2 } else { 1 },
                    operation,
                    ..TopUp::default()
                };
                sessions.top_up(caller, &id, request).await.map(session)
            }
            // There is nothing in it that could differ but the session.
            Deed::Close if self.other => {
                let id = session_id("s2");
                sessions.close(caller, &id, operation).await.map(session)
            }
            Deed::Close => sessions.close(caller, &id, operation).await.map(session),
        }
    }
}

/// Sessions `s1`, of whose 10 calls one is reserved, and `s2`.
async fn prepared() -> World {
    let world = World::new();
    for name in ["s1", "s2"] {
        world
            .create(|request| {
                request.id = Some(session_id(name));
                request.budget.tokens = Some(100);
            })
            .await;
    }
    let mut item = UseItem::new("search".parse().expect("a name"));
    item.charge.tokens = 50;
    item.reserve = true;
    let reserved = Use::batch(Agent::Unchecked, vec![item]);
    let used = use_tools(&world.sessions, "s1", reserved).await;
    assert_eq!(used.expect("granted").first_call, 1);
    world
}

/// How many sessions there are, and all figures of `s1`: what shows whether a
/// deed was done once or twice.
async fn effect(world: &World) -> (usize, Session) {
    let keys = world.keys().await;
    let heads = keys.iter().filter(|key| key.starts_with("acme/session/"));
    let heads = heads.filter(|key| key.ends_with("/head")).count();
    (heads, world.get("s1").await)
}

#[tokio::test]
async fn the_same_id_gives_the_first_answer_and_takes_effect_once() {
    for deed in DEEDS {
        let world = prepared().await;
        let first = Ask::new(deed, "o1").of(&world.sessions).await;
        let first = first.expect("granted");
        let done = effect(&world).await;
        world.env.advance_ms(1_000);
        let again = Ask::new(deed, "o1").of(&world.sessions).await;
        assert_eq!(again.expect("the first answer"), first, "{deed:?}");
        let elsewhere = Ask::new(deed, "o1").of(&world.reopen()).await;
        assert_eq!(elsewhere.expect("the first answer"), first, "{deed:?}");
        assert_eq!(effect(&world).await, done, "{deed:?}");
    }
}

#[tokio::test]
async fn the_first_answer_is_given_though_it_would_now_be_refused() {
    for deed in DEEDS {
        let world = prepared().await;
        let first = Ask::new(deed, "o1").of(&world.sessions).await;
        let first = first.expect("granted");
        while world.call("s1", "search").await.is_ok() {}
        let again = Ask::new(deed, "o1").of(&world.sessions).await;
        assert_eq!(
            again.expect("though the budget is spent"),
            first,
            "{deed:?}"
        );
        close(&world.sessions, "s1").await.ok();
        let again = Ask::new(deed, "o1").of(&world.reopen()).await;
        assert_eq!(again.expect("though it is closed"), first, "{deed:?}");
        world.env.advance_ms(HOUR);
        let again = Ask::new(deed, "o1").of(&world.reopen()).await;
        assert_eq!(again.expect("though its time is over"), first, "{deed:?}");
    }
}

#[tokio::test]
async fn the_same_id_for_another_request_is_a_conflict_and_does_nothing() {
    for deed in DEEDS {
        let world = prepared().await;
        Ask::new(deed, "o1")
            .of(&world.sessions)
            .await
            .expect("granted");
        let done = effect(&world).await;
        let other = Ask {
            other: true,
            ..Ask::new(deed, "o1")
        };
        for sessions in [world.sessions.clone(), world.reopen()] {
            assert_eq!(
                code(other.of(&sessions).await),
                "operation_conflict",
                "{deed:?}"
            );
        }
        for another in DEEDS.into_iter().filter(|another| *another != deed) {
            let answer = Ask::new(another, "o1").of(&world.sessions).await;
            assert_eq!(
                code(answer),
                "operation_conflict",
                "{deed:?}, then {another:?}"
            );
        }
        assert_eq!(effect(&world).await, done, "{deed:?}");
    }
}

#[tokio::test]
async fn the_same_id_of_another_principal_or_tenant_is_another_operation() {
    let world = prepared().await;
    let top_up = Ask::new(Deed::TopUp, "o1");
    top_up.of(&world.sessions).await.expect("granted");
    let colleague = caller_of("acme", "batch");
    top_up
        .by(&world.sessions, &colleague)
        .await
        .expect("its own");
    assert_eq!(world.get("s1").await.budget.calls.limit, Some(12));
    let foreign = caller_of("umbrella", "runtime");
    assert_eq!(
        code(top_up.by(&world.sessions, &foreign).await),
        "not_found"
    );
    let create = Ask::new(Deed::Create, "o1");
    create.by(&world.sessions, &foreign).await.expect("its own");
}

#[tokio::test]
async fn a_refused_request_leaves_its_id_unused() {
    let world = prepared().await;
    let mut request = call("search");
    request.operation = Some(operation("o1"));
    request.agent = Agent::Is("stranger".parse().expect("an identifier"));
    assert_eq!(
        code(use_tools(&world.sessions, "s1", request).await),
        "agent_mismatch"
    );
    Ask::new(Deed::Use, "o1")
        .of(&world.sessions)
        .await
        .expect("granted");
}

#[tokio::test]
async fn twice_in_one_group_the_id_takes_effect_once() {
    for deed in DEEDS {
        let world = prepared().await;
        let pausing = Arc::new(Pausing::new(Arc::clone(&world.ground)));
        let first = pausing.pause(Verb::Commit, Moment::Before);
        let sessions = world.over(pausing);
        let before = effect(&world).await.0;
        // One goes ahead, the others wait for the next run together.
        let asks = ["o0", "o1", "o1", "o2", "o1"].map(|id| match (deed, id) {
            (Deed::Settle | Deed::Close, "o0" | "o2") => Ask::new(Deed::TopUp, id),
            _ => Ask::new(deed, id),
        });
        let asking = asks.iter().map(|ask| ask.of(&sessions));
        let (answers, ()) = tokio::join!(join_all(asking), async {
            first.reached().await.release();
        });
        assert_eq!(
            answers[1].as_ref().ok(),
            answers[2].as_ref().ok(),
            "{deed:?}"
        );
        assert_eq!(
            answers[1].as_ref().ok(),
            answers[4].as_ref().ok(),
            "{deed:?}"
        );
        assert!(answers[1].is_ok(), "{deed:?}: {:?}", answers[1]);
        let (sessions, session) = effect(&world).await;
        let created = if deed == Deed::Create { 3 } else { 0 };
        assert_eq!(sessions, before + created, "{deed:?}");
        let calls = if deed == Deed::Use { 4 } else { 1 };
        assert_eq!(session.calls_made, calls, "{deed:?}");
    }
}

/// Fails the `number`-th call of `verb`.
const fn fault(verb: Verb, number: u64, moment: Moment, kind: StoreErrorKind) -> Fault {
    let verb = Some(verb);
    Fault {
        verb,
        number,
        moment,
        kind,
    }
}

#[tokio::test]
async fn after_an_unknown_outcome_the_id_tells_and_takes_effect_once() {
    for deed in DEEDS {
        for moment in [Moment::Before, Moment::After] {
            let world = prepared().await;
            let once = prepared().await;
            let expected = Ask::new(deed, "o1").of(&once.sessions).await;
            let expected = expected.expect("granted");

            let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
            let sessions = world.over(Arc::clone(&faulty) as Arc<dyn Store>);
            // The first commit is lost from sight, and so is the look after it.
            let reads = if deed == Deed::Close { 3 } else { 2 };
            faulty.plan(fault(
                Verb::Commit,
                1,
                moment,
                StoreErrorKind::Indeterminate,
            ));
            faulty.plan(fault(
                Verb::Read,
                reads,
                Moment::Before,
                StoreErrorKind::Unavailable,
            ));
            let unknown = Ask::new(deed, "o1").of(&sessions).await;
            let unknown = unknown.expect_err("nobody can know");
            assert_eq!(
                unknown.kind(),
                ErrorKind::Indeterminate,
                "{deed:?} {moment:?}"
            );
            assert_eq!(faulty.hits(), 2, "{deed:?} {moment:?}");

            for sessions in [sessions, world.reopen()] {
                let answer = Ask::new(deed, "o1").of(&sessions).await.expect("done");
                if deed != Deed::Create {
                    assert_eq!(answer, expected, "{deed:?} {moment:?}");
                }
            }
            assert_eq!(
                effect(&world).await.0,
                effect(&once).await.0,
                "{deed:?} {moment:?}"
            );
            assert_eq!(
                effect(&world).await.1,
                effect(&once).await.1,
                "{deed:?} {moment:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_cleared_up_where_the_store_can_be_read() {
    for deed in DEEDS {
        for moment in [Moment::Before, Moment::After] {
            let world = prepared().await;
            let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
            faulty.plan(fault(
                Verb::Commit,
                1,
                moment,
                StoreErrorKind::Indeterminate,
            ));
            let sessions = world.over(Arc::clone(&faulty) as Arc<dyn Store>);
            let before = effect(&world).await;
            Ask::new(deed, "o1")
                .of(&sessions)
                .await
                .expect("cleared up");
            assert_eq!(faulty.hits(), 1, "{deed:?} {moment:?}");
            let after = effect(&world).await;
            let used = after.1.budget.calls.used - before.1.budget.calls.used;
            assert_eq!(used, u64::from(deed == Deed::Use), "{deed:?} {moment:?}");
            let created = after.0 - before.0;
            assert_eq!(
                created,
                usize::from(deed == Deed::Create),
                "{deed:?} {moment:?}"
            );
        }
    }
}

fn operation_rows(keys: &[String]) -> usize {
    keys.iter()
        .filter(|key| key.starts_with("acme/op/"))
        .count()
}

#[tokio::test]
async fn ids_go_a_day_after_their_session_ended_and_the_session_stays() {
    let world = World::new();
    world
        .create(|request| {
            request.budget.calls = 10_000;
            request.operation = Some(operation("born"));
        })
        .await;
    // More than one commit of upkeep can drop.
    for number in 0..700 {
        let id = format!("o{number}");
        Ask::new(Deed::Use, &id)
            .of(&world.sessions)
            .await
            .expect("granted");
    }
    Ask::new(Deed::Close, "end")
        .of(&world.sessions)
        .await
        .expect("closed");
    assert_eq!(operation_rows(&world.keys().await), 702);

    world.env.advance_ms(OPERATION_MS - 1);
    let early = world.sessions.sweep(1_000).await.expect("swept");
    assert_eq!((early.operations_removed, early.scanned), (0, 0));
    assert_eq!(operation_rows(&world.keys().await), 702);

    world.env.advance_ms(1);
    let due = world.sessions.sweep(1_000).await.expect("swept");
    assert_eq!((due.operations_removed, due.truncated), (702, false));
    assert_eq!(operation_rows(&world.keys().await), 0);
    assert_eq!(world.history("s1").await.len(), 701);
    assert_eq!(
        code(Ask::new(Deed::Use, "o1").of(&world.sessions).await),
        "already_closed"
    );

    let again = world.sessions.sweep(1_000).await.expect("swept");
    assert_eq!(again.scanned, 0, "nothing is due before the retention ends");
    world.env.advance_ms(6 * DAY);
    let gone = world.sessions.sweep(1_000).await.expect("swept");
    assert_eq!((gone.removed, world.keys().await.len()), (1, 0));
}

#[tokio::test]
async fn ids_used_after_the_first_ones_went_go_with_the_session() {
    let world = World::with_config(Config {
        reservation_ms: DAY,
        ..Config::default()
    });
    world.create(|_| {}).await;
    world.env.advance_ms(HOUR - 1);
    let mut request = call("search");
    request.items[0].reserve = true;
    request.operation = Some(operation("o1"));
    use_tools(&world.sessions, "s1", request)
        .await
        .expect("granted");
    world.env.advance_ms(OPERATION_MS - 1);
    let marked = world.sessions.sweep(100).await.expect("swept");
    assert_eq!((marked.expired, marked.operations_removed), (1, 0));
    Ask::new(Deed::Settle, "o2")
        .of(&world.sessions)
        .await
        .expect("settled");
    assert_eq!(operation_rows(&world.keys().await), 2);
    world.env.advance_ms(2);
    let swept = world.sessions.sweep(100).await.expect("swept");
    assert_eq!(swept.operations_removed, 2);
    assert_eq!(operation_rows(&world.keys().await), 0);
}

#[tokio::test]
async fn a_session_without_ids_is_not_looked_at_before_its_retention_ends() {
    let world = World::new();
    world.create(|_| {}).await;
    close(&world.sessions, "s1").await.expect("closed");
    world.env.advance_ms(7 * DAY - 1);
    assert_eq!(world.sessions.sweep(100).await.expect("swept").scanned, 0);
    world.env.advance_ms(1);
    assert_eq!(world.sessions.sweep(100).await.expect("swept").removed, 1);
}
