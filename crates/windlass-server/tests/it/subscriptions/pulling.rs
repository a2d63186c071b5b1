//! Wakes that workers read of, and claim.

use serde_json::{Value, json};
use windlass::access::{Reach, Verbs};

use super::{ROOT, append, ask, ask_by, make, one, until, words};
use crate::matrix::world::grant;
use crate::support::{Request, Running, get, post};

fn pull() -> Value {
    json!({ "type": "pull-wake", "pattern": "events/*", "wake_stream": "wake/pool", "lease_ttl_ms": 60_000 })
}

/// The wakes that were appended, once there are so many.
async fn wakes(server: &Running, count: usize) -> Vec<Value> {
    let mut offset = "-1".to_owned();
    let mut wakes = Vec::new();
    while wakes.len() < count {
        let path = format!("{ROOT}wake/pool?offset={offset}&live=long-poll");
        let answer = server.ask(get(&path)).await.expect(200);
        wakes.extend(answer.json().as_array().expect("rows").iter().cloned());
        offset = answer
            .header("stream-next-offset")
            .expect("an offset")
            .to_owned();
    }
    wakes
}

#[tokio::test]
async fn a_wake_is_claimed_by_one_acknowledged_and_let_go() {
    let server = Running::start().await;
    ask(&server, "PUT", &format!("{ROOT}wake/pool"), &json!([]))
        .await
        .expect(201);
    ask(&server, "PUT", &one("s"), &pull()).await.expect(201);
    make(&server, "events/a").await;
    let called = wakes(&server, 1).await;
    assert_eq!(
        (&called[0]["type"], &called[0]["subscription_id"]),
        (&json!("wake"), &json!("s"))
    );
    assert_eq!(
        (&called[0]["stream"], &called[0]["generation"]),
        (&json!("events/a"), &json!(1))
    );
    let claim = format!("{}/claim", one("s"));
    let claimed = ask(&server, "POST", &claim, &json!({ "worker": "one" }))
        .await
        .expect(200);
    let claimed = claimed.json();
    let busy = ask(&server, "POST", &claim, &json!({ "worker": "two" }))
        .await
        .expect(409);
    assert_eq!(words(&busy), "ALREADY_CLAIMED");
    assert_eq!(busy.json()["error"]["current_holder"], "one");
    let token = claimed["token"].as_str().expect("a token");
    let hold = json!({ "wake_id": claimed["wake_id"], "generation": claimed["generation"] });
    let mut ack = hold.clone();
    ack["acks"] = json!([{ "stream": "events/a", "offset": claimed["streams"][0]["tail_offset"] }]);
    let kept = ask_by(&server, token, &format!("{}/ack", one("s")), &ack)
        .await
        .expect(200);
    assert_eq!(kept.json(), json!({ "ok": true, "next_wake": false }));
    append(&server, "events/a").await;
    let release = format!("{}/release", one("s"));
    ask_by(&server, token, &release, &hold).await.expect(204);
    let stale = ask_by(&server, token, &release, &hold).await.expect(409);
    assert_eq!(words(&stale), "FENCED");
    let called = wakes(&server, 2).await;
    assert_eq!(called[1]["generation"], 2, "what is left wakes another");
    let claimed = ask(&server, "POST", &claim, &json!({ "worker": "two" }))
        .await
        .expect(200);
    assert_eq!(claimed.json()["generation"], 2);
}

#[tokio::test]
async fn streams_are_linked_by_their_paths_and_let_go() {
    let server = Running::start().await;
    ask(&server, "PUT", &one("s"), &pull()).await.expect(201);
    let streams = format!("{}/streams", one("s"));
    let both = json!({ "streams": ["manual/a", "manual/b"] });
    ask(&server, "POST", &streams, &both).await.expect(204);
    let escaped = format!("{streams}/manual%2Fb");
    for _ in 0..2 {
        let unlink = Request {
            method: "DELETE",
            ..get(&escaped)
        };
        server.ask(unlink).await.expect(204);
    }
    let shown = until(&server, "s", |_| true).await;
    let streams = shown["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), 1, "{shown}");
    assert_eq!(
        (&streams[0]["path"], &streams[0]["link_type"]),
        (&json!("manual/a"), &json!("explicit"))
    );
}

#[tokio::test]
async fn a_subscription_is_its_principal_s_and_its_tokens_are_too() {
    let server = Running::start().await;
    let mut tokens = Vec::new();
    for (tenant, principal) in [("acme", "ann"), ("acme", "bob"), ("other", "ann")] {
        let grant = grant(tenant, principal, Reach::Tenant, Verbs::all());
        tokens.push(server.key_of(grant).await);
    }
    let put = pull().to_string();
    let put = |token| {
        let path = one("s");
        let (server, put) = (&server, &put);
        async move {
            let request = Request {
                method: "PUT",
                ..post(&path, put)
            };
            server.ask(request.by(token)).await
        }
    };
    put(&tokens[0]).await.expect(201);
    for token in &tokens[1..] {
        let foreign = server.ask(get(&one("s")).by(token)).await.expect(404);
        let unknown = server.ask(get(&one("t")).by(token)).await.expect(404);
        assert_eq!(foreign.body, unknown.body);
        put(token).await.expect(201);
    }
}
