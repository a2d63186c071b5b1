//! Inputs over HTTP: seen by nobody before they are all there and as they were
//! meant.

use serde_json::{Value, json};
use windlass::stream::RowsHasher;

use crate::support::{Answer, Request, Running, get, post};

const TEXT: (&str, &str) = ("Content-Type", "text/plain");

fn digest(rows: &[&str]) -> String {
    let mut hasher = RowsHasher::new();
    rows.iter().for_each(|row| hasher.row(row.as_bytes()));
    hasher.finish().to_string()
}

/// An input for `target`, which needs a digest.
async fn open(server: &Running, target: &str) -> String {
    let new =
        json!({ "target": target, "content_type": "text/plain", "verified": true }).to_string();
    let opened = server.ask(post("/v1/inputs", &new)).await.expect(201);
    let id = opened.json()["id"].as_str().expect("a name").to_owned();
    assert_eq!(
        opened.header("location"),
        Some(&*format!("/v1/inputs/{id}"))
    );
    id
}

/// Append `number` of a producer's `epoch`.
async fn append(server: &Running, id: &str, row: &str, [epoch, number]: [u64; 2]) -> Answer {
    let (epoch, number) = (epoch.to_string(), number.to_string());
    let headers = [
        TEXT,
        ("Producer-Id", "p"),
        ("Producer-Epoch", &epoch),
        ("Producer-Seq", &number),
    ];
    let path = format!("/v1/inputs/{id}/rows");
    server.ask(post(&path, row).with(&headers)).await
}

async fn finish(server: &Running, id: &str, digest: Option<&str>) -> Answer {
    let path = format!("/v1/inputs/{id}/finish");
    let body = digest.map_or_else(|| json!({}), |digest| json!({ "digest": digest }));
    server.ask(post(&path, &body.to_string())).await
}

async fn state(server: &Running, id: &str) -> Value {
    let path = format!("/v1/inputs/{id}");
    server.ask(get(&path)).await.expect(200).json()["state"].clone()
}

async fn read(server: &Running, target: &str) -> Answer {
    let path = format!("/durable/v1/stream/{target}?offset=-1");
    server.ask(get(&path)).await
}

#[tokio::test]
async fn an_input_has_its_path_when_it_is_verified_and_not_before() {
    let server = Running::start().await;
    let id = open(&server, "uploads/one").await;
    for (number, row) in (0..).zip(["a", "b", "c"]) {
        for repeated in [false, true] {
            let sent = append(&server, &id, row, [0, number])
                .await
                .expect(200)
                .json();
            let tail = format!("{:016x}", number + 1);
            assert_eq!(sent, json!({ "tail": tail, "repeated": repeated }));
        }
    }
    let gap = append(&server, &id, "e", [0, 4]).await.expect(409);
    assert_eq!(gap.code(), "producer_sequence_gap");
    append(&server, &id, "d", [1, 0]).await.expect(200);
    let stale = append(&server, &id, "x", [0, 3]).await.expect(403);
    assert_eq!(stale.code(), "producer_epoch_stale");
    assert_eq!(stale.header("producer-epoch"), Some("1"));
    read(&server, "uploads/one").await.expect(404);
    assert_eq!(state(&server, &id).await["open"]["verified"], true);

    let missing = finish(&server, &id, None).await.expect(400);
    assert_eq!(missing.code(), "integrity_missing_digest");
    let right = digest(&["a", "b", "c", "d"]);
    for _ in 0..2 {
        let finished = finish(&server, &id, Some(&right)).await.expect(200).json();
        let expected = json!({ "path": "uploads/one", "tail": "0000000000000004" });
        assert_eq!(finished, expected);
    }
    assert_eq!(state(&server, &id).await, "finished");
    let rows = read(&server, "uploads/one").await.expect(200);
    assert_eq!(
        (&*rows.body, rows.header("stream-closed")),
        (&b"abcd"[..], Some("true"))
    );
    let late = append(&server, &id, "e", [1, 1]).await.expect(409);
    assert_eq!(late.code(), "stream_closed");
}

#[tokio::test]
async fn what_is_not_what_was_sent_is_withdrawn_and_nothing_else() {
    let server = Running::start().await;
    let (wrong, right) = (open(&server, "one").await, open(&server, "two").await);
    append(&server, &wrong, "a", [0, 0]).await.expect(200);
    append(&server, &right, "a", [0, 0]).await.expect(200);
    let (sent, came) = (digest(&["b"]), digest(&["a"]));
    for _ in 0..2 {
        let failed = finish(&server, &wrong, Some(&sent)).await.expect(409);
        let said = failed.json();
        assert_eq!(
            (&said["code"], &said["expected"], &said["actual"]),
            (&json!("integrity_failed"), &json!(sent), &json!(came))
        );
    }
    let withdrawn = json!({ "withdrawn": {
        "expected": sent, "actual": came,
        "first": "0000000000000000", "tail": "0000000000000001",
    }});
    assert_eq!(state(&server, &wrong).await, withdrawn);
    read(&server, "one").await.expect(404);
    finish(&server, &right, Some(&came)).await.expect(200);
    assert_eq!(read(&server, "two").await.expect(200).body, b"a");
    // The path is free still.
    open(&server, "one").await;
    let taken = json!({ "target": "two" }).to_string();
    let taken = server.ask(post("/v1/inputs", &taken)).await.expect(409);
    assert_eq!(taken.code(), "stream_exists");
}

#[tokio::test]
async fn an_input_is_begun_once_under_a_key_and_given_up() {
    let server = Running::start().await;
    let begin = async |target: &str| {
        let new = json!({ "target": target }).to_string();
        let key = [
            ("Idempotency-Key", "k"),
            ("Content-Type", "application/json"),
        ];
        server.ask(post("/v1/inputs", &new).with(&key)).await
    };
    let first = begin("one").await.expect(201).json();
    assert_eq!(begin("one").await.expect(201).json(), first);
    assert_eq!(begin("two").await.expect(422).code(), "operation_conflict");
    let path = format!("/v1/inputs/{}", first["id"].as_str().expect("a name"));
    let give_up = || Request {
        method: "DELETE",
        ..get(&path)
    };
    server.ask(give_up()).await.expect(204);
    let gone = server.ask(give_up()).await.expect(404).body;
    let unknown = server.ask(get("/v1/inputs/nobody")).await.expect(404).body;
    assert_eq!(
        (server.ask(get(&path)).await.expect(404).body, gone),
        (unknown.clone(), unknown)
    );
    for (new, field) in [
        (json!({ "target": "" }), "target"),
        (json!({ "target": "../up" }), "target"),
        (json!({ "target": "__ds/subscriptions/x" }), "target"),
        (
            json!({ "target": "x", "content_type": "no type" }),
            "content_type",
        ),
    ] {
        let refused = server.ask(post("/v1/inputs", &new.to_string())).await;
        let refused = refused.expect(400).json();
        assert_eq!(refused["field"], field, "{new}");
    }
}
