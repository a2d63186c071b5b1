//! A process that changes sessions is killed at a random moment: every change
//! it was acknowledged is there, none is there by half, and budgets add up.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use windlass::Windlass;
use windlass::core::{OperationId, SessionId};
use windlass::session::{Agent, ListQuery, Session, Status, TopUp, Use, UseItem, What};

use super::{Place, Player, Random, Role, agent, caller, session, setting, tell};

const CYCLES: &str = "WINDLASS_KILL_CYCLES";
const CYCLES_DEFAULT: u64 = 20;
#[cfg(feature = "postgres")]
const CLIENT_CYCLES: &str = "WINDLASS_POSTGRES_KILL_CYCLES";
/// Kills of one store: each is followed by a look at all of it.
const CYCLES_A_STORE: usize = 300;
const SEED: &str = "WINDLASS_KILL_SEED";

/// Agents that work at the same time, each on one session after the other.
const WORKERS: u64 = 6;
/// Most acknowledgements that are waited for before a kill.
const ACKNOWLEDGED_MAX: u64 = 60;
const CALLS: u64 = 1_000;
const TOP_UP: u64 = 7;

/// What was acknowledged of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    calls: u64,
    top_ups: u64,
    closed: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_acknowledged_is_there_and_budgets_add_up() {
    let seed = setting(SEED, 11);
    let mut random = Random(seed);
    let cycles = setting(CYCLES, CYCLES_DEFAULT);
    for first in (0..cycles).step_by(CYCLES_A_STORE) {
        let last = cycles.min(first + CYCLES_A_STORE as u64);
        kill_again_and_again(&Place::new("sqlite"), &mut random, seed, first..last).await;
    }
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_client_of_a_server_acknowledged_is_there_and_budgets_add_up() {
    let seed = setting(SEED, 11);
    let cycles = setting(CLIENT_CYCLES, CYCLES_DEFAULT);
    let place = Place::new("postgres");
    kill_again_and_again(&place, &mut Random(seed), seed, 0..cycles).await;
}

async fn kill_again_and_again(place: &Place, random: &mut Random, seed: u64, cycles: Range<u64>) {
    let mut known = BTreeMap::new();
    for cycle in cycles {
        let when = format!("seed {seed}, cycle {cycle}");
        let mut child = Player::start(Role::Mortal, place);
        let wanted = random.below(ACKNOWLEDGED_MAX);
        let mut told: Vec<_> = (0..wanted).filter_map(|_| child.hear()).collect();
        told.extend(child.kill());
        place.forget_children();
        for line in &told {
            acknowledge(&mut known, line, &when);
        }
        let engine = place.open().await;
        verify(&engine, &mut known, &when).await;
        engine.close().await.unwrap();
    }
    let sum = |of: fn(&Known) -> u64| known.values().map(of).sum::<u64>();
    assert!(sum(|known| known.calls) > 0, "no use was acknowledged");
    assert!(sum(|known| known.top_ups) > 0, "no top-up was acknowledged");
    assert!(
        sum(|known| u64::from(known.closed)) > 0,
        "no close was acknowledged"
    );
}

fn acknowledge(known: &mut BTreeMap<SessionId, Known>, line: &str, when: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let entry = known.entry(words[1].parse().unwrap()).or_default();
    match words.as_slice() {
        ["create", _] => {}
        ["use", _, first, last] => {
            let first: u64 = first.parse().unwrap();
            assert_eq!(first, entry.calls + 1, "{when}: the first call of `{line}`");
            entry.calls = last.parse().unwrap();
        }
        ["top_up", _, limit] => {
            entry.top_ups += 1;
            let expected = CALLS + entry.top_ups * TOP_UP;
            assert_eq!(
                limit.parse::<u64>().unwrap(),
                expected,
                "{when}: the limit of `{line}`"
            );
        }
        ["close", _] => entry.closed = true,
        _ => panic!("{when}: the child told `{line}`"),
    }
}

/// Compares every session with what was acknowledged. One change of each
/// worker can have been on its way; it is whole, or not there.
async fn verify(engine: &Windlass, known: &mut BTreeMap<SessionId, Known>, when: &str) {
    for worker in 0..WORKERS {
        let mut unacknowledged = 0;
        for session in sessions_of(engine, worker, None).await {
            let found = audit(engine, &session, when).await;
            let before = known.insert(session.id.clone(), found);
            unacknowledged += changes_between(before, found, &session.id, when);
        }
        assert!(
            unacknowledged <= 1,
            "{when}: worker {worker} has {unacknowledged} changes nobody acknowledged"
        );
    }
    for id in known.keys() {
        let found = engine.sessions().get(&caller(), id).await.unwrap();
        assert!(
            found.is_some(),
            "{when}: `{id}` was acknowledged and is gone"
        );
    }
}

fn changes_between(before: Option<Known>, found: Known, id: &SessionId, when: &str) -> u64 {
    let Some(before) = before else {
        assert_eq!(
            found,
            Known::default(),
            "{when}: `{id}` before its creation"
        );
        return 1;
    };
    assert!(
        found.calls >= before.calls,
        "{when}: `{id}` lost calls: {before:?}, {found:?}"
    );
    assert!(
        found.top_ups >= before.top_ups,
        "{when}: `{id}` lost a top-up: {before:?}, {found:?}"
    );
    assert!(
        found.closed || !before.closed,
        "{when}: `{id}` came back after its close"
    );
    u64::from(found.calls > before.calls)
        + (found.top_ups - before.top_ups)
        + u64::from(found.closed && !before.closed)
}

/// What the history of a session adds up to, which must be what it shows.
async fn audit(engine: &Windlass, session: &Session, when: &str) -> Known {
    let mut found = Known::default();
    let mut after = 0;
    loop {
        let page = engine
            .sessions()
            .history(&caller(), &session.id, after, 1_000)
            .await
            .unwrap();
        let page = page.unwrap_or_else(|| panic!("{when}: `{}` has no history", session.id));
        for event in &page.events {
            after += 1;
            assert_eq!(event.number, after, "{when}: a gap in `{}`", session.id);
            match &event.what {
                What::Use { call, .. } => {
                    found.calls += 1;
                    assert_eq!(*call, found.calls, "{when}: a call of `{}`", session.id);
                }
                What::TopUp { calls, .. } => {
                    assert_eq!(*calls, TOP_UP, "{when}: half a top-up of `{}`", session.id);
                    found.top_ups += 1;
                }
                What::Close => found.closed = true,
                other => panic!("{when}: `{}` has the event {other:?}", session.id),
            }
        }
        if !page.more {
            break;
        }
    }
    let shown = Known {
        calls: session.budget.calls.used,
        top_ups: (session.budget.calls.limit.unwrap() - CALLS) / TOP_UP,
        closed: session.status == Status::Closed,
    };
    assert_eq!(shown, found, "{when}: `{}` against its history", session.id);
    assert_eq!(
        session.calls_made, found.calls,
        "{when}: calls made of `{}`",
        session.id
    );
    found
}

async fn sessions_of(engine: &Windlass, worker: u64, status: Option<Status>) -> Vec<Session> {
    let agent = Some(agent(&format!("worker-{worker}")));
    let query = ListQuery {
        agent,
        status,
        limit: 1_000,
        ..ListQuery::default()
    };
    let page = engine.sessions().list(&caller(), &query).await.unwrap();
    assert_eq!(page.unreadable, Vec::new());
    page.sessions
}

/// Changes sessions as fast as they are acknowledged, until killed.
pub(super) async fn play_mortal(engine: Windlass) {
    let workers = (0..WORKERS).map(|worker| tokio::spawn(work(engine.clone(), worker)));
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

async fn work(engine: Windlass, worker: u64) {
    // No two workers of any two processes draw the same operation ids. The
    // number of a process would not do: thousands of kills later it is given
    // out again.
    let mut random = Random(RandomState::new().hash_one(worker));
    loop {
        let open = sessions_of(&engine, worker, Some(Status::Active)).await;
        let id = match open.into_iter().next() {
            Some(session) => session.id,
            None => begin(&engine, worker).await,
        };
        while !change(&engine, &id, &mut random).await {}
    }
}

async fn begin(engine: &Windlass, worker: u64) -> SessionId {
    let count = sessions_of(engine, worker, None).await.len();
    let name = format!("worker-{worker}");
    let request = session(&format!("{name}-{count}"), &name, CALLS);
    let created = engine
        .sessions()
        .create_under_cap(&caller(), request, Some(1))
        .await
        .unwrap();
    tell(&format!("create {}", created.id));
    created.id
}

/// One change of a session; whether it was its close.
async fn change(engine: &Windlass, id: &SessionId, random: &mut Random) -> bool {
    let sessions = engine.sessions();
    let operation: OperationId = format!("{}-{}", random.below(u64::MAX), random.below(u64::MAX))
        .parse()
        .unwrap();
    match random.below(40) {
        0 => {
            sessions
                .close(&caller(), id, Some(operation))
                .await
                .unwrap();
            tell(&format!("close {id}"));
            true
        }
        1..=8 => {
            let request = TopUp {
                calls: TOP_UP,
                ..TopUp::default()
            };
            let after = sessions.top_up(&caller(), id, request).await.unwrap();
            tell(&format!(
                "top_up {id} {}",
                after.budget.calls.limit.unwrap()
            ));
            false
        }
        way => {
            let items = (0..=way % 3)
                .map(|_| UseItem::new("search".parse().unwrap()))
                .collect();
            let mut request = Use::batch(Agent::Unchecked, items);
            request.operation = (way % 2 == 0).then_some(operation);
            let receipt = sessions.use_tools(&caller(), id, request).await.unwrap();
            tell(&format!(
                "use {id} {} {}",
                receipt.first_call, receipt.last_call
            ));
            false
        }
    }
}
