//! Ten thousand callers that come and go: nobody waits for ever, nothing is
//! done twice, and what was answered is on record.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};

use windlass_session::{SessionError, Sessions, What};
use windlass_store_testing::{Heard, come_and_go};

use crate::support::{
    DAY, World, call, delegate, delegation, session_id, slow, text, top_up, use_tools,
};

const CALLERS: usize = 10_000;
const SESSIONS: usize = 5;
const SEEDS: &[u64] = &[1, 0xd20b];

fn fresh() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A world with the sessions that are called, and processes on a slow store.
async fn world(seed: u64, processes: usize) -> (World, Vec<Sessions>) {
    let world = World::new();
    for number in 0..SESSIONS {
        world
            .create(|request| {
                request.id = Some(session_id(&format!("s{number}")));
                request.budget.calls = 900_000;
                request.budget.tokens = Some(1_000_000);
                request.time_limit_ms = DAY;
            })
            .await;
    }
    let sessions = (0..)
        .take(processes)
        .map(|number| world.over(slow(&world.ground, seed ^ number)));
    let sessions = sessions.collect();
    (world, sessions)
}

/// What each caller did, by the number of the caller: the session it called,
/// and the number of its call.
#[derive(Default)]
struct Record {
    uses: BTreeMap<usize, (usize, u64)>,
    delegations: BTreeMap<usize, usize>,
}

impl Record {
    async fn read(world: &World, seed: u64) -> Self {
        let mut record = Self::default();
        for place in 0..SESSIONS {
            let mut calls = BTreeSet::new();
            for event in world.history(&format!("s{place}")).await {
                let twice = match event.what {
                    What::Use { call, tool, .. } => {
                        let fresh = calls.insert(call);
                        assert!(fresh, "seed {seed:#x}: call {call} was made twice");
                        let number = number(&tool.to_string());
                        record.uses.insert(number, (place, call)).map(drop)
                    }
                    What::Delegate { session, .. } => {
                        let number = number(session.as_str());
                        record.delegations.insert(number, place).map(drop)
                    }
                    other => panic!("nobody asked for {other:?}"),
                };
                assert_eq!(twice, None, "seed {seed:#x}: done twice");
            }
        }
        record
    }

    fn has(&self, number: usize) -> bool {
        self.uses.contains_key(&number) || self.delegations.contains_key(&number)
    }

    /// What was answered was done, and what was never asked for was not; some
    /// of those who left early had withdrawn what they wanted.
    fn check<T>(&self, heard: &Heard<T>, seed: u64) {
        let lost = heard.answered.keys().find(|number| !self.has(**number));
        assert_eq!(lost, None, "seed {seed:#x}: answered and not on record");
        let ghost = heard.unpolled.iter().find(|number| self.has(**number));
        assert_eq!(ghost, None, "seed {seed:#x}: never asked for");
        let answered = heard.answered.len();
        assert!(answered > CALLERS / 5, "seed {seed:#x}: {answered}");
        let done = self.uses.len() + self.delegations.len();
        let asked = CALLERS - heard.unpolled.len();
        assert!(done < asked, "seed {seed:#x}: nobody left in time");
    }
}

/// The caller's number in the name of what it wanted.
fn number(name: &str) -> usize {
    let digits = name.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    digits.parse().expect("a number")
}

async fn use_all(seed: u64, processes: usize) {
    let (world, sessions) = world(seed, processes).await;
    let heard = come_and_go(seed, CALLERS, |number| {
        let sessions = &sessions[number / SESSIONS % processes];
        async move {
            let id = format!("s{}", number % SESSIONS);
            use_tools(sessions, &id, call(&format!("t{number}"))).await
        }
    });
    let record = Record::read(&world, seed).await;
    record.check(&heard, seed);
    for (number, answer) in &heard.answered {
        let receipt = granted(answer, seed);
        let expected = (number % SESSIONS, receipt.first_call);
        assert_eq!(record.uses.get(number), Some(&expected), "seed {seed:#x}");
    }
    let mut made = 0;
    for place in 0..SESSIONS {
        made += world.get(&format!("s{place}")).await.calls_made;
    }
    assert_eq!(usize::try_from(made), Ok(record.uses.len()), "{seed:#x}");
}

/// What a caller was granted, since nothing is refused here.
fn granted<T>(answer: &Result<T, SessionError>, seed: u64) -> &T {
    let granted = answer.as_ref();
    granted.unwrap_or_else(|error| panic!("seed {seed:#x}: {error}"))
}

#[tokio::test]
async fn ten_thousand_dropped_uses_strand_nobody_and_are_made_at_most_once() {
    for seed in SEEDS.iter().copied().chain([fresh()]) {
        use_all(seed, 1).await;
    }
}

#[tokio::test]
async fn dropped_uses_of_two_processes_strand_nobody_and_are_made_at_most_once() {
    use_all(fresh(), 2).await;
}

/// What the child of a caller is given: calls, and tokens.
fn given(number: usize) -> (u64, u64) {
    let number = u64::try_from(number).expect("small");
    (1 + number % 3, number % 7)
}

/// One caller in four uses its session, the others delegate from it.
async fn deed(sessions: &Sessions, number: usize) -> Result<(), SessionError> {
    let id = format!("s{}", number % SESSIONS);
    if number.is_multiple_of(4) {
        let used = use_tools(sessions, &id, call(&format!("t{number}"))).await;
        return used.map(drop);
    }
    let (calls, tokens) = given(number);
    let request = delegation(&format!("d{number}"), |request| {
        request.child.budget.calls = calls;
        request.child.budget.tokens = Some(tokens);
    });
    delegate(sessions, &id, request).await.map(drop)
}

async fn delegate_all(seed: u64, processes: usize) {
    let (world, sessions) = world(seed, processes).await;
    let mut heard = come_and_go(seed, CALLERS, |number| {
        deed(&sessions[number / SESSIONS % processes], number)
    });
    let record = Record::read(&world, seed).await;
    heard.answered.retain(|number, answer| match answer {
        // Where nobody really waits after a lost race, one may lose them all.
        Err(SessionError::Busy) if processes > 1 => {
            assert!(!record.has(*number), "seed {seed:#x}: busy, and done");
            false
        }
        answer => {
            granted(answer, seed);
            true
        }
    });
    record.check(&heard, seed);
    recount(&world, &record, seed).await;
    for place in 0..SESSIONS {
        let more = top_up(&sessions[0], &format!("s{place}"), 1).await;
        let raised = granted(&more, seed).budget.calls.limit;
        assert_eq!(raised, Some(900_001), "s{place} goes on");
    }
}

/// The figures of every parent are those of its uses and its children, and
/// there are no other children.
async fn recount(world: &World, record: &Record, seed: u64) {
    for place in 0..SESSIONS {
        let used = record.uses.values().filter(|(at, _)| *at == place).count();
        let used = u64::try_from(used).expect("small");
        let children = record.delegations.iter().filter(|(_, at)| **at == place);
        let lent = children.fold((0, 0), |sum, (number, _)| {
            let (calls, tokens) = given(*number);
            (sum.0 + calls, sum.1 + tokens)
        });
        let budget = world.get(&format!("s{place}")).await.budget;
        let shown = [budget.calls, budget.tokens].map(|meter| (meter.used, meter.lent));
        assert_eq!(shown, [(used, lent.0), (0, lent.1)], "seed {seed:#x}");
    }
    let children = record.delegations.keys();
    let expected: BTreeSet<String> = children
        .map(|number| format!("acme/session/d{number}/head"))
        .collect();
    let rows = world.rows().await;
    let stored = rows.iter().map(|row| text(&row.key));
    let stored: BTreeSet<String> = stored
        .filter(|key| key.starts_with("acme/session/d") && key.ends_with("/head"))
        .collect();
    assert_eq!(stored, expected, "seed {seed:#x}");
}

#[tokio::test]
async fn ten_thousand_dropped_delegations_strand_nobody_and_are_made_at_most_once() {
    delegate_all(SEEDS[0], 1).await;
    delegate_all(fresh(), 1).await;
}

#[tokio::test]
async fn dropped_delegations_of_two_processes_strand_nobody_and_are_made_at_most_once() {
    delegate_all(fresh(), 2).await;
}
