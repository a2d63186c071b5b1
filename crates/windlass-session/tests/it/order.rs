//! A use is checked in a fixed order: the first failure is the answer, and a
//! refusal consumes nothing.

use windlass_session::limits::{BATCH_NAMES_BYTES_MAX, BATCH_USES_MAX, CREDENTIALS_MAX};
use windlass_session::{Agent, Allow, Charge, Name, RateLimit, Sensitivity, Session, Use, UseItem};

use crate::support::{World, agent, call, close, code, session_id, use_tools};

/// What can be wrong with a use, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Missing,
    Agent,
    Closed,
    Expired,
    Budget,
    Tool,
    Credential,
    Sensitivity,
    Rate,
}

const FAULTS: [Fault; 9] = [
    Fault::Missing,
    Fault::Agent,
    Fault::Closed,
    Fault::Expired,
    Fault::Budget,
    Fault::Tool,
    Fault::Credential,
    Fault::Sensitivity,
    Fault::Rate,
];

impl Fault {
    const fn code(self) -> &'static str {
        match self {
            Self::Missing => "not_found",
            Self::Agent => "agent_mismatch",
            Self::Closed => "already_closed",
            Self::Expired => "expired",
            Self::Budget => "budget_exceeded",
            Self::Tool => "tool_not_allowed",
            Self::Credential => "credential_not_allowed",
            Self::Sensitivity => "sensitivity_exceeded",
            Self::Rate => "rate_limited",
        }
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// A session in which each of `faults` holds of [`attempt`].
async fn session_with(world: &World, faults: &[Fault]) -> Session {
    let has = |fault| faults.contains(&fault);
    world
        .create(|request| {
            request.tools = Allow::only(["search"]).expect("patterns");
            request.credentials = Allow::only(["key"]).expect("patterns");
            request.ceiling = Sensitivity::Internal;
            request.budget.calls = 1;
            request.budget.tokens = Some(100);
            request.rate = Some(RateLimit::sliding(u64::from(!has(Fault::Rate)), 60_000));
        })
        .await;
    if has(Fault::Closed) {
        close(&world.sessions, "s1").await.expect("closed");
    }
    if has(Fault::Expired) {
        world.env.advance_ms(3_600_000);
    }
    world.get("s1").await
}

/// A use that is granted but for `faults`.
fn attempt(faults: &[Fault]) -> Use {
    let has = |fault| faults.contains(&fault);
    let mut item = UseItem::new(name(if has(Fault::Tool) { "shell" } else { "search" }));
    item.credentials = vec![name(if has(Fault::Credential) {
        "root"
    } else {
        "key"
    })];
    item.sensitivity = Some(match has(Fault::Sensitivity) {
        true => Sensitivity::Confidential,
        false => Sensitivity::Internal,
    });
    item.charge = Charge {
        tokens: if has(Fault::Budget) { 101 } else { 100 },
        cost_micros: 0,
    };
    let agent = match has(Fault::Agent) {
        true => Agent::Is("stranger".parse().expect("an identifier")),
        false => Agent::Is(agent()),
    };
    Use::batch(agent, vec![item])
}

fn target(faults: &[Fault]) -> &'static str {
    let missing = faults.contains(&Fault::Missing);
    if missing { "s2" } else { "s1" }
}

#[tokio::test]
async fn without_a_fault_the_use_is_granted() {
    let world = World::new();
    session_with(&world, &[]).await;
    let used = use_tools(&world.sessions, "s1", attempt(&[])).await;
    assert_eq!(used.expect("granted").first_call, 1);
}

#[tokio::test]
async fn of_any_two_faults_the_first_in_order_is_the_answer_and_nothing_is_consumed() {
    for (place, first) in FAULTS.iter().enumerate() {
        for second in &FAULTS[place..] {
            let faults = [*first, *second];
            let world = World::new();
            let before = session_with(&world, &faults).await;
            let rows = world.rows().await;
            let answer = use_tools(&world.sessions, target(&faults), attempt(&faults));
            assert_eq!(code(answer.await), first.code(), "{faults:?}");
            assert_eq!(world.get("s1").await, before, "{faults:?}");
            assert_eq!(world.rows().await, rows, "{faults:?}: a row was written");
        }
    }
}

#[tokio::test]
async fn with_every_fault_at_once_the_first_is_the_answer() {
    for place in 0..FAULTS.len() {
        let faults = &FAULTS[place..];
        let world = World::new();
        session_with(&world, faults).await;
        let answer = use_tools(&world.sessions, target(faults), attempt(faults));
        assert_eq!(code(answer.await), FAULTS[place].code());
    }
}

/// A batch of which the last item alone has `faults`.
fn batch(faults: &[Fault]) -> Use {
    let mut request = attempt(faults);
    let mut items = attempt(&[]).items;
    items[0].charge = Charge::default();
    items.append(&mut request.items);
    request.items = items;
    request
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_checked_in_the_same_order() {
    let faults = &FAULTS[4..];
    for (place, first) in faults.iter().enumerate() {
        for second in &faults[place..] {
            let both = [*first, *second];
            let world = World::new();
            session_with(&world, &both).await;
            world
                .edit("acme/session/s1/head", |head| head["calls"][0] = 2.into())
                .await;
            let rows = world.rows().await;
            let answer = use_tools(&world.sessions, "s1", batch(&both)).await;
            assert_eq!(code(answer), first.code(), "{both:?}");
            assert_eq!(world.rows().await, rows, "{both:?}: a row was written");
        }
    }
}

#[tokio::test]
async fn a_batch_names_its_first_and_last_call() {
    let world = World::new();
    world.create(|_| {}).await;
    world.call("s1", "search").await.expect("granted");
    let item = || UseItem::new(name("search"));
    let request = Use::batch(Agent::Unchecked, vec![item(), item(), item()]);
    let receipt = use_tools(&world.sessions, "s1", request)
        .await
        .expect("granted");
    assert_eq!((receipt.first_call, receipt.last_call), (2, 4));
    assert_eq!(receipt.left.calls, 6);
    assert_eq!(world.history("s1").await.len(), 4);
}

#[tokio::test]
async fn a_batch_that_needs_one_call_too_many_consumes_none() {
    let world = World::new();
    world.create(|request| request.budget.calls = 3).await;
    let items = |count| vec![UseItem::new(name("search")); count];
    let refused = Use::batch(Agent::Unchecked, items(4));
    let answer = use_tools(&world.sessions, "s1", refused).await;
    assert_eq!(
        answer.unwrap_err().to_string(),
        "the budget of calls is exceeded: 0 of 3 used"
    );
    let granted = Use::batch(Agent::Unchecked, items(3));
    let receipt = use_tools(&world.sessions, "s1", granted)
        .await
        .expect("granted");
    assert_eq!(receipt.left.calls, 0);
}

#[tokio::test]
async fn a_batch_outside_its_limits_is_invalid_whoever_asks() {
    let item = || UseItem::new(name("search"));
    let mut credentials = item();
    credentials.credentials = vec![name("key"); CREDENTIALS_MAX + 1];
    let mut charge = item();
    charge.charge.tokens = u64::MAX;
    let mut long = item();
    long.credentials = vec![name(&"k".repeat(256)); CREDENTIALS_MAX];
    let longest = BATCH_NAMES_BYTES_MAX / (256 * CREDENTIALS_MAX + "search".len());
    let table = [
        (vec![], "`uses` must not be empty"),
        (
            vec![item(); BATCH_USES_MAX + 1],
            "`uses` has 257 elements; at most 256 are allowed",
        ),
        (
            vec![credentials],
            "`credentials` has 17 elements; at most 16 are allowed",
        ),
        (
            vec![charge],
            "`tokens` is 18446744073709551615; 0 to 1000000000000000 are allowed",
        ),
        (
            vec![long.clone(); longest + 1],
            "`uses` has 262528 bytes; at most 262144 are allowed",
        ),
    ];
    let world = World::new();
    world.create(|request| request.budget.calls = 1_000).await;
    for (items, expected) in table {
        let request = Use::batch(Agent::Unchecked, items);
        let refused = use_tools(&world.sessions, "s1", request).await;
        assert_eq!(refused.unwrap_err().to_string(), expected);
    }
    for items in [vec![item(); BATCH_USES_MAX], vec![long; longest]] {
        let request = Use::batch(Agent::Unchecked, items);
        use_tools(&world.sessions, "s1", request)
            .await
            .expect("granted");
    }
}

#[tokio::test]
async fn names_that_double_in_their_record_still_fit_the_store() {
    let world = World::new();
    world.create(|request| request.budget.calls = 1_000).await;
    let mut item = UseItem::new(name(&"\"".repeat(256)));
    item.credentials = vec![name(&"\\".repeat(256)); 3];
    let request = Use::batch(Agent::Unchecked, vec![item; BATCH_USES_MAX]);
    let receipt = use_tools(&world.sessions, "s1", request)
        .await
        .expect("granted");
    assert_eq!(receipt.last_call, 256);
    assert_eq!(world.history("s1").await.len(), 256);
}

#[tokio::test]
async fn an_unchecked_agent_may_use_any_session_of_its_tenant() {
    let world = World::new();
    world.create(|_| {}).await;
    let used = use_tools(&world.sessions, "s1", call("search")).await;
    assert_eq!(used.expect("granted").first_call, 1);
    let foreign = crate::support::caller_of("umbrella", "runtime");
    let id = session_id("s1");
    let refused = world.sessions.use_tools(&foreign, &id, call("search"));
    assert_eq!(code(refused.await), "not_found");
}
