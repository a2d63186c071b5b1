//! The cache at a terminal: of a store, and of a server.

use std::fs;

use crate::bench::{Bench, Ran};
use crate::remote::{Serving, key};

fn run(bench: &Bench, line: &str) -> Ran {
    bench.run(&format!("--json {line}"))
}

/// A bench whose cache is in a store of its own.
fn bench() -> Bench {
    let bench = Bench::new();
    let settings = "[cache]\nstore = \"sqlite:./cache.db\"\n";
    fs::write(bench.path("windlass.toml"), settings).unwrap();
    bench
}

#[test]
fn the_cache_of_a_store_is_shown_flushed_and_swept() {
    let bench = bench();
    let view = run(&bench, "cache stats")
        .assert_code(0)
        .objects()
        .remove(0);
    assert_eq!(
        (&view["first"]["entries"], &view["second"]["entries"]),
        (&0.into(), &0.into())
    );
    let flush = run(&bench, "cache flush pages --yes");
    let flush = flush.assert_code(0).objects().remove(0);
    assert_eq!((&flush["before"], &flush["after"]), (&0.into(), &0.into()));
    let swept = run(&bench, "cache sweep --entries 5")
        .assert_code(0)
        .objects()
        .remove(0);
    assert_eq!(swept["next"], serde_json::Value::Null);
    let taken = run(&bench, "cache reclaim")
        .assert_code(0)
        .objects()
        .remove(0);
    assert_eq!(taken["scanned"], 0);
    let taken = run(&bench, "cache invalidate pages --prefix a");
    assert_eq!(taken.assert_code(0).objects()[0]["entries"], 0);
    bench.run("cache stats").assert_code(0);
    bench.run("cache sweep").assert_code(0);
    bench.run("cache reclaim").assert_code(0);
}

#[test]
fn a_flush_is_confirmed_and_an_invalidation_names_what() {
    let bench = bench();
    let refused = run(&bench, "cache flush pages");
    assert_eq!(
        refused.assert_code(2).error()["code"],
        "confirmation_required"
    );
    run(&bench, "cache flush pages --dry-run").assert_code(0);
    run(&bench, "cache invalidate pages").assert_code(2);
    run(&bench, "cache invalidate pages --key a --prefix b").assert_code(2);
}

#[test]
fn where_there_is_no_cache_the_command_says_so() {
    let bench = Bench::new();
    let refused = run(&bench, "cache stats");
    assert_eq!(refused.assert_code(4).error()["code"], "no_cache");
    let settings = "[cache]\nstore = \"sqlite:./windlass.db\"\n";
    fs::write(bench.path("windlass.toml"), settings).unwrap();
    let refused = run(&bench, "cache stats");
    assert_eq!(refused.assert_code(2).error()["code"], "cache_in_store");
}

#[test]
fn a_server_has_its_cache_to_itself_and_shows_it() {
    let bench = bench();
    let key = key(&bench, "--operator --verb store.read --verb store.manage");
    let serving = Serving::start(&bench);
    // Other commands on the store do not touch the cache.
    run(&bench, "session list").assert_code(0);
    let taken = run(&bench, "cache stats").code;
    assert_ne!(taken, Some(0), "the server has it");
    let ask = |line: &str| {
        let mut words = vec!["--json", "--server", &serving.url];
        words.extend(line.split_whitespace());
        let mut command = bench.command(&words);
        Ran::new(&command.env("WINDLASS_KEY", &key).output().unwrap())
    };
    let view = ask("cache stats").assert_code(0).objects().remove(0);
    assert_eq!(view["namespaces"], serde_json::json!([]));
    ask("cache sweep").assert_code(0);
    ask("cache reclaim").assert_code(0);
    ask("cache flush pages --yes").assert_code(0);
    ask("cache invalidate pages --key a").assert_code(0);
}

#[test]
fn the_cache_is_in_a_backup_on_request() {
    let bench = bench();
    let made = run(&bench, "backup kept --cache")
        .assert_code(0)
        .objects()
        .remove(0);
    let stores = made["manifest"]["stores"].as_array().unwrap();
    assert_eq!(stores.len(), 2, "{made}");
    let path = made["path"].as_str().unwrap();
    run(&bench, &format!("restore {path} --cache sqlite:./again.db")).assert_code(0);
    fs::write(
        bench.path("windlass.toml"),
        "[cache]\nstore = \"sqlite:./again.db\"\n",
    )
    .unwrap();
    run(&bench, "cache stats").assert_code(0);
    fs::remove_file(bench.path("windlass.toml")).unwrap();
    let refused = run(&bench, "backup kept --cache");
    assert_eq!(refused.assert_code(4).error()["code"], "no_cache");
}
