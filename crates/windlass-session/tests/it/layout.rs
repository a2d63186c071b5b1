//! The stored layout: what a released version wrote is read, and what is
//! written today is what was released.
//!
//! A fixture is an export, one row a line: its key, and its value as it is
//! (`""` for an empty one). When the layout changes on purpose, a further
//! fixture is added beside the old ones, which must still be read.

use windlass_session::{
    Agent, Allow, Charge, ListQuery, Outcome, RateLimit, Sensitivity, Settle, Status, TopUp, Use,
    UseItem, What,
};

use crate::support::{
    DAY, HOUR, SECOND, START, World, agent, call, caller, code, operation, session_id, use_tools,
};

/// Layout 1 as it was first released.
const LAYOUT_1: &str = include_str!("../fixtures/layout-1.ndjson");
/// Layout 1 since stored answers carry the revision they show.
const LAYOUT_1_REVISIONS: &str = include_str!("../fixtures/layout-1-revisions.ndjson");
const ALL: [&str; 2] = [LAYOUT_1, LAYOUT_1_REVISIONS];

fn line(key: &str, value: &str) -> String {
    let value = if value.is_empty() { "\"\"" } else { value };
    format!("{{\"key\":\"{key}\",\"value\":{value}}}\n")
}

/// The key and the value of one line.
fn row(line: &str) -> (&str, &str) {
    let inner = line
        .strip_prefix("{\"key\":\"")
        .and_then(|rest| rest.strip_suffix('}'));
    let (key, value) = inner
        .and_then(|inner| inner.split_once("\",\"value\":"))
        .expect("a row");
    (key, if value == "\"\"" { "" } else { value })
}

/// A world that holds the rows of a fixture.
async fn opened(fixture: &str) -> World {
    let world = World::new();
    for (key, value) in fixture.lines().map(row) {
        world.put(key, value.to_owned()).await;
    }
    world
}

async fn export(world: &World) -> String {
    let rows = world.rows().await;
    let text = |bytes: &bytes::Bytes| String::from_utf8(bytes.to_vec()).expect("text");
    rows.iter()
        .map(|row| line(&text(&row.key), &text(&row.value)))
        .collect()
}

fn item(tool: &str, tokens: u64, reserve: bool) -> UseItem {
    let mut item = UseItem::new(tool.parse().expect("a name"));
    item.charge = Charge {
        tokens,
        cost_micros: 0,
    };
    item.reserve = reserve;
    item
}

/// A session with every field in use.
async fn create_whole(world: &World) {
    world
        .create(|request| {
            request.id = Some(session_id("whole"));
            request.tools = Allow::only(["search", "fetch_*"]).expect("patterns");
            request.credentials = Allow::only(["github"]).expect("patterns");
            request.ceiling = Sensitivity::Confidential;
            request.time_limit_ms = DAY;
            request.budget.calls = 20;
            request.budget.tokens = Some(1_000);
            request.budget.cost_micros = Some(500_000);
            request.rate = Some(RateLimit::sliding(10, 60 * SECOND));
            request.chain = vec!["planner".parse().expect("an identifier"), agent()];
            request.operation = Some(operation("create-whole"));
        })
        .await;
}

async fn settle(world: &World, call: u64, outcome: Outcome) {
    let request = Settle {
        agent: Agent::Is(agent()),
        call,
        outcome,
        operation: None,
    };
    let settled = world
        .sessions
        .settle(&caller(), &session_id("whole"), request)
        .await;
    settled.expect("settled");
}

/// Every kind of event, under operation ids and without.
async fn use_whole(world: &World) {
    let mut first = call("search");
    first.operation = Some(operation("first-use"));
    first.items[0].credentials = vec!["github".parse().expect("a name")];
    first.items[0].sensitivity = Some(Sensitivity::Internal);
    first.items[0].charge.cost_micros = 250;
    use_tools(&world.sessions, "whole", first)
        .await
        .expect("granted");
    world.env.advance_ms(SECOND);
    let items = vec![
        item("search", 100, true),
        item("fetch_url", 50, true),
        item("search", 10, true),
    ];
    let batch = Use::batch(Agent::Is(agent()), items);
    use_tools(&world.sessions, "whole", batch)
        .await
        .expect("granted");
    settle(
        world,
        2,
        Outcome::Cost(Charge {
            tokens: 120,
            cost_micros: 90,
        }),
    )
    .await;
    settle(world, 3, Outcome::Refund).await;
    world.env.advance_ms(HOUR);
    let request = TopUp {
        calls: 5,
        tokens: 100,
        cost_micros: 0,
        operation: Some(operation("more")),
    };
    let raised = world
        .sessions
        .top_up(&caller(), &session_id("whole"), request)
        .await;
    raised.expect("raised");
    let open = Use::batch(Agent::Unchecked, vec![item("search", 7, true)]);
    use_tools(&world.sessions, "whole", open)
        .await
        .expect("granted");
}

/// What the fixture of the present layout holds.
async fn written_today() -> World {
    let world = World::new();
    create_whole(&world).await;
    for name in ["closed", "expired"] {
        world
            .create(|request| {
                request.id = Some(session_id(name));
                request.tools = Allow::nothing();
            })
            .await;
    }
    let end = Some(operation("end"));
    let closed = world
        .sessions
        .close(&caller(), &session_id("closed"), end)
        .await;
    closed.expect("closed");
    use_whole(&world).await;
    let swept = world.sessions.sweep(100).await.expect("swept");
    assert_eq!(swept.expired, 1);
    world
}

#[tokio::test]
async fn what_is_written_today_is_the_released_layout() {
    let written = export(&written_today().await).await;
    assert_eq!(written, LAYOUT_1_REVISIONS, "written today:\n{written}");
}

#[tokio::test]
async fn sessions_of_layout_1_are_read() {
    for fixture in ALL {
        sessions_are_read(fixture).await;
    }
}

async fn sessions_are_read(fixture: &str) {
    let world = opened(fixture).await;
    world.env.advance_ms(HOUR + SECOND);
    let page = world.sessions.list(&caller(), &ListQuery::default()).await;
    let page = page.expect("a page");
    let seen: Vec<_> = page
        .sessions
        .iter()
        .map(|one| (one.id.as_str(), one.status))
        .collect();
    assert_eq!(
        seen,
        [
            ("closed", Status::Closed),
            ("expired", Status::Expired),
            ("whole", Status::Active)
        ]
    );
    let whole = world.get("whole").await;
    assert_eq!(
        whole.tools,
        Allow::only(["search", "fetch_*"]).expect("patterns")
    );
    assert_eq!(
        whole.credentials,
        Allow::only(["github"]).expect("patterns")
    );
    assert_eq!(whole.ceiling, Sensitivity::Confidential);
    assert_eq!(
        (whole.created_at, whole.expires_at),
        (START, START.plus_ms(DAY))
    );
    assert_eq!(whole.chain.len(), 2);
    assert_eq!(whole.rate, Some(RateLimit::sliding(10, 60 * SECOND)));
    let meters = [
        whole.budget.calls,
        whole.budget.tokens,
        whole.budget.cost_micros,
    ];
    let meters = meters.map(|meter| (meter.limit, meter.used));
    assert_eq!(
        meters,
        [(Some(25), 4), (Some(1_100), 137), (Some(500_000), 340)]
    );
    assert_eq!((whole.calls_made, whole.reservations_open), (5, 1));
    assert_eq!(whole.clamped, Vec::<&str>::new());
    assert_eq!(world.get("closed").await.tools, Allow::nothing());
}

#[tokio::test]
async fn the_history_of_layout_1_is_read() {
    for fixture in ALL {
        history_is_read(fixture).await;
    }
}

async fn history_is_read(fixture: &str) {
    let world = opened(fixture).await;
    let events = world.history("whole").await;
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| match event.what {
            What::Use {
                reserved: false, ..
            } => "use",
            What::Use { reserved: true, .. } => "reserve",
            What::Settle { .. } => "settle",
            What::Refund { .. } => "refund",
            What::Lapse { .. } => "lapse",
            What::TopUp { .. } => "top_up",
            What::Close => "close",
            What::Delegate { .. } => "delegate",
        })
        .collect();
    let expected = [
        "use", "reserve", "reserve", "reserve", "settle", "refund", "lapse", "top_up", "reserve",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(events[0].operation.as_deref(), Some("runtime/first-use"));
    assert_eq!(world.history("closed").await.len(), 1);
    assert_eq!(world.history("expired").await.len(), 0);
}

#[tokio::test]
async fn operations_of_layout_1_are_remembered() {
    for (fixture, revision) in ALL.into_iter().zip([0, 6]) {
        operations_are_remembered(fixture, revision).await;
    }
}

/// Answers that were stored without their revision show none.
async fn operations_are_remembered(fixture: &str, revision: u64) {
    let world = opened(fixture).await;
    world.env.advance_ms(HOUR + SECOND);
    let end = || Some(operation("end"));
    let closed = world
        .sessions
        .close(&caller(), &session_id("closed"), end())
        .await;
    assert_eq!(closed.expect("the first answer").changed_at, START);
    let other = world
        .sessions
        .close(&caller(), &session_id("whole"), end())
        .await;
    assert_eq!(code(other), "operation_conflict");
    let request = TopUp {
        calls: 5,
        tokens: 100,
        cost_micros: 0,
        operation: Some(operation("more")),
    };
    let raised = world
        .sessions
        .top_up(&caller(), &session_id("whole"), request)
        .await;
    let raised = raised.expect("the first answer");
    assert_eq!(
        (raised.budget.calls.limit, raised.revision),
        (Some(25), revision)
    );
}

#[tokio::test]
async fn sessions_of_layout_1_are_used_closed_and_removed() {
    for fixture in ALL {
        sessions_are_used_closed_and_removed(fixture).await;
    }
}

async fn sessions_are_used_closed_and_removed(fixture: &str) {
    let world = opened(fixture).await;
    world.env.advance_ms(HOUR + SECOND);
    let active = world.sessions.count_active(&caller(), &agent()).await;
    assert_eq!(active.expect("a store that works"), 1);
    let used = use_tools(&world.sessions, "whole", call("fetch_more")).await;
    assert_eq!(used.expect("granted").first_call, 6);
    let closed = world.sessions.close_agent(&caller(), &agent()).await;
    assert_eq!(closed.expect("closed"), 1);
    world.env.advance_ms(8 * DAY);
    while world.sessions.sweep(10).await.expect("swept").truncated {}
    assert_eq!(world.keys().await, Vec::<String>::new());
}
