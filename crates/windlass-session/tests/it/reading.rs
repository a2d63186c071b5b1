//! Limits hold again on reading, and a record that cannot be read is an error
//! for who asks for it and for nobody else.

use serde_json::{Value, json};
use windlass_core::{Coded, ErrorKind};
use windlass_session::limits::{
    AMOUNT_MAX, CALLS_MAX, CHAIN_MAX, INTENT_BYTES_MAX, PATTERNS_MAX, RATE_WINDOW_MS_MAX,
    RATE_WINDOW_MS_MIN, TIME_LIMIT_MS_MAX,
};
use windlass_session::{Allow, ListQuery, RateLimit, SessionError, Status};

use crate::support::{DAY, World, agent, call, caller, code, get, session_id, use_tools};

const HEAD: &str = "acme/session/s1/head";
const SPEC: &str = "acme/session/s1/spec";

/// A session with every optional field, one call used.
async fn whole() -> World {
    let world = World::new();
    world
        .create(|request| {
            request.budget.tokens = Some(100);
            request.budget.cost_micros = Some(100);
            request.rate = Some(RateLimit::sliding(5, 60_000));
            request.chain = vec![agent()];
        })
        .await;
    let used = world.call("s1", "search").await;
    assert_eq!(used.expect("granted").left.calls, 9);
    world
}

#[tokio::test]
async fn what_is_stored_above_a_limit_counts_as_the_limit_and_is_reported() {
    let world = whole().await;
    let patterns: Vec<_> = (0..=PATTERNS_MAX)
        .map(|number| format!("t{number}"))
        .collect();
    world
        .edit(SPEC, |spec| {
            spec["intent"] = "é".repeat(300).into();
            spec["chain"] = vec!["a"; CHAIN_MAX + 1].into();
            spec["tools"] = json!({ "only": patterns });
            spec["credentials"] = json!({ "only": patterns });
            spec["time_limit_ms"] = (TIME_LIMIT_MS_MAX + 1).into();
            spec["rate"] = json!({ "limit": CALLS_MAX + 1, "window_ms": RATE_WINDOW_MS_MAX + 1 });
        })
        .await;
    world
        .edit(HEAD, |head| {
            head["calls"][0] = (CALLS_MAX + 1).into();
            head["tokens"][0] = (AMOUNT_MAX + 1).into();
            head["cost"][0] = u64::MAX.into();
            head["open"] = vec![json!([1, 2, 3, u64::MAX]); 65].into();
        })
        .await;
    let seen = world.get("s1").await;
    assert_eq!(
        seen.clamped,
        [
            "intent",
            "chain",
            "tools",
            "credentials",
            "time_limit_ms",
            "rate.limit",
            "rate.window_ms",
            "calls",
            "tokens",
            "cost_micros",
            "reservations"
        ]
    );
    assert_eq!(seen.intent.len(), INTENT_BYTES_MAX);
    assert_eq!(seen.chain.len(), CHAIN_MAX);
    let Allow::Only(tools) = &seen.tools else {
        panic!("{:?}", seen.tools)
    };
    assert_eq!(tools.len(), PATTERNS_MAX);
    assert_eq!(seen.expires_at, seen.created_at.plus_ms(TIME_LIMIT_MS_MAX));
    let rate = RateLimit::sliding(CALLS_MAX, RATE_WINDOW_MS_MAX);
    assert_eq!(seen.rate, Some(rate));
    assert_eq!(seen.budget.calls.limit, Some(CALLS_MAX));
    assert_eq!(seen.budget.tokens.limit, Some(AMOUNT_MAX));
    assert_eq!(seen.budget.cost_micros.limit, Some(AMOUNT_MAX));
    assert_eq!(seen.reservations_open, 64);
}

#[tokio::test]
async fn the_limit_and_not_the_stored_value_decides_about_uses() {
    let world = whole().await;
    world
        .edit(HEAD, |head| head["calls"] = json!([u64::MAX, CALLS_MAX]))
        .await;
    let refused = world.call("s1", "search").await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the budget of calls is exceeded: 1000000 of 1000000 used"
    );
    world
        .edit(SPEC, |spec| spec["time_limit_ms"] = (10 * DAY).into())
        .await;
    world.env.advance_ms(TIME_LIMIT_MS_MAX);
    let reopened = world.reopen();
    let late = use_tools(&reopened, "s1", call("search"));
    assert_eq!(code(late.await), "expired");
}

#[tokio::test]
async fn a_rate_window_below_its_least_counts_as_the_least() {
    let world = whole().await;
    world
        .edit(SPEC, |spec| spec["rate"]["window_ms"] = 0.into())
        .await;
    let reopened = world.reopen();
    let used = use_tools(&reopened, "s1", call("search"));
    assert_eq!(used.await.expect("granted").last_call, 2);
    let seen = world.get("s1").await;
    assert_eq!(
        seen.rate.map(|rate| rate.window_ms),
        Some(RATE_WINDOW_MS_MIN)
    );
}

#[tokio::test]
async fn a_session_stored_with_too_long_a_time_can_be_closed_and_leaves_nothing() {
    let world = whole().await;
    world
        .edit(SPEC, |spec| spec["time_limit_ms"] = (10 * DAY).into())
        .await;
    let created = world.get("s1").await.created_at;
    let stale = format!(
        "acme/agent/researcher/active/{:020}/s1",
        created.get() + 3_600_000
    );
    let stored = format!(
        "acme/agent/researcher/active/{:020}/s1",
        created.get() + 10 * DAY
    );
    world.delete(&stale).await;
    world.put(&stored, "").await;
    let closed = world.sessions.close_agent(&caller(), &agent()).await;
    assert_eq!(closed.expect("closed"), 1);
    let left = world.sessions.count_active(&caller(), &agent()).await;
    assert_eq!(left.expect("a store that works"), 0);
    assert!(!world.keys().await.contains(&stored));
}

/// A record with another value of one field.
fn with(record: &Value, field: &str, value: Value) -> String {
    let mut record = record.clone();
    record[field] = value;
    record.to_string()
}

fn without(record: &Value, field: &str) -> String {
    let mut record = record.clone();
    record.as_object_mut().expect("an object").remove(field);
    record.to_string()
}

/// What reading says of a session one of whose records was replaced.
async fn reading_after(key: &str, value: &str) -> SessionError {
    let world = whole().await;
    world.put(key, value.to_owned()).await;
    let sessions = world.reopen();
    let error = get(&sessions, "s1").await.expect_err("damaged");
    let used = use_tools(&sessions, "s1", call("search"));
    assert_eq!(
        used.await.expect_err("damaged").to_string(),
        error.to_string()
    );
    error
}

/// The record under `key` as a whole session has it.
async fn stored(key: &str) -> Value {
    let rows = whole().await.rows().await;
    let row = rows.into_iter().find(|row| row.key == key);
    serde_json::from_slice(&row.expect("a row").value).expect("a record")
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_corrupt_for_who_asks_for_it() {
    let (head, spec) = (stored(HEAD).await, stored(SPEC).await);
    let table = [
        (
            HEAD,
            String::new(),
            "the stored session head cannot be read",
        ),
        (HEAD, "[]".into(), "the stored session head cannot be read"),
        (
            HEAD,
            with(&head, "v", 2.into()),
            "format 2; this version reads 1",
        ),
        (
            HEAD,
            with(&head, "strange", 1.into()),
            "unknown field `strange`",
        ),
        (
            HEAD,
            with(&head, "calls", json!([null, 0])),
            "it has no limit of calls",
        ),
        (HEAD, without(&head, "calls"), "missing field `calls`"),
        (
            SPEC,
            with(&spec, "v", 9.into()),
            "format 9; this version reads 1",
        ),
        (SPEC, without(&spec, "tools"), "missing field `tools`"),
        (
            SPEC,
            without(&spec, "credentials"),
            "missing field `credentials`",
        ),
        (
            SPEC,
            with(&spec, "tools", json!({ "only": ["a*b"] })),
            "not allowed",
        ),
        (
            SPEC,
            with(&spec, "agent", "a/b".into()),
            "`agent` has a character",
        ),
    ];
    for (key, value, why) in table {
        let error = reading_after(key, &value).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{key}: {value}");
        let shown = error.to_string();
        assert!(shown.contains(why), "{key}: {value}: {shown}");
    }
}

#[tokio::test]
async fn a_missing_head_or_spec_is_corrupt_and_not_absent() {
    for (gone, named) in [(HEAD, "session head"), (SPEC, "session spec")] {
        let world = whole().await;
        world.delete(gone).await;
        let error = world.sessions.get(&caller(), &session_id("s1")).await;
        assert_eq!(
            error.unwrap_err().to_string(),
            format!("the stored {named} cannot be read: it is missing")
        );
    }
}

#[tokio::test]
async fn a_missing_event_row_is_corrupt_and_history_is_never_shorter() {
    let world = whole().await;
    for _ in 0..2 {
        world.call("s1", "search").await.expect("granted");
    }
    for number in 1..=3 {
        let key = format!("acme/session/s1/event/{number:020}");
        let kept = world.rows().await.into_iter().find(|row| row.key == key);
        world.delete(&key).await;
        let read = world
            .sessions
            .history(&caller(), &session_id("s1"), 0, 1_000)
            .await;
        assert_eq!(
            read.unwrap_err().to_string(),
            format!("the stored session history cannot be read: event {number} is missing")
        );
        world.put(&key, kept.expect("a row").value).await;
    }
    assert_eq!(world.history("s1").await.len(), 3);
}

#[tokio::test]
async fn a_listing_reports_what_cannot_be_read_and_shows_the_rest() {
    let world = whole().await;
    for name in ["s2", "s3"] {
        world.env.advance_ms(1);
        world
            .create(|request| request.id = Some(session_id(name)))
            .await;
    }
    world.put("acme/session/s2/head", "{}").await;
    let page = world.sessions.list(&caller(), &ListQuery::default()).await;
    let page = page.expect("a page");
    let names: Vec<_> = page.sessions.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(names, ["s1", "s3"]);
    let unreadable: Vec<_> = page.unreadable.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(unreadable, ["s2"]);
    assert_eq!(page.next, None);
    let others = world.call("s3", "search").await;
    assert_eq!(others.expect("granted").first_call, 1);
    assert_eq!(world.get("s1").await.status, Status::Active);
}
