//! Bodies that are too large, too deep, or no text.

use super::target::Target;
use crate::support::{Answer, Request, get, post};

/// Levels of a value that a reader which calls itself would not survive.
const LEVELS: usize = 100_000;

fn put<'a>(path: &'a str, body: &'a str) -> Request<'a> {
    Request {
        method: "PUT",
        ..post(path, body)
    }
}

const HEAD: &str =
    "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

/// Announces a gigabyte; the answer, which comes before any of it is sent.
fn announce(target: &Target) -> Answer {
    let mut wire = target.wire();
    wire.send(format!("{HEAD}Content-Length: 1073741824\r\n\r\n").as_bytes());
    let answer = wire.answer().expect("an answer");
    assert_eq!(wire.rest(), "", "the connection is closed");
    answer
}

/// Sends a gigabyte in chunks as far as it is taken; how much was.
fn pour(target: &Target) -> (usize, String) {
    let mut wire = target.wire();
    wire.send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let mut sent = 0;
    while sent < 1 << 30 && wire.push(chunk.as_bytes()) {
        sent += chunk.len();
    }
    (sent, wire.rest())
}

#[test]
fn a_gigabyte_is_refused_when_it_is_announced() {
    let target = Target::start("");
    let (before_kib, before) = (target.resident_kib(), target.dump());
    let answer = announce(&target).expect(413);
    assert_eq!(answer.code(), "body_too_large");
    assert_eq!(before, target.dump(), "nothing changed");
    target.check_responsive(|| {
        announce(&target).expect(413);
    });
    target.check_growth(before_kib, 32);
}

#[test]
fn a_gigabyte_in_chunks_is_refused_at_the_limit() {
    let target = Target::start("");
    let (before_kib, before) = (target.resident_kib(), target.dump());
    let (sent, answer) = pour(&target);
    // What the systems on both sides hold for a connection is counted in.
    assert!(sent < 32 << 20, "{sent} bytes were taken");
    // An answer can be lost with a connection that is still sent to.
    let refused = answer.is_empty() || answer.contains("\"code\":\"body_too_large\"");
    assert!(refused, "{answer}");
    assert_eq!(before, target.dump(), "nothing changed");
    target.check_responsive(|| {
        pour(&target);
    });
    target.check_growth(before_kib, 32);
}

#[test]
fn depth_overflows_nothing() {
    let target = Target::start("");
    let before_kib = target.resident_kib();
    let (open, close) = ("[".repeat(LEVELS), "]".repeat(LEVELS));
    let objects = format!("{}0{}", "{\"a\":".repeat(LEVELS), "}".repeat(LEVELS));
    let mut wire = target.wire();
    for body in [format!("{open}{close}"), open.clone()] {
        let answer = wire.ask(&post("/v1/sessions", &body)).expect(400);
        assert_eq!(answer.code(), "invalid_body");
        let inside = format!(r#"{{"agent":"a","intent":"b","budget":{body}}}"#);
        let answer = wire.ask(&post("/v1/sessions", &inside)).expect(400);
        assert_eq!(answer.code(), "invalid_body");
    }
    let entry = format!("{}/stash/entries/deep", target.session);
    let steps = format!("{}/stash/steps", target.session);
    for value in [format!("{open}{close}"), objects] {
        let body = format!(r#"{{"value":{value}}}"#);
        let stored = wire.ask(&put(&entry, &body));
        check_value(&mut wire, &stored, &entry, &value);
        let step = format!(r#"{{"operations":[{{"put":{{"key":"deep","value":{value}}}}}]}}"#);
        let stored = wire.ask(&post(&steps, &step));
        check_value(&mut wire, &stored, &entry, &value);
    }
    let cut = format!(r#"{{"value":{open}}}"#);
    assert_eq!(
        wire.ask(&put(&entry, &cut)).expect(400).code(),
        "invalid_body"
    );
    target.check_growth(before_kib, 64);
}

/// A deep value is refused, or stored and given back as it was.
fn check_value(wire: &mut super::wire::Wire, stored: &Answer, entry: &str, value: &str) {
    if stored.status == 400 {
        let code = stored.code();
        assert!(
            ["invalid_value", "invalid_body"].contains(&code.as_str()),
            "{code}"
        );
        return;
    }
    assert_eq!(stored.status, 200, "{}", stored.head);
    let shown = wire.ask(&get(entry)).expect(200);
    let text = String::from_utf8(shown.body).expect("text");
    assert!(text.contains(value), "{} bytes came back", text.len());
}

#[test]
fn what_is_compressed_or_no_json_is_not_looked_at() {
    let target = Target::start("");
    let before = target.dump();
    // Ten megabytes of zeros, as a gzip stream would begin.
    let bomb = "\u{1f}\u{8}".repeat(1_000);
    let table: [&[(&str, &str)]; 6] = [
        &[
            ("Content-Type", "application/json"),
            ("Content-Encoding", "gzip"),
        ],
        &[
            ("Content-Type", "application/json"),
            ("Content-Encoding", "br, gzip"),
        ],
        &[
            ("Content-Type", "application/json"),
            ("Content-Encoding", "deflate"),
        ],
        &[("Content-Type", "text/plain")],
        &[("Content-Type", "application/x-www-form-urlencoded")],
        &[("Content-Type", "application/jsonx")],
    ];
    for headers in table {
        let answer = target
            .wire()
            .ask(&post("/v1/sessions", &bomb).with(headers));
        assert_eq!(
            answer.expect(415).code(),
            "media_type_not_supported",
            "{headers:?}"
        );
    }
    assert_eq!(before, target.dump(), "nothing changed");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let target = Target::start("");
    let before = target.dump();
    let session = &target.session;
    let table: [(Vec<u8>, u16); 7] = [
        (get("/v1/sessions/%FF%FE").bytes(), 400),
        (get(&format!("{session}/stash/entries/%C3")).bytes(), 400),
        (get("/v1/sessions?agent=%FF").bytes(), 400),
        (
            raw(b"GET /v1/sessions/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            400,
        ),
        (
            raw(b"GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n\r\n"),
            401,
        ),
        (
            raw(b"POST /v1/agents/a/close HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: \xff\r\n\r\n"),
            400,
        ),
        (
            raw(
                b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 29\r\n\r\n{\"agent\":\"\xff\",\"intent\":\"\xfe...\"}",
            ),
            400,
        ),
    ];
    for (bytes, status) in table {
        let mut wire = target.wire();
        wire.send(&bytes);
        let answer = wire.answer().expect("an answer");
        assert_eq!(answer.status, status, "{}", bytes.escape_ascii());
    }
    assert_eq!(before, target.dump(), "nothing changed");
}

fn raw(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}
