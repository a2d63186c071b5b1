//! Two processes that use the same sessions at the same time.

use std::collections::BTreeMap;
use std::io::BufRead;

use windlass::Windlass;
use windlass::core::{Coded, SessionId};
use windlass::session::{Agent, SessionError, TopUp, Use};

use super::{Place, Player, Random, Role, agent, caller, session, tell};
use crate::place::open;

const SESSIONS: u64 = 50;
const CALLS: u64 = 40;
/// Callers of each process.
const TASKS: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_make_exactly_the_calls_the_budget_grants() {
    make_the_calls_that_are_granted(&Place::new("sqlite")).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_of_a_server_make_exactly_the_calls_the_budget_grants() {
    make_the_calls_that_are_granted(&Place::new("postgres")).await;
}

async fn make_the_calls_that_are_granted(place: &Place) {
    let engine = place.open().await;
    for number in 0..SESSIONS {
        let request = session(&format!("shared-{number}"), "shared", CALLS);
        engine.sessions().create(&caller(), request).await.unwrap();
    }
    let children = [(); 2].map(|()| Player::start(Role::Spender, place));
    let mut made: BTreeMap<SessionId, u64> = BTreeMap::new();
    let mut shares = Vec::new();
    for child in children {
        let mut share = 0;
        for line in child.finish() {
            let (id, calls) = line.split_once(' ').unwrap();
            let calls: u64 = calls.parse().unwrap();
            *made.entry(id.parse().unwrap()).or_default() += calls;
            share += calls;
        }
        shares.push(share);
    }
    for number in 0..SESSIONS {
        let id: SessionId = format!("shared-{number}").parse().unwrap();
        let stored = engine
            .sessions()
            .get(&caller(), &id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stored.budget.calls.used, CALLS, "calls granted in `{id}`");
        assert_eq!(stored.calls_made, CALLS, "calls on record in `{id}`");
        assert_eq!(made.get(&id), Some(&CALLS), "calls made in `{id}`");
        assert_eq!(code(&engine, &id).await, "budget_exceeded", "`{id}`");
    }
    assert!(
        shares.iter().all(|share| *share > 0),
        "one process did it all: {shares:?}"
    );
    engine.close().await.unwrap();
}

/// Uses sessions at random from several tasks until each is refused for its
/// budget, and tells how many calls it was granted in each.
pub(super) async fn play_spender(engine: Windlass) {
    let tasks = (0..TASKS).map(|task| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let mut random = Random(task + u64::from(std::process::id()));
            let mut open: Vec<u64> = (0..SESSIONS).collect();
            let mut made = vec![0_u64; usize::try_from(SESSIONS).unwrap()];
            while !open.is_empty() {
                let place = usize::try_from(random.below(open.len() as u64)).unwrap();
                let number = open[place];
                if spend(&engine, number).await {
                    made[usize::try_from(number).unwrap()] += 1;
                } else {
                    open.swap_remove(place);
                }
            }
            made
        })
    });
    let mut totals = vec![0; usize::try_from(SESSIONS).unwrap()];
    for task in tasks.collect::<Vec<_>>() {
        for (total, made) in totals.iter_mut().zip(task.await.unwrap()) {
            *total += made;
        }
    }
    for (number, made) in totals.into_iter().enumerate() {
        tell(&format!("shared-{number} {made}"));
    }
}

/// Whether one more call was granted.
async fn spend(engine: &Windlass, number: u64) -> bool {
    let id: SessionId = format!("shared-{number}").parse().unwrap();
    match engine.sessions().use_tools(&caller(), &id, search()).await {
        Ok(_) => true,
        Err(SessionError::BudgetExceeded {
            limit: CALLS,
            used: CALLS,
            ..
        }) => false,
        Err(other) => panic!("refused as {other:?}"),
    }
}

fn search() -> Use {
    Use::one(Agent::Is(agent("shared")), "search".parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_topped_up_or_closed_the_next_call_of_another_sees() {
    change_what_another_process_uses(&Place::new("sqlite")).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_client_of_a_server_topped_up_or_closed_the_next_call_of_another_sees() {
    change_what_another_process_uses(&Place::new("postgres")).await;
}

async fn change_what_another_process_uses(place: &Place) {
    let engine = place.open().await;
    let sessions = engine.sessions();
    let mut clerk = Player::start(Role::Clerk, place);
    for round in 0..25 {
        let id: SessionId = format!("shared-{round}").parse().unwrap();
        sessions
            .create(&caller(), session(id.as_str(), "shared", 1))
            .await
            .unwrap();
        sessions.use_tools(&caller(), &id, search()).await.unwrap();
        assert_eq!(code(&engine, &id).await, "budget_exceeded", "round {round}");
        assert_eq!(clerk.ask(&format!("top_up {id}")), "done");
        assert_eq!(
            code(&engine, &id).await,
            "granted",
            "round {round}, after the top-up"
        );
        assert_eq!(code(&engine, &id).await, "budget_exceeded", "round {round}");
        assert_eq!(clerk.ask(&format!("close {id}")), "done");
        assert_eq!(
            code(&engine, &id).await,
            "already_closed",
            "round {round}, after the close"
        );
    }
    clerk.finish();
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_engine_topped_up_or_closed_the_next_call_of_another_sees() {
    let place = Place::new("sqlite");
    let engines = [place.open().await, place.open().await];
    for round in 0..50 {
        let id: SessionId = format!("shared-{round}").parse().unwrap();
        let [one, other] = [&engines[round % 2], &engines[(round + 1) % 2]];
        let request = session(id.as_str(), "shared", 1);
        one.sessions().create(&caller(), request).await.unwrap();
        assert_eq!(code(one, &id).await, "granted", "round {round}");
        assert_eq!(code(one, &id).await, "budget_exceeded", "round {round}");
        let request = TopUp {
            calls: 1,
            ..TopUp::default()
        };
        let raised = other.sessions().top_up(&caller(), &id, request).await;
        assert_eq!(raised.unwrap().budget.calls.limit, Some(2));
        assert_eq!(code(one, &id).await, "granted", "round {round}");
        assert_eq!(code(other, &id).await, "budget_exceeded", "round {round}");
        other.sessions().close(&caller(), &id, None).await.unwrap();
        assert_eq!(code(one, &id).await, "already_closed", "round {round}");
    }
    for engine in engines {
        engine.close().await.unwrap();
    }
}

async fn code(engine: &Windlass, id: &SessionId) -> &'static str {
    match engine.sessions().use_tools(&caller(), id, search()).await {
        Ok(_) => "granted",
        Err(refusal) => refusal.code(),
    }
}

/// Does what each line of its input says, and tells when it is stored.
pub(super) async fn play_clerk(engine: Windlass) {
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (verb, id) = line.split_once(' ').unwrap();
        let id: SessionId = id.parse().unwrap();
        if verb == "close" {
            engine.sessions().close(&caller(), &id, None).await.unwrap();
        } else {
            let request = TopUp {
                calls: 1,
                ..TopUp::default()
            };
            engine
                .sessions()
                .top_up(&caller(), &id, request)
                .await
                .unwrap();
        }
        tell("done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_first_opens_at_once_give_twelve_whole_engines() {
    for round in 0..30 {
        let place = Place::new("sqlite");
        let openings: Vec<_> = (0..12)
            .map(|number| tokio::spawn(first_use(place.location_of_children(), number)))
            .collect();
        for opening in openings {
            opening.await.unwrap();
        }
        let engine = place.open().await;
        let count = engine
            .sessions()
            .count_active(&caller(), &agent("shared"))
            .await
            .unwrap();
        assert_eq!(count, 12, "round {round}");
        engine.close().await.unwrap();
    }
}

async fn first_use(location: String, number: u64) {
    let engine = open(&location).await;
    let id = format!("shared-{number}");
    engine
        .sessions()
        .create(&caller(), session(&id, "shared", 2))
        .await
        .unwrap();
    let used = engine
        .sessions()
        .use_tools(&caller(), &id.parse().unwrap(), search())
        .await
        .unwrap();
    assert_eq!(used.left.calls, 1);
    engine.close().await.unwrap();
}
