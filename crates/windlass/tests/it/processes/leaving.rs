//! Ten thousand uses whose callers lose patience, on a real store: nobody
//! waits for ever, nothing is done twice, and what was answered is on record.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use windlass::Windlass;
use windlass::core::SessionId;
use windlass::session::{Agent, Receipt, Use, What};

use super::{Place, Random, caller, session, setting};

const CALLERS: u64 = 10_000;
const AT_ONCE: u64 = 500;
const SESSIONS: u64 = 8;
const SEED: &str = "WINDLASS_KILL_SEED";
/// Far beyond what the uses take; only a stranded caller reaches it.
const STRANDED: Duration = Duration::from_secs(300);

/// What comes of a future that is given up when it is pending once more than
/// its caller has patience.
async fn impatient<T>(future: impl Future<Output = T>, mut patience: u64) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if patience == 0 => Poll::Ready(None),
        Poll::Pending => {
            patience -= 1;
            Poll::Pending
        }
    })
    .await
}

async fn call(engine: Windlass, number: u64, patience: u64) -> Option<(u64, Receipt)> {
    let request = Use::one(Agent::Unchecked, format!("t{number}").parse().unwrap());
    let (caller, id) = (caller(), id_of(number));
    let using = engine.sessions().use_tools(&caller, &id, request);
    let receipt = impatient(using, patience).await?.unwrap();
    Some((number, receipt))
}

fn id_of(number: u64) -> SessionId {
    format!("shared-{}", number % SESSIONS).parse().unwrap()
}

/// All calls, some at a time; who was answered, and how.
async fn crowd(engine: &Windlass, seed: u64) -> BTreeMap<u64, Receipt> {
    let mut random = Random(seed);
    let mut answered = BTreeMap::new();
    for wave in 0..CALLERS / AT_ONCE {
        let calls: Vec<_> = (wave * AT_ONCE..(wave + 1) * AT_ONCE)
            .map(|number| {
                let patience = if random.below(2) == 0 {
                    u64::MAX
                } else {
                    random.below(3)
                };
                tokio::spawn(call(engine.clone(), number, patience))
            })
            .collect();
        for call in calls {
            answered.extend(call.await.unwrap());
        }
    }
    answered
}

/// Who made each call of a session, by the number of the call.
async fn calls(engine: &Windlass, id: &SessionId) -> BTreeMap<u64, u64> {
    let mut calls = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = engine.sessions().history(&caller(), id, after, 1_000).await;
        let page = page.unwrap().unwrap();
        for event in page.events {
            after = event.number;
            let What::Use { call, tool, .. } = event.what else {
                panic!("only uses were made: {event:?}")
            };
            let number = tool.trim_start_matches('t').parse().unwrap();
            assert_eq!(calls.insert(call, number), None, "call {call} of `{id}`");
        }
        if !page.more {
            return calls;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_impatient_callers_strand_nobody_and_use_nothing_twice() {
    let place = Place::new("sqlite");
    let engine = place.open().await;
    for number in 0..SESSIONS {
        let request = session(id_of(number).as_str(), "shared", 1_000_000);
        engine.sessions().create(&caller(), request).await.unwrap();
    }
    let seed = setting(SEED, 11);
    let answered = tokio::time::timeout(STRANDED, crowd(&engine, seed)).await;
    let answered = answered.unwrap_or_else(|_| panic!("seed {seed}: callers are stranded"));

    let mut users = Vec::new();
    for number in 0..SESSIONS {
        let calls = calls(&engine, &id_of(number)).await;
        for (caller, receipt) in answered
            .iter()
            .filter(|(caller, _)| *caller % SESSIONS == number)
        {
            assert_eq!(
                calls.get(&receipt.first_call),
                Some(caller),
                "seed {seed}: {receipt:?}"
            );
        }
        let stored = engine.sessions().get(&caller(), &id_of(number)).await;
        assert_eq!(
            stored.unwrap().unwrap().budget.calls.used,
            calls.len() as u64
        );
        users.extend(calls.into_values());
    }
    users.sort_unstable();
    let made = users.len();
    users.dedup();
    assert_eq!(users.len(), made, "seed {seed}: a use was made twice");
    let count = answered.len() as u64;
    assert!(
        (CALLERS / 3..CALLERS).contains(&count),
        "seed {seed}: {count} answered"
    );
    engine.close().await.unwrap();
}
