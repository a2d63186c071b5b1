//! Uses whose answers are lost on their way from a server. Whoever asks again
//! with the same operation id is answered, and the use is spent once.

use windlass::Windlass;
use windlass::core::{Coded, ErrorKind, SessionId};
use windlass::session::{Agent, Allow, Caller, Create, Receipt, SessionError, Use, What};
use windlass_store_testing::Random;
use windlass_store_testing::postgres::Cut;

use crate::place::{Place, open};

/// Uses, each of which is cut off. The engine tries again by itself, once: so
/// of every second use two commits are cut off, if it comes to that.
const USES: u64 = 200;

/// When a connection is cut. `During` is a race between the server, which may
/// still be at it, and the caller, who asks again.
const MOMENTS: [Cut; 3] = [Cut::Before, Cut::During, Cut::After];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_use_that_is_cut_off_at_any_moment_and_asked_for_again_is_spent_once() {
    let place = Place::new("postgres");
    let (proxy, location) = place.behind_proxy().await;
    let engine = open(&location).await;
    let id = create(&engine).await;
    let (mut random, mut unknown) = (Random::new(7), 0);
    for number in 1..=USES {
        let cuts = [(); 2].map(|()| *random.pick(&MOMENTS));
        let cuts = &cuts[usize::try_from(number % 2).unwrap()..];
        cuts.iter().for_each(|cut| proxy.cut_next(*cut));
        let first = spend(&engine, &id, number).await;
        let left = proxy.let_pass().len();
        assert!(left < cuts.len(), "use {number} was not cut off");
        let again = spend(&engine, &id, number).await.unwrap();
        assert_eq!((again.first_call, again.last_call), (number, number));
        match first {
            Ok(receipt) => assert_eq!(receipt, again, "{cuts:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Indeterminate, "{error:?}");
                unknown += 1;
            }
        }
    }
    assert!((1..USES).contains(&unknown), "{unknown} had no answer");
    assert_eq!(calls(&engine, &id).await, (1..=USES).collect::<Vec<_>>());
    assert!(!proxy.was_cancelled(), "a commit was cancelled");
    engine.close().await.unwrap();
}

fn caller() -> Caller {
    Caller::new("acme".parse().unwrap(), "tests".parse().unwrap())
}

async fn create(engine: &Windlass) -> SessionId {
    let mut request = Create::new("scout".parse().unwrap(), "look around");
    request.tools = Allow::All;
    request.budget.calls = 2 * USES;
    let session = engine.sessions().create(&caller(), request).await;
    session.unwrap().id
}

/// One use, whose operation is called after its number.
async fn spend(engine: &Windlass, id: &SessionId, number: u64) -> Result<Receipt, SessionError> {
    let mut request = Use::one(Agent::Unchecked, "search".parse().unwrap());
    request.operation = Some(format!("use-{number}").parse().unwrap());
    engine.sessions().use_tools(&caller(), id, request).await
}

/// The calls on record, which must be those that were paid for.
async fn calls(engine: &Windlass, id: &SessionId) -> Vec<u64> {
    let (sessions, caller) = (engine.sessions(), caller());
    let session = sessions.get(&caller, id).await.unwrap().unwrap();
    let history = sessions.history(&caller, id, 0, 1_000).await.unwrap();
    let events = history.unwrap().events;
    let calls = events.iter().filter_map(|event| match &event.what {
        What::Use { call, .. } => Some(*call),
        _ => None,
    });
    let calls: Vec<_> = calls.collect();
    assert_eq!(session.budget.calls.used, calls.len() as u64);
    calls
}
