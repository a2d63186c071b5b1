//! Meters: reserving, settling, refunding, lapsing, overdrafts, and what is
//! left.

use windlass_session::limits::{RESERVATION_MS_DEFAULT, RESERVATIONS_MAX};
use windlass_session::{
    Agent, Charge, Config, Create, Left, Outcome, Receipt, SessionError, Settle, Use, UseItem, What,
};

use crate::support::{
    HOUR, SECOND, World, agent, caller, close, code, session_id, top_up, use_tools,
};

const fn charge(tokens: u64, cost_micros: u64) -> Charge {
    Charge {
        tokens,
        cost_micros,
    }
}

/// 10 calls, 100 tokens and 1,000 micro-units.
async fn metered() -> World {
    let world = World::new();
    world.create(|request| limit(request, 100)).await;
    world
}

fn limit(request: &mut Create, tokens: u64) {
    request.budget.tokens = Some(tokens);
    request.budget.cost_micros = Some(1_000);
}

fn item(charge: Charge, reserve: bool) -> UseItem {
    let mut item = UseItem::new("search".parse().expect("a name"));
    item.charge = charge;
    item.reserve = reserve;
    item
}

async fn spend(world: &World, charge: Charge, reserve: bool) -> Result<Receipt, SessionError> {
    let request = Use::batch(Agent::Unchecked, vec![item(charge, reserve)]);
    use_tools(&world.sessions, "s1", request).await
}

async fn settle(world: &World, call: u64, outcome: Outcome) -> Result<Left, SessionError> {
    let request = Settle {
        agent: Agent::Is(agent()),
        call,
        outcome,
        operation: None,
    };
    let id = session_id("s1");
    world.sessions.settle(&caller(), &id, request).await
}

/// Used calls, tokens and micro-units.
async fn used(world: &World) -> (u64, u64, u64) {
    let budget = world.get("s1").await.budget;
    (
        budget.calls.used,
        budget.tokens.used,
        budget.cost_micros.used,
    )
}

#[tokio::test]
async fn every_meter_is_charged_and_refuses_at_its_own_limit() {
    let world = metered().await;
    let receipt = spend(&world, charge(60, 900), false)
        .await
        .expect("granted");
    assert_eq!(
        (
            receipt.left.calls,
            receipt.left.tokens,
            receipt.left.cost_micros
        ),
        (9, Some(40), Some(100))
    );
    let table = [
        (
            charge(41, 0),
            "the budget of tokens is exceeded: 60 of 100 used",
        ),
        (
            charge(41, 101),
            "the budget of tokens is exceeded: 60 of 100 used",
        ),
        (
            charge(40, 101),
            "the budget of cost_micros is exceeded: 900 of 1000 used",
        ),
    ];
    for (charge, expected) in table {
        let refused = spend(&world, charge, false).await.unwrap_err();
        assert_eq!(refused.to_string(), expected);
    }
    spend(&world, charge(40, 100), false)
        .await
        .expect("exactly what is left");
    assert_eq!(used(&world).await, (2, 100, 1_000));
    spend(&world, charge(0, 0), false)
        .await
        .expect("costs nothing but the call");
}

#[tokio::test]
async fn a_meter_without_a_limit_counts_and_refuses_nothing() {
    let world = World::new();
    world.create(|_| {}).await;
    let receipt = spend(&world, charge(1_000_000, 5), false)
        .await
        .expect("granted");
    assert_eq!(
        (receipt.left.tokens, receipt.left.cost_micros),
        (None, None)
    );
    assert_eq!(used(&world).await, (1, 1_000_000, 5));
    let budget = world.get("s1").await.budget;
    assert_eq!((budget.tokens.limit, budget.tokens.left()), (None, None));
}

#[tokio::test]
async fn a_settlement_replaces_the_estimate_by_the_true_figure() {
    let world = metered().await;
    let receipt = spend(&world, charge(50, 500), true).await.expect("granted");
    assert_eq!(world.get("s1").await.reservations_open, 1);
    let left = settle(&world, receipt.first_call, Outcome::Cost(charge(20, 700))).await;
    let left = left.expect("settled");
    assert_eq!(
        (left.calls, left.tokens, left.cost_micros),
        (9, Some(80), Some(300))
    );
    assert_eq!(used(&world).await, (1, 20, 700));
    assert_eq!(world.get("s1").await.reservations_open, 0);
    let again = settle(&world, receipt.first_call, Outcome::Cost(charge(0, 0))).await;
    assert_eq!(
        again.unwrap_err().to_string(),
        "call 1 has no open reservation"
    );
}

#[tokio::test]
async fn a_refund_gives_call_and_estimate_back_but_not_the_number() {
    let world = metered().await;
    spend(&world, charge(50, 500), true).await.expect("granted");
    let left = settle(&world, 1, Outcome::Refund).await.expect("refunded");
    assert_eq!(
        (left.calls, left.tokens, left.cost_micros),
        (10, Some(100), Some(1_000))
    );
    assert_eq!(used(&world).await, (0, 0, 0));
    let next = spend(&world, charge(0, 0), false).await.expect("granted");
    assert_eq!(next.first_call, 2, "a number is never used again");
    assert_eq!(
        code(settle(&world, 1, Outcome::Refund).await),
        "reservation_not_found"
    );
}

#[tokio::test]
async fn an_overdraft_is_shown_and_refuses_further_use() {
    let world = metered().await;
    spend(&world, charge(10, 0), true).await.expect("granted");
    let left = settle(&world, 1, Outcome::Cost(charge(250, 0)))
        .await
        .expect("recorded");
    assert_eq!(left.tokens, Some(0));
    assert_eq!(used(&world).await, (1, 250, 0));
    let refused = spend(&world, charge(0, 0), false).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the budget of tokens is exceeded: 250 of 100 used"
    );
    let request = windlass_session::TopUp {
        tokens: 150,
        ..Default::default()
    };
    let raised = world
        .sessions
        .top_up(&caller(), &session_id("s1"), request)
        .await;
    assert_eq!(raised.expect("raised").budget.tokens.left(), Some(0));
    spend(&world, charge(0, 0), false)
        .await
        .expect("no longer overdrawn");
}

#[tokio::test]
async fn as_many_reservations_as_the_limit_are_open_at_once() {
    let world = World::new();
    world.create(|request| request.budget.calls = 1_000).await;
    let most = vec![item(charge(0, 0), true); RESERVATIONS_MAX - 1];
    let batch = Use::batch(Agent::Unchecked, most);
    use_tools(&world.sessions, "s1", batch)
        .await
        .expect("granted");
    let two = Use::batch(Agent::Unchecked, vec![item(charge(0, 0), true); 2]);
    let refused = use_tools(&world.sessions, "s1", two.clone()).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "64 reservations are open already; settle or refund one first"
    );
    assert_eq!(world.get("s1").await.reservations_open, 63);
    spend(&world, charge(0, 0), true)
        .await
        .expect("the sixty-fourth");
    assert_eq!(
        code(spend(&world, charge(0, 0), true).await),
        "too_many_reservations"
    );
    spend(&world, charge(0, 0), false)
        .await
        .expect("reserves nothing");
    settle(&world, 1, Outcome::Refund).await.expect("refunded");
    spend(&world, charge(0, 0), true)
        .await
        .expect("one has gone");
}

#[tokio::test]
async fn reservations_that_expired_make_room_and_stay_charged() {
    let world = World::new();
    world.create(|request| request.budget.calls = 1_000).await;
    let most = vec![item(charge(1, 0), true); RESERVATIONS_MAX];
    let batch = Use::batch(Agent::Unchecked, most);
    use_tools(&world.sessions, "s1", batch.clone())
        .await
        .expect("granted");
    world.env.advance_ms(RESERVATION_MS_DEFAULT - 1);
    settle(&world, 1, Outcome::Refund)
        .await
        .expect("not expired yet");
    world.env.advance_ms(1);
    assert_eq!(
        code(settle(&world, 2, Outcome::Refund).await),
        "reservation_not_found"
    );
    assert_eq!(world.get("s1").await.reservations_open, 0);
    use_tools(&world.sessions, "s1", batch)
        .await
        .expect("all made room");
    assert_eq!(used(&world).await, (127, 127, 0));
    let history = world.history("s1").await;
    let lapsed = |what: &What| matches!(what, What::Lapse { .. });
    let count = history.iter().filter(|event| lapsed(&event.what)).count();
    assert_eq!(count, 63, "each is on record");
}

#[tokio::test]
async fn a_reservation_can_be_settled_after_its_session_ended() {
    let world = metered().await;
    for _ in 0..2 {
        spend(&world, charge(50, 0), true).await.expect("granted");
    }
    close(&world.sessions, "s1").await.expect("closed");
    settle(&world, 1, Outcome::Cost(charge(10, 0)))
        .await
        .expect("settled");
    world.env.advance_ms(RESERVATION_MS_DEFAULT);
    let late = settle(&world, 2, Outcome::Cost(charge(10, 0))).await;
    assert_eq!(code(late), "reservation_not_found");
    assert_eq!(used(&world).await, (2, 60, 0));
}

#[tokio::test]
async fn only_the_sessions_agent_settles() {
    let world = metered().await;
    spend(&world, charge(50, 0), true).await.expect("granted");
    let request = Settle {
        agent: Agent::Is("stranger".parse().expect("an identifier")),
        call: 1,
        outcome: Outcome::Refund,
        operation: None,
    };
    let id = session_id("s1");
    let refused = world.sessions.settle(&caller(), &id, request).await;
    assert_eq!(code(refused), "agent_mismatch");
    assert_eq!(
        code(settle(&world, 2, Outcome::Refund).await),
        "reservation_not_found"
    );
    assert_eq!(used(&world).await, (1, 50, 0));
}

#[tokio::test]
async fn the_configured_time_for_reservations_holds() {
    let world = World::with_config(Config {
        reservation_ms: 5,
        ..Config::default()
    });
    world.create(|_| {}).await;
    spend(&world, charge(1, 0), true).await.expect("granted");
    world.env.advance_ms(5);
    assert_eq!(
        code(settle(&world, 1, Outcome::Refund).await),
        "reservation_not_found"
    );
}

#[tokio::test]
async fn a_receipt_warns_at_exactly_a_fifth_of_any_meter_or_of_the_time() {
    let calls = World::new();
    calls.create(|request| request.budget.calls = 10).await;
    for number in 1..=10 {
        let receipt = calls.call("s1", "search").await.expect("granted");
        assert_eq!(receipt.low, number >= 8, "{receipt:?}");
    }

    let tokens = metered().await;
    for (amount, low) in [(79, false), (1, true), (0, true), (20, true)] {
        let receipt = spend(&tokens, charge(amount, 0), false)
            .await
            .expect("granted");
        assert_eq!(receipt.low, low, "{receipt:?}");
    }

    let cost = metered().await;
    for (amount, low) in [(799, false), (1, true)] {
        let receipt = spend(&cost, charge(0, amount), false)
            .await
            .expect("granted");
        assert_eq!(receipt.low, low, "{receipt:?}");
    }

    let time = World::new();
    time.create(|request| request.time_limit_ms = 10 * SECOND)
        .await;
    for (ms, low) in [(7_999, false), (1, true), (1_999, true)] {
        time.env.advance_ms(ms);
        let receipt = time.call("s1", "search").await.expect("granted");
        assert_eq!(receipt.low, low, "{receipt:?}");
    }
}

#[tokio::test]
async fn a_session_expires_at_exactly_its_deadline() {
    let world = World::new();
    world.create(|request| request.time_limit_ms = HOUR).await;
    world.env.advance_ms(HOUR - 1);
    let receipt = world
        .call("s1", "search")
        .await
        .expect("a millisecond is left");
    assert_eq!(receipt.left.time_ms, 1);
    world.env.advance_ms(1);
    let refused = world.call("s1", "search").await.unwrap_err();
    let at = world.get("s1").await.expires_at;
    assert!(
        matches!(refused, SessionError::Expired { at: given } if given == at),
        "{refused:?}"
    );
    assert_eq!(code(top_up(&world.sessions, "s1", 1).await), "expired");
    let closed = close(&world.sessions, "s1")
        .await
        .expect("an expired one can be closed");
    assert_eq!(closed.status, windlass_session::Status::Closed);
    assert_eq!(code(close(&world.sessions, "s1").await), "already_closed");
}

#[tokio::test]
async fn the_history_adds_up_to_the_meters() {
    let world = metered().await;
    spend(&world, charge(10, 1), false).await.expect("granted");
    spend(&world, charge(20, 2), true).await.expect("granted");
    spend(&world, charge(30, 3), true).await.expect("granted");
    settle(&world, 2, Outcome::Cost(charge(25, 4)))
        .await
        .expect("settled");
    settle(&world, 3, Outcome::Refund).await.expect("refunded");
    close(&world.sessions, "s1").await.expect("closed");
    let history = world.history("s1").await;
    let numbers: Vec<u64> = history.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    let kinds: Vec<_> = history.into_iter().map(|event| event.what).collect();
    let expected = [
        What::Settle {
            call: 2,
            charge: charge(25, 4),
        },
        What::Refund { call: 3 },
        What::Close,
    ];
    assert_eq!(kinds[3..], expected);
    assert_eq!(used(&world).await, (2, 35, 5));
}
