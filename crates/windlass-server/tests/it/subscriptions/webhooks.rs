//! Wakes that are delivered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use serde_json::{Value, json};
use windlass::{Options, Windlass};

use super::hook::{Called, Hook};
use super::{append, ask, ask_by, make, one, until, words};
use crate::support::{Request, Running, get};

fn webhook(url: &str) -> Value {
    json!({ "type": "webhook", "pattern": "events/*", "webhook": { "url": url }, "lease_ttl_ms": 60_000 })
}

async fn subscribed(server: &Running, id: &str, url: &str) -> Value {
    let made = ask(server, "PUT", &one(id), &webhook(url)).await;
    made.expect(201).json()
}

/// Whether a call is signed with the key that the server shows.
async fn check_signature(server: &Running, called: &Called) {
    let jwks = server
        .ask(get("/durable/v1/stream/__ds/jwks.json"))
        .await
        .expect(200);
    assert_eq!(
        jwks.header("content-type"),
        Some("application/jwk-set+json")
    );
    assert_eq!(jwks.header("cache-control"), Some("public, max-age=300"));
    let key = jwks.json()["keys"][0].clone();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut parts = called.signature.split(',');
    let mut part = |name: &str| {
        let part = parts.next().and_then(|part| part.strip_prefix(name));
        part.unwrap_or_else(|| panic!("{}", called.signature))
            .to_owned()
    };
    let (at, kid, signature) = (part("t="), part("kid="), part("ed25519="));
    assert_eq!(kid, text(&key["kid"]));
    let x = URL_SAFE_NO_PAD.decode(text(&key["x"])).expect("base64");
    let key = VerifyingKey::from_bytes(&x.try_into().expect("32 bytes")).expect("a key");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    let signature = Signature::from_slice(&signature).expect("a signature");
    let signed = [at.as_bytes(), b".", &called.bytes].concat();
    assert_eq!(key.verify(&signed, &signature).ok(), Some(()));
}

#[tokio::test]
async fn a_hook_that_is_done_has_acknowledged_what_it_was_told_of() {
    let server = Running::start().await;
    let mut hook = Hook::answering(&[(200, r#"{"done":true}"#)]).await;
    let made = subscribed(&server, "s", &hook.url).await;
    assert_eq!(made["webhook"]["signing"]["alg"], "ed25519");
    make(&server, "events/a").await;
    let called = hook.next().await;
    check_signature(&server, &called).await;
    let wake = called.json();
    assert_eq!(
        (&wake["subscription_id"], &wake["generation"]),
        (&json!("s"), &json!(1))
    );
    let stream = wake["streams"][0].clone();
    assert_eq!(
        (&stream["path"], &stream["has_pending"]),
        (&json!("events/a"), &json!(true))
    );
    let shown = until(&server, "s", |shown| {
        shown["streams"][0]["acked_offset"] == stream["tail_offset"]
    })
    .await;
    assert_eq!(shown["streams"][0]["has_pending"], false);
    append(&server, "events/a").await;
    let second = hook.next().await.json();
    assert_eq!(second["generation"], 2);
    assert_ne!(second["wake_id"], wake["wake_id"]);
}

#[tokio::test]
async fn a_hook_calls_back_and_a_wake_that_is_over_counts_no_more() {
    let server = Running::start().await;
    let mut hook = Hook::answering(&[(200, "")]).await;
    subscribed(&server, "s", &hook.url).await;
    make(&server, "events/a").await;
    let wake = hook.next().await.json();
    let text = |name: &str| wake[name].as_str().expect("text").to_owned();
    let (url, token) = (text("callback_url"), text("callback_token"));
    let path = url
        .strip_prefix(&format!("http://{}", server.address))
        .expect("its own");
    let body = json!({
        "wake_id": wake["wake_id"], "generation": wake["generation"], "done": true,
        "acks": [{ "stream": "events/a", "offset": wake["streams"][0]["tail_offset"] }],
    });
    let answer = ask_by(&server, &token, path, &body).await.expect(200);
    assert_eq!(answer.json(), json!({ "ok": true, "next_wake": false }));
    let stale = ask_by(&server, &token, path, &body).await.expect(409);
    assert_eq!(
        (stale.code(), words(&stale)),
        ("fenced".to_owned(), json!("FENCED"))
    );
    // Neither a part of the token nor another one will do.
    for token in ["nonsense", &token[..token.len() - 1], &token[1..]] {
        ask_by(&server, token, path, &body).await.expect(401);
    }
    let other = path.replace("/s/", "/t/");
    ask_by(&server, &token, &other, &body).await.expect(401);
    ask(&server, "POST", path, &body).await.expect(401);
    let subscription = one("s");
    let delete = Request {
        method: "DELETE",
        ..get(&subscription)
    };
    server.ask(delete).await.expect(204);
    ask_by(&server, &token, path, &body).await.expect(409);
}

#[tokio::test]
async fn a_hook_that_is_down_is_called_again_until_it_is_back() {
    let server = Running::start().await;
    let mut hook = Hook::answering(&[(500, ""), (200, r#"{"done":true}"#)]).await;
    subscribed(&server, "s", &hook.url).await;
    make(&server, "events/a").await;
    let first = hook.next().await.json();
    let shown = until(&server, "s", |shown| shown["status"] == "failed").await;
    assert!(shown["next_attempt_at"].is_string(), "{shown}");
    let second = hook.next().await.json();
    assert_eq!(
        (&first["generation"], &second["generation"]),
        (&json!(1), &json!(2))
    );
    let shown = until(&server, "s", |shown| {
        shown["streams"][0]["has_pending"] == false
    })
    .await;
    assert_eq!(
        (&shown["status"], &shown["next_attempt_at"]),
        (&json!("active"), &Value::Null)
    );
    let subscriptions = server.engine.streams().subscriptions();
    let due = subscriptions
        .due(None, 10)
        .await
        .expect("a store that works");
    assert_eq!(due.subscriptions, []);
}

#[tokio::test]
async fn nobody_is_followed_to_another_place() {
    let server = Running::start().await;
    let mut elsewhere = Hook::answering(&[(200, r#"{"done":true}"#)]).await;
    let mut hook = Hook::answering(&[(307, &elsewhere.url)]).await;
    subscribed(&server, "s", &hook.url).await;
    make(&server, "events/a").await;
    hook.next().await;
    let shown = until(&server, "s", |shown| shown["status"] == "failed").await;
    assert_eq!(shown["streams"][0]["has_pending"], true);
    assert_eq!(elsewhere.left(), 0);
}

#[tokio::test]
async fn of_two_servers_over_one_store_one_delivers() {
    let location = "memory:".parse().expect("a location");
    let engine = Windlass::open(&location, Options::default())
        .await
        .expect("a store");
    let one = Running::over(engine.clone(), |_| ()).await;
    let two = Running::over(engine, |_| ()).await;
    let mut hook = Hook::answering(&[(200, "")]).await;
    for id in 0..8 {
        subscribed(&one, &format!("s{id}"), &hook.url).await;
    }
    make(&one, "events/a").await;
    // The other one is told as well, and looks at the same time.
    for server in [&one, &two] {
        append(server, "events/a").await;
    }
    let mut called = Vec::new();
    for _ in 0..8 {
        let wake = hook.next().await.json();
        assert_eq!(wake["generation"], 1, "{wake}");
        called.push(wake["subscription_id"].as_str().expect("text").to_owned());
    }
    for _ in 0..20 {
        append(&two, "events/a").await;
    }
    called.sort_unstable();
    let all: Vec<String> = (0..8).map(|id| format!("s{id}")).collect();
    assert_eq!((called, hook.left()), (all, 0));
}

#[tokio::test]
async fn urls_of_the_server_s_neighbours_are_refused_when_they_are_given() {
    let server = Running::start().await;
    for url in [
        "http://10.0.0.1/hook",
        "https://169.254.169.254/",
        "http://example.com/",
        "x",
    ] {
        let refused = ask(&server, "PUT", &one("s"), &webhook(url))
            .await
            .expect(400);
        assert_eq!(words(&refused), "WEBHOOK_URL_REJECTED", "{url}");
        assert_eq!(refused.code(), "webhook_url_rejected");
    }
    server.ask(get(&one("s"))).await.expect(404);
}

#[tokio::test]
async fn the_same_words_confirm_and_others_conflict() {
    let server = Running::start().await;
    let hook = Hook::answering(&[(200, "")]).await;
    let made = subscribed(&server, "s", &hook.url).await;
    let again = ask(&server, "PUT", &one("s"), &webhook(&hook.url))
        .await
        .expect(200);
    assert_eq!(again.json(), made);
    let mut other = webhook(&hook.url);
    other["description"] = json!("mine");
    let refused = ask(&server, "PUT", &one("s"), &other).await.expect(409);
    assert_eq!(refused.code(), "subscription_differs");
}
