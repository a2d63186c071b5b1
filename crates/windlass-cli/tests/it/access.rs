//! Keys and tenants at a terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::bench::Bench;

/// Runs the lines one after the other and writes down all that was said;
/// `KEY` stands for the key that was made first.
fn transcript(bench: &Bench, lines: &[&str]) -> String {
    let (mut text, mut key) = (String::new(), None);
    for line in lines {
        let words = line.replace("KEY", key.as_deref().unwrap_or("KEY"));
        let ran = bench.run(&words);
        key = key.or_else(|| {
            let (_, token) = ran.stdout.split_once("wl_")?;
            Some(token[..16].to_owned())
        });
        text.push_str(&format!("$ windlass {line}\n{}\n", ran.transcript()));
    }
    text
}

const KEYS: [&str; 17] = [
    "key create gateway --verb session.* --verb stash.read --group search --tenant acme --principal runtime",
    "key create gateway --verb nothing.*",
    "key create gateway --verb store.read",
    "key create night --verb * --ttl-ms 999",
    "key create root --verb * --operator",
    "key create again --verb * --tenant acme --operation once --secret-file again.key",
    "key create again --verb * --tenant acme --operation once",
    "key list --tenant acme --limit 1000 --operator",
    "key list --tenant beta",
    "key show KEY",
    "key show 0123456789abcdef",
    "key show nonsense",
    "key rotate KEY --overlap-ms 60000",
    "key revoke KEY",
    "key revoke KEY --dry-run",
    "key revoke KEY --yes",
    "key rotate KEY",
];

#[test]
fn keys_are_made_rotated_and_revoked_in_words() {
    insta::assert_snapshot!(transcript(&Bench::new(), &KEYS));
}

#[test]
fn keys_are_made_rotated_and_revoked_as_json() {
    let lines = KEYS.map(|line| format!("--json {line}"));
    let lines = lines.each_ref().map(String::as_str);
    insta::assert_snapshot!(transcript(&Bench::new(), &lines));
}

const TENANTS: [&str; 14] = [
    "tenant list",
    "session create --id s1 --agent scout --intent errands --tenant acme",
    "stash put s1 note 1 --tenant acme",
    "tenant quota beta --sessions 10 --stash-bytes 1000",
    "tenant quota beta --stash-bytes none",
    "tenant quota beta",
    "tenant list",
    "tenant show acme",
    "tenant show nobody",
    "tenant erase acme",
    "tenant erase nobody --yes",
    "tenant verify acme",
    "tenant verify beta",
    "tenant quota system --sessions 1",
];

#[test]
fn tenants_are_shown_and_limited_in_words() {
    insta::assert_snapshot!(transcript(&Bench::new(), &TENANTS));
}

#[test]
fn tenants_are_shown_and_limited_as_json() {
    let lines = TENANTS.map(|line| format!("--json {line}"));
    let lines = lines.each_ref().map(String::as_str);
    insta::assert_snapshot!(transcript(&Bench::new(), &lines));
}

#[test]
fn a_tenant_is_erased_whole_and_nobody_else_is() {
    let bench = Bench::new();
    for tenant in ["acme", "acme.b"] {
        for line in [
            "session create --id s1 --agent scout --intent errands --tool search",
            "session use s1 search --agent scout",
            "stash put s1 note [1,2]",
            "key create gateway --verb *",
        ] {
            bench
                .run(&format!("{line} --tenant {tenant}"))
                .assert_code(0);
        }
    }
    let kept = |bench: &Bench| {
        let mut rows = bench.export();
        rows.retain(|key, _| !key.starts_with(b"system/tenant/acme/"));
        rows
    };
    let before = bench.export();
    let rehearsed = bench.run("--json tenant erase acme --dry-run");
    let found = rehearsed.assert_code(0).objects();
    assert_eq!(bench.export(), before, "a rehearsal changes nothing");
    let certificate = bench.run("--json tenant erase acme --yes");
    let certificate = certificate.assert_code(0).objects();
    let after = kept(&bench);
    let of_acme = |key: &[u8]| {
        String::from_utf8_lossy(key)
            .split('/')
            .any(|part| part == "acme")
    };
    let others = before.iter().filter(|(key, _)| !of_acme(key)).count();
    // One row more: that of the key, whose name says nothing of its tenant.
    assert_eq!(after.len(), others - 1, "{after:?}");
    assert!(
        after
            .iter()
            .all(|(key, value)| before.get(key) == Some(value))
    );
    let counted = |name: &str| found[0][name].as_u64().unwrap();
    let expected = counted("rows") + counted("due_rows") + counted("key_rows") + 1;
    assert_eq!(certificate[0]["rows"].as_u64(), Some(expected));
    bench.run("tenant verify acme").assert_code(0);
    bench.run("tenant verify acme.b").assert_code(1);
    bench
        .run("key create late --verb * --tenant acme")
        .assert_code(5);
    let again = bench.run("--json tenant erase acme --yes");
    assert_eq!(again.assert_code(0).objects(), certificate);
}

#[test]
fn a_secret_file_is_new_and_only_its_owners_to_read() {
    let bench = Bench::new();
    let create = "--json key create gateway --verb * --secret-file gateway.key";
    let made = bench.run(create);
    let made = made.assert_code(0).objects();
    assert!(made[0]["secret"].is_null(), "{made:?}");
    let path = bench.path("gateway.key");
    let secret = fs::read_to_string(&path).unwrap();
    let id = made[0]["key"]["id"].as_str().unwrap();
    assert!(
        secret.starts_with(&format!("wl_{id}_")) && secret.ends_with('\n'),
        "{secret}"
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let refused = bench.run(create);
    assert_eq!(refused.assert_code(8).error()["code"], "file_failed");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        secret,
        "it is as it was"
    );
    assert_eq!(
        bench.run("--json key list").objects().len(),
        1,
        "no key without a secret"
    );
}

#[test]
fn a_refusal_leaves_no_secret_file() {
    let bench = Bench::new();
    let refused = bench.run("key create gateway --verb store.read --secret-file gateway.key");
    refused.assert_code(2);
    assert!(!bench.path("gateway.key").exists());
}
