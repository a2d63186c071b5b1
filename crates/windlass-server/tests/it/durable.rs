//! The Durable Streams protocol, where its own suite does not look: who may ask,
//! slots, limits, and other origins.

use std::time::Duration;

use windlass::access::{Reach, Verbs};

use crate::matrix::world::{grant, without};
use crate::support::{Answer, Connection, Request, Running, get};

const ROOT: &str = "/durable/v1/stream/";
const TEXT: (&str, &str) = ("Content-Type", "text/plain");

/// A request without a body, or with one.
fn ask<'a>(
    method: &'a str,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: Option<&'a str>,
) -> Request<'a> {
    Request {
        method,
        headers,
        body,
        ..get(path)
    }
}

async fn made(server: &Running, path: &str) {
    let put = ask("PUT", path, &[TEXT], Some("a"));
    server.ask(put).await.expect(201);
}

/// The head of the answer to `HEAD`, which has no body.
async fn head(server: &Running, path: &str, token: Option<&str>) -> Answer {
    let mut connection = server.connect().await;
    let request = Request {
        token,
        ..ask("HEAD", path, &[], None)
    };
    connection.send(&request.bytes()).await;
    let head = connection.head().await.expect("an answer");
    Answer::of_head(head).expect("a head")
}

#[tokio::test]
async fn a_producer_s_retry_is_answered_and_appends_once() {
    let server = Running::start().await;
    let path = format!("{ROOT}a/b");
    made(&server, &path).await;
    let by = |epoch, number| {
        [
            TEXT,
            ("Producer-Id", "p"),
            ("Producer-Epoch", epoch),
            ("Producer-Seq", number),
        ]
    };
    for (epoch, number, status) in [
        ("1", "0", 200),
        ("1", "0", 204),
        ("1", "1", 200),
        ("0", "2", 403),
        ("1", "3", 409),
        ("2", "1", 400),
    ] {
        let headers = by(epoch, number);
        let answer = server.ask(ask("POST", &path, &headers, Some("b"))).await;
        assert_eq!(answer.status, status, "{epoch} {number}: {}", answer.head);
        match status {
            403 => {
                assert_eq!(answer.header("producer-epoch"), Some("1"));
                assert_eq!(answer.code(), "producer_epoch_stale");
                assert_eq!(answer.json()["current"], 1);
            }
            409 => {
                assert_eq!(answer.header("producer-expected-seq"), Some("2"));
                assert_eq!(answer.header("producer-received-seq"), Some("3"));
                assert_eq!(answer.code(), "producer_sequence_gap");
            }
            _ => {}
        }
    }
    let read = server.ask(get(&path)).await.expect(200);
    assert_eq!(read.body, b"abb");
    assert_eq!(read.header("stream-next-offset"), Some("0000000000000003"));
    assert_eq!(read.header("content-type"), Some("text/plain"));
}

#[tokio::test]
async fn a_path_is_its_principal_s_and_needs_the_verbs_of_streams() {
    let server = Running::start().await;
    let own = grant(
        "acme",
        "ann",
        Reach::Own,
        Verbs::of(["stream.*"]).expect("verbs"),
    );
    let ann = server.key_of(own.clone()).await;
    let bob = grant(
        "acme",
        "bob",
        Reach::Own,
        Verbs::of(["stream.*"]).expect("verbs"),
    );
    let bob = server.key_of(bob).await;
    let path = format!("{ROOT}secret");
    let put = ask("PUT", &path, &[TEXT], Some("hers")).by(&ann);
    server.ask(put).await.expect(201);
    let absent = format!("{ROOT}nothing");
    for (method, body) in [("GET", None), ("POST", Some("x")), ("DELETE", None)] {
        let known = server.ask(ask(method, &path, &[TEXT], body).by(&bob)).await;
        let unknown = server
            .ask(ask(method, &absent, &[TEXT], body).by(&bob))
            .await;
        assert_eq!((known.status, unknown.status), (404, 404), "{method}");
        assert_eq!(known.body, unknown.body, "{method}");
    }
    assert_eq!(head(&server, &path, Some(&bob)).await.status, 404);
    assert_eq!(head(&server, &path, Some(&ann)).await.status, 200);
    assert_eq!(head(&server, &path, None).await.status, 401);
    let his = ask("PUT", &path, &[TEXT], Some("his")).by(&bob);
    server.ask(his).await.expect(201);
    let hers = server.ask(get(&path).by(&ann)).await.expect(200);
    assert_eq!(hers.body, b"hers");
    for (method, verb) in [
        ("PUT", "stream.write"),
        ("POST", "stream.write"),
        ("GET", "stream.read"),
        ("DELETE", "stream.manage"),
    ] {
        let lesser = server.key_of(without(verb, own.clone())).await;
        let body = (method != "GET" && method != "DELETE").then_some("x");
        let answer = server
            .ask(ask(method, &path, &[TEXT], body).by(&lesser))
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "verb_missing".to_owned()),
            "{method}"
        );
    }
    let lesser = server.key_of(without("stream.read", own)).await;
    assert_eq!(head(&server, &path, Some(&lesser)).await.status, 403);
}

#[tokio::test]
async fn every_read_takes_a_slot_and_a_reader_that_leaves_gives_it_back() {
    let server = Running::with(|config| config.long_poll_ms = 60_000).await;
    let streams = server.engine.streams();
    let settings = windlass::stream::Settings {
        principal_streams_max: 2,
        ..windlass::stream::Settings::default()
    };
    streams.configure(&settings).expect("in range");
    let path = format!("{ROOT}live");
    made(&server, &path).await;
    let events = format!("{path}?offset=-1&live=sse");
    let poll = format!("{path}?offset=now&live=long-poll");
    let mut first = server.connect().await;
    first.send(&get(&events).bytes()).await;
    let begun = first.head().await.expect("an answer");
    assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
    let mut second = server.connect().await;
    second.send(&get(&poll).bytes()).await;
    wait(&server, 2).await;
    for refused in [&events, &path] {
        let refused = server.ask(get(refused)).await.expect(429);
        assert_eq!(refused.code(), "principal_stream_quota_exhausted");
    }
    drop(second);
    wait(&server, 1).await;
    drop(first);
    wait(&server, 0).await;
    let mut third = server.connect().await;
    third.send(&get(&poll).bytes()).await;
    wait(&server, 1).await;
    server
        .ask(ask("POST", &path, &[TEXT], Some("b")))
        .await
        .expect(204);
    let polled = third.answer().await.expect("an answer").expect(200);
    assert_eq!(polled.body, b"b");
    wait(&server, 0).await;
}

/// Waits until so many slots are taken.
async fn wait(server: &Running, count: usize) {
    let taken = || server.engine.streams().occupancy().all;
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while taken() != count {
        assert!(
            tokio::time::Instant::now() < until,
            "{} of {count}",
            taken()
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_reader_of_events_gets_rows_as_they_come_and_the_end() {
    let server = Running::start().await;
    let path = format!("{ROOT}events");
    made(&server, &path).await;
    let mut reader: Connection = server.connect().await;
    let live = format!("{path}?offset=-1&live=sse");
    let once = get(&live).with(&[("Connection", "close")]);
    reader.send(&once.bytes()).await;
    let head = reader.head().await.expect("an answer");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    let close = [TEXT, ("Stream-Closed", "true")];
    let closed = server.ask(ask("POST", &path, &close, Some("b\r\nc"))).await;
    assert_eq!(closed.expect(204).header("stream-closed"), Some("true"));
    let text = reader.rest().await;
    let (first, second) = text
        .split_once("upToDate")
        .expect("the first control event");
    assert!(
        first.contains("event: data\ndata:a\n\nevent: control\n"),
        "{text}"
    );
    let end = "event: data\ndata:b\ndata:c\n\nevent: control\n\
               data:{\"streamNextOffset\":\"0000000000000002\",\"upToDate\":true,\"streamClosed\":true}\n\n";
    assert!(second.contains(end), "{text}");
    let late = server.ask(ask("POST", &path, &[TEXT], Some("d"))).await;
    assert_eq!(late.header("stream-next-offset"), Some("0000000000000002"));
    assert_eq!(
        (late.status, late.code()),
        (409, "stream_closed".to_owned())
    );
}

#[tokio::test]
async fn what_is_too_long_or_reserved_is_refused() {
    let server = Running::start().await;
    let path = format!("{ROOT}limits");
    made(&server, &path).await;
    let large = "x".repeat(1024 * 1024);
    let refused = server.ask(ask("POST", &path, &[TEXT], Some(&large))).await;
    assert_eq!(
        (refused.status, refused.code()),
        (413, "invalid_row".to_owned())
    );
    for (path, status, code) in [
        (format!("{ROOT}__ds/x"), 404, "not_found"),
        (format!("{ROOT}a/../b"), 400, "invalid_request"),
        (format!("{ROOT}{}", "x".repeat(513)), 400, "invalid_request"),
        (format!("{ROOT}a%00"), 400, "invalid_request"),
    ] {
        let answer = server.ask(ask("PUT", &path, &[TEXT], None)).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path}"
        );
    }
    let source = [TEXT, ("Stream-Forked-From", "/v1/stream/__ds/x")];
    let fork = server
        .ask(ask("PUT", &format!("{ROOT}f"), &source, None))
        .await;
    assert_eq!((fork.status, fork.code()), (404, "not_found".to_owned()));
    let both = [
        TEXT,
        ("Stream-TTL", "1"),
        ("Stream-Expires-At", "2099-01-01T00:00:00Z"),
    ];
    let both = server
        .ask(ask("PUT", &format!("{ROOT}f"), &both, None))
        .await;
    assert_eq!(
        (both.status, both.code()),
        (400, "invalid_request".to_owned())
    );
}

#[tokio::test]
async fn pages_of_configured_origins_may_ask_and_no_others() {
    let known = ("Origin", "https://a.example");
    let other = ("Origin", "https://b.example");
    let server = Running::with(|config| {
        config.cors_origins = vec!["https://a.example".to_owned()];
    })
    .await;
    let path = format!("{ROOT}page");
    made(&server, &path).await;
    let asks = |origin| [origin, ("Access-Control-Request-Method", "GET")];
    let first = server.ask(ask("OPTIONS", &path, &asks(known), None)).await;
    assert_eq!(first.status, 204, "{}", first.head);
    let allowed = first
        .header("access-control-allow-headers")
        .unwrap_or_default();
    assert!(allowed.contains("if-none-match"), "{allowed}");
    let read = server
        .ask(ask("GET", &path, &[known], None))
        .await
        .expect(200);
    assert_eq!(
        read.header("access-control-allow-origin"),
        Some("https://a.example")
    );
    assert_eq!(read.header("access-control-allow-credentials"), None);
    assert_eq!(
        read.header("cross-origin-resource-policy"),
        Some("cross-origin")
    );
    let foreign = server.ask(ask("OPTIONS", &path, &asks(other), None)).await;
    assert_eq!(
        (
            foreign.status,
            foreign.header("access-control-allow-origin")
        ),
        (405, None)
    );
    let foreign = server.ask(ask("GET", &path, &[other], None)).await;
    assert_eq!(
        (foreign.status, foreign.code()),
        (403, "origin_not_allowed".to_owned())
    );
    let own = server.ask(get(&path)).await.expect(200);
    assert_eq!(own.header("access-control-allow-origin"), None);
    assert_eq!(
        own.header("cross-origin-resource-policy"),
        Some("same-origin")
    );
}
