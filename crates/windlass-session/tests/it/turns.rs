//! Changes of a session that are committed together with others: decided in
//! order, true in one commit or not at all.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use futures_util::future::join_all;
use windlass_core::{Coded, Sharing};
use windlass_session::{
    Agent, Caller, Charge, Config, Funding, Outcome, Planned, SessionError, Sessions, Settle, Step,
    StepAnswer, Use, UseItem,
};
use windlass_store::{Batch, Commit, Expect, Store, StoreExt};
use windlass_store_testing::{Random, Slow, Strict, StrictOptions};

use crate::late::Late;
use crate::support::{
    SECOND, World, call, caller, caller_of, close, code, delegate, delegation, get, operation,
    session_id, top_up, use_tools,
};

async fn plan(sessions: &Sessions, id: &str, steps: &[Step]) -> Result<Planned, SessionError> {
    sessions.plan(&caller(), &session_id(id), steps).await
}

fn use_of(tool: &str) -> Step {
    Step::Use(call(tool))
}

/// A use that reserves `tokens`.
fn reserve(tool: &str, tokens: u64) -> Step {
    let mut item = UseItem::new(tool.parse().expect("a name"));
    item.reserve = true;
    item.charge = Charge {
        tokens,
        cost_micros: 0,
    };
    Step::Use(Use::batch(Agent::Unchecked, vec![item]))
}

fn settle(call: u64, tokens: u64) -> Step {
    let charge = Charge {
        tokens,
        cost_micros: 0,
    };
    Step::Settle(Settle {
        agent: Agent::Unchecked,
        call,
        outcome: Outcome::Cost(charge),
        operation: None,
    })
}

fn under(name: &str, mut step: Step) -> Step {
    match &mut step {
        Step::Use(request) => request.operation = Some(operation(name)),
        Step::Settle(request) => request.operation = Some(operation(name)),
    }
    step
}

/// The numbers of the calls that were granted, and of tokens left.
fn numbers(planned: &Planned) -> Vec<(u64, Option<u64>)> {
    let answers = planned.answers.iter();
    let number = |answer: &StepAnswer| match answer {
        StepAnswer::Receipt(receipt) => (receipt.last_call, receipt.left.tokens),
        StepAnswer::Left(left) => (0, left.tokens),
    };
    answers.map(number).collect()
}

/// Commits a plan together with a row of somebody else's.
async fn commit(sessions: &Sessions, planned: &Planned, row: &str) -> Commit {
    let mut batch = planned.batch.clone();
    let key = format!("acme/other/{row}");
    batch.append(
        Batch::new()
            .check(key.clone(), Expect::Absent)
            .put(key, "1"),
    );
    let committed = sessions.store().commit(batch).await;
    committed.expect("a store that works")
}

fn is_applied(commit: &Commit) -> bool {
    matches!(commit, Commit::Applied(_))
}

#[tokio::test]
async fn several_changes_are_decided_in_order_and_true_with_a_row_of_others() {
    let world = World::new();
    world
        .create(|request| request.budget.tokens = Some(100))
        .await;
    world.call("s1", "search").await.expect("granted");
    let steps = [reserve("think", 60), use_of("search"), settle(2, 35)];
    let planned = plan(&world.sessions, "s1", &steps).await.expect("granted");
    assert_eq!(
        numbers(&planned),
        [(2, Some(40)), (3, Some(40)), (0, Some(65))]
    );
    assert_eq!(world.get("s1").await.calls_made, 1, "nothing is stored yet");
    let committed = commit(&world.sessions, &planned, "a").await;
    assert!(is_applied(&committed), "{committed:?}");
    let session = world.get("s1").await;
    assert_eq!((session.calls_made, session.revision), (3, 3));
    assert_eq!(session.budget.tokens.used, 35);
    assert_eq!(session.reservations_open, 0);
    assert_eq!(world.history("s1").await.len(), 4);
    assert!(world.keys().await.contains(&"acme/other/a".to_owned()));
    let next = world.call("s1", "search").await.expect("granted");
    assert_eq!(next.first_call, 4);
}

#[tokio::test]
async fn a_plan_that_lost_its_race_stores_nothing_and_another_one_holds() {
    let world = World::new();
    world.create(|_| {}).await;
    let steps = [use_of("search"), use_of("fetch")];
    let first = plan(&world.sessions, "s1", &steps).await.expect("granted");
    world.call("s1", "search").await.expect("granted");
    let lost = commit(&world.sessions, &first, "a").await;
    assert!(matches!(lost, Commit::Conflict { .. }), "{lost:?}");
    assert_eq!(world.get("s1").await.calls_made, 1);
    assert!(!world.keys().await.contains(&"acme/other/a".to_owned()));
    let second = plan(&world.sessions, "s1", &steps).await.expect("granted");
    assert_eq!(numbers(&second), [(2, None), (3, None)]);
    let committed = commit(&world.sessions, &second, "a").await;
    assert!(is_applied(&committed), "{committed:?}");
    let told = [
        world.sessions.happened(&first).await,
        world.sessions.happened(&second).await,
    ];
    assert_eq!(
        told.map(|told| told.expect("readable")),
        [Some(false), Some(true)]
    );
}

#[tokio::test]
async fn of_what_is_refused_in_part_nothing_is_granted() {
    let world = World::new();
    world.create(|request| request.budget.calls = 2).await;
    let before = world.rows().await;
    let three = [use_of("a"), use_of("b"), use_of("c")];
    assert_eq!(
        code(plan(&world.sessions, "s1", &three).await),
        "budget_exceeded"
    );
    let unknown = [use_of("a"), settle(7, 1)];
    assert_eq!(
        code(plan(&world.sessions, "s1", &unknown).await),
        "reservation_not_found"
    );
    // The first refusal is the answer, whatever comes after it.
    let both = [settle(7, 1), use_of("a"), use_of("b"), use_of("c")];
    assert_eq!(
        code(plan(&world.sessions, "s1", &both).await),
        "reservation_not_found"
    );
    assert_eq!(world.rows().await, before);
    let two = [use_of("a"), use_of("b")];
    let planned = plan(&world.sessions, "s1", &two).await.expect("granted");
    assert_eq!(numbers(&planned), [(1, None), (2, None)]);
}

#[tokio::test]
async fn what_cannot_be_planned_is_said_before_anything_is_read() {
    let world = World::new();
    assert_eq!(
        code(plan(&world.sessions, "s1", &[]).await),
        "invalid_request"
    );
    let many = vec![use_of("a"); 65];
    assert_eq!(
        code(plan(&world.sessions, "s1", &many).await),
        "invalid_request"
    );
    let items = vec![UseItem::new("a".repeat(200).parse().expect("a name")); 256];
    let large = vec![Step::Use(Use::batch(Agent::Unchecked, items)); 8];
    assert_eq!(
        code(plan(&world.sessions, "s1", &large).await),
        "invalid_request"
    );
    let twice = [under("op", use_of("a")), under("op", use_of("a"))];
    assert_eq!(
        code(plan(&world.sessions, "s1", &twice).await),
        "operation_conflict"
    );
    assert_eq!(
        code(plan(&world.sessions, "s1", &[use_of("a")]).await),
        "not_found"
    );
}

#[tokio::test]
async fn under_operation_ids_a_repeated_plan_is_answered_as_the_first() {
    let world = World::new();
    world.create(|_| {}).await;
    let steps: Vec<Step> = (0..20)
        .map(|number| match number % 2 {
            0 => under(&format!("op-{number}"), use_of("search")),
            _ => use_of("search"),
        })
        .take(9)
        .collect();
    let first = plan(&world.sessions, "s1", &steps).await.expect("granted");
    let committed = commit(&world.sessions, &first, "a").await;
    assert!(is_applied(&committed), "{committed:?}");
    let named: Vec<Step> = steps.iter().step_by(2).cloned().collect();
    let again = plan(&world.sessions, "s1", &named).await.expect("granted");
    let firsts: Vec<StepAnswer> = first.answers.iter().step_by(2).copied().collect();
    assert_eq!(again.answers, firsts);
    assert_eq!(again.batch, Batch::new());
    assert_eq!(
        world.sessions.happened(&again).await.expect("readable"),
        Some(true)
    );
    // One that is new beside them is decided as usual.
    let more = [named[0].clone(), use_of("search")];
    let more = plan(&world.sessions, "s1", &more).await.expect("granted");
    assert_eq!(numbers(&more), [(1, None), (10, None)]);
    let other = [under("op-0", use_of("fetch"))];
    assert_eq!(
        code(plan(&world.sessions, "s1", &other).await),
        "operation_conflict"
    );
    // What was done in a turn is known to whoever repeats it alone.
    let mut alone = call("search");
    alone.operation = Some(operation("op-2"));
    let alone = use_tools(&world.sessions, "s1", alone).await;
    assert_eq!(alone.expect("replayed").first_call, 3);
}

#[tokio::test]
async fn an_operation_that_another_commit_did_first_is_found_by_the_next_plan() {
    let world = World::new();
    world.create(|_| {}).await;
    let steps = [under("op", use_of("search"))];
    let first = plan(&world.sessions, "s1", &steps).await.expect("granted");
    let second = plan(&world.sessions, "s1", &steps).await.expect("granted");
    assert!(is_applied(&commit(&world.sessions, &first, "a").await));
    let lost = commit(&world.sessions, &second, "b").await;
    assert!(matches!(lost, Commit::Conflict { .. }), "{lost:?}");
    let third = plan(&world.sessions, "s1", &steps).await.expect("granted");
    assert_eq!(third.answers, first.answers);
    assert_eq!(world.get("s1").await.calls_made, 1);
}

#[tokio::test]
async fn who_shares_a_budget_charges_all_who_pay_in_the_same_commit() {
    let world = World::new();
    world.create(|_| {}).await;
    world
        .delegate("s1", "c1", |request| request.funding = Funding::Shared)
        .await;
    let planned = plan(&world.sessions, "c1", &[use_of("a"), use_of("b")]).await;
    let planned = planned.expect("granted");
    assert!(is_applied(&commit(&world.sessions, &planned, "a").await));
    assert_eq!(world.get("c1").await.budget.calls.used, 2);
    assert_eq!(world.get("s1").await.budget.calls.used, 2);
    // A parent that is closed meanwhile is noticed by the commit.
    let late = plan(&world.sessions, "c1", &[settle(9, 1)]).await;
    assert_eq!(code(late), "reservation_not_found");
    close(&world.sessions, "s1").await.expect("closed");
    let refused = plan(&world.sessions, "c1", &[use_of("a")]).await;
    assert_eq!(code(refused), "already_closed");
}

#[tokio::test]
async fn what_an_ended_child_left_is_taken_back_before_a_plan_is_refused() {
    let world = World::new();
    world.create(|request| request.budget.calls = 4).await;
    world.delegate("s1", "c1", |_| {}).await;
    let three = [use_of("a"), use_of("b"), use_of("c")];
    assert_eq!(
        code(plan(&world.sessions, "s1", &three).await),
        "budget_exceeded"
    );
    world.env.advance_ms(61 * SECOND);
    let planned = plan(&world.sessions, "s1", &three).await.expect("granted");
    assert!(is_applied(&commit(&world.sessions, &planned, "a").await));
    let session = world.get("s1").await;
    assert_eq!(
        (session.budget.calls.used, session.budget.calls.lent),
        (3, 0)
    );
}

#[tokio::test]
async fn nothing_can_be_planned_for_what_is_out_of_reach() {
    let world = World::new();
    world.create(|_| {}).await;
    let stranger = caller_of("acme", "somebody-else");
    let own = Caller::own(stranger.tenant, stranger.principal);
    let steps = [use_of("search")];
    let refused = world.sessions.plan(&own, &session_id("s1"), &steps).await;
    assert_eq!(code(refused), "not_found");
    let elsewhere = caller_of("other", "runtime");
    let elsewhere = world
        .sessions
        .plan(&elsewhere, &session_id("s1"), &steps)
        .await;
    assert_eq!(code(elsewhere), "not_found");
}

#[tokio::test]
async fn who_has_the_store_alone_knows_of_a_turn_at_once() {
    let world = World::with_config(Config {
        sharing: Sharing::Exclusive,
        ..Config::default()
    });
    world.create(|request| request.budget.calls = 3).await;
    world.call("s1", "search").await.expect("granted");
    let planned = plan(&world.sessions, "s1", &[use_of("a"), use_of("b")]).await;
    assert!(is_applied(
        &commit(&world.sessions, &planned.expect("granted"), "a").await
    ));
    assert_eq!(world.get("s1").await.calls_made, 3);
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
    top_up(&world.sessions, "s1", 1).await.expect("raised");
    let planned = plan(&world.sessions, "s1", &[use_of("c")]).await;
    // Past the sessions' own store it has to be said.
    let batch = planned.expect("granted").batch;
    let committed = world
        .ground
        .commit(batch)
        .await
        .expect("a store that works");
    assert!(is_applied(&committed), "{committed:?}");
    world.sessions.forget(&caller().tenant, &session_id("s1"));
    assert_eq!(world.get("s1").await.calls_made, 4);
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
}

#[tokio::test]
async fn an_unknown_outcome_can_be_asked_for() {
    let world = World::new();
    world.create(|_| {}).await;
    let late = Late::new(&world.ground, &world.env);
    let sessions = world.over(Arc::clone(&late) as Arc<dyn Store>);
    let planned = plan(&sessions, "s1", &[use_of("a")])
        .await
        .expect("granted");
    late.hold(0);
    let unknown = sessions.store().commit(planned.batch.clone()).await;
    assert_eq!(
        unknown.expect_err("unknown").kind().code(),
        "store_indeterminate"
    );
    assert_eq!(sessions.happened(&planned).await.expect("readable"), None);
    let arrived = late.arrive().await;
    assert!(is_applied(&arrived), "{arrived:?}");
    assert_eq!(
        sessions.happened(&planned).await.expect("readable"),
        Some(true)
    );
    for _ in 0..8 {
        world.call("s1", "search").await.expect("granted");
    }
    assert_eq!(
        sessions.happened(&planned).await.expect("readable"),
        Some(true)
    );
    let gone = world.ground.get("acme/session/s1/head".into()).await;
    assert!(gone.expect("a store that works").is_some(), "it was there");
    world.delete("acme/session/s1/head").await;
    assert_eq!(sessions.happened(&planned).await.expect("readable"), None);
}

const CALLS: u64 = 60;
const SEEDS: &[u64] = &[3, 0x7a12];

/// Calls and turns against each other over a store that fails; how many calls
/// each is sure of, and may have made besides.
async fn act(sessions: &Sessions, number: u64, seed: u64) -> (u64, u64) {
    let mut random = Random::new(seed ^ (number << 32));
    let (mut sure, mut unsure) = (0, 0);
    for round in 0..20 {
        if random.one_in(2) {
            match use_tools(sessions, "s1", call("search")).await {
                Ok(_) => sure += 1,
                Err(error) if error.code() == "store_indeterminate" => unsure += 1,
                Err(_) => {}
            }
            continue;
        }
        let steps = vec![use_of("turn"); 1 + random.below(3)];
        let calls = u64::try_from(steps.len()).expect("small");
        let Ok(planned) = plan(sessions, "s1", &steps).await else {
            continue;
        };
        let mut batch = planned.batch.clone();
        batch.append(Batch::new().put(format!("acme/other/{number}-{round}"), calls.to_string()));
        match sessions.store().commit(batch).await {
            Ok(Commit::Applied(_)) => sure += calls,
            Ok(Commit::Conflict { .. }) => {}
            Err(error) if error.kind().code() == "store_indeterminate" => unsure += calls,
            Err(_) => {}
        }
    }
    (sure, unsure)
}

async fn play(seed: u64, sharing: Sharing) {
    let world = World::with_config(Config {
        sharing,
        ..Config::default()
    });
    world.create(|request| request.budget.calls = CALLS).await;
    let failing = Strict::new(Arc::clone(&world.ground), StrictOptions::ALL);
    let sessions = world.over(Arc::new(Slow::new(Arc::new(failing), seed)));
    let told = join_all((0..8).map(|number| act(&sessions, number, seed))).await;
    let sure: u64 = told.iter().map(|(sure, _)| sure).sum();
    let unsure: u64 = told.iter().map(|(_, unsure)| unsure).sum();
    let truth = get(&world.reopen(), "s1").await.expect("readable");
    let truth = truth.expect("a session that exists");
    let made = truth.calls_made;
    assert!(
        (sure..=sure + unsure).contains(&made),
        "{seed:#x}: {sure} {made}"
    );
    assert!(made <= CALLS && made > 20, "seed {seed:#x}: {made}");
    // A row of a turn is there exactly if its calls are.
    let turns = world.history("s1").await;
    let turn = |event: &&windlass_session::Event| matches!(&event.what, windlass_session::What::Use { tool, .. } if tool == "turn");
    let in_turns = turns.iter().filter(turn).count();
    let rows = world.rows().await;
    let of_others = rows
        .iter()
        .filter(|row| row.key.starts_with(b"acme/other/"));
    let beside = of_others.map(|row| {
        let text = std::str::from_utf8(&row.value).expect("text");
        text.parse::<usize>().expect("a number")
    });
    assert_eq!(beside.sum::<usize>(), in_turns, "seed {seed:#x}");
    assert!(in_turns > 0, "seed {seed:#x}");
}

#[tokio::test]
async fn turns_and_calls_at_once_spend_what_there_is_and_nothing_twice() {
    let fresh = RandomState::new().build_hasher().finish() >> 1;
    for seed in SEEDS.iter().copied().chain([fresh]) {
        for sharing in [Sharing::Shared, Sharing::Exclusive] {
            play(seed, sharing).await;
        }
    }
}

#[tokio::test]
async fn a_delegation_between_plan_and_commit_is_a_lost_race() {
    let world = World::new();
    world.create(|_| {}).await;
    let planned = plan(&world.sessions, "s1", &[use_of("a")]).await;
    let child = delegate(&world.sessions, "s1", delegation("c1", |_| {}));
    child.await.expect("delegated");
    let lost = commit(&world.sessions, &planned.expect("granted"), "a").await;
    assert!(matches!(lost, Commit::Conflict { .. }), "{lost:?}");
}
