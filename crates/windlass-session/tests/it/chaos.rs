//! Many callers at once, two processes, and a store that is slow and fails
//! whenever it may: under operation ids everything happens exactly once.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use futures_util::future::join_all;
use windlass_core::{Coded, ErrorKind};
use windlass_session::{Receipt, SessionError, Sessions, TopUp, What};
use windlass_store_testing::{Random, Slow, Strict, StrictOptions};

use crate::support::{World, call, caller, operation, session_id, use_tools};

const SEEDS: &[u64] = &[1, 2, 0xc4a05];
const SESSIONS: usize = 3;
const CALLERS: usize = 24;
const DEEDS: usize = 12;
const CALLS: u64 = 60;

/// What a caller did: the session, and the first answer by operation.
type Told = Vec<(usize, String, Result<Receipt, &'static str>)>;

/// Asks until the answer is one that a caller can rely on, and once more.
async fn insist(
    processes: &[Sessions],
    random: &mut Random,
    session: usize,
    id: &str,
) -> Result<Receipt, SessionError> {
    let mut answers = Vec::new();
    while answers.len() < 2 {
        let mut request = call(id);
        request.operation = Some(operation(id));
        let process = random.pick(processes);
        match use_tools(process, &format!("s{session}"), request).await {
            Err(error) if is_failure(&error) => {}
            answer => answers.push(answer),
        }
    }
    let last = answers.pop().expect("two answers");
    if let Some(Ok(first)) = answers.pop() {
        assert_eq!(
            last.as_ref().map_err(ToString::to_string),
            Ok(&first),
            "the first answer"
        );
    }
    last
}

fn is_failure(error: &SessionError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Indeterminate
    )
}

async fn act(processes: &[Sessions], seed: u64, number: usize) -> Told {
    let mut random = Random::new(seed ^ (u64::try_from(number).expect("small") << 32));
    let mut told = Vec::new();
    for deed in 0..DEEDS {
        let session = random.below(SESSIONS);
        let id = format!("t{number}-{deed}");
        if random.one_in(6) {
            top_up(processes, &mut random, session, &id).await;
            continue;
        }
        let answer = insist(processes, &mut random, session, &id).await;
        told.push((session, id, answer.map_err(|error| error.code())));
    }
    told
}

async fn top_up(processes: &[Sessions], random: &mut Random, session: usize, id: &str) {
    let name = session_id(&format!("s{session}"));
    loop {
        let request = TopUp {
            calls: 1,
            operation: Some(operation(id)),
            ..TopUp::default()
        };
        let process = random.pick(processes);
        match process.top_up(&caller(), &name, request).await {
            Ok(_) => return,
            Err(error) => assert!(is_failure(&error), "{error:?}"),
        }
    }
}

/// A process over a store that is slow above and failing below.
fn process(world: &World, seed: u64) -> Sessions {
    let failing = Strict::new(Arc::clone(&world.ground), StrictOptions::ALL);
    world.over(Arc::new(Slow::new(Arc::new(failing), seed)))
}

/// Calls by their tools, and top-ups, of one session.
async fn on_record(world: &World, session: usize) -> (BTreeMap<String, u64>, u64) {
    let (mut calls, mut top_ups) = (BTreeMap::new(), 0);
    for event in world.history(&format!("s{session}")).await {
        match event.what {
            What::Use { call, tool, .. } => {
                let before = calls.insert(tool.clone(), call);
                assert_eq!(before, None, "{tool} was done twice");
            }
            What::TopUp { .. } => top_ups += 1,
            other => panic!("nobody did that: {other:?}"),
        }
    }
    (calls, top_ups)
}

async fn play(seed: u64) {
    let world = World::new();
    for number in 0..SESSIONS {
        world
            .create(|request| {
                request.id = Some(session_id(&format!("s{number}")));
                request.budget.calls = CALLS;
            })
            .await;
    }
    let processes = [process(&world, seed), process(&world, seed + 1)];
    let told = join_all((0..CALLERS).map(|number| act(&processes, seed, number))).await;
    let told: Told = told.into_iter().flatten().collect();
    for session in 0..SESSIONS {
        let (calls, top_ups) = on_record(&world, session).await;
        let stored = world.get(&format!("s{session}")).await;
        assert_eq!(
            stored.budget.calls.limit,
            Some(CALLS + top_ups),
            "seed {seed:#x}"
        );
        assert_eq!(
            u64::try_from(calls.len()),
            Ok(stored.budget.calls.used),
            "seed {seed:#x}"
        );
        assert!(
            stored.budget.calls.used <= CALLS + top_ups,
            "seed {seed:#x}"
        );
        for (_, id, answer) in told.iter().filter(|(place, ..)| *place == session) {
            match answer {
                Ok(receipt) => {
                    assert_eq!(calls.get(id), Some(&receipt.first_call), "seed {seed:#x}")
                }
                Err(code) => {
                    assert_eq!(*code, "budget_exceeded", "seed {seed:#x}");
                    assert_eq!(calls.get(id), None, "seed {seed:#x}: refused and done");
                }
            }
        }
    }
    let granted = told.iter().filter(|(.., answer)| answer.is_ok()).count();
    assert!(
        granted > CALLERS,
        "seed {seed:#x}: {granted} of {}",
        told.len()
    );
}

#[tokio::test]
async fn under_operation_ids_everything_happens_once_whatever_fails() {
    let fresh = RandomState::new().build_hasher().finish() >> 1;
    for seed in SEEDS.iter().copied().chain([fresh]) {
        play(seed).await;
    }
}
