//! Many at once: names, credentials and connections without number.

use super::target::Target;
use super::wire::Wire;
use crate::support::{get, need_files};

/// Different names that are asked for.
const NAMES: usize = 2_000;

/// Connections that do nothing.
const IDLE: usize = 10_000;

fn ask_for_many(wire: &mut Wire, round: usize) {
    let token = |number: usize| format!("wl_{number:016x}_{number:064x}");
    for number in round * NAMES..(round + 1) * NAMES {
        let path = format!("/v1/sessions/s-{number}");
        wire.ask(&get(&path)).expect(404);
        wire.ask(&get("/v1/sessions").by(&token(number)))
            .expect(401);
        wire.ask(&get(&format!("/nothing/{number}"))).expect(404);
    }
}

#[test]
fn names_without_number_take_no_memory() {
    let target = Target::start("");
    let before = target.dump();
    let mut wire = target.wire();
    // What is cached is cached after the first round.
    ask_for_many(&mut wire, 0);
    let before_kib = target.resident_kib();
    let counters = |wire: &mut Wire| {
        let metrics = wire.ask(&get("/metrics")).expect(200);
        String::from_utf8(metrics.body)
            .expect("text")
            .lines()
            .count()
    };
    let lines = counters(&mut wire);
    ask_for_many(&mut wire, 1);
    target.check_growth(before_kib, 16);
    assert_eq!(lines, counters(&mut wire), "the metrics have grown");
    assert_eq!(before, target.dump(), "nothing changed");
}

#[test]
fn ten_thousand_idle_connections_hinder_nobody() {
    need_files(IDLE as u64 + 500);
    let target = Target::start("head_ms=30000");
    let before_kib = target.resident_kib();
    target.check_ratio(|| {
        let mut idle: Vec<Wire> = Vec::with_capacity(IDLE);
        for _ in 0..IDLE {
            let mut wire = target.wire();
            wire.ask(&get("/livez")).expect(200);
            idle.push(wire);
        }
        let during = target.p99();
        // 12 KiB each, twice, and what the server has anyway.
        target.check_growth(before_kib, 256);
        for wire in idle.iter_mut().step_by(100) {
            wire.ask(&get("/livez")).expect(200);
        }
        during
    });
}

#[test]
fn connections_that_are_not_used_make_room_for_new_ones() {
    let target = Target::start("connections=64");
    let mut idle: Vec<Wire> = Vec::new();
    for _ in 0..300 {
        let mut wire = target.wire();
        wire.ask(&get("/livez")).expect(200);
        idle.push(wire);
    }
    let gone = idle.into_iter().map(|mut wire| {
        wire.push(&get("/livez").bytes());
        wire.answer().is_none()
    });
    let gone = gone.filter(|gone| *gone).count();
    assert!(gone >= 300 - 64, "only {gone} were closed");
}

#[test]
fn where_all_places_are_used_the_next_is_told_so() {
    let target = Target::start("connections=8");
    let events = format!("{}/events", target.session);
    let wants = [("Accept", "text/event-stream")];
    let mut streams: Vec<Wire> = Vec::new();
    // The one connection that made the session may still be closing.
    while streams.len() < 8 {
        let mut wire = target.wire();
        wire.push(&get(&events).with(&wants).bytes());
        if wire
            .head()
            .is_some_and(|head| head.starts_with("HTTP/1.1 200 "))
        {
            streams.push(wire);
        }
    }
    let refused = target.wire().answer().expect("an answer").expect(503);
    assert_eq!(refused.code(), "too_many_connections");
    drop(streams.pop());
    let served = (0..10_000).any(|_| {
        let mut wire = target.wire();
        wire.push(&get("/livez").bytes());
        wire.answer().is_some_and(|answer| answer.status == 200)
    });
    assert!(served, "the place was not given back");
}
