//! The same commands on a store and on a server: the same words, the same exit
//! codes.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::{fs, thread};

use serde_json::Value;

use crate::bench::{Bench, Ran, settled};

/// A server on the default store of a bench; it ends with its test.
pub(crate) struct Serving {
    child: Child,
    pub(crate) url: String,
}

impl Serving {
    pub(crate) fn start(bench: &Bench) -> Self {
        let words = [
            "--json",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
        ];
        let mut command = bench.command(&words);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        // Whatever else it says must find a reader.
        thread::spawn(move || lines.for_each(drop));
        let url = greeting["listening"].as_str().unwrap().to_owned();
        Self { child, url }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A store of its own, a server on it, and a key for whoever calls at a
/// terminal.
struct Remote {
    bench: Bench,
    serving: Serving,
    key: String,
}

impl Remote {
    fn start() -> Self {
        let bench = Bench::new();
        // Rows are counted here and there, and commands on a store tell nothing.
        let settings = "[audit]\ndetail = \"off\"\n";
        fs::write(bench.path("windlass.toml"), settings).unwrap();
        let key = key(
            &bench,
            "--verb session.* --verb stash.* --verb state.* --group mail --reach tenant",
        );
        let serving = Serving::start(&bench);
        Self {
            bench,
            serving,
            key,
        }
    }

    fn run_as(&self, key: &str, line: &str) -> Ran {
        let mut words = vec!["--server", &self.serving.url];
        words.extend(line.split_whitespace());
        let mut command = self.bench.command(&words);
        Ran::new(&command.env("WINDLASS_KEY", key).output().unwrap())
    }

    fn run(&self, line: &str) -> Ran {
        self.run_as(&self.key, line)
    }
}

/// A new key for the default tenant and principal.
pub(crate) fn key(bench: &Bench, flags: &str) -> String {
    let made = bench.run(&format!("--json key create tests {flags}"));
    made.assert_code(0);
    made.objects()[0]["secret"].as_str().unwrap().to_owned()
}

/// Runs each line on a store and on a server, and fails unless both say the
/// same on standard output, end alike and fail with the same code, kind and
/// figures.
fn assert_alike(lines: &[&str]) {
    let (here, there) = (Bench::new(), Remote::start());
    for line in lines {
        let (on_store, on_server) = (here.run(line), there.run(line));
        assert_eq!(
            on_store.code, on_server.code,
            "{line}: {on_store:?} {on_server:?}"
        );
        let said = [&on_store, &on_server].map(|ran| settled(&ran.stdout));
        assert_eq!(said[0], said[1], "{line}");
        if on_store.code != Some(0) && line.starts_with("--json") {
            let (expected, found) = (on_store.error(), on_server.error());
            for member in ["code", "kind"] {
                assert_eq!(expected[member], found[member], "{line}: {found}");
            }
            let figures = expected["details"].as_object().cloned().unwrap_or_default();
            for (name, figure) in figures {
                let figures = [&figure, &found["details"][&name]];
                let [expected, found] = figures.map(|figure| settled(&figure.to_string()));
                assert_eq!(expected, found, "{line}: `{name}`");
            }
        }
    }
}

#[test]
fn sessions_are_the_same_on_a_server() {
    assert_alike(&[
        "session create --id s1 --agent scout --intent errands --tool search --tool read_* --calls 5 --tokens 100 --rate-limit 50 --rate-kind fixed",
        "session use s1 search --agent scout --tokens 10 --reserve --operation op-0",
        "session settle s1 1 --agent scout --tokens 7 --operation op-2",
        "session use s1 search --agent scout --reserve --operation op-1",
        "session use s1 search --agent scout --reserve --operation op-1",
        "session refund s1 2 --agent scout --operation op-3",
        "session use s1 search read_mail --any-agent --operation op-4",
        "session top-up s1 --calls 2 --operation op-5",
        "session delegate s1 --by scout --agent helper --intent part --id s2 --tool search --calls 1 --tokens 5 --time-limit-ms 60000 --operation op-6",
        "--json session tree s1",
        "session tree s1",
        "--json session show s1",
        "session show s1",
        "--json session history s1 --limit 3",
        "session history s1 --all",
        "--json session list --oldest-first",
        "session list --agent scout --status active",
        "session count scout",
        "session close-agent helper --dry-run",
        "session close-agent helper --yes",
        "--json session close s1",
        "session list --all",
    ]);
}

#[test]
fn refusals_are_the_same_on_a_server() {
    assert_alike(&[
        "--json session create --id s1 --agent scout --intent errands --tool search --calls 1",
        "--json session create --id s1 --agent scout --intent errands",
        "--json session create --id s9 --agent scout --intent errands --calls 0",
        "--json session use s1 send_email --agent scout",
        "--json session use s1 search --agent other",
        "--json session use s1 search --agent scout --credential vault",
        "--json session use s1 search --agent scout --sensitivity restricted",
        "--json session use s1 search search --agent scout",
        "--json session settle s1 7 --agent scout",
        "--json session use s1 search --agent scout --operation op-1",
        "--json session top-up s1 --calls 1 --operation op-1",
        "--json session top-up s1 --tokens 1",
        "--json session delegate s1 --by scout --agent b --intent c --tool mail --calls 1",
        "--json session show nobody",
        "--json session tree nobody",
        "--json session history nobody",
        "--json session show ..",
        "--json session list --limit 0",
        "--json session close s1",
        "--json session close s1",
        "--json session use s1 search --agent scout",
    ]);
}

#[test]
fn states_are_the_same_on_a_server() {
    assert_alike(&[
        "session create --id s1 --agent scout --intent errands",
        "session create --id s2 --agent scout --intent errands",
        r#"checkpoint put s1 plan ["search",1.50] --kind plan/1 --append message={"role":"user","content":"hello"} --note first --operation op-11"#,
        r#"--json checkpoint put s1 plan ["search","buy"] --expected 1 --append message=null --operation op-12"#,
        "--json checkpoint put s1 plan 1 --expected 1",
        "--json checkpoint put s1 image hello --bytes --operation op-1",
        "--json checkpoint put s1 image hello --bytes --operation op-1",
        "--json checkpoint put s1 image other --bytes --operation op-1",
        "checkpoint tag s1 good 2 --operation op-2",
        "checkpoint fork s1 s2 --at tag:good --operation op-13",
        "--json checkpoint fork s1 s2",
        "checkpoint put s2 --append message=elsewhere --remove plan",
        r#"checkpoint put s2 --append message="elsewhere" --remove plan --operation op-14"#,
        "checkpoint rollback s1 1 --expected 3 --operation op-15",
        "--json checkpoint rollback s1 9",
        "checkpoint log s1",
        "--json checkpoint log s1",
        "checkpoint log s2 --all",
        "checkpoint show s1 tag:good",
        "--json checkpoint show s2",
        "--json checkpoint show s2 9",
        "checkpoint diff s1 1 2",
        "--json checkpoint diff s1 3",
        "--json checkpoint diff s2 2",
        "checkpoint path s2",
        "--json checkpoint path s1 --at 3 --limit 1",
        "--json checkpoint path s1 --leaf 9",
        "checkpoint get s1 plan",
        "checkpoint get s1 image --at 3",
        "--json checkpoint get s1 plan --at tag:good",
        "--json checkpoint get s1 nothing",
        "--json checkpoint get s1 a/b",
        "--json checkpoint tag s1 good 9",
        "checkpoint untag s1 good",
        "--json checkpoint untag s1 good",
        "session close s1",
        "--json checkpoint log s1 --limit 1",
    ]);
}

#[test]
fn garbage_of_a_server_is_collected_by_an_operator() {
    let there = Remote::start();
    let operator = key(&there.bench, "--operator --verb store.*");
    let create = "session create --id s1 --agent scout --intent errands";
    there.run(create).assert_code(0);
    there.run("checkpoint put s1 plan 1").assert_code(0);
    there.run("gc --grace-ms 0").assert_code(5);
    let collected = there.run_as(&operator, "--json gc --grace-ms 0 --tenant default");
    let report = collected.assert_code(0).objects()[0].clone();
    assert_eq!(
        (&report["lineages"], &report["collected"]["deleted"]),
        (&1.into(), &0.into())
    );
    let due = there.run_as(&operator, "gc --dry-run");
    assert!(
        due.assert_code(0).stdout.contains("would_delete  0\n"),
        "{due:?}"
    );
}

#[test]
fn stashes_are_the_same_on_a_server() {
    assert_alike(&[
        "session create --id s1 --agent scout --intent errands",
        "--json stash put s1 page [1.50,\"a\"] --ttl-ms 3600000 --group mail",
        "--json stash get s1 page --group mail",
        "stash get s1 page --group mail",
        "stash increment s1 visits --by 5 --group mail",
        "--json stash increment s1 visits --by -7 --group mail --operation less",
        "--json stash increment s1 visits --by -7 --group mail --operation less",
        "--json stash increment s1 visits --by 7 --group mail --operation less",
        "--json stash increment s1 page --group mail",
        "--json stash list s1 --group mail",
        "stash list s1 --prefix v --group mail",
        "--json stash touch s1 page --ttl-ms 3500000 --group mail",
        "--json stash put s1 page null --if-absent --group mail",
        "--json stash put s1 page null --if-version 99 --group mail",
        "--json stash put s1 page {\"b\":1} --if-version 1 --group mail",
        "--json stash put s1 page nonsense --group mail",
        "--json stash put s1 page 1 --ttl-ms 0 --group mail",
        "--json stash put s1 no/slash 1 --group mail",
        "--json stash usage s1",
        "--json stash delete s1 visits --group mail",
        "--json stash delete s1 visits --group mail",
        "--json stash get s1 visits --group mail",
        "--json stash clear s1 --group mail --dry-run",
        "--json stash clear s1 --group mail --yes",
        "--json stash reap s1 --yes",
    ]);
}

#[test]
fn keys_and_tenants_are_the_same_on_a_server() {
    // A key's id and a certificate's digest are nowhere the same.
    let hidden = |ran: &Ran| {
        let mut shown = settled(&ran.stdout);
        for object in ran.objects() {
            let key = object.get("key").unwrap_or(&object);
            let own = ["id", "digest", "incarnation"].map(|name| key[name].as_str());
            let own = own.into_iter().chain([object["secret"].as_str()]);
            for text in own.flatten() {
                shown = shown.replace(&settled(text), "-");
            }
        }
        (ran.code, shown)
    };
    let lines = [
        "--json key create gateway --verb session.* --verb stash.read --group g --tenant acme --principal runtime --ttl-ms 5000000 --operation op-1",
        "--json key create night --operator --verb store.read",
        "--json key create wide --verb nothing.*",
        "--json key create short --verb * --ttl-ms 1",
        "--json key list --tenant acme",
        "--json key show KEY",
        "--json key rotate KEY --operation op-2",
        "--json key revoke KEY --dry-run",
        "--json key revoke KEY --yes",
        "--json key rotate KEY",
        "--json key show 0123456789abcdef",
        "--json tenant quota acme --sessions 5",
        "--json tenant quota acme --stash-bytes 1000",
        "--json tenant show acme",
        "--json tenant show nobody",
        "--json tenant verify acme",
        "--json tenant erase acme --yes",
        "--json tenant verify acme",
        "--json tenant show acme",
        "--json tenant quota acme --sessions 5",
    ];
    let (here, there) = (Bench::new(), Remote::start());
    let operator = key(
        &there.bench,
        "--operator --verb key.* --verb tenant.* --verb store.*",
    );
    let mut made = [None, None];
    for line in lines {
        let said = |place: usize, made: &[Option<String>; 2]| {
            let line = line.replace("KEY", made[place].as_deref().unwrap_or("KEY"));
            if place == 0 {
                here.run(&line)
            } else {
                there.run_as(&operator, &line)
            }
        };
        let ran = [said(0, &made), said(1, &made)];
        for (made, ran) in made.iter_mut().zip(&ran) {
            let id = || Some(ran.objects().first()?["key"]["id"].as_str()?.to_owned());
            *made = made.take().or_else(id);
        }
        assert_eq!(hidden(&ran[0]), hidden(&ran[1]), "{line}: {ran:?}");
        if ran[0].stderr.contains("\"error\"") {
            let codes = ran.each_ref().map(|ran| ran.error()["code"].clone());
            assert_eq!(codes[0], codes[1], "{line}");
        }
    }
}

#[test]
fn pages_of_a_server_go_on_where_they_ended() {
    let there = Remote::start();
    for number in 1..=5 {
        let create = format!("session create --id s{number} --agent scout --intent errands");
        there.run(&create).assert_code(0);
    }
    let mut seen = Vec::new();
    let mut line = "--json session list --oldest-first --limit 2".to_owned();
    loop {
        let page = there.run(&line);
        page.assert_code(0);
        seen.extend(
            page.objects()
                .iter()
                .map(|session| session["id"].as_str().unwrap().to_owned()),
        );
        let Some(note) = page.stderr.lines().next() else {
            break;
        };
        let note: Value = serde_json::from_str(note).unwrap();
        line = format!(
            "--json session list --oldest-first --limit 2 --after {}",
            note["next"].as_str().unwrap()
        );
    }
    assert_eq!(seen, ["s1", "s2", "s3", "s4", "s5"]);
}

#[test]
fn upkeep_of_a_server_is_for_whoever_runs_it() {
    let there = Remote::start();
    let operator = key(&there.bench, "--operator --verb store.*");
    for line in ["--json session sweep --yes", "--json stash reap --yes"] {
        let refused = there.run(line);
        refused.assert_code(5);
        assert_eq!(refused.error()["code"], "scope_not_allowed", "{line}");
        let here = Bench::new().run(line);
        assert_eq!(
            here.stdout,
            there.run_as(&operator, line).assert_code(0).stdout,
            "{line}"
        );
    }
    let due = there.run_as(&operator, "--json session sweep --dry-run");
    assert_eq!(due.assert_code(0).objects()[0]["due"], 0);
}

#[test]
fn a_credential_that_is_not_good_is_refused_and_never_shown() {
    let there = Remote::start();
    let (rest, last) = there.key.split_at(there.key.len() - 1);
    let forged = format!("{rest}{}", if last == "0" { "1" } else { "0" });
    for key in ["wl_0123456789abcdef_nonsense", &forged, ""] {
        let refused = there.run_as(key, "--json session list");
        refused.assert_code(5);
        assert_eq!(refused.error()["code"], "unauthenticated", "{refused:?}");
        assert!(
            key.is_empty() || !refused.stderr.contains(key),
            "{refused:?}"
        );
    }
    let broken = there.run_as("two words", "--json session list");
    assert_eq!(broken.assert_code(2).error()["code"], "invalid_token");
}

#[test]
fn a_credential_in_a_file_must_be_for_its_owner_only() {
    let there = Remote::start();
    let file = there.bench.path("key");
    fs::write(&file, format!("{}\n", there.key)).unwrap();
    let run = |mode: u32| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        there.run_as(
            "",
            &format!("--json --key-file {} session list", file.display()),
        )
    };
    run(0o600).assert_code(0);
    for mode in [0o640, 0o604, 0o620, 0o666] {
        let refused = run(mode);
        assert_eq!(
            refused.assert_code(8).error()["code"],
            "key_file_exposed",
            "{mode:o}"
        );
    }
    fs::remove_file(&file).unwrap();
    let missing = there.run_as("", "--json --key-file nowhere session list");
    assert_eq!(
        missing.assert_code(8).error()["code"],
        "key_file_unreadable"
    );
}

#[test]
fn what_works_on_a_store_only_says_so() {
    let there = Remote::start();
    let lines = [
        "--json store health",
        "--json export out.file",
        "--json import in.file",
        "--json migrate --check",
        "--json serve",
        "--json session create --agent a --intent b --uncapped",
        "--json session list --tenant acme",
        "--json session list --principal somebody",
    ];
    for line in lines {
        let refused = there.run(line);
        assert_eq!(
            refused.assert_code(2).error()["code"],
            "needs_store",
            "{line}"
        );
    }
    let both = there.run("--json --store memory: session list");
    both.assert_code(2);
}

#[test]
fn a_server_can_be_named_by_settings_and_a_store_by_a_flag_goes_before_it() {
    let there = Remote::start();
    there
        .run("session create --id s1 --agent a --intent b")
        .assert_code(0);
    let settings = format!("[client]\nserver = \"{}\"\n", there.serving.url);
    fs::write(there.bench.path("windlass.toml"), settings).unwrap();
    let run = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = there.bench.command(&words);
        Ran::new(&command.env("WINDLASS_KEY", &there.key).output().unwrap())
    };
    assert_eq!(
        run("--json session show s1").assert_code(0).objects()[0]["id"],
        "s1"
    );
    run("--store memory: session show s1").assert_code(4);
    fs::remove_file(there.bench.path("windlass.toml")).unwrap();
    let mut command = there.bench.command(&["session", "show", "s1"]);
    command
        .env("WINDLASS_KEY", &there.key)
        .env("WINDLASS__CLIENT__SERVER", &there.serving.url);
    Ran::new(&command.output().unwrap()).assert_code(0);
    command.env("WINDLASS__CLIENT__SERVER", "windlass.example");
    Ran::new(&command.output().unwrap()).assert_code(2);
}

#[test]
fn a_server_that_is_not_there_or_is_something_else_is_told_apart() {
    let bench = Bench::new();
    let gone = bench.run("--json --server http://127.0.0.1:1 session list");
    let error = gone.assert_code(6).error();
    assert_eq!(
        (&error["code"], &error["kind"]),
        (&"server_unreachable".into(), &"unavailable".into())
    );
    let far = [
        ("http://windlass.example", 2, "plaintext_refused"),
        (
            "https://user:secret@windlass.example",
            2,
            "invalid_server_url",
        ),
    ];
    for (url, code, name) in far {
        let mut command = bench.command(&["--json", "--server", url, "session", "list"]);
        let ran = Ran::new(&command.env("WINDLASS_KEY", "wl_x").output().unwrap());
        assert_eq!(ran.assert_code(code).error()["code"], name, "{url}");
    }
}
