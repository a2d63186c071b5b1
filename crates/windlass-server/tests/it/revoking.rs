//! What was given can be taken back: keys, the open door, slots, cursors.

use std::time::Duration;

use windlass::access::{Keys, Reach, Verbs};
use windlass::{Options, Windlass};

use crate::matrix::world::grant;
use crate::support::{Connection, Running, get, post};

const CREATE: &str = r#"{"id":"s","agent":"researcher","intent":"go on working"}"#;

/// Long enough for every test here to be over before.
const NEVER_MS: u64 = 1_000;

async fn follow(server: &Running, token: Option<&str>) -> Connection {
    let mut stream = server.connect().await;
    let wants = [("Accept", "text/event-stream")];
    let mut request = get("/v1/sessions/s/events").with(&wants);
    request.token = token;
    stream.send(&request.bytes()).await;
    let begun = stream.until("retry: ").await;
    assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
    stream
}

/// Why a stream ended; it has to, before long.
async fn reason(mut stream: Connection) -> String {
    let end = async {
        let mut rest = stream.until("event: end").await;
        while !rest.contains("\"}\n\n") {
            let more = stream.until("\n\n").await;
            assert!(!more.is_empty(), "{rest}");
            rest.push_str(&more);
        }
        rest
    };
    let rest = tokio::time::timeout(Duration::from_secs(20), end).await;
    let rest = rest.expect("it ends");
    let reason = rest.split("{\"reason\":\"").nth(1);
    let reason = reason.and_then(|rest| rest.split('"').next());
    reason.unwrap_or_else(|| panic!("{rest}")).to_owned()
}

async fn owner(server: &Running) -> String {
    let all = grant("acme", "alice", Reach::Own, Verbs::all());
    server.key_of(all).await
}

async fn id_of(server: &Running, token: &str) -> String {
    let who = server
        .ask(get("/v1/whoami").by(token))
        .await
        .expect(200)
        .json();
    who["key"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_key_revoked_here_ends_its_streams_and_requests_at_once() {
    // Neither looking again nor forgetting can be what ends it.
    let server = Running::with(|config| {
        config.credential_ms = NEVER_MS;
        config.poll_ms = NEVER_MS;
    });
    let server = server.await;
    let (token, other) = (owner(&server).await, owner(&server).await);
    server
        .ask(post("/v1/sessions", CREATE).by(&token))
        .await
        .expect(201);
    let (ends, stays) = (
        follow(&server, Some(&token)).await,
        follow(&server, Some(&other)).await,
    );
    let path = format!("/v1/keys/{}/revoke", id_of(&server, &token).await);
    server
        .ask(post(&path, "").bodiless().by(&other))
        .await
        .expect(200);
    server.ask(get("/v1/sessions").by(&token)).await.expect(401);
    assert_eq!(reason(ends).await, "revoked");
    server.ask(get("/v1/sessions").by(&other)).await.expect(200);
    let close = post("/v1/sessions/s/close", "").bodiless();
    server.ask(close.by(&other)).await.expect(200);
    assert_eq!(reason(stays).await, "closed");
}

#[tokio::test]
async fn a_key_revoked_by_another_process_ends_its_streams_soon() {
    let folder = tempfile::tempdir().expect("a folder");
    let location = format!("sqlite:{}", folder.path().join("windlass.db").display());
    let location = location.parse().expect("a location");
    let open = async || {
        Windlass::open(&location, Options::default())
            .await
            .expect("a store")
    };
    let (engine, elsewhere) = (open().await, open().await);
    let server = Running::over(engine, |config| {
        config.credential_ms = 100;
        config.poll_ms = 100;
    });
    let server = server.await;
    let token = owner(&server).await;
    server
        .ask(post("/v1/sessions", CREATE).by(&token))
        .await
        .expect(201);
    let stream = follow(&server, Some(&token)).await;
    let id = id_of(&server, &token).await.parse().expect("an id");
    let keys: &Keys = elsewhere.keys();
    keys.revoke(&id).await.expect("revoked");
    assert_eq!(reason(stream).await, "revoked");
    server.ask(get("/v1/sessions").by(&token)).await.expect(401);
}

#[tokio::test]
async fn the_first_key_closes_the_open_door_behind_whoever_came_through() {
    let server = Running::with(|config| {
        config.credential_ms = NEVER_MS;
        config.poll_ms = NEVER_MS;
    });
    let server = server.await;
    server.ask(post("/v1/sessions", CREATE)).await.expect(201);
    let stream = follow(&server, None).await;
    let body = r#"{"label":"the first","verbs":["*"]}"#;
    let made = server.ask(post("/v1/keys", body)).await.expect(201).json();
    let refused = server.ask(get("/v1/sessions")).await.expect(401);
    assert_eq!(refused.code(), "unauthenticated");
    assert_eq!(reason(stream).await, "revoked");
    let secret = made["secret"].as_str().expect("a secret");
    server.ask(get("/v1/tenants").by(secret)).await.expect(200);
}

#[tokio::test]
async fn an_open_door_is_for_this_machine_by_its_own_name() {
    let server = Running::start().await;
    for (name, value) in [("Origin", "https://example.com"), ("Origin", "null")] {
        let refused = server.ask(get("/v1/sessions").with(&[(name, value)])).await;
        assert_eq!(refused.expect(403).code(), "origin_not_allowed");
    }
    let mut connection = server.connect().await;
    let rebound = b"GET /v1/sessions HTTP/1.1\r\nHost: example.com\r\n\r\n";
    connection.send(rebound).await;
    let refused = connection.answer().await.expect("an answer").expect(403);
    assert_eq!(refused.code(), "origin_not_allowed");
}

#[tokio::test]
async fn a_stream_gives_its_slot_back() {
    let server = Running::with(|config| config.streams_max = 1).await;
    server.ask(post("/v1/sessions", CREATE)).await.expect(201);
    let wants = [("Accept", "text/event-stream")];
    let events = get("/v1/sessions/s/events").with(&wants);
    for _ in 0..3 {
        let first = follow(&server, None).await;
        let refused = server.ask(events).await.expect(429);
        assert_eq!(refused.code(), "too_many_streams");
        assert!(refused.header("retry-after").is_some(), "{}", refused.head);
        drop(first);
        let given_back = async {
            loop {
                let mut next = server.connect().await;
                next.send(&events.bytes()).await;
                let head = next.head().await.expect("a head");
                if head.starts_with("HTTP/1.1 200 ") {
                    break;
                }
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), given_back).await;
        waited.expect("the slot is given back");
        // The one that got it has gone too; the next round waits for that.
        let gone = async {
            while server
                .ask(get("/metrics"))
                .await
                .body
                .windows(24)
                .all(|text| text != b"windlass_http_streams 0\n")
            {}
        };
        tokio::time::timeout(Duration::from_secs(20), gone)
            .await
            .expect("it goes");
    }
}

#[tokio::test]
async fn a_cursor_is_for_whom_it_was_made_and_as_it_was_made() {
    let server = Running::start().await;
    let token = owner(&server).await;
    let bob = server
        .key_of(grant("acme", "bob", Reach::Own, Verbs::all()))
        .await;
    for _ in 0..3 {
        let body = r#"{"agent":"researcher","intent":"be listed"}"#;
        server
            .ask(post("/v1/sessions", body).by(&token))
            .await
            .expect(201);
    }
    let page = server
        .ask(get("/v1/sessions?limit=1").by(&token))
        .await
        .expect(200);
    let cursor = page.json()["next_cursor"]
        .as_str()
        .expect("a cursor")
        .to_owned();
    let path = |cursor: &str| format!("/v1/sessions?limit=1&cursor={cursor}");
    server.ask(get(&path(&cursor)).by(&token)).await.expect(200);
    let foreign = server.ask(get(&path(&cursor)).by(&bob)).await.expect(400);
    assert_eq!(foreign.code(), "cursor_invalid");
    for at in 0..cursor.len() {
        let mut changed = cursor.clone().into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).expect("text");
        let refused = server.ask(get(&path(&changed)).by(&token)).await;
        assert_eq!((refused.status, at), (400, at), "{changed}");
    }
}
