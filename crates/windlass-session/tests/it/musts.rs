//! Faults that systems of this kind really have: memory that runs ahead of
//! the store, and sessions that count though their time is over.

use std::sync::Arc;

use windlass_core::{Coded, ErrorKind};
use windlass_session::{Agent, Create, SessionError, Sessions, Status};
use windlass_store::{Store, StoreErrorKind};
use windlass_store_testing::{Fault, Faulty, Moment, Verb};

use crate::support::{
    HOUR, SECOND, World, agent, call, caller, close, code, get, request, session_id, top_up,
    use_tools,
};

/// What a commit can fail with so that nothing has happened.
const HARMLESS: [StoreErrorKind; 3] = [
    StoreErrorKind::Unavailable,
    StoreErrorKind::Environment,
    StoreErrorKind::Closed,
];

/// Sessions of which the next commit fails before the store sees it.
fn failing(world: &World, kind: StoreErrorKind) -> Sessions {
    let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
    faulty.plan(Fault {
        verb: Some(Verb::Commit),
        number: 1,
        moment: Moment::Before,
        kind,
    });
    world.over(faulty as Arc<dyn Store>)
}

fn kind<T: std::fmt::Debug>(answer: Result<T, SessionError>) -> ErrorKind {
    answer.expect_err("the store failed").kind()
}

const fn kept(kind: StoreErrorKind) -> ErrorKind {
    match kind {
        StoreErrorKind::Unavailable => ErrorKind::Unavailable,
        StoreErrorKind::Environment => ErrorKind::Environment,
        _ => ErrorKind::Closed,
    }
}

#[tokio::test]
async fn a_session_that_was_not_stored_is_not_returned() {
    for failure in HARMLESS {
        let world = World::new();
        let sessions = failing(&world, failure);
        let created = sessions.create(&caller(), request(|_| {})).await;
        assert_eq!(kind(created), kept(failure));
        assert_eq!(get(&sessions, "s1").await.expect("readable"), None);
        assert_eq!(
            code(use_tools(&sessions, "s1", call("search")).await),
            "not_found"
        );
        assert_eq!(world.keys().await, Vec::<String>::new());
        let again = sessions.create(&caller(), request(|_| {})).await;
        assert_eq!(again.expect("nothing was in its way").id, session_id("s1"));
    }
}

#[tokio::test]
async fn a_failed_write_burns_no_budget() {
    for failure in HARMLESS {
        let world = World::new();
        world.create(|request| request.budget.calls = 1).await;
        let sessions = failing(&world, failure);
        let used = use_tools(&sessions, "s1", call("search")).await;
        assert_eq!(kind(used), kept(failure));
        let seen = get(&sessions, "s1")
            .await
            .expect("readable")
            .expect("there");
        assert_eq!((seen.budget.calls.used, seen.calls_made), (0, 0));
        let receipt = use_tools(&sessions, "s1", call("search")).await;
        assert_eq!(receipt.expect("the budget is whole").first_call, 1);
    }
}

#[tokio::test]
async fn a_budget_that_was_not_stored_is_not_spent() {
    for failure in HARMLESS {
        let world = World::new();
        world.create(|request| request.budget.calls = 1).await;
        world.call("s1", "search").await.expect("granted");
        let sessions = failing(&world, failure);
        assert_eq!(kind(top_up(&sessions, "s1", 5).await), kept(failure));
        assert_eq!(
            code(use_tools(&sessions, "s1", call("search")).await),
            "budget_exceeded"
        );
    }
}

#[tokio::test]
async fn a_close_that_was_not_stored_is_not_reported_and_does_not_come_back() {
    for failure in HARMLESS {
        let world = World::new();
        world.create(|_| {}).await;
        let sessions = failing(&world, failure);
        assert_eq!(kind(close(&sessions, "s1").await), kept(failure));
        for sessions in [sessions.clone(), world.reopen()] {
            let seen = get(&sessions, "s1")
                .await
                .expect("readable")
                .expect("there");
            assert_eq!(seen.status, Status::Active);
        }
        use_tools(&sessions, "s1", call("search"))
            .await
            .expect("it is open");
        let closed = close(&sessions, "s1").await.expect("closed");
        assert_eq!(closed.status, Status::Closed);
        for sessions in [sessions, world.reopen()] {
            let seen = get(&sessions, "s1")
                .await
                .expect("readable")
                .expect("there");
            assert_eq!(seen.status, Status::Closed, "also after a restart");
            assert_eq!(code(close(&sessions, "s1").await), "already_closed");
        }
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_never_called_a_failure() {
    for moment in [Moment::Before, Moment::After] {
        let world = World::new();
        world.create(|_| {}).await;
        let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
        for (verb, number, moment, kind) in [
            (Verb::Commit, 1, moment, StoreErrorKind::Indeterminate),
            // The look at the head that would have cleared it up.
            (Verb::Read, 2, Moment::Before, StoreErrorKind::Unavailable),
        ] {
            let verb = Some(verb);
            faulty.plan(Fault {
                verb,
                number,
                moment,
                kind,
            });
        }
        let sessions = world.over(faulty as Arc<dyn Store>);
        let used = use_tools(&sessions, "s1", call("search")).await;
        assert_eq!(kind(used), ErrorKind::Indeterminate, "{moment:?}");
        let made = u64::from(moment == Moment::After);
        let seen = get(&sessions, "s1")
            .await
            .expect("readable")
            .expect("there");
        assert_eq!(seen.calls_made, made, "memory follows the store");
        let receipt = use_tools(&sessions, "s1", call("search")).await;
        assert_eq!(receipt.expect("granted").first_call, made + 1);
    }
}

#[tokio::test]
async fn expired_sessions_never_count_under_the_cap_swept_or_not() {
    for swept in [false, true] {
        let world = World::new();
        let under_cap = |name: &'static str| {
            let request = request(|request: &mut Create| {
                request.id = Some(session_id(name));
                request.time_limit_ms = SECOND;
            });
            let sessions = world.sessions.clone();
            async move { sessions.create_under_cap(&caller(), request, Some(2)).await }
        };
        for name in ["s1", "s2"] {
            under_cap(name).await.expect("under the cap");
        }
        world.env.advance_ms(SECOND - 1);
        assert_eq!(code(under_cap("s3").await), "too_many_sessions");
        world.env.advance_ms(1);
        if swept {
            let report = world.sessions.sweep(10).await.expect("swept");
            assert_eq!(report.expired, 2);
        }
        let count = world.sessions.count_active(&caller(), &agent()).await;
        assert_eq!(count.expect("a store that works"), 0);
        for name in ["s3", "s4"] {
            under_cap(name).await.expect("under the cap");
        }
        assert_eq!(code(under_cap("s5").await), "too_many_sessions");
    }
}

#[tokio::test]
async fn two_processes_never_spend_a_budget_of_five_as_ten() {
    let world = World::new();
    world.create(|request| request.budget.calls = 5).await;
    let processes = [world.reopen(), world.reopen()];
    // Both remember the session as it is now.
    for sessions in &processes {
        let mut request = call("search");
        request.agent = Agent::Is("stranger".parse().expect("an identifier"));
        assert_eq!(
            code(use_tools(sessions, "s1", request).await),
            "agent_mismatch"
        );
    }
    let mut granted = 0;
    for number in 0..20 {
        let used = use_tools(&processes[number % 2], "s1", call("search")).await;
        granted += u64::from(used.is_ok());
    }
    assert_eq!(granted, 5);
    assert_eq!(world.get("s1").await.budget.calls.used, 5);
}

#[tokio::test]
async fn a_session_in_use_when_its_time_ends_is_refused_from_then_on() {
    let world = World::new();
    world.create(|_| {}).await;
    world.call("s1", "search").await.expect("granted");
    world.env.advance_ms(HOUR);
    for sessions in [world.sessions.clone(), world.reopen()] {
        assert_eq!(
            code(use_tools(&sessions, "s1", call("search")).await),
            "expired"
        );
    }
}
