//! Settings: what is refused in them, which layer overrides which, and that
//! they are in force.

use std::fs;

use crate::bench::{Bench, Ran};
use crate::refusals::assert_refused;

#[test]
fn settings_that_are_wrong_are_refused_before_anything_is_opened() {
    let large = format!("# {}", "x".repeat(1_100_000));
    let table: [(&str, &str); 13] = [
        ("[stroe]\nlocation = \"memory:\"", "unknown_setting"),
        ("[store]\nlocatoin = \"memory:\"", "unknown_setting"),
        ("[stroe]", "unknown_setting"),
        ("store = \"memory:\"", "unknown_setting"),
        ("[store]\nlocation = 1", "invalid_setting"),
        (
            "[store]\nlocation = \"mysql://me:secret@host\"",
            "invalid_setting",
        ),
        ("[sessions]\ncap = \"3\"", "invalid_setting"),
        ("[sessions]\ncap = 0", "invalid_setting"),
        ("[stash]\nkeys_max = 0", "invalid_setting"),
        ("[stash]\nttl_ms_max = \"3\"", "invalid_setting"),
        (
            "[stash]\nvalue_bytes_max = 9\ntotal_bytes_max = 8",
            "invalid_setting",
        ),
        ("[store\n", "config_syntax"),
        (&large, "config_too_large"),
    ];
    for (toml, code) in table {
        let bench = Bench::new();
        fs::write(bench.path("windlass.toml"), toml).unwrap();
        let ran = bench.run("--json session list");
        assert_refused(&ran, code, 2, &toml[..toml.len().min(80)]);
        assert!(!ran.stderr.contains("secret"), "{ran:?}");
        assert!(!bench.path("windlass.db").exists(), "a store was made");
    }
}

#[test]
fn limits_of_the_stash_are_those_of_the_settings() {
    let bench = Bench::with_session();
    let toml =
        "[stash]\nkeys_max = 1\nvalue_bytes_max = 5\nttl_ms_default = 900\nttl_ms_max = 1000";
    fs::write(bench.path("windlass.toml"), toml).unwrap();
    let put = |arguments: &str| bench.run(&format!("--json stash put s1 {arguments}"));
    assert_refused(&put("k 123456"), "value_too_large", 2, "a long value");
    assert_refused(&put("k 1 --ttl-ms 1001"), "ttl_too_long", 2, "a long life");
    put("k 12345").assert_code(0);
    assert_refused(&put("other 1"), "key_limit_exceeded", 5, "a second key");
}

#[test]
fn quotas_of_groups_are_those_of_the_settings() {
    let bench = Bench::with_session();
    let toml = "[stash]\nkeys_max = 9\n[stash.group_quota]\nkeys_max = 1\nbytes_max = 5";
    fs::write(bench.path("windlass.toml"), toml).unwrap();
    let put = |arguments: &str| bench.run(&format!("--json stash put s1 {arguments}"));
    put("a 12345 --group g").assert_code(0);
    assert_refused(
        &put("b 1 --group g"),
        "group_quota_exceeded",
        5,
        "a second key",
    );
    assert_refused(
        &put("a 123456 --group g"),
        "group_quota_exceeded",
        5,
        "more bytes",
    );
    put("b 123456").assert_code(0);
    put("c 1 --group h").assert_code(0);
    let more = "[stash]\nkeys_max = 3\n[stash.group_quota]\nkeys_max = 4";
    fs::write(bench.path("windlass.toml"), more).unwrap();
    assert_refused(&put("d 1"), "invalid_setting", 2, "more than the stash has");
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_known_one() {
    let bench = Bench::new();
    let mut command = bench.command(&["session", "list"]);
    let ran = Ran::new(
        &command
            .env("WINDLASS__STORE__LOCATIN", "memory:")
            .output()
            .unwrap(),
    );
    ran.assert_code(2);
    let expected = "error: there is no setting `WINDLASS__STORE__LOCATIN`; the nearest is `WINDLASS__STORE__LOCATION`\n";
    assert_eq!(ran.stderr, expected);

    fs::write(bench.path("windlass.toml"), "[caller]\ntennant = \"acme\"").unwrap();
    let ran = bench.run("session list");
    let expected = "error: there is no setting `caller.tennant` (file `windlass.toml`); the nearest is `caller.tenant`\n";
    assert_eq!(ran.stderr, expected);
    let ran = bench.run("--json --config missing.toml session list");
    assert_refused(&ran, "config_unreadable", 2, "a named file that is missing");
}

#[test]
fn each_layer_of_settings_overrides_the_one_below() {
    let bench = Bench::new();
    let tenant = |command: &mut std::process::Command| {
        let rows = Ran::new(&command.output().unwrap())
            .assert_code(0)
            .objects();
        rows.into_iter()
            .find(|row| row["name"] == "caller.tenant")
            .unwrap()["value"]
            .clone()
    };
    let show = ["--json", "config", "show"];
    assert_eq!(tenant(&mut bench.command(&show)), "default");
    fs::write(
        bench.path("windlass.toml"),
        "[caller]\ntenant = \"by-file\"",
    )
    .unwrap();
    assert_eq!(tenant(&mut bench.command(&show)), "by-file");
    let by_variable = ("WINDLASS__CALLER__TENANT", "by-variable");
    assert_eq!(
        tenant(bench.command(&show).env(by_variable.0, by_variable.1)),
        "by-variable"
    );
    let flagged = ["--json", "config", "show", "--tenant", "by-flag"];
    assert_eq!(
        tenant(bench.command(&flagged).env(by_variable.0, by_variable.1)),
        "by-flag"
    );
}
