//! An agent's sessions together: its cap, its count, and closing them all.

use std::sync::Arc;

use futures_util::future::join_all;
use windlass_core::{Coded, ErrorKind};
use windlass_session::limits::{NAME_BYTES_MAX, PATTERNS_MAX};
use windlass_session::{Allow, Config, Create, SessionError, Sessions, Status};
use windlass_store::{Store, StoreErrorKind};
use windlass_store_testing::{Counting, Fault, Faulty, Moment, Pausing, Verb};

use crate::support::slow;
use crate::support::{
    HOUR, SECOND, World, agent, caller, close, code, operation, request, session_id,
};

async fn create_under(sessions: &Sessions, name: &str, cap: u64) -> Result<(), SessionError> {
    let request = request(|request| request.id = Some(session_id(name)));
    let created = sessions
        .create_under_cap(&caller(), request, Some(cap))
        .await;
    created.map(|_| ())
}

async fn count(sessions: &Sessions) -> u64 {
    let count = sessions.count_active(&caller(), &agent()).await;
    count.expect("a store that works")
}

#[tokio::test]
async fn the_cap_admits_exactly_so_many_active_sessions() {
    let world = World::new();
    for number in 0..3 {
        let created = create_under(&world.sessions, &format!("s{number}"), 3).await;
        created.expect("below the cap");
    }
    let refused = create_under(&world.sessions, "s3", 3).await.unwrap_err();
    assert!(
        matches!(
            refused,
            SessionError::TooManySessions { max: 3, current: 3 }
        ),
        "{refused:?}"
    );
    close(&world.sessions, "s1").await.expect("closed");
    create_under(&world.sessions, "s3", 3)
        .await
        .expect("one has gone");
    assert_eq!(count(&world.sessions).await, 3);
}

#[tokio::test]
async fn the_configured_cap_holds_where_none_is_given() {
    let world = World::with_config(Config {
        cap: 1,
        ..Config::default()
    });
    let create = |name: &'static str| {
        let request = request(|request| request.id = Some(session_id(name)));
        let sessions = world.sessions.clone();
        async move { sessions.create_under_cap(&caller(), request, None).await }
    };
    create("s1").await.expect("the first");
    assert_eq!(code(create("s2").await), "too_many_sessions");
    world
        .create(|request| request.id = Some(session_id("s3")))
        .await;
}

#[tokio::test]
async fn sessions_of_other_agents_and_tenants_do_not_count() {
    let world = World::new();
    create_under(&world.sessions, "s1", 1)
        .await
        .expect("the first");
    let other = request(|request| {
        request.id = Some(session_id("s2"));
        request.agent = "other".parse().expect("an identifier");
    });
    let created = world
        .sessions
        .create_under_cap(&caller(), other, Some(1))
        .await;
    created.expect("the first of its agent");
    let foreign = crate::support::caller_of("umbrella", "runtime");
    let created = world
        .sessions
        .create_under_cap(&foreign, request(|_| {}), Some(1));
    created.await.expect("the first of its tenant");
}

#[tokio::test]
async fn creations_at_once_never_pass_the_cap() {
    let world = World::new();
    let others = [1, 2, 3].map(|seed| world.over(slow(&world.ground, seed)));
    let creating = (0..30).map(|number| {
        let sessions = others[number % others.len()].clone();
        async move { create_under(&sessions, &format!("s{number}"), 7).await }
    });
    let answers = join_all(creating).await;
    let created = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(created, 7);
    assert_eq!(count(&world.sessions).await, 7);
    for refused in answers.into_iter().filter(Result::is_err) {
        assert_eq!(code(refused), "too_many_sessions");
    }
}

#[tokio::test]
async fn a_session_whose_budget_is_spent_stays_active_and_counts() {
    let world = World::new();
    create_under(&world.sessions, "s1", 1)
        .await
        .expect("the first");
    for _ in 0..10 {
        world.call("s1", "search").await.expect("granted");
    }
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
    assert_eq!(world.get("s1").await.status, Status::Active);
    let refused = create_under(&world.sessions, "s2", 1).await;
    assert_eq!(code(refused), "too_many_sessions");
}

#[tokio::test]
async fn creations_with_long_lists_at_once_all_fit() {
    let world = World::new();
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground)));
    let pausing = Arc::new(Pausing::new(Arc::clone(&counting)));
    let first = pausing.pause(Verb::Commit, Moment::Before);
    let sessions = world.over(pausing);
    let pattern = |number: usize| {
        let text = format!("{number:0>4}{}", "\"".repeat(NAME_BYTES_MAX - 4));
        text.parse().expect("a pattern")
    };
    let list = Allow::Only((0..PATTERNS_MAX).map(pattern).collect());
    let creating = (0..40).map(|number| {
        let request = request(|request: &mut Create| {
            request.id = Some(session_id(&format!("s{number}")));
            request.tools = list.clone();
            request.credentials = list.clone();
        });
        let sessions = sessions.clone();
        async move { sessions.create(&caller(), request).await.map(|_| ()) }
    });
    // The others come while the first one's commit is held.
    let (created, ()) = tokio::join!(join_all(creating), async {
        first.reached().await.release();
    });
    for created in created {
        created.expect("created");
    }
    let commits = counting.counts().commits;
    assert!((3..15).contains(&commits), "{commits} commits");
}

/// So many active sessions of the agent, made quickly.
async fn with_sessions(number: usize) -> World {
    let world = World::new();
    let creating = (0..number).map(|number| {
        let request = request(|request| request.id = Some(session_id(&format!("s{number:04}"))));
        let sessions = world.sessions.clone();
        async move { sessions.create(&caller(), request).await.map(|_| ()) }
    });
    for created in join_all(creating).await {
        created.expect("created");
    }
    world
}

#[tokio::test]
async fn closing_an_agent_takes_bounded_commits_and_can_be_repeated() {
    let world = with_sessions(1_000).await;
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&counting) as Arc<dyn Store>);
    let closed = sessions.close_agent(&caller(), &agent()).await;
    assert_eq!(closed.expect("closed"), 1_000);
    assert_eq!(counting.counts().commits, 1_000_u64.div_ceil(32));
    let again = sessions.close_agent(&caller(), &agent()).await;
    assert_eq!(again.expect("nothing left"), 0);
    assert_eq!(count(&world.sessions).await, 0);
    assert_eq!(world.get("s0999").await.status, Status::Closed);
}

#[tokio::test]
async fn closing_an_agent_says_how_many_are_stored_after_a_failure() {
    let world = with_sessions(100).await;
    let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
    faulty.plan(Fault {
        verb: Some(Verb::Commit),
        number: 3,
        moment: Moment::Before,
        kind: StoreErrorKind::Unavailable,
    });
    let sessions = world.over(faulty);
    let failed = sessions.close_agent(&caller(), &agent()).await;
    let failed = failed.expect_err("the third commit fails");
    assert_eq!(failed.closed, 64);
    assert_eq!(failed.cause.kind(), ErrorKind::Unavailable);
    assert_eq!(count(&world.sessions).await, 36);
    let rest = sessions.close_agent(&caller(), &agent()).await;
    assert_eq!(rest.expect("closed"), 36);
}

#[tokio::test]
async fn closing_an_agent_leaves_ended_and_foreign_sessions_alone() {
    let world = World::new();
    for (name, ms) in [("s1", HOUR), ("s2", HOUR), ("s3", SECOND)] {
        let edit = |request: &mut Create| {
            request.id = Some(session_id(name));
            request.time_limit_ms = ms;
        };
        world.create(edit).await;
    }
    let other = |request: &mut Create| {
        request.id = Some(session_id("s4"));
        request.agent = "other".parse().expect("an identifier");
    };
    world.create(other).await;
    close(&world.sessions, "s2").await.expect("closed");
    world.env.advance_ms(SECOND);
    let closed = world.sessions.close_agent(&caller(), &agent()).await;
    assert_eq!(closed.expect("closed"), 1);
    assert_eq!(world.get("s3").await.status, Status::Expired);
    assert_eq!(world.get("s4").await.status, Status::Active);
}

#[tokio::test]
async fn a_damaged_session_keeps_none_of_the_others_open() {
    let world = with_sessions(70).await;
    world.put("acme/session/s0000/head", "{}").await;
    world.delete("acme/session/s0040/head").await;
    world.delete("acme/session/s0040/spec").await;
    let failed = world.sessions.close_agent(&caller(), &agent()).await;
    let failed = failed.expect_err("one cannot be read");
    assert_eq!(
        (failed.closed, failed.cause.kind()),
        (68, ErrorKind::Corrupt)
    );
    for number in [1, 39, 41, 69] {
        let status = world.get(&format!("s{number:04}")).await.status;
        assert_eq!(status, Status::Closed, "{number}");
    }
}

#[tokio::test]
async fn closing_an_agent_while_its_sessions_are_closed_counts_each_once() {
    let world = with_sessions(60).await;
    let (one, other) = (world.reopen(), world.reopen());
    let (caller, agent) = (caller(), agent());
    let singly = async {
        let mut closed = 0;
        for number in (0..60).rev() {
            let id = session_id(&format!("s{number:04}"));
            let answer = one.close(&caller, &id, Some(operation(&format!("o{number}"))));
            closed += u64::from(answer.await.is_ok());
            tokio::task::yield_now().await;
        }
        closed
    };
    let (singly, together) = tokio::join!(singly, other.close_agent(&caller, &agent));
    assert_eq!(singly + together.expect("closed"), 60);
    assert_eq!(count(&world.sessions).await, 0);
}
