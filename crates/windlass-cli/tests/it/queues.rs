//! The commands about queues: what they print, and what they refuse.

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::refusals::assert_refused;

/// A store with a session of this name.
fn bench(session: &str) -> Bench {
    let bench = Bench::new();
    let line = format!("session create --agent a --intent b --id {session}");
    bench.run(&line).assert_code(0);
    bench
}

/// The one object that a command prints.
fn told(bench: &Bench, line: &str) -> Value {
    let ran = bench.run(&format!("--json {line}"));
    ran.assert_code(0);
    ran.objects().remove(0)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn work_goes_through_the_hands_of_whoever_claims_it() {
    let bench = bench("s1");
    let push = r#"queue push s1 mail {"n":1} --source-key k --priority 7"#;
    let pushed = told(&bench, push);
    assert_eq!(
        told(&bench, push),
        json!({"id": pushed["id"], "known": true})
    );
    let id = text(&pushed["id"]);
    let listed = told(&bench, "queue list s1");
    assert_eq!(
        (&listed["id"], &listed["priority"]),
        (&pushed["id"], &json!(7))
    );
    let claim = told(&bench, "queue claim s1 --owner w")["claim"].clone();
    assert_eq!(
        claim["work"][0]["payloads"],
        json!([{"kind": "mail", "json": {"n": 1}}])
    );
    assert_eq!(
        told(&bench, "queue claim --owner w"),
        json!({ "claim": null })
    );
    let token = &claim["token"];
    let held = bench.run(&format!("--json queue cancel s1 {id}"));
    assert_refused(&held, "work_claimed", 3, "held work");
    let until = told(&bench, &format!("queue renew s1 {token} --ttl-ms 120000"));
    assert!(until["until"].as_u64() > claim["until"].as_u64(), "{until}");
    let fail = format!("queue fail s1 {token} {id} --fatal --reason torn");
    assert_eq!(told(&bench, &fail)["dead"], json!([id]));
    let dead = bench.run("queue list s1 --state dead");
    assert!(dead.stdout.contains("torn"), "{}", dead.stdout);
    bench.run(&format!("queue retry s1 {id}")).assert_code(0);
    let claim = told(&bench, "queue claim s1 --owner w")["claim"].clone();
    let complete = format!("queue complete s1 {} {id}", claim["token"]);
    assert_eq!(told(&bench, &complete)["held"], json!(0));
    let late = bench.run(&format!("--json {complete}"));
    assert_refused(&late, "claim_expired", 3, "a claim that is over");
    let gone = bench.run(&format!("--json queue show s1 {id}"));
    assert_refused(&gone, "work_not_found", 4, "work that is done");
}

#[test]
fn a_queue_is_of_a_session_that_is_there() {
    let bench = bench("s1");
    let refused = bench.run("--json queue push nobody mail 1");
    assert_refused(&refused, "not_found", 4, "no session");
    let word = bench.run("--json queue push s1 mail {");
    assert_refused(&word, "invalid_request", 2, "no JSON");
    bench.run("queue push s1 raw { --bytes").assert_code(0);
    let counts = told(&bench, "queue counts");
    assert_eq!(
        (&counts["session"], &counts["pending"]),
        (&json!("s1"), &json!(1))
    );
}
