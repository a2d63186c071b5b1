//! Queues, leases and turns, as a client in any language has them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use windlass::access::{Reach, Verbs};

use crate::matrix::world::{grant, without};
use crate::support::{Answer, Request, Running, get, post};

/// A server with active sessions of these names, and no credentials.
async fn server(sessions: &[&str]) -> Running {
    let server = Running::start().await;
    for id in sessions {
        create(&server, None, id).await;
    }
    server
}

async fn create(server: &Running, token: Option<&str>, id: &str) {
    let body = format!(
        r#"{{"id":"{id}","agent":"researcher","intent":"compare","tools":{{"only":["search"]}}}}"#
    );
    let request = Request {
        token,
        ..post("/v1/sessions", &body)
    };
    server.ask(request).await.expect(201);
}

fn path(session: &str, rest: &str) -> String {
    format!("/v1/sessions/{session}/{rest}")
}

async fn send(server: &Running, session: &str, rest: &str, body: &Value) -> Answer {
    let body = body.to_string();
    server.ask(post(&path(session, rest), &body)).await
}

async fn read(server: &Running, session: &str, rest: &str) -> Value {
    server
        .ask(get(&path(session, rest)))
        .await
        .expect(200)
        .json()
}

fn task(value: &Value) -> Value {
    json!({ "payloads": [{ "kind": "task", "json": value }] })
}

/// Enqueues work with these numbers in it, and gives its names.
async fn push(server: &Running, session: &str, numbers: &[u64]) -> Vec<String> {
    let work: Vec<Value> = numbers.iter().map(|number| task(&json!(number))).collect();
    let done = send(server, session, "work", &json!({ "work": work })).await;
    let done = done.expect(201).json();
    let ids = done["work"].as_array().expect("work").iter();
    ids.map(|one| one["id"].as_str().expect("a name").to_owned())
        .collect()
}

async fn claim(server: &Running, session: &str) -> Value {
    let body = json!({ "owner": "w", "ttl_ms": 60_000 });
    let answer = send(server, session, "claims", &body).await;
    answer.expect(200).json()["claim"].clone()
}

#[tokio::test]
async fn work_is_handed_out_as_it_was_enqueued_and_goes_when_it_is_completed() {
    let server = server(&["s"]).await;
    let body = r#"{"work":[{"payloads":[
        {"kind":"task","json": { "b":1.50,  "a":[ ] }},
        {"kind":"none","json":null},
        {"kind":"image","bytes":"AP8Q"}],
        "priority":7,"source_key":"mail-1"}]}"#;
    let made = server.ask(post(&path("s", "work"), body)).await.expect(201);
    let again = server.ask(post(&path("s", "work"), body)).await.expect(201);
    let id = made.json()["work"][0]["id"].clone();
    assert_eq!(
        (
            again.json()["work"][0].clone(),
            &made.json()["work"][0]["known"]
        ),
        (json!({"id": id, "known": true}), &json!(false))
    );
    let other =
        json!({ "work": [{ "payloads": [{ "kind": "x", "json": 1 }], "source_key": "mail-1" }] });
    let refused = send(&server, "s", "work", &other).await.expect(422);
    assert_eq!(
        (refused.code(), refused.json()["work"].clone()),
        ("source_key_conflict".to_owned(), id.clone())
    );

    let body = r#"{"owner":"w","ttl_ms":60000}"#;
    let answer = server
        .ask(post(&path("s", "claims"), body))
        .await
        .expect(200);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains(r#""json":{ "b":1.50,  "a":[ ] }"#), "{text}");
    let claim = answer.json()["claim"].clone();
    let work = &claim["work"][0];
    assert_eq!((&work["id"], &work["priority"]), (&id, &json!(7)));
    assert_eq!(work["payloads"][1], json!({"kind": "none", "json": null}));
    assert_eq!(
        work["payloads"][2],
        json!({"kind": "image", "bytes": "AP8Q"})
    );
    let counts = read(&server, "s", "work/counts").await;
    assert_eq!(
        (&counts["pending"], &counts["claimed"]),
        (&json!(0), &json!(1))
    );
    let settle = format!("claims/{}/settle", claim["token"]);
    let settled = send(&server, "s", &settle, &json!({ "complete": [id] })).await;
    assert_eq!(
        settled.expect(200).json(),
        json!({"held": 0, "resting": [], "dead": []})
    );
    let late = send(&server, "s", &settle, &json!({ "complete": [id] })).await;
    assert_eq!(late.expect(409).code(), "claim_expired");
    let gone = path("s", &format!("work/{}", id.as_str().expect("a name")));
    assert_eq!(
        server.ask(get(&gone)).await.expect(404).code(),
        "work_not_found"
    );
}

#[tokio::test]
async fn a_change_under_one_key_happens_once() {
    let server = server(&["s"]).await;
    let body = json!({ "work": [task(&json!(1))] }).to_string();
    let key = [("Idempotency-Key", "op-1")];
    let ask = async |rest: &str, body: &str, key: &[(&str, &str)]| {
        let path = path("s", rest);
        server.ask(post(&path, body).with(key)).await
    };
    let first = ask("work", &body, &key).await.expect(201).json();
    let second = ask("work", &body, &key).await.expect(201).json();
    assert_eq!(first, second);
    let other = json!({ "work": [task(&json!(2))] }).to_string();
    let refused = ask("work", &other, &key).await.expect(422);
    assert_eq!(refused.code(), "operation_conflict");
    assert_eq!(read(&server, "s", "work/counts").await["pending"], json!(1));
    let key = [("Idempotency-Key", "op-2")];
    let claiming = r#"{"owner":"w","ttl_ms":60000}"#;
    let claimed = ask("claims", claiming, &key).await.expect(200).json();
    let again = ask("claims", claiming, &key).await.expect(200).json();
    assert_eq!(claimed["claim"]["work"][0]["id"], first["work"][0]["id"]);
    assert_eq!(again, claimed);
}

#[tokio::test]
async fn a_line_is_listed_page_by_page_and_cursors_are_of_one_listing() {
    let server = server(&["s", "t"]).await;
    let ids = push(&server, "s", &[1, 2, 3]).await;
    let page = read(&server, "s", "work?limit=2&payloads=true").await;
    let names = |page: &Value| {
        let work = page["work"].as_array().expect("work").clone();
        let ids = work.iter().map(|one| one["id"].as_str().map(str::to_owned));
        ids.map(|id| id.expect("a name")).collect::<Vec<_>>()
    };
    assert_eq!(names(&page), ids[..2]);
    assert_eq!(page["work"][0]["payloads"][0]["json"], json!(1));
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    let rest = read(&server, "s", &format!("work?limit=2&cursor={cursor}")).await;
    assert_eq!(
        (names(&rest), &rest["next_cursor"]),
        (ids[2..].to_vec(), &Value::Null)
    );
    assert_eq!(rest["work"][0].get("payloads"), None);
    for elsewhere in [
        path("t", &format!("work?cursor={cursor}")),
        path("s", &format!("work?state=dead&cursor={cursor}")),
        format!("/v1/queue?cursor={cursor}"),
    ] {
        let refused = server.ask(get(&elsewhere)).await.expect(400);
        assert_eq!(refused.code(), "cursor_invalid", "{elsewhere}");
    }
    let none = server
        .ask(get(&path("s", "work?limit=0")))
        .await
        .expect(400);
    assert_eq!(none.code(), "invalid_request");
    push(&server, "t", &[4]).await;
    let queues = server
        .ask(get("/v1/queue?limit=1"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &queues["sessions"][0]["session"],
            &queues["sessions"][0]["pending"]
        ),
        (&json!("s"), &json!(3))
    );
    let cursor = queues["next_cursor"].as_str().expect("a cursor");
    let path = format!("/v1/queue?cursor={cursor}");
    let rest = server.ask(get(&path)).await.expect(200).json();
    assert_eq!(rest["sessions"][0]["session"], json!("t"));
}

#[tokio::test]
async fn failed_work_rests_dies_is_tried_again_and_dropped() {
    let server = server(&["s"]).await;
    let ids = push(&server, "s", &[1, 2]).await;
    let body = json!({ "owner": "w", "ttl_ms": 60_000, "max": 2 });
    let answer = send(&server, "s", "claims", &body).await.expect(200).json();
    let settle = format!("claims/{}/settle", answer["claim"]["token"]);
    let told = json!({
        "fail": [{ "id": ids[0], "reason": "no network", "fatal": true }],
        "abandon": [{ "id": ids[1], "delay_ms": 3_600_000 }],
    });
    let settled = send(&server, "s", &settle, &told).await.expect(200).json();
    assert_eq!(settled["dead"], json!([ids[0]]));
    assert_eq!(settled["resting"][0]["id"], json!(ids[1]));
    let dead = read(&server, "s", "work?state=dead").await;
    assert_eq!(dead["work"][0]["reason"], json!("no network"));
    assert_eq!(dead["work"][0]["attempts"], json!(1));

    let one = |id: &str, what: &str| format!("work/{id}{what}");
    let bare = async |method, rest: String| {
        let path = path("s", &rest);
        let request = Request {
            method,
            ..get(&path)
        };
        server.ask(request).await
    };
    bare("POST", one(&ids[0], "/retry")).await.expect(200);
    let again = bare("POST", one(&ids[0], "/retry")).await.expect(404);
    assert_eq!(again.code(), "work_not_found");
    let claimed = claim(&server, "s").await;
    assert_eq!(claimed["work"][0]["id"], json!(ids[0]));
    let held = bare("POST", one(&ids[0], "/cancel")).await.expect(409);
    assert_eq!(
        (held.code(), &held.json()["until"]),
        ("work_claimed".to_owned(), &claimed["until"])
    );
    let settle = format!("claims/{}/settle", claimed["token"]);
    let told = json!({ "fail": [{ "id": ids[0], "fatal": true }] });
    send(&server, "s", &settle, &told).await.expect(200);
    bare("DELETE", one(&ids[0], "")).await.expect(200);
    bare("POST", one(&ids[1], "/cancel")).await.expect(200);
    let counts = read(&server, "s", "work/counts").await;
    assert_eq!(
        counts,
        json!({"pending": 0, "claimed": 0, "dead": 0, "oldest": null})
    );
    let removed = bare("DELETE", "work".to_owned()).await.expect(200).json();
    assert!(removed["rows"].as_u64() > Some(0), "{removed}");
}

#[tokio::test]
async fn who_waits_for_work_gets_it_and_who_waits_in_vain_is_told() {
    let server = server(&["s"]).await;
    let began = Instant::now();
    let body = json!({ "owner": "w", "ttl_ms": 60_000, "wait_ms": 100 });
    let nothing = send(&server, "s", "claims", &body).await.expect(200);
    assert_eq!(nothing.json(), json!({ "claim": null }));
    assert!(began.elapsed() >= Duration::from_millis(100));

    let body = json!({ "owner": "w", "ttl_ms": 60_000, "wait_ms": 30_000 });
    let waiting = async {
        let any = body.to_string();
        server
            .ask(post("/v1/claims", &any))
            .await
            .expect(200)
            .json()
    };
    let began = Instant::now();
    let (claimed, ids) = tokio::join!(waiting, push(&server, "s", &[1]));
    assert_eq!(claimed["claim"]["work"][0]["id"], json!(ids[0]));
    assert_eq!(claimed["claim"]["session"], json!("s"));
    assert!(began.elapsed() < Duration::from_secs(20));

    let body = json!({ "owner": "w", "ttl_ms": 60_000, "wait_ms": 30_001 });
    let refused = send(&server, "s", "claims", &body).await.expect(400);
    assert_eq!(refused.json()["field"], json!("wait_ms"));
}

#[tokio::test]
async fn settling_may_claim_what_stands_behind() {
    let server = server(&["s"]).await;
    let ids = push(&server, "s", &[1, 2]).await;
    let first = claim(&server, "s").await;
    let settle = format!("claims/{}/settle", first["token"]);
    let told = json!({ "complete": [ids[0]], "next": { "owner": "w", "ttl_ms": 60_000 } });
    let settled = send(&server, "s", &settle, &told).await.expect(200).json();
    assert_eq!(settled["claim"]["work"][0]["id"], json!(ids[1]));
    let renew = format!("claims/{}/renew", settled["claim"]["token"]);
    let renewed = send(&server, "s", &renew, &json!({ "ttl_ms": 120_000 })).await;
    let until = renewed.expect(200).json()["until"].as_u64();
    assert!(until > settled["claim"]["until"].as_u64(), "{until:?}");
    let old = format!("claims/{}/renew", first["token"]);
    let old = send(&server, "s", &old, &json!({ "ttl_ms": 120_000 })).await;
    assert_eq!(old.expect(409).code(), "claim_expired");
}

#[tokio::test]
async fn a_lease_has_one_owner_and_whoever_lost_it_changes_nothing() {
    let server = server(&["s"]).await;
    assert_eq!(read(&server, "s", "lease").await, json!({ "lease": null }));
    let taken = send(&server, "s", "lease", &json!({ "owner": "a" })).await;
    let taken = taken.expect(200).json();
    let held = json!({ "owner": "a", "generation": taken["generation"] });
    assert_eq!(read(&server, "s", "lease").await["lease"], taken);
    let refused = send(&server, "s", "lease", &json!({ "owner": "b" })).await;
    assert_eq!(refused.expect(409).code(), "lease_held");
    let bound = json!({ "work": [task(&json!(1))], "lease": held });
    send(&server, "s", "work", &bound).await.expect(201);
    send(&server, "s", "lease/renew", &held).await.expect(200);
    let foreign = json!({ "owner": "b", "generation": taken["generation"] });
    for rest in ["lease/renew", "lease/release"] {
        let refused = send(&server, "s", rest, &foreign).await.expect(409);
        assert_eq!(refused.code(), "lease_lost", "{rest}");
    }
    send(&server, "s", "lease/release", &held).await.expect(200);
    let next = send(&server, "s", "lease", &json!({ "owner": "a" })).await;
    assert!(next.expect(200).json()["generation"].as_u64() > taken["generation"].as_u64());
    let late = send(&server, "s", "work", &bound).await.expect(409);
    assert_eq!(late.code(), "lease_lost");
    let turn = json!({ "state": { "note": "late" }, "lease": held });
    let late = send(&server, "s", "turns", &turn).await.expect(409);
    assert_eq!(late.code(), "lease_lost");
    assert_eq!(read(&server, "s", "work/counts").await["pending"], json!(1));
}

#[tokio::test]
async fn a_turn_is_one_commit_of_state_uses_and_work() {
    let server = server(&["s", "t"]).await;
    let ids = push(&server, "s", &[1]).await;
    let claimed = claim(&server, "s").await;
    let turn = json!({
        "state": { "expected": 0, "nodes": [{ "kind": "message", "json": "done" }] },
        "uses": [{ "use": { "agent": "researcher", "items": [{ "tool": "search", "reserve": true }] } }],
        "work": [
            { "settle": { "token": claimed["token"], "settle": { "complete": [ids[0]] } } },
            { "enqueue": { "session": "t", "work": task(&json!(2)) } },
        ],
    });
    let key = [("Idempotency-Key", "turn-1")];
    let body = turn.to_string();
    let path = path("s", "turns");
    let done = server.ask(post(&path, &body).with(&key)).await.expect(201);
    assert_eq!(done.header("etag"), Some("\"1\""));
    let done = done.json();
    assert_eq!(
        (&done["committed"]["revision"], &done["repeated"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(done["uses"][0]["receipt"]["first_call"], json!(1));
    assert_eq!(done["work"][0]["settled"]["held"], json!(0));
    let enqueued = done["work"][1]["enqueued"]["id"].as_str().expect("a name");
    assert_eq!(
        read(&server, "t", "work").await["work"][0]["id"],
        json!(enqueued)
    );
    let again = server.ask(post(&path, &body).with(&key)).await.expect(201);
    let again = again.json();
    assert_eq!(
        (
            &again["repeated"],
            &again["committed"],
            &again["uses"],
            &again["work"]
        ),
        (
            &json!(true),
            &done["committed"],
            &done["uses"],
            &done["work"]
        )
    );
    // Without the key it is another turn, for a head that has moved on.
    let late = server.ask(post(&path, &body)).await.expect(409);
    assert_eq!(late.code(), "head_revision_conflict");
    assert_eq!(read(&server, "t", "work/counts").await["pending"], json!(1));
    let session = server.ask(get("/v1/sessions/s")).await.expect(200).json();
    assert_eq!(session["calls_made"], json!(1));
}

#[tokio::test]
async fn each_part_of_a_turn_needs_its_own_verb() {
    let server = Running::start().await;
    let all = grant("acme", "alice", Reach::Tenant, Verbs::all());
    let whole = server.key_of(all.clone()).await;
    create(&server, Some(&whole), "s").await;
    let uses = json!([{ "use": { "agent": "researcher", "items": [{ "tool": "search" }] } }]);
    let enqueue = json!([{ "enqueue": { "work": task(&json!(1)) } }]);
    let settle = json!([{ "settle": { "token": 1, "settle": { "complete": [] } } }]);
    for (verb, turn) in [
        ("session.use", json!({ "uses": uses })),
        ("queue.write", json!({ "work": enqueue })),
        ("queue.work", json!({ "work": settle })),
    ] {
        let narrow = server.key_of(without(verb, all.clone())).await;
        let (path, body) = (path("s", "turns"), turn.to_string());
        let refused = server.ask(post(&path, &body).by(&narrow)).await.expect(403);
        assert_eq!(refused.json()["verb"], json!(verb));
    }
    let path = path("s", "turns");
    server.ask(post(&path, "{}").by(&whole)).await.expect(201);
}

#[tokio::test]
async fn whoever_sees_only_their_own_sessions_reaches_no_others_work() {
    let server = Running::start().await;
    let own = |principal| grant("acme", principal, Reach::Own, Verbs::all());
    let alice = server.key_of(own("alice")).await;
    let bob = server.key_of(own("bob")).await;
    create(&server, Some(&alice), "of-alice").await;
    create(&server, Some(&bob), "of-bob").await;
    let work = json!({ "work": [
        { "session": "of-bob", "work": task(&json!(1)) },
        { "session": "of-alice", "work": task(&json!(1)) },
    ] })
    .to_string();
    server
        .ask(post("/v1/work", &work).by(&bob))
        .await
        .expect(404);
    let own_work = json!({ "work": [task(&json!(1))] }).to_string();
    let to_alice = path("of-alice", "work");
    server
        .ask(post(&to_alice, &own_work).by(&alice))
        .await
        .expect(201);
    let queues = server
        .ask(get("/v1/queue").by(&bob))
        .await
        .expect(200)
        .json();
    assert_eq!(queues["sessions"], json!([]));
    let claiming = r#"{"owner":"w","ttl_ms":60000}"#;
    let any = server.ask(post("/v1/claims", claiming).by(&bob)).await;
    assert_eq!(any.expect(403).code(), "reach_too_narrow");
    let turn =
        json!({ "work": [{ "enqueue": { "session": "of-alice", "work": task(&json!(1)) } }] });
    let (turns, body) = (path("of-bob", "turns"), turn.to_string());
    server.ask(post(&turns, &body).by(&bob)).await.expect(404);
    let state = path("of-bob", "state");
    server.ask(get(&state).by(&bob)).await.expect(404);
}
