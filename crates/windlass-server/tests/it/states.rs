//! States, as a client in any language has them.

use serde_json::{Value, json};
use windlass::access::{Reach, Verbs};

use crate::matrix::world::{grant, operator};
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
    let body = format!(r#"{{"id":"{id}","agent":"researcher","intent":"compare"}}"#);
    let request = Request {
        token,
        ..post("/v1/sessions", &body)
    };
    server.ask(request).await.expect(201);
}

fn state(session: &str, rest: &str) -> String {
    format!("/v1/sessions/{session}/state{rest}")
}

async fn commit(server: &Running, session: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    let path = state(session, "/commits");
    server.ask(post(&path, body).with(headers)).await
}

async fn read(server: &Running, session: &str, rest: &str) -> Value {
    let answer = server.ask(get(&state(session, rest))).await;
    answer.expect(200).json()
}

/// The numbers of the nodes on the way to the leaf.
async fn way(server: &Running, session: &str) -> Vec<u64> {
    let path = read(server, session, "/path").await;
    let nodes = path["nodes"].as_array().expect("nodes").clone();
    let numbers = nodes.iter().map(|node| node["number"].as_u64());
    numbers.map(|number| number.expect("a number")).collect()
}

async fn parts_are_as_they_were_put(server: &Running) {
    let part = async |name: &str| {
        server
            .ask(get(&state("s", &format!("/parts/{name}"))))
            .await
    };
    let plan = part("plan").await.expect(200);
    assert_eq!(plan.body, br#"{ "b":1.50,  "a":[ ] }"#);
    assert_eq!(plan.header("content-type"), Some("application/json"));
    assert_eq!(part("none").await.expect(200).body, b"null");
    let image = part("image").await.expect(200);
    assert_eq!(image.body, [0, 0xff, 0x10]);
    assert_eq!(
        image.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(part("nothing").await.expect(404).code(), "not_found");
    let tag = plan.header("etag").expect("a tag").to_owned();
    let known = [("If-None-Match", tag.as_str())];
    let again = get(&state("s", "/parts/plan")).with(&known).bytes();
    let mut connection = server.connect().await;
    connection.send(&again).await;
    connection.answer().await.expect("an answer").expect(304);

    let meta = read(server, "s", "/parts/plan?meta=true").await;
    assert_eq!(
        (&meta["kind"], &meta["number"], &meta["form"]),
        (&json!("plan/1"), &json!(-7), &json!("json"))
    );
    let blob = meta["blob"].as_str().expect("a name");
    let content = server
        .ask(get(&state("s", &format!("/blobs/{blob}"))))
        .await
        .expect(200);
    assert_eq!(content.body, plan.body);
}

#[tokio::test]
async fn a_state_is_committed_and_read_back_byte_for_byte() {
    let server = server(&["s"]).await;
    server.ask(get(&state("s", ""))).await.expect(404);
    let body = r#"{"parts":{
        "plan":{"json": { "b":1.50,  "a":[ ] },"kind":"plan/1","number":-7},
        "none":{"json":null},
        "image":{"bytes":"AP8Q","compressible":false}},
        "nodes":[{"kind":"message","json":{"role":"user","content":"hello"}},
                 {"kind":"blob","bytes":"aGk="}],
        "usage":{"tokens":12},"note":"first"}"#;
    let made = commit(&server, "s", body, &[]).await.expect(201);
    assert_eq!(made.header("etag"), Some("\"1\""));
    let location = state("s", "/commits/1");
    assert_eq!(made.header("location"), Some(location.as_str()));
    assert_eq!(
        (&made.json()["revision"], &made.json()["leaf"]),
        (&json!(1), &json!(2))
    );

    let head = server.ask(get(&state("s", ""))).await.expect(200);
    assert_eq!(head.header("etag"), Some("\"1\""));
    assert_eq!(head.json()["usage"], json!({"tokens": 12}));
    let known = [("If-None-Match", "\"1\"")];
    server
        .ask(get(&state("s", "")).with(&known))
        .await
        .expect(304);

    parts_are_as_they_were_put(&server).await;
    let shown = read(&server, "s", "/commits/head").await;
    assert_eq!(shown["commit"]["put"], json!(["image", "none", "plan"]));
    let manifest = shown["commit"]["manifest"].as_str().expect("a name");
    let manifest = read(&server, "s", &format!("/manifests/{manifest}")).await;
    assert_eq!(manifest["parts"], shown["parts"]);
    let path = read(&server, "s", "/path").await;
    assert_eq!(
        path["nodes"][0]["json"],
        json!({"role": "user", "content": "hello"})
    );
    assert_eq!(path["nodes"][1]["bytes"], json!("aGk="));
    assert_eq!(read(&server, "s", "/nodes/2").await, path["nodes"][1]);
    let nodes = read(&server, "s", "/nodes?after=1").await;
    assert_eq!(nodes["nodes"], json!([path["nodes"][1]]));
}

#[tokio::test]
async fn a_revision_that_is_expected_is_the_heads_or_nothing_happens() {
    let server = server(&["s"]).await;
    let absent = [("If-None-Match", "*")];
    commit(&server, "s", "{}", &absent).await.expect(201);
    let taken = commit(&server, "s", "{}", &absent).await.expect(412);
    let figures = |answer: &Answer| {
        let said = answer.json();
        (
            said["code"].clone(),
            said["expected"].clone(),
            said["actual"].clone(),
        )
    };
    let conflict = json!("head_revision_conflict");
    assert_eq!(figures(&taken), (conflict.clone(), json!(0), json!(1)));
    let first = [("If-Match", "\"1\"")];
    commit(&server, "s", "{}", &first).await.expect(201);
    let stale = commit(&server, "s", "{}", &first).await.expect(412);
    assert_eq!(figures(&stale), (conflict.clone(), json!(1), json!(2)));
    let said = commit(&server, "s", r#"{"expected":1}"#, &[])
        .await
        .expect(409);
    assert_eq!(figures(&said), (conflict, json!(1), json!(2)));
    let twice = commit(&server, "s", r#"{"expected":2}"#, &first)
        .await
        .expect(400);
    assert_eq!(twice.code(), "invalid_request");
    let same = [("If-Match", "\"2\"")];
    commit(&server, "s", r#"{"expected":2}"#, &same)
        .await
        .expect(201);
    let back = state("s", "/rollback");
    let refused = server.ask(post(&back, r#"{"to":1}"#).with(&same)).await;
    refused.expect(412);
    let refused = server.ask(post(&back, r#"{"to":1,"expected":2}"#)).await;
    refused.expect(409);
    assert_eq!(read(&server, "s", "").await["revision"], 3);
}

#[tokio::test]
async fn a_commit_under_one_key_is_made_once_also_after_the_session_ended() {
    let server = server(&["s", "t"]).await;
    let key = [("Idempotency-Key", "turn-1")];
    let body = r#"{"nodes":[{"kind":"message","json":"hello"}]}"#;
    let first = commit(&server, "s", body, &key).await.expect(201);
    let again = commit(&server, "s", body, &key).await.expect(201);
    assert_eq!(first.json(), again.json());
    let other = commit(&server, "s", "{}", &key).await.expect(422);
    assert_eq!(other.code(), "turn_conflict");
    let fork = state("s", "/fork");
    let key = [("Idempotency-Key", "fork-1")];
    let forked = server
        .ask(post(&fork, r#"{"to":"t"}"#).with(&key))
        .await
        .expect(201);
    for id in ["s", "t"] {
        let close = format!("/v1/sessions/{id}/close");
        server.ask(post(&close, "").bodiless()).await.expect(200);
    }
    let key = [("Idempotency-Key", "turn-1")];
    let late = commit(&server, "s", body, &key).await.expect(201);
    assert_eq!(late.json(), first.json());
    commit(&server, "s", "{}", &key).await.expect(422);
    let fresh = [("Idempotency-Key", "turn-2")];
    for headers in [&fresh[..], &[]] {
        let refused = commit(&server, "s", body, headers).await.expect(409);
        assert_eq!(refused.code(), "already_closed");
    }
    let key = [("Idempotency-Key", "fork-1")];
    let again = server
        .ask(post(&fork, r#"{"to":"t"}"#).with(&key))
        .await
        .expect(201);
    assert_eq!(again.json(), forked.json());
    // What was written can be read for as long as the session is there.
    assert_eq!(way(&server, "s").await, [1]);
}

async fn it_is_taken_back_and_compared(server: &Running) {
    let back = server
        .ask(post(&state("s", "/rollback"), r#"{"to":1}"#))
        .await
        .expect(201);
    assert_eq!(back.json()["revision"], 4);
    assert_eq!(way(server, "s").await, [1]);
    let diff = read(server, "s", "/diff?from=3").await;
    assert_eq!(diff["to"]["origin"], json!({"rollback": {"revision": 1}}));
    let left = diff["left"].as_array().expect("nodes");
    let texts: Vec<_> = left.iter().map(|node| &node["json"]).collect();
    assert_eq!(texts, ["two", "three"]);
    assert_eq!(
        (&diff["entered"], &diff["truncated"]),
        (&json!([]), &json!(false))
    );
    let plan = &diff["parts"]["plan"];
    assert_eq!(
        (&plan["before"]["size"], &plan["after"]["size"]),
        (&json!(7), &json!(3))
    );
}

#[tokio::test]
async fn a_session_is_forked_taken_back_and_compared() {
    let server = server(&["s", "t", "u"]).await;
    for (part, text) in [("[1]", "one"), ("[1,2]", "two"), ("[1,2,3]", "three")] {
        let body = format!(
            r#"{{"parts":{{"plan":{{"json":{part}}}}},"nodes":[{{"kind":"message","json":"{text}"}}]}}"#
        );
        commit(&server, "s", &body, &[]).await.expect(201);
    }
    let forked = server
        .ask(post(&state("s", "/fork"), r#"{"to":"t","revision":2}"#))
        .await;
    let forked = forked.expect(201);
    assert_eq!(
        (&forked.json()["revision"], forked.header("etag")),
        (&json!(2), Some("\"2\""))
    );
    assert_eq!(forked.header("location"), Some(state("t", "").as_str()));
    commit(
        &server,
        "t",
        r#"{"nodes":[{"kind":"message","json":"other"}]}"#,
        &[],
    )
    .await
    .expect(201);
    assert_eq!(way(&server, "t").await, [1, 2, 3]);
    assert_eq!(way(&server, "s").await, [1, 2, 3]);
    assert_eq!(
        read(&server, "t", "").await["base"],
        json!({"session": "s", "revision": 2})
    );
    assert_eq!(
        read(&server, "s", "/forks").await,
        json!({"forks": [{"session": "t", "revision": 2}], "after": null})
    );
    let taken = server
        .ask(post(&state("s", "/fork"), r#"{"to":"t"}"#))
        .await
        .expect(409);
    assert_eq!(taken.code(), "state_exists");
    let nowhere = server
        .ask(post(&state("s", "/fork"), r#"{"to":"nowhere"}"#))
        .await;
    assert_eq!(nowhere.expect(404).code(), "not_found");
    let early = server
        .ask(post(&state("s", "/fork"), r#"{"to":"u","revision":9}"#))
        .await;
    assert_eq!(early.expect(404).code(), "revision_not_found");

    it_is_taken_back_and_compared(&server).await;
    let log = read(&server, "t", "/commits?limit=2").await;
    let revisions = |log: &Value| {
        let commits = log["commits"].as_array().expect("commits").clone();
        commits
            .iter()
            .map(|one| one["revision"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (revisions(&log), &log["before"]),
        (vec![json!(3), json!(2)], &json!(2))
    );
    let rest = read(&server, "t", "/commits?before=2").await;
    assert_eq!(
        (revisions(&rest), &rest["before"]),
        (vec![json!(1)], &Value::Null)
    );
}

#[tokio::test]
async fn tags_keep_a_revision_under_a_name_until_they_are_removed() {
    let server = server(&["s"]).await;
    for part in ["1", "2"] {
        let body = format!(r#"{{"parts":{{"n":{{"json":{part}}}}}}}"#);
        commit(&server, "s", &body, &[]).await.expect(201);
    }
    let path = state("s", "/tags/good");
    let put = |body| Request {
        method: "PUT",
        ..post(&path, body)
    };
    let tagged = server.ask(put(r#"{"revision":1}"#)).await.expect(200);
    assert_eq!(tagged.json(), json!({"name": "good", "revision": 1}));
    let late = server.ask(put(r#"{"revision":3}"#)).await.expect(404);
    assert_eq!(late.code(), "revision_not_found");
    let tags = read(&server, "s", "/tags").await;
    assert_eq!(
        (&tags["tags"][0]["name"], &tags["tags"][0]["revision"]),
        (&json!("good"), &json!(1))
    );
    assert_eq!(read(&server, "s", "/parts/n?at=tag:good").await, json!(1));
    assert_eq!(read(&server, "s", "/parts/n?at=2").await, json!(2));
    assert_eq!(
        read(&server, "s", "/commits/tag:good").await["commit"]["revision"],
        1
    );
    let delete = Request {
        method: "DELETE",
        ..get(&path)
    };
    for was_there in [true, false] {
        let gone = server.ask(delete).await.expect(200);
        assert_eq!(gone.json(), json!({"untagged": was_there}));
    }
    server
        .ask(get(&state("s", "/parts/n?at=tag:good")))
        .await
        .expect(404);
    for wrong in ["+1", "x", "tag:", "tag:a%2Fb", "-1", ""] {
        let refused = server
            .ask(get(&state("s", &format!("/parts/n?at={wrong}"))))
            .await;
        assert_eq!(refused.expect(400).code(), "invalid_request", "{wrong}");
    }
}

#[tokio::test]
async fn what_a_commit_cannot_be_is_refused_and_nothing_is_left() {
    let server = server(&["s"]).await;
    let table = [
        (r#"{"parts":{"p":{}}}"#, 400, "invalid_request"),
        (
            r#"{"parts":{"p":{"json":1,"bytes":""}}}"#,
            400,
            "invalid_request",
        ),
        (
            r#"{"parts":{"p":{"json":1,"form":"json"}}}"#,
            400,
            "invalid_request",
        ),
        (r#"{"parts":{"p":{"blob":"x"}}}"#, 400, "invalid_request"),
        (r#"{"parts":{"p":{"bytes":"?"}}}"#, 400, "invalid_body"),
        (r#"{"parts":{"a/b":{"json":1}}}"#, 400, "invalid_request"),
        (
            r#"{"parts":{"p":{"json":1}},"secret":1}"#,
            400,
            "invalid_body",
        ),
        (r#"{"nodes":[{"kind":"m"}]}"#, 400, "invalid_request"),
        (
            r#"{"nodes":[{"kind":"m","json":1,"parent":{"new":0}}]}"#,
            400,
            "invalid_request",
        ),
        (
            r#"{"nodes":[{"kind":"m","json":1,"parent":{"node":9}}]}"#,
            404,
            "node_not_found",
        ),
        (r#"{"tombstones":[1]}"#, 404, "node_not_found"),
    ];
    for (body, status, code) in table {
        let refused = commit(&server, "s", body, &[]).await.expect(status);
        assert_eq!(refused.code(), code, "{body}");
    }
    let blob = "0".repeat(64);
    let body = format!(r#"{{"parts":{{"p":{{"blob":"{blob}"}}}}}}"#);
    let refused = commit(&server, "s", &body, &[]).await.expect(404);
    assert_eq!(refused.code(), "blob_not_found");
    server.ask(get(&state("s", ""))).await.expect(404);
}

#[tokio::test]
async fn a_large_content_comes_piece_by_piece_and_whole() {
    let server = server(&["s"]).await;
    // Of 6 MB no two stretches are the same, so nothing is cut short.
    let numbers: Vec<u64> = (0..750_000).collect();
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect();
    let checkpoints = server.engine.checkpoints();
    let session: Value = server.ask(get("/v1/sessions/s")).await.expect(200).json();
    let id = |name: &str| session[name].as_str().expect("an id").to_owned();
    let caller = windlass::checkpoint::Caller::new(
        id("tenant").parse().expect("an id"),
        id("principal").parse().expect("an id"),
    );
    let payload = windlass::checkpoint::Payload::Bytes(bytes.clone().into());
    let name = "large".parse().expect("a name");
    let changes = windlass::checkpoint::Changes::at(0).put(name, payload);
    let session = "s".parse().expect("an id");
    let made = checkpoints.commit(&caller, &session, changes).await;
    made.expect("a commit");
    let answer = server
        .ask(get(&state("s", "/parts/large")))
        .await
        .expect(200);
    assert_eq!(answer.header("content-length"), Some("6000000"));
    assert!(answer.body == bytes, "{} bytes", answer.body.len());
}

#[tokio::test]
async fn a_session_of_others_is_one_that_is_not_there() {
    let server = Running::start().await;
    let all = || Verbs::all();
    let alice = server
        .key_of(grant("acme", "alice", Reach::Own, all()))
        .await;
    let bob = server.key_of(grant("acme", "bob", Reach::Own, all())).await;
    let chief = server
        .key_of(grant("acme", "chief", Reach::Tenant, all()))
        .await;
    for (token, id) in [(&alice, "a"), (&alice, "a2"), (&bob, "b"), (&chief, "c")] {
        create(&server, Some(token), id).await;
    }
    let body = r#"{"parts":{"p":{"json":1}}}"#;
    let ask =
        async |token: &str, path: &str, body: &str| server.ask(post(path, body).by(token)).await;
    ask(&alice, &state("a", "/commits"), body).await.expect(201);
    let foreign = ask(&bob, &state("a", "/commits"), body).await.expect(404);
    let unknown = ask(&bob, &state("nobody", "/commits"), body)
        .await
        .expect(404);
    assert_eq!(foreign.body, unknown.body);
    // Neither from what is another's, nor into it.
    for (from, to) in [("a", "b"), ("b", "a")] {
        let fork = format!(r#"{{"to":"{to}"}}"#);
        let refused = ask(&bob, &state(from, "/fork"), &fork).await.expect(404);
        assert_eq!(refused.body, unknown.body, "{from} {to}");
    }
    for to in ["a2", "c"] {
        let fork = format!(r#"{{"to":"{to}"}}"#);
        ask(&chief, &state("a", "/fork"), &fork).await.expect(201);
    }
    let forks = async |token: &str| {
        let path = state("a", "/forks");
        let page = server.ask(get(&path).by(token)).await.expect(200).json();
        let forks = page["forks"].as_array().expect("forks").clone();
        forks
            .iter()
            .map(|fork| fork["session"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(forks(&chief).await, ["a2", "c"]);
    assert_eq!(forks(&alice).await, ["a2"]);
}

#[tokio::test]
async fn a_state_that_is_removed_is_gone_and_what_it_held_is_collected() {
    let server = Running::start().await;
    let all = Verbs::all();
    let alice = server
        .key_of(grant("acme", "alice", Reach::Own, all.clone()))
        .await;
    let operator = server.key_of(operator(all)).await;
    create(&server, Some(&alice), "s").await;
    let body = r#"{"parts":{"p":{"json":"x"}}}"#;
    let path = state("s", "");
    server
        .ask(post(&state("s", "/commits"), body).by(&alice))
        .await
        .expect(201);
    let remove = Request {
        method: "DELETE",
        token: Some(&alice),
        ..get(&path)
    };
    for removal in ["removed", "absent"] {
        let removed = server.ask(remove).await.expect(200).json();
        assert_eq!(removed, json!({"removal": removal}));
    }
    server.ask(get(&path).by(&alice)).await.expect(404);
    let collect = async |body: &str| {
        let asked = post("/v1/store/collect", body).by(&operator);
        server.ask(asked).await.expect(200).json()["collected"].clone()
    };
    // Nothing is due before its grace period is over.
    assert_eq!(collect("{}").await["deleted"], 0);
    let would = collect(r#"{"grace_ms":0,"dry_run":true}"#).await;
    assert!(would["deleted"].as_u64() >= Some(1), "{would}");
    let other = collect(r#"{"tenant":"globex","grace_ms":0}"#).await;
    assert_eq!(other["deleted"], 0);
    let done = collect(r#"{"tenant":"acme","grace_ms":0}"#).await;
    assert_eq!(done["deleted"], would["deleted"]);
    assert_eq!(collect(r#"{"grace_ms":0}"#).await["deleted"], 0);
    let asked = post("/v1/store/collect", r#"{"limit":0}"#).by(&operator);
    let refused = server.ask(asked).await.expect(400);
    assert_eq!(refused.code(), "invalid_request");
    let maintained = server
        .ask(post("/v1/store/maintain", "{}").by(&operator))
        .await;
    let maintained = maintained.expect(200).json();
    assert!(maintained["checkpoints"]["packed"].is_u64(), "{maintained}");
    assert!(maintained["garbage"]["lineages"].is_u64(), "{maintained}");
}

async fn it_is_dropped_once(server: &Running, place: &str) {
    let remove = Request {
        method: "DELETE",
        ..get(place)
    };
    for dropped in [true, false] {
        let gone = server.ask(remove).await.expect(200).json();
        assert_eq!(gone, json!({"dropped": dropped}));
    }
    server.ask(get(place)).await.expect(404);
}

#[tokio::test]
async fn an_attachment_is_sent_in_pieces_and_taken_by_a_commit() {
    let server = server(&["s", "t"]).await;
    let ask = async |path: &str, body: &str| server.ask(post(&state("s", path), body)).await;
    let begun = ask("/attachments", r#"{"kind":"text/plain","name":"notes"}"#).await;
    let begun = begun.expect(201);
    let id = begun.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/attachments/{id}");
    assert_eq!(begun.header("location"), Some(state("s", &path).as_str()));
    let bytes = format!("{path}/bytes");
    let take = format!(r#"{{"attachments":["{id}"]}}"#);
    let early = commit(&server, "s", &take, &[]).await.expect(404);
    assert_eq!(early.code(), "attachment_not_found");
    ask(&bytes, r#"{"start":0,"bytes":"aGVs"}"#)
        .await
        .expect(200);
    let gap = ask(&bytes, r#"{"start":4,"bytes":"bG8="}"#)
        .await
        .expect(409);
    assert_eq!(
        (gap.code().as_str(), &gap.json()["size"]),
        ("attachment_offset", &json!(3))
    );
    let added = ask(&bytes, r#"{"start":3,"bytes":"bG8="}"#)
        .await
        .expect(200);
    assert_eq!(added.json()["size"], 5);
    let finish = format!("{path}/finish");
    let wrong = format!(r#"{{"expected":"{}"}}"#, "0".repeat(64));
    let refused = ask(&finish, &wrong).await.expect(409);
    assert_eq!(refused.code(), "digest_mismatch");
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(refused.json()["actual"], hash);
    let right = format!(r#"{{"expected":"{hash}"}}"#);
    for _ in 0..2 {
        let finished = ask(&finish, &right).await.expect(200);
        assert_eq!(finished.json()["whole"], hash);
    }
    let late = ask(&bytes, r#"{"start":5,"bytes":"IQ=="}"#)
        .await
        .expect(409);
    assert_eq!(late.code(), "attachment_finished");

    commit(&server, "s", &take, &[]).await.expect(201);
    ask("/fork", r#"{"to":"t"}"#).await.expect(201);
    for session in ["s", "t"] {
        let content = server.ask(get(&state(session, &bytes))).await.expect(200);
        assert_eq!(content.body, b"hello", "{session}");
        let some = format!("{bytes}?start=1&end=3");
        let content = server.ask(get(&state(session, &some))).await.expect(200);
        assert_eq!(content.body, b"el", "{session}");
    }
    let turned = server
        .ask(get(&state("s", &format!("{bytes}?start=3&end=1"))))
        .await;
    assert_eq!(turned.expect(400).code(), "invalid_request");
    assert_eq!(read(&server, "s", &path).await["revision"], 1);
    let listed = read(&server, "s", "/attachments").await;
    assert_eq!(
        (&listed["attachments"][0]["name"], &listed["after"]),
        (&json!("notes"), &Value::Null)
    );
    it_is_dropped_once(&server, &state("s", &path)).await;
}
