//! Clients that send or take a byte at a time, or none.

use std::time::Duration;

use windlass::SystemEnv;
use windlass::core::Env;

use super::target::Target;
use super::wire::Wire;
use crate::support::{Request, get, post};

/// Connections that are slow at a time.
const SLOW: usize = 200;

/// Begins a request on each of many connections and sends a byte more of each
/// every 20 ms, until the server has closed all of them; their answers.
fn drip(target: &Target, begun: &[u8], byte: u8) -> Vec<String> {
    let mut wires: Vec<Wire> = (0..SLOW).map(|_| target.wire()).collect();
    for wire in &mut wires {
        wire.send(begun);
    }
    let (_never, pause) = std::sync::mpsc::channel::<()>();
    let clock = SystemEnv::new();
    let end = clock.monotonic() + Duration::from_secs(3);
    while clock.monotonic() < end {
        let mut taken = 0;
        for some in wires.chunks_mut(SLOW / 20) {
            taken += some
                .iter_mut()
                .filter_map(|wire| wire.push(&[byte]).then_some(()))
                .count();
            let _ = pause.recv_timeout(Duration::from_millis(1));
        }
        if taken == 0 {
            break;
        }
    }
    wires.into_iter().map(Wire::rest).collect()
}

fn check_late(answers: &[String]) {
    for answer in answers {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
        assert!(answer.contains("\"code\":\"request_timeout\""), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
}

/// Mischief beside which a healthy client is measured.
fn check_beside(target: &Target, begun: &[u8], byte: u8) {
    let (before_kib, before) = (target.resident_kib(), target.dump());
    target.check_ratio(|| {
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| drip(target, begun, byte));
            let during = target.p99();
            check_late(&slow.join().expect("no panic"));
            during
        })
    });
    target.check_growth(before_kib, 32);
    let sessions = |dump: &[u8]| dump.windows(6).filter(|word| word == b"\"slow\"").count();
    assert_eq!((sessions(&before), sessions(&target.dump())), (0, 0));
}

#[test]
fn heads_that_come_byte_by_byte_are_given_up() {
    let target = Target::start("head_ms=1000 body_ms=1000");
    check_beside(
        &target,
        b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nX: ",
        b'x',
    );
}

#[test]
fn bodies_that_come_byte_by_byte_are_given_up() {
    let target = Target::start("head_ms=1000 body_ms=1000");
    let begun =
        b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 5000\r\n\r\n{\"agent\":\"slow\",\"intent\":\"";
    check_beside(&target, begun, b'x');
}

#[test]
fn who_never_speaks_is_closed() {
    let target = Target::start("head_ms=200");
    let silent: Vec<Wire> = (0..SLOW).map(|_| target.wire()).collect();
    for wire in silent {
        assert_eq!(wire.rest(), "");
    }
    check_falls_to(&target, "windlass_http_connections", 1);
}

/// Panics unless a figure of the server comes down to this before long.
fn check_falls_to(target: &Target, name: &str, value: u64) {
    let clock = SystemEnv::new();
    let end = clock.monotonic() + Duration::from_secs(20);
    let mut wire = target.wire();
    loop {
        let metrics = wire.ask(&get("/metrics")).expect(200);
        let text = String::from_utf8(metrics.body).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let found = line.and_then(|rest| rest.trim().parse::<u64>().ok());
        if found == Some(value) {
            return;
        }
        assert!(clock.monotonic() < end, "`{name}` stays {found:?}");
    }
}

/// Text that takes its room also when it is compressed.
fn noise(bytes: usize) -> String {
    let mut random = vec![0; bytes / 2];
    SystemEnv::new().random(&mut random).expect("random bytes");
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_export_that_nobody_reads_is_given_up() {
    let target = Target::start("write_ms=500");
    for name in ["a", "b"] {
        let path = format!("{}/stash/entries/{name}", target.session);
        let value = format!("{{\"value\":\"{}\"}}", noise(8 << 20));
        let request = Request {
            method: "PUT",
            ..post(&path, &value)
        };
        target.wire().ask(&request).expect(200);
    }
    let before_kib = target.resident_kib();
    // More than the systems on both sides hold for a connection.
    let much = get("/v1/store/export").bytes().repeat(16);
    let mut readers: Vec<Wire> = (0..4).map(|_| target.wire()).collect();
    for reader in &mut readers {
        reader.send(&much);
    }
    // An export takes what the machine has, so no figure is compared here.
    target.p99();
    check_falls_to(&target, "windlass_http_connections", 1);
    // Copies of the 16 MiB that an export looks at are counted in.
    target.check_growth(before_kib, 128);
}

#[test]
fn a_stream_that_nobody_reads_is_given_up() {
    let target = Target::start("write_ms=500");
    let item = format!(r#"{{"tool":"{}"}}"#, "t".repeat(120));
    let items = vec![item; 64].join(",");
    let body = format!(r#"{{"agent":"researcher","items":[{items}]}}"#);
    let uses = format!("{}/uses", target.session);
    let mut wire = target.wire();
    for _ in 0..150 {
        wire.ask(&post(&uses, &body)).expect(200);
    }
    let events = format!("{}/events", target.session);
    let wants = [("Accept", "text/event-stream")];
    let before_kib = target.resident_kib();
    let mut readers: Vec<Wire> = Vec::new();
    target.check_ratio(|| {
        readers = (0..4).map(|_| target.wire()).collect();
        for reader in &mut readers {
            reader.send(&get(&events).with(&wants).bytes());
        }
        target.p99()
    });
    check_falls_to(&target, "windlass_http_streams", 0);
    target.check_growth(before_kib, 32);
}

#[test]
fn streams_that_catch_up_let_others_have_their_turn() {
    let target = Target::start("");
    let items = vec![r#"{"tool":"search"}"#; 256].join(",");
    let body = format!(r#"{{"agent":"researcher","items":[{items}]}}"#);
    let uses = format!("{}/uses", target.session);
    let mut wire = target.wire();
    for _ in 0..100 {
        wire.ask(&post(&uses, &body)).expect(200);
    }
    let events = format!("{}/events", target.session);
    let wants = [("Accept", "text/event-stream")];
    let request = get(&events).with(&wants).bytes();
    let last = "id: 25600\n";
    let clock = SystemEnv::new();
    let waits = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let mut wire = target.wire();
                wire.send(&request);
                scope.spawn(move || assert!(wire.finds(last), "the stream ended early"))
            })
            .collect();
        let mut waits = Vec::new();
        while readers.iter().any(|reader| !reader.is_finished()) {
            let began = clock.monotonic();
            wire.ask(&get("/livez")).expect(200);
            waits.push(clock.monotonic() - began);
        }
        waits
    });
    let longest = waits.iter().max().expect("it asked");
    assert!(*longest < Duration::from_millis(1_000), "{longest:?}");
}
