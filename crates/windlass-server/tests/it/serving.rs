//! The main job, as a client in any language would do it.

use serde_json::{Value, json};
use windlass::access::{Grant, Groups, Reach, Scope, Verbs};
use windlass::audit::AuditOptions;
use windlass::{Options, Windlass};

use crate::support::{Running, get, post};

const CREATE: &str = r#"{"agent":"researcher","intent":"compare three suppliers",
    "tools":{"only":["search","read_*"]},"budget":{"calls":3}}"#;

async fn session(server: &Running) -> String {
    let made = server.ask(post("/v1/sessions", CREATE)).await.expect(201);
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/sessions/{id}");
    assert_eq!(made.header("location"), Some(path.as_str()));
    let tag = format!("\"1-{}\"", made.json()["created_at"]);
    assert_eq!(made.header("etag"), Some(tag.as_str()));
    path
}

#[tokio::test]
async fn a_session_is_made_used_and_closed() {
    let server = Running::start().await;
    let path = session(&server).await;
    let uses = format!("{path}/uses");
    let one = r#"{"agent":"researcher","items":[{"tool":"search"}]}"#;
    let receipt = server.ask(post(&uses, one)).await.expect(200).json();
    assert_eq!(receipt["first_call"], 1);
    assert_eq!(receipt["left"]["calls"], 2);

    let foreign = r#"{"agent":"other","items":[{"tool":"search"}]}"#;
    assert_eq!(
        server.ask(post(&uses, foreign)).await.expect(403).code(),
        "agent_mismatch"
    );
    let tool = r#"{"agent":"researcher","items":[{"tool":"send_email"}]}"#;
    assert_eq!(
        server.ask(post(&uses, tool)).await.expect(403).code(),
        "tool_not_allowed"
    );

    let shown = server.ask(get(&path)).await.expect(200);
    assert_eq!(shown.json()["calls_made"], 1);
    let tag = format!("\"2-{}\"", shown.json()["created_at"]);
    assert_eq!(shown.header("etag"), Some(tag.as_str()));

    let closed = server
        .ask(post(&format!("{path}/close"), "").bodiless())
        .await
        .expect(200);
    assert_eq!(closed.json()["status"], "closed");
    let again = server.ask(post(&uses, one)).await.expect(409);
    assert_eq!(again.code(), "already_closed");
    let known = closed.header("etag").expect("a tag").to_owned();
    let tag = [("If-None-Match", known.as_str())];
    server.ask(get(&path).with(&tag)).await.expect(304);
}

#[tokio::test]
async fn a_change_under_one_key_takes_effect_once() {
    let server = Running::start().await;
    let path = session(&server).await;
    let uses = format!("{path}/uses");
    let one = r#"{"agent":"researcher","items":[{"tool":"search"}]}"#;
    let two = r#"{"agent":"researcher","items":[{"tool":"read_a"}]}"#;
    let key = [("Idempotency-Key", "turn-1")];
    let first = server.ask(post(&uses, one).with(&key)).await.expect(200);
    let second = server.ask(post(&uses, one).with(&key)).await.expect(200);
    assert_eq!(first.json()["first_call"], second.json()["first_call"]);
    let other = server.ask(post(&uses, two).with(&key)).await.expect(422);
    assert_eq!(other.code(), "operation_conflict");
    let shown = server.ask(get(&path)).await.expect(200);
    assert_eq!(shown.json()["calls_made"], 1);
}

#[tokio::test]
async fn an_entry_is_put_on_conditions_and_read_back() {
    let server = Running::start().await;
    let path = session(&server).await;
    let entry = format!("{path}/stash/entries/notes");
    let put = |body| crate::support::Request {
        method: "PUT",
        ..post(&entry, body)
    };
    let absent = [("If-None-Match", "*")];
    let first = server
        .ask(put(r#"{"value":{"n":[1, 2]}}"#).with(&absent))
        .await
        .expect(200);
    let version = first.header("etag").expect("a tag").to_owned();
    let taken = server
        .ask(put(r#"{"value":2}"#).with(&absent))
        .await
        .expect(412);
    assert_eq!(taken.code(), "version_mismatch");
    let matching = [("If-Match", version.as_str())];
    server
        .ask(put(r#"{"value":3}"#).with(&matching))
        .await
        .expect(200);
    let stale = server
        .ask(put(r#"{"value":4}"#).with(&matching))
        .await
        .expect(412);
    assert_eq!(stale.json()["status"], 412);
    let shown = server.ask(get(&entry)).await.expect(200).json();
    assert_eq!(
        (&shown["key"], &shown["value"]),
        (&json!("notes"), &json!(3))
    );
    let steps = format!("{path}/stash/steps");
    let body = r#"{"operations":[{"increment":{"key":"n","by":2}},{"get":{"key":"notes"}},{"delete":{"key":"notes"}}]}"#;
    let answers = server.ask(post(&steps, body)).await.expect(200).json();
    let answers = answers["answers"].as_array().expect("answers").clone();
    assert_eq!(answers[0]["number"]["value"], 2);
    assert_eq!(answers[1]["entry"]["value"], 3);
    assert_eq!(answers[2]["deleted"], true);
    server.ask(get(&entry)).await.expect(404);
}

#[tokio::test]
async fn pages_go_on_where_they_ended() {
    let server = Running::start().await;
    for _ in 0..5 {
        session(&server).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/sessions?limit=2".to_owned());
    loop {
        let page = server.ask(get(&path)).await.expect(200).json();
        let sessions = page["sessions"].as_array().expect("a list").clone();
        assert!(sessions.len() <= 2, "{page}");
        seen.extend(
            sessions
                .into_iter()
                .map(|session| session["id"].to_string()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/sessions?limit=2&cursor={cursor}");
    }
    let mut different = seen.clone();
    different.sort();
    different.dedup();
    assert_eq!((seen.len(), different.len()), (5, 5));
    let other = path.replace("limit=2", "limit=2&status=active");
    let refused = server.ask(get(&other)).await.expect(400);
    assert_eq!(refused.code(), "cursor_invalid");
}

#[tokio::test]
async fn events_are_followed_to_the_end_of_the_session() {
    let server = Running::start().await;
    let path = session(&server).await;
    let uses = format!("{path}/uses");
    let one = r#"{"agent":"researcher","items":[{"tool":"search"}]}"#;
    server.ask(post(&uses, one)).await.expect(200);
    let mut stream = server.connect().await;
    let events = format!("{path}/events");
    let wants = [("Accept", "text/event-stream")];
    stream.send(&get(&events).with(&wants).bytes()).await;
    let begun = stream.until("\"tool\":\"search\"").await;
    assert!(
        begun.contains("text/event-stream") && begun.contains("id: 1\n"),
        "{begun}"
    );
    server.ask(post(&uses, one)).await.expect(200);
    let second = stream.until("id: 2\n").await;
    assert!(second.contains("id: 2\n"), "{second}");
    server
        .ask(post(&format!("{path}/close"), "").bodiless())
        .await
        .expect(200);
    let end = stream.until("event: end").await;
    assert!(end.contains("\"reason\":\"closed\""), "{end}");
    let resumed = [("Accept", "text/event-stream"), ("Last-Event-ID", "2")];
    let mut again = server.connect().await;
    again.send(&get(&events).with(&resumed).bytes()).await;
    let rest = again.until("event: end").await;
    assert!(
        rest.contains("id: 3\n") && !rest.contains("id: 2\n"),
        "{rest}"
    );
}

#[tokio::test]
async fn the_service_says_how_it_is() {
    let server = Running::start().await;
    server.ask(get("/livez")).await.expect(200);
    server.ask(get("/readyz")).await.expect(200);
    let metrics = server.ask(get("/metrics")).await.expect(200);
    let text = String::from_utf8(metrics.body).expect("text");
    assert!(
        text.contains("windlass_http_requests_total{route=\"readyz\",status=\"2xx\"} 1"),
        "{text}"
    );
    let document = server.ask(get("/openapi.json")).await.expect(200).json();
    assert_eq!(document["openapi"], Value::from("3.1.0"));
    let page = server.ask(get("/docs")).await.expect(200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let who = server.ask(get("/v1/whoami")).await.expect(200).json();
    assert_eq!(who["credential"], "open");
    let lost = server.ask(get("/v1/nothing")).await.expect(404);
    assert_eq!(
        lost.header("content-type"),
        Some("application/problem+json")
    );
    let method = server.ask(post("/v1/whoami", "{}")).await.expect(405);
    assert_eq!(method.header("allow"), Some("GET,HEAD"));
}

#[tokio::test]
async fn what_became_of_the_audits_events_is_among_the_figures() {
    let audit = AuditOptions {
        waiting_max: 2,
        linger_ms: 60_000,
        ..AuditOptions::default()
    };
    let options = Options {
        audit: Some(audit),
        ..Options::default()
    };
    let location = "memory:".parse().expect("a location");
    let engine = Windlass::open(&location, options).await.expect("a store");
    let server = Running::over(engine, |_| ()).await;
    let shown = async || {
        let metrics = server.ask(get("/metrics")).await.expect(200);
        let text = String::from_utf8(metrics.body).expect("text");
        let of_audit = |line: &&str| line.starts_with("windlass_audit_");
        let mut shown: Vec<_> = text.lines().filter(of_audit).map(str::to_owned).collect();
        shown.sort_unstable();
        shown
    };
    let figures = |full, waiting, written| {
        [
            "windlass_audit_lost_total{reason=\"closed\"} 0".to_owned(),
            "windlass_audit_lost_total{reason=\"failed\"} 0".to_owned(),
            format!("windlass_audit_lost_total{{reason=\"full\"}} {full}"),
            format!("windlass_audit_waiting_events {waiting}"),
            format!("windlass_audit_written_total {written}"),
        ]
    };
    assert_eq!(shown().await, figures(0, 0, 0));
    for _ in 0..5 {
        session(&server).await;
    }
    assert_eq!(shown().await, figures(3, 2, 0));
    server.engine.audit().flush().await;
    assert_eq!(shown().await, figures(3, 0, 2));
}

#[tokio::test]
async fn a_child_that_ended_with_its_parent_is_shown_to_whoever_knows_it_alive() {
    let server = Running::start().await;
    let path = session(&server).await;
    let child = r#"{"by":"researcher","child":{"id":"child","agent":"helper","intent":"help",
        "budget":{"calls":1}},"ends_with_parent":true}"#;
    let made = server.ask(post(&format!("{path}/children"), child)).await;
    let tag = made.expect(201).header("etag").expect("a tag").to_owned();
    let close = format!("{path}/close");
    server.ask(post(&close, "").bodiless()).await.expect(200);
    let known = [("If-None-Match", tag.as_str())];
    let shown = server.ask(get("/v1/sessions/child").with(&known)).await;
    assert_eq!(shown.expect(200).json()["status"], "closed");
}

#[tokio::test]
async fn a_condition_that_cannot_be_read_is_refused() {
    let server = Running::start().await;
    let path = session(&server).await;
    let entry = format!("{path}/stash/entries/notes");
    for condition in [
        "*",
        "\"1\", \"2\"",
        "W/\"1\"",
        "1",
        "\"+1\"",
        "\"01\"",
        "\"\"",
    ] {
        let headers = [("If-Match", condition)];
        let put = crate::support::Request {
            method: "PUT",
            ..post(&entry, r#"{"value":1}"#)
        };
        let refused = server.ask(put.with(&headers)).await.expect(400);
        assert_eq!(refused.code(), "precondition_not_supported", "{condition}");
    }
}

#[tokio::test]
async fn a_change_of_the_stash_is_answered_again_after_its_session_has_ended() {
    let server = Running::start().await;
    let path = session(&server).await;
    let entry = format!("{path}/stash/entries/notes");
    let put = crate::support::Request {
        method: "PUT",
        ..post(&entry, r#"{"value":1}"#)
    };
    let (first, other) = ([("Idempotency-Key", "k1")], [("Idempotency-Key", "k2")]);
    let stored = server.ask(put.with(&first)).await.expect(200).json();
    let close = format!("{path}/close");
    server.ask(post(&close, "").bodiless()).await.expect(200);
    let again = server.ask(put.with(&first)).await.expect(200).json();
    assert_eq!(again, stored);
    let refused = server.ask(put.with(&other)).await.expect(409);
    assert_eq!(refused.code(), "already_closed");
}

#[tokio::test]
async fn an_operator_gives_away_no_more_than_it_has() {
    let server = Running::start().await;
    let operator = async |verbs: &str| {
        let grant = Grant {
            scope: Scope::Operator,
            reach: Reach::Own,
            groups: Groups::None,
            verbs: Verbs::of([verbs]).expect("verbs"),
        };
        server.key_of(grant).await
    };
    let root = operator("*").await;
    let clerk = operator("key.manage").await;
    let wide = r#"{"label":"x","verbs":["store.manage"]}"#;
    let refused = server.ask(post("/v1/keys", wide).by(&clerk)).await;
    assert_eq!(refused.expect(403).code(), "grant_too_wide");
    let id = root.split('_').nth(1).expect("an id");
    let rotate = format!("/v1/keys/{id}/rotate");
    let refused = server.ask(post(&rotate, "{}").by(&clerk)).await;
    assert_eq!(refused.expect(403).code(), "grant_too_wide");
    let tenant = r#"{"label":"x","tenant":"acme","principal":"p","verbs":["session.*"]}"#;
    server
        .ask(post("/v1/keys", tenant).by(&clerk))
        .await
        .expect(201);
    server
        .ask(post("/v1/keys", wide).by(&root))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_listing_of_keys_says_nothing_of_those_out_of_reach() {
    let server = Running::start().await;
    let of = async |principal: &str| {
        let scope = Scope::Tenant {
            tenant: "acme".parse().expect("an id"),
            principal: principal.parse().expect("an id"),
        };
        let grant = Grant {
            scope,
            reach: Reach::Own,
            groups: Groups::None,
            verbs: Verbs::of(["key.manage"]).expect("a verb"),
        };
        server.key_of(grant).await
    };
    let own = of("one").await;
    for number in 0..6 {
        of(if number % 2 == 0 { "two" } else { "one" }).await;
    }
    let (mut seen, mut path) = (0, "/v1/keys?limit=1".to_owned());
    loop {
        let page = server.ask(get(&path).by(&own)).await.expect(200).json();
        for key in page["api_keys"].as_array().expect("a list") {
            assert_eq!(key["principal"], "one", "{page}");
            seen += 1;
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        assert_eq!(page["api_keys"].as_array().map(Vec::len), Some(1), "{page}");
        path = format!("/v1/keys?limit=1&cursor={cursor}");
    }
    assert_eq!(seen, 4);
}
