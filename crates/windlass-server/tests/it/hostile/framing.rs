//! Requests that two parties could read differently, over a real socket:
//! refused, closed, and nothing in them carried out.

use super::target::Target;
use crate::support::{get, post};

/// What would close the session if it were taken for a request of its own.
const INNER: &str = "POST {S}/close HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Each would change something if it were read as any server might read it.
const SHAPES: &[&str] = &[
    "POST {S}/close HTTP/1.1\nHost: localhost\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\n\n",
    "POST {S}/close HTTP/1.1\n\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\rX: b\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n",
    "\r\nPOST {S}/close HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST  {S}/close HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST\t{S}/close HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST {S}/close HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "POST {S}/close HTTP/1.1 \r\nHost: localhost\r\n\r\n",
    "POST {S}/close\r\nHost: localhost\r\n\r\n",
    "POST {S}/close\r\n\r\n",
    "CONNECT {S}/close HTTP/1.1\r\nHost: localhost\r\n\r\n{I}",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{I}",
    "POST {S}/close HTTP/1.1\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost:\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: a b\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nX : b\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nX\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\n X: b\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nContent-Length : 0\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nContent-Length: +0\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nContent-Length: -0\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x0\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0, 0\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n{I}",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nContent-Length:\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity\r\n\r\n{I}",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "POST {S}/close HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{I}",
    "POST {S}/close HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{I}",
];

/// How the chunks of a body can be malformed.
const CHUNKS: &[&str] = &[
    "1;a=b\r\nx\r\n0\r\n\r\n",
    "1\nx\r\n0\r\n\r\n",
    "\r\n0\r\n\r\n",
    "-1\r\n\r\n",
    "0x1\r\nx\r\n0\r\n\r\n",
    "1 \r\nx\r\n0\r\n\r\n",
    "1\r\nxx\r\n0\r\n\r\n",
    "1\r\nx\n0\r\n\r\n",
    "0\r\nTrailer: x\r\n\r\n",
    "0\r\nPOST / HTTP/1.1\r\n\r\n",
    "FFFFFFFFFFFFFFFFF\r\nx",
    "11111111111111111111\r\nx",
];

fn shape(target: &Target, text: &str) -> String {
    let text = text.replace("{I}", INNER);
    text.replace("{S}", &target.session)
}

/// Sends bytes and everything that a second request could hide behind; what
/// comes back before the server closes.
fn send(target: &Target, text: &str) -> String {
    let mut wire = target.wire();
    wire.push(text.as_bytes());
    wire.push(shape(target, INNER).as_bytes());
    wire.rest()
}

#[test]
fn whatever_could_be_read_in_two_ways_is_refused_and_not_carried_out() {
    let target = Target::start("head_ms=2000 body_ms=2000");
    let before = target.dump();
    for text in SHAPES {
        let answer = send(&target, &shape(&target, text));
        check_refused(&answer, text);
    }
    let head = "POST {S}/uses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Transfer-Encoding: chunked\r\n\r\n";
    for chunks in CHUNKS {
        let text = shape(&target, &format!("{head}{chunks}"));
        check_refused(&send(&target, &text), &text);
    }
    assert_eq!(before, target.dump(), "something was carried out");
}

/// One answer that refuses, or none where it was lost with the connection.
fn check_refused(answer: &str, text: &str) {
    if answer.is_empty() {
        return;
    }
    assert!(answer.starts_with("HTTP/1.1 400 "), "{text:?}: {answer}");
    assert!(
        answer.contains("\"code\":\"malformed_request\""),
        "{answer}"
    );
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{text:?}: {answer}");
}

#[test]
fn a_refusal_is_said_before_the_connection_is_closed() {
    let target = Target::start("");
    for text in SHAPES {
        let mut wire = target.wire();
        wire.send(shape(&target, text).as_bytes());
        let answer = wire.answer();
        let answer = answer.unwrap_or_else(|| panic!("no answer to {text:?}"));
        assert_eq!(answer.status, 400, "{text:?}: {}", answer.head);
        assert_eq!(wire.rest(), "", "{text:?}");
    }
}

#[test]
fn garbage_behind_a_good_request_ends_the_connection_after_its_answer() {
    let target = Target::start("head_ms=2000");
    let before = target.dump();
    let good = get(&target.session).bytes();
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01\x00".as_slice(),
        b"\0\0\0\0\r\n",
        b"GET\r\n",
    ] {
        let mut wire = target.wire();
        wire.send(&[good.as_slice(), garbage, b"\r\n\r\n"].concat());
        let all = wire.rest();
        assert!(all.matches("HTTP/1.1 ").count() <= 2, "{all}");
        assert!(!all.contains("HTTP/1.1 500"), "{all}");
        target.wire().ask(&get(&target.session)).expect(200);
    }
    assert_eq!(before, target.dump(), "nothing changed");
}

#[test]
fn garbage_behind_an_open_stream_is_not_answered_in_the_middle_of_it() {
    let target = Target::start("");
    let events = format!("{}/events", target.session);
    let wants = [("Accept", "text/event-stream")];
    let mut wire = target.wire();
    wire.send(&get(&events).with(&wants).bytes());
    assert!(wire.finds("retry: "), "the stream is open");
    let head = "POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    wire.send(format!("{head}ZZ\r\n").as_bytes());
    // Where the stream went on, this would end it.
    let close = format!("{}/close", target.session);
    target.wire().ask(&post(&close, "").bodiless()).expect(200);
    let rest = wire.rest();
    let in_the_stream = rest.split("0\r\n\r\n").next().unwrap_or_default();
    assert!(!in_the_stream.contains("HTTP/1.1 400"), "{rest}");
}

#[test]
fn a_thousand_requests_at_once_get_their_answers_in_order() {
    let target = Target::start("");
    let mut wire = target.wire();
    let one = |number: usize| get(&format!("/v1/agents/a{number}")).bytes();
    std::thread::scope(|scope| {
        let mut writer = super::wire::Wire::of(&wire);
        scope.spawn(move || writer.send(&(0..1_000).flat_map(one).collect::<Vec<u8>>()));
        for number in 0..1_000 {
            let answer = wire.answer().expect("an answer").expect(200);
            assert_eq!(answer.json()["agent"], format!("a{number}"));
        }
    });
}

#[test]
fn heads_are_bounded_in_bytes_and_in_lines() {
    let target = Target::start("");
    let before_kib = target.resident_kib();
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a".repeat(17_000)
    );
    let wide = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "a".repeat(17_000)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        "X: y\r\n".repeat(65)
    );
    let endless = "a".repeat(17_000);
    for text in [long, wide, many, endless] {
        let mut wire = target.wire();
        wire.push(text.as_bytes());
        let answer = wire.answer().expect("an answer").expect(431);
        assert_eq!(answer.code(), "head_too_large");
    }
    target.check_growth(before_kib, 16);
}
