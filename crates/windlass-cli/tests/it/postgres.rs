//! The command on PostgreSQL, where it differs from a store in files.

use std::fs;

use serde_json::Value;
use windlass_store_testing::postgres::Server;

use crate::bench::{Bench, Ran};

/// A location in a schema of its own on `server`, with a password that the
/// server does not ask for.
fn location(server: &Server, schema: &str) -> String {
    let url = server.url().replacen('@', ":hunter2@", 1);
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}schema={schema}")
}

fn run(bench: &Bench, location: &str, line: &str) -> Ran {
    bench.run(&format!("--json --store {location} {line}"))
}

fn object(ran: &Ran) -> Value {
    ran.assert_code(0).objects().remove(0)
}

#[test]
fn two_processes_and_a_restart_see_one_budget() {
    let (bench, server) = (Bench::new(), Server::shared().unwrap());
    let store = location(&server, "budget");
    let create = "session create --id s1 --agent scout --intent errands --tool search --calls 2";
    run(&bench, &store, create).assert_code(0);
    for left in [1, 0] {
        let receipt = object(&run(&bench, &store, "session use s1 search --agent scout"));
        assert_eq!(receipt["left"]["calls"], left, "{receipt}");
    }
    run(&bench, &store, "session use s1 search --agent scout").assert_code(5);
    run(&bench, &store, "stash put s1 plan [1,2,3]").assert_code(0);
    let stashed = object(&run(&bench, &store, "stash get s1 plan"));
    assert_eq!(stashed["value"].to_string(), "[1,2,3]");
    let other = run(&bench, &location(&server, "other"), "session show s1");
    other.assert_code(4);
}

#[test]
fn no_answer_and_no_error_shows_the_password() {
    let (bench, server) = (Bench::new(), Server::shared().unwrap());
    let store = location(&server, "secret");
    let health = run(&bench, &store, "store health");
    let shown = object(&health);
    let database = shown["database"].as_str().unwrap();
    assert!(database.starts_with("PostgreSQL "), "{database}");
    assert_eq!(shown["survives_power_loss"], true);
    let settings = run(&bench, &store, "config show --origin");
    let nobody = store.replacen(&server.port().to_string(), "1", 1) + "&connect_timeout=1";
    let unreachable = run(&bench, &nobody, "session list");
    unreachable.assert_code(6);
    let bad = run(&bench, "postgres://me:hunter2@host:port/d", "session list");
    bad.assert_code(2);
    for ran in [health, settings, unreachable, bad] {
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn migrations_are_asked_for_made_and_asked_for_again() {
    let (bench, server) = (Bench::new(), Server::shared().unwrap());
    let store = location(&server, "formats");
    let check = run(&bench, &store, "migrate --check");
    check.assert_code(1);
    let told = check.objects().remove(0);
    assert_eq!(
        (&told["current"], &told["found"]),
        (&Value::Bool(false), &Value::Null)
    );
    let migrated = run(&bench, &store, "migrate");
    assert_eq!(object(&migrated)["found"], 1, "{migrated:?}");
    assert!(migrated.stderr.contains("\"format\":1"), "{migrated:?}");
    let check = run(&bench, &store, "migrate --check");
    assert_eq!(object(&check)["current"], true);
    let again = run(&bench, &store, "migrate");
    assert_eq!(
        (object(&again)["found"].clone(), again.stderr),
        (1.into(), String::new())
    );
}

#[test]
fn what_was_replayed_is_the_same_in_every_store() {
    let (bench, server) = (Bench::new(), Server::shared().unwrap());
    let recording = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/examples/airline.json"
    );
    let (first, second) = (location(&server, "first"), location(&server, "second"));
    run(&bench, &first, &format!("replay {recording} --verify")).assert_code(0);
    let moves = [
        (first.as_str(), "sqlite:a.db"),
        ("sqlite:a.db", "sled:a.sled"),
        ("sled:a.sled", second.as_str()),
        (second.as_str(), "sled:b.sled"),
        ("sled:b.sled", "sqlite:b.db"),
        ("sqlite:b.db", "sqlite:c.db"),
    ];
    let mut files = Vec::new();
    for (number, (from, to)) in moves.into_iter().enumerate() {
        let file = format!("{number}.export");
        run(&bench, from, &format!("export {file}")).assert_code(0);
        run(&bench, to, &format!("import {file}")).assert_code(0);
        files.push(fs::read(bench.path(&file)).unwrap());
    }
    assert!(files[0].len() > 1_000, "{} bytes are few", files[0].len());
    assert!(
        files.iter().all(|file| *file == files[0]),
        "an export differs"
    );
}
