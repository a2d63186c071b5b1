//! What a delegated session may be given, and what it is then.

use windlass_core::Coded;
use windlass_session::{
    Agent, Allow, Charge, Delegate, Excess, Funding, Meter, Outcome, Sensitivity, SessionError,
    Settle, Status, What,
};

use crate::support::{
    HOUR, SECOND, World, agent, call, caller, code, delegate, delegation, get, operation,
    session_id, top_up, use_tools,
};

/// A parent that limits everything.
async fn limited() -> World {
    let world = World::new();
    world
        .create(|request| {
            request.tools = Allow::only(["search", "fetch_*"]).expect("patterns");
            request.credentials = Allow::only(["github"]).expect("patterns");
            request.ceiling = Sensitivity::Internal;
            request.budget.tokens = Some(100);
            request.chain = vec!["boss".parse().expect("an identifier")];
        })
        .await;
    world
}

/// A child that is as wide as `limited` lets it be.
fn widest(edit: impl FnOnce(&mut Delegate)) -> Delegate {
    delegation("s2", |request| {
        request.child.tools = Allow::only(["fetch_*", "search"]).expect("patterns");
        request.child.credentials = Allow::only(["github"]).expect("patterns");
        request.child.ceiling = Sensitivity::Internal;
        request.child.time_limit_ms = HOUR;
        request.child.budget.calls = 10;
        request.child.budget.tokens = Some(100);
        edit(request);
    })
}

type Case = (fn(&mut Delegate), Excess);

const BUDGET: fn(Meter, u64) -> Excess = |meter, max| Excess::Budget { meter, max };

fn refusals() -> Vec<Case> {
    vec![
        (|it| it.child.tools = Allow::All, Excess::Tools),
        (
            |it| it.child.tools = Allow::only(["fetch*"]).expect("a pattern"),
            Excess::Tools,
        ),
        (|it| it.child.credentials = Allow::All, Excess::Credentials),
        (
            |it| it.child.ceiling = Sensitivity::Confidential,
            Excess::Ceiling,
        ),
        (
            |it| it.child.time_limit_ms = HOUR + 1,
            Excess::TimeLimit { max_ms: HOUR },
        ),
        (|it| it.child.budget.calls = 11, BUDGET(Meter::Calls, 10)),
        (
            |it| it.child.budget.tokens = Some(101),
            BUDGET(Meter::Tokens, 100),
        ),
        (
            |it| it.child.budget.tokens = None,
            Excess::Unlimited {
                meter: Meter::Tokens,
            },
        ),
        (|it| it.child.chain = vec![agent(); 31], Excess::Chain),
        (
            |it| {
                it.funding = Funding::Shared;
                it.child.budget.calls = 11;
            },
            BUDGET(Meter::Calls, 10),
        ),
    ]
}

#[tokio::test]
async fn whatever_is_wider_than_the_parent_is_refused_by_name_and_leaves_nothing() {
    let world = limited().await;
    let before = world.rows().await;
    for (edit, expected) in refusals() {
        match delegate(&world.sessions, "s1", widest(edit)).await {
            Err(SessionError::DelegationRefused { why }) => assert_eq!(why, expected),
            other => panic!("{expected:?}: {other:?}"),
        }
    }
    assert_eq!(world.rows().await, before, "a refusal leaves nothing");
    let made = delegate(&world.sessions, "s1", widest(|_| {})).await;
    made.expect("exactly as wide as its parent");
}

#[tokio::test]
async fn more_than_the_parent_has_left_is_refused_with_what_it_has() {
    let world = limited().await;
    for _ in 0..3 {
        world.call("s1", "search").await.expect("granted");
    }
    let wide = |it: &mut Delegate| it.child.budget.calls = 8;
    let refused = delegate(&world.sessions, "s1", widest(wide)).await;
    match refused.unwrap_err() {
        SessionError::DelegationRefused { why } => assert_eq!(why, BUDGET(Meter::Calls, 7)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_who_may_use_the_parent_may_delegate() {
    let world = World::new();
    world.create(|_| {}).await;
    let stranger = delegation("s2", |it| {
        it.by = Agent::Is("stranger".parse().expect("an identifier"));
    });
    assert_eq!(
        code(delegate(&world.sessions, "s1", stranger).await),
        "agent_mismatch"
    );
    let nobody = delegate(&world.sessions, "s0", delegation("s2", |_| {})).await;
    assert_eq!(code(nobody), "not_found");
    world.env.advance_ms(HOUR);
    let late = delegate(&world.sessions, "s1", delegation("s2", |_| {})).await;
    assert_eq!(code(late), "expired");
    crate::support::close(&world.sessions, "s1")
        .await
        .expect("closed");
    let closed = delegate(&world.sessions, "s1", delegation("s2", |_| {})).await;
    assert_eq!(code(closed), "already_closed");
}

#[tokio::test]
async fn a_child_names_its_parents_and_its_chain_and_lasts_no_longer() {
    let world = limited().await;
    world.env.advance_ms(10 * SECOND);
    let child = delegate(
        &world.sessions,
        "s1",
        widest(|it| {
            it.ends_with_parent = true;
            it.child.agent = "helper".parse().expect("an identifier");
            it.child.chain = vec!["between".parse().expect("an identifier")];
        }),
    )
    .await
    .expect("within its parent");
    let parent = world.get("s1").await;
    assert_eq!(child.expires_at, parent.expires_at);
    assert_eq!(child.parent, Some(session_id("s1")));
    assert_eq!(child.above, [session_id("s1")]);
    let chain: Vec<&str> = child.chain.iter().map(|agent| agent.as_str()).collect();
    assert_eq!(chain, ["boss", "researcher", "between"]);
    assert_eq!(world.get("s2").await, child);
    let made = world.history("s1").await.pop().expect("an event").what;
    assert_eq!(
        made,
        What::Delegate {
            session: session_id("s2"),
            calls: 10,
            tokens: Some(100),
            cost_micros: None,
            shared: false,
        }
    );
}

#[tokio::test]
async fn at_most_five_sessions_are_above_one() {
    let world = World::new();
    world.line(6).await;
    let deepest = world.get("s6").await;
    assert_eq!(deepest.above.len(), 5);
    world.call("s6", "search").await.expect("five above");
    let refused = delegate(
        &world.sessions,
        "s6",
        delegation("s7", |it| it.child.budget.calls = 1),
    )
    .await;
    match refused.unwrap_err() {
        SessionError::DelegationRefused { why } => assert_eq!(why, Excess::Depth),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reserved_budget_is_set_aside_and_its_rest_returns_when_it_is_needed() {
    let world = World::new();
    world.create(|_| {}).await;
    world
        .delegate("s1", "s2", |it| it.child.budget.calls = 8)
        .await;
    let calls = world.get("s1").await.budget.calls;
    assert_eq!((calls.used, calls.lent, calls.left()), (0, 8, Some(2)));
    for _ in 0..3 {
        world.call("s2", "search").await.expect("its own budget");
    }
    for _ in 0..2 {
        world.call("s1", "search").await.expect("what is left");
    }
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
    crate::support::close(&world.sessions, "s2")
        .await
        .expect("closed");
    let receipt = world.call("s1", "search").await.expect("the rest is back");
    assert_eq!(receipt.left.calls, 4);
    let calls = world.get("s1").await.budget.calls;
    assert_eq!((calls.used, calls.lent), (6, 0));
}

#[tokio::test]
async fn the_rest_of_an_expired_child_is_spent_at_the_very_next_use() {
    let world = World::new();
    world.create(|_| {}).await;
    world
        .delegate("s1", "s2", |it| it.child.budget.calls = 10)
        .await;
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
    world.env.advance_ms(60 * SECOND);
    let receipt = world.call("s1", "search").await.expect("nothing was swept");
    assert_eq!(receipt.left.calls, 9);
    assert_eq!(code(world.call("s2", "search").await), "expired");
}

#[tokio::test]
async fn the_rest_of_a_whole_line_returns_to_who_is_left() {
    let world = World::new();
    world.line(5).await;
    world.call("s5", "search").await.expect("granted");
    crate::support::close(&world.sessions, "s2")
        .await
        .expect("closed");
    let receipt = world.call("s1", "search").await.expect("one was left");
    assert_eq!(receipt.left.calls, 0, "not asked for yet");
    let receipt = world.call("s1", "search").await.expect("all is back");
    assert_eq!(receipt.left.calls, 7);
}

#[tokio::test]
async fn a_refund_after_the_end_returns_too() {
    let world = World::new();
    world.line(3).await;
    let mut reserved = call("search");
    reserved.items[0].reserve = true;
    use_tools(&world.sessions, "s3", reserved)
        .await
        .expect("granted");
    crate::support::close(&world.sessions, "s2")
        .await
        .expect("closed");
    for _ in 0..9 {
        world.call("s1", "search").await.expect("nine are left");
    }
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
    let refund = Settle {
        agent: Agent::Unchecked,
        call: 1,
        outcome: Outcome::Refund,
        operation: None,
    };
    let (caller, id) = (caller(), session_id("s3"));
    let settled = world.sessions.settle(&caller, &id, refund).await;
    settled.expect("still open");
    world.call("s1", "search").await.expect("the refunded one");
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
}

#[tokio::test]
async fn a_reserved_child_is_topped_up_from_its_parent() {
    let world = World::new();
    world.create(|_| {}).await;
    world
        .delegate("s1", "s2", |it| it.child.budget.calls = 6)
        .await;
    assert_eq!(
        code(top_up(&world.sessions, "s2", 5).await),
        "budget_exceeded"
    );
    let raised = top_up(&world.sessions, "s2", 4).await.expect("it has four");
    assert_eq!(raised.budget.calls.limit, Some(10));
    let calls = world.get("s1").await.budget.calls;
    assert_eq!((calls.lent, calls.left()), (10, Some(0)));
}

#[tokio::test]
async fn below_a_shared_child_whoever_pays_sets_the_limits() {
    let world = limited().await;
    let unlimited = |it: &mut Delegate| it.child.budget.tokens = None;
    world
        .delegate("s1", "s2", |it| {
            widen(it);
            it.funding = Funding::Shared;
            unlimited(it);
        })
        .await;
    let reserved = delegation("s3", |it| {
        widen(it);
        unlimited(it);
    });
    let why = Excess::Unlimited {
        meter: Meter::Tokens,
    };
    match delegate(&world.sessions, "s2", reserved).await {
        Err(SessionError::DelegationRefused { why: told }) => assert_eq!(told, why),
        other => panic!("{other:?}"),
    }
    let shared = |it: &mut Delegate| {
        widen(it);
        it.funding = Funding::Shared;
        unlimited(it);
    };
    world.delegate("s2", "s4", shared).await;
    world.delegate("s4", "s5", widen).await;
    let tokens = world.get("s1").await.budget.tokens;
    assert_eq!((tokens.limit, tokens.lent), (Some(100), 40));
}

/// As wide as `limited` lets a child be, with forty of its tokens.
fn widen(it: &mut Delegate) {
    it.child.tools = Allow::only(["search"]).expect("patterns");
    it.child.credentials = Allow::only(["github"]).expect("patterns");
    it.child.ceiling = Sensitivity::Internal;
    it.child.budget.tokens = Some(40);
}

#[tokio::test]
async fn a_shared_child_spends_what_its_parent_has() {
    let world = World::new();
    world.create(|_| {}).await;
    for child in ["s2", "s3"] {
        world
            .delegate("s1", child, |it| {
                it.funding = Funding::Shared;
                it.child.budget.calls = 6;
            })
            .await;
    }
    for _ in 0..6 {
        world.call("s2", "search").await.expect("within both");
    }
    assert_eq!(code(world.call("s2", "search").await), "budget_exceeded");
    let receipt = world.call("s3", "search").await.expect("within both");
    assert_eq!(receipt.left.calls, 3, "the parent has less than the child");
    let calls = world.get("s1").await.budget.calls;
    assert_eq!((calls.used, calls.lent), (7, 0));
    for _ in 0..3 {
        world.call("s1", "search").await.expect("three are left");
    }
    assert_eq!(code(world.call("s3", "search").await), "budget_exceeded");
}

#[tokio::test]
async fn an_operation_id_delegates_once() {
    let world = World::new();
    world.create(|_| {}).await;
    let ask = |calls| {
        delegation("s2", |it| {
            it.child.id = None;
            it.child.budget.calls = calls;
            it.child.operation = Some(operation("hand-over"));
        })
    };
    let first = delegate(&world.sessions, "s1", ask(6)).await.expect("made");
    let again = delegate(&world.reopen(), "s1", ask(6)).await;
    assert_eq!(again.expect("the first answer"), first);
    assert_eq!(world.get("s1").await.budget.calls.lent, 6);
    let other = delegate(&world.sessions, "s1", ask(5)).await.unwrap_err();
    assert_eq!(other.code(), "operation_conflict");
}

#[tokio::test]
async fn a_cap_counts_no_session_below_a_closed_one() {
    let world = World::new();
    world.line(4).await;
    let capped = |child: &'static str, cap| {
        let request = delegation(child, |it| it.child.budget.calls = 1);
        let (sessions, parent) = (world.sessions.clone(), session_id("s1"));
        async move {
            sessions
                .delegate_under_cap(&caller(), &parent, request, Some(cap))
                .await
        }
    };
    assert_eq!(code(capped("s9", 4).await), "too_many_sessions");
    crate::support::close(&world.sessions, "s2")
        .await
        .expect("closed");
    let count = world.sessions.count_active(&caller(), &agent()).await;
    assert_eq!(count.expect("counted"), 1, "the root alone");
    capped("s9", 2).await.expect("below its cap");
}

#[tokio::test]
async fn below_a_closed_session_all_is_closed_through_it() {
    let world = World::new();
    world.line(4).await;
    world.env.advance_ms(SECOND);
    let closed = crate::support::close(&world.sessions, "s2")
        .await
        .expect("closed");
    world.env.advance_ms(SECOND);
    for id in ["s3", "s4"] {
        let shown = world.get(id).await;
        assert_eq!(shown.status, Status::Closed, "{id}");
        assert_eq!(shown.ended_at, closed.ended_at, "{id}");
        assert_eq!(shown.ended_through, Some(session_id("s2")), "{id}");
        assert_eq!(code(world.call(id, "search").await), "already_closed");
        assert_eq!(code(top_up(&world.sessions, id, 1).await), "already_closed");
        let again = crate::support::close(&world.sessions, id).await;
        assert_eq!(code(again), "already_closed");
    }
    let swept = world.sessions.sweep(1_000).await.expect("swept");
    assert_eq!(swept.closed, 1, "the child of the closed one: {swept:?}");
    let shown = get(&world.sessions, "s3").await.expect("readable");
    assert_eq!(shown.expect("kept").ended_through, Some(session_id("s2")));
}

#[tokio::test]
async fn a_rest_returns_once_also_if_something_follows_it() {
    let world = World::new();
    world.create(|_| {}).await;
    for (child, calls) in [("s2", 4), ("s3", 3)] {
        world
            .delegate("s1", child, |it| it.child.budget.calls = calls)
            .await;
    }
    let mut reserved = call("search");
    reserved.items[0].reserve = true;
    use_tools(&world.sessions, "s2", reserved)
        .await
        .expect("granted");
    crate::support::close(&world.sessions, "s2")
        .await
        .expect("closed");
    for _ in 0..6 {
        world.call("s1", "search").await.expect("six are left");
    }
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
    let refund = Settle {
        agent: Agent::Unchecked,
        call: 1,
        outcome: Outcome::Refund,
        operation: None,
    };
    let (caller, id) = (caller(), session_id("s2"));
    let settled = world.sessions.settle(&caller, &id, refund).await;
    settled.expect("still open");
    world.call("s1", "search").await.expect("the refunded one");
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
    assert_eq!(world.get("s1").await.budget.calls.lent, 3);
}

#[tokio::test]
async fn what_an_ended_child_has_overdrawn_is_its_parents_once_it_is_taken_back() {
    let world = World::new();
    world
        .create(|request| request.budget.tokens = Some(100))
        .await;
    let tokens = |tokens| Charge {
        tokens,
        cost_micros: 0,
    };
    world
        .delegate("s1", "s2", |it| it.child.budget.tokens = Some(10))
        .await;
    let mut reserved = call("search");
    reserved.items[0].charge = tokens(5);
    reserved.items[0].reserve = true;
    let used = use_tools(&world.sessions, "s2", reserved).await;
    used.expect("within its own");
    world.env.advance_ms(60 * SECOND);
    let late = Settle {
        agent: Agent::Unchecked,
        call: 1,
        outcome: Outcome::Cost(tokens(150)),
        operation: None,
    };
    let child = session_id("s2");
    let settled = world.sessions.settle(&caller(), &child, late).await;
    assert_eq!(settled.expect("what is true").tokens, Some(0));
    let reading = || async { world.get("s1").await.budget.tokens };
    assert_eq!((reading().await.used, reading().await.lent), (0, 10));
    world.sessions.sweep(100).await.expect("swept");
    assert_eq!((reading().await.used, reading().await.lent), (150, 0));
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
}
