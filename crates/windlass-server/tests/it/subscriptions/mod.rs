//! Subscriptions over HTTP: who is called, what with, and what counts.

mod hook;
mod pulling;
mod webhooks;

use serde_json::{Value, json};

use crate::support::{Answer, Request, Running, get, post};

const ROOT: &str = "/durable/v1/stream/";
const SUBSCRIPTIONS: &str = "/durable/v1/stream/__ds/subscriptions/";

fn one(id: &str) -> String {
    format!("{SUBSCRIPTIONS}{id}")
}

async fn ask(server: &Running, method: &str, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let request = Request {
        method,
        ..post(path, &body)
    };
    server.ask(request).await
}

/// Asks with the token of a wake.
async fn ask_by(server: &Running, token: &str, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    server.ask(post(path, &body).by(token)).await
}

/// Makes the stream of a path with one row.
async fn make(server: &Running, path: &str) {
    let path = format!("{ROOT}{path}");
    ask(server, "PUT", &path, &json!({ "event": 1 }))
        .await
        .expect(201);
}

async fn append(server: &Running, path: &str) {
    let path = format!("{ROOT}{path}");
    ask(server, "POST", &path, &json!({ "event": 2 }))
        .await
        .expect(204);
}

/// The subscription, once it is as it should be.
async fn until(server: &Running, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let path = one(id);
    for _ in 0..2_000 {
        let shown = server.ask(get(&path)).await.expect(200).json();
        if is_so(&shown) {
            return shown;
        }
        tokio::task::yield_now().await;
    }
    let shown = server.ask(get(&path)).await.expect(200).json();
    panic!("it never comes to be so: {shown}");
}

/// The words of the protocol for a refusal.
fn words(answer: &Answer) -> Value {
    answer.json()["error"]["code"].clone()
}
