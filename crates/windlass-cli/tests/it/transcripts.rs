//! What every command prints, for people and as JSON.

use crate::bench::Bench;

/// Runs the lines one after the other and writes down all that was said.
pub(crate) fn transcript(bench: &Bench, lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(&format!(
            "$ windlass {line}\n{}\n",
            bench.run(line).transcript()
        ));
    }
    text
}

#[test]
fn sessions_are_created_used_and_closed_in_words() {
    let bench = Bench::new();
    let lines = [
        "session create --id s1 --agent scout --intent errands --tool search --tool read_* --calls 10 --tokens 500",
        "session use s1 search --agent scout --tokens 40 --operation first",
        "session use s1 search --agent scout --tokens 40 --operation first",
        "session use s1 read_mail read_news --any-agent",
        "session use s1 search --agent scout --tokens 100 --reserve",
        "session settle s1 4 --agent scout --tokens 160",
        "session use s1 search --agent scout --tokens 10 --reserve",
        "session refund s1 5 --agent scout",
        "session top-up s1 --calls 5 --tokens 100",
        "session use s1 send_mail --agent scout",
        "session show s1",
        "session history s1",
        "session close s1",
        "session close s1",
    ];
    insta::assert_snapshot!(transcript(&bench, &lines));
}

/// A tree of three, whose middle is closed.
const DELEGATED: [&str; 8] = [
    "session create --id s1 --agent scout --intent errands --tool search --tool read_* --calls 10",
    "session delegate s1 --by scout --id s2 --agent helper --intent reading --tool read_mail --calls 4 --ends-with-parent",
    "session delegate s2 --by-any-agent --id s3 --agent aide --intent letters --tool read_mail --calls 2 --ends-with-parent --shared",
    "session use s3 read_mail --agent aide",
    "session tree s1",
    "session close s2",
    "session show s3",
    "session tree s1 --limit 2",
];

#[test]
fn a_session_delegates_and_its_tree_is_shown_in_words() {
    insta::assert_snapshot!(transcript(&Bench::new(), &DELEGATED));
}

#[test]
fn a_session_delegates_and_its_tree_is_shown_as_json() {
    let lines = DELEGATED.map(|line| format!("--json {line}"));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    insta::assert_snapshot!(transcript(&Bench::new(), &lines));
}

#[test]
fn sessions_are_created_used_and_closed_as_json() {
    let bench = Bench::new();
    let lines = [
        "--json session create --id s1 --agent scout --intent errands --tool search --credential vault_* --calls 10 --ceiling internal --rate-limit 5 --chain planner",
        "--json session use s1 search --agent scout --credential vault_a --sensitivity internal --cost-micros 7",
        "--json session use s1 search --agent scout --tokens 100 --reserve --operation estimate",
        "--json session settle s1 2 --agent scout --tokens 160",
        "--json session use s1 search --agent scout --reserve",
        "--json session refund s1 3 --agent scout",
        "--json session top-up s1 --calls 5",
        "--json session use s1 send_mail --agent scout",
        "--json session use s1 search --agent somebody",
        "--json session show s1",
        "--json session history s1",
        "--json session close s1",
        "--json session close s1",
    ];
    insta::assert_snapshot!(transcript(&bench, &lines));
}

const STASHED: [&str; 17] = [
    "stash put s1 results [1,2] --group search",
    "stash put s1 note plain --text",
    "stash get s1 results --group search",
    "stash get s1 results",
    "stash get s1 note",
    "stash get s1 nothing",
    "stash put s1 note 1 --if-absent",
    "stash increment s1 count",
    "stash increment s1 count --by -5",
    "stash increment s1 note",
    "stash list s1 --group search",
    "stash list s1 --prefix n --limit 1",
    "stash touch s1 note --ttl-ms 3599999",
    "stash delete s1 note",
    "stash delete s1 note",
    "stash usage s1",
    "stash clear s1 --group search --yes",
];

#[test]
fn stashes_are_filled_and_emptied_in_words() {
    insta::assert_snapshot!(transcript(&Bench::new(), &STASHED));
}

#[test]
fn stashes_are_filled_and_emptied_as_json() {
    let lines = STASHED.map(|line| format!("--json {line}"));
    let lines = lines.each_ref().map(String::as_str);
    insta::assert_snapshot!(transcript(&Bench::new(), &lines));
}

#[test]
fn clearing_and_reaping_ask_first_and_say_how_much_it_was() {
    let bench = Bench::new();
    let lines = [
        "stash put s1 k 12345 --ttl-ms 1",
        "stash clear s1",
        "stash clear s1 --dry-run",
        "stash reap",
        "stash reap --dry-run",
        "stash reap s1 --yes",
        "--json stash reap --yes",
        "--json stash reap s1 --yes",
    ];
    insta::assert_snapshot!(transcript(&bench, &lines));
}

#[test]
fn lists_and_counts_come_as_tables_and_as_one_object_a_row() {
    let bench = Bench::new();
    for id in ["s1", "s2", "s3"] {
        bench
            .run(&format!(
                "session create --id {id} --agent scout --intent errands"
            ))
            .assert_code(0);
    }
    bench
        .run("session create --id t1 --agent courier --intent parcels")
        .assert_code(0);
    bench.run("session close s2").assert_code(0);
    let lines = [
        "session list --oldest-first",
        "session list --agent courier",
        "session list --status closed",
        "session list --status expired",
        "session list --json --agent courier",
        "session count scout",
        "session count nobody",
        "--json session count scout",
    ];
    insta::assert_snapshot!(transcript(&bench, &lines));
}

#[test]
fn ending_many_sessions_asks_first_and_says_how_many_it_were() {
    let bench = Bench::new();
    for id in ["s1", "s2"] {
        bench
            .run(&format!(
                "session create --id {id} --agent scout --intent errands"
            ))
            .assert_code(0);
    }
    let lines = [
        "session close-agent scout",
        "--json session close-agent scout",
        "session close-agent scout --dry-run",
        "--json session close-agent scout --dry-run",
        "session close-agent scout --yes",
        "--json session close-agent scout --yes",
        "session sweep",
        "session sweep --dry-run",
        "--json session sweep --dry-run",
        "session sweep --yes",
        "--json session sweep --yes",
    ];
    insta::assert_snapshot!(transcript(&bench, &lines));
}

#[test]
fn settings_show_their_values_and_where_they_came_from() {
    let bench = Bench::new();
    std::fs::write(
        bench.path("windlass.toml"),
        "[sessions]\ncap = 3\n[store]\nsharing = \"exclusive\"\n",
    )
    .unwrap();
    let lines = [
        "config show",
        "config show --origin --tenant acme",
        "config show --json",
        "config show --json --origin --store memory:",
        "config check",
        "config check --json",
        "config path",
        "config path --json",
        "config path --config missing.toml",
        "config path --json --config missing.toml",
    ];
    insta::assert_snapshot!(transcript(&bench, &lines));
}

#[test]
fn a_store_in_memory_lives_as_long_as_the_command() {
    let bench = Bench::new();
    let lines = [
        "--store memory: session create --id s1 --agent scout --intent errands --json",
        "--store memory: session show s1",
        "--store memory: store health",
        "--store memory: --json store health",
    ];
    insta::assert_snapshot!(transcript(&bench, &lines));
    assert_eq!(
        std::fs::read_dir(bench.directory()).unwrap().count(),
        0,
        "a file was left behind"
    );
}

#[test]
fn a_durable_store_says_how_it_is() {
    let bench = Bench::with_session();
    let health = bench
        .run("store health --json")
        .assert_code(0)
        .objects()
        .remove(0);
    assert_eq!(health["location"], "sqlite:./windlass.db");
    assert!(
        health["database"]
            .as_str()
            .unwrap()
            .starts_with("SQLite 3."),
        "{health}"
    );
    assert_eq!(
        (&health["survives_power_loss"], &health["settled"]),
        (&true.into(), &true.into())
    );
    let names: Vec<String> = bench
        .run("store health")
        .assert_code(0)
        .stdout
        .lines()
        .map(first_word)
        .collect();
    let expected = [
        "location",
        "database",
        "survives_power_loss",
        "settled",
        "wal_bytes",
        "oldest_reader_ms",
    ];
    assert_eq!(names, expected);
}

fn first_word(line: &str) -> String {
    line.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn help_names_every_command_and_every_exit_code() {
    let bench = Bench::new();
    let lines = [
        "--help",
        "session --help",
        "session create --help",
        "session use --help",
        "config --help",
    ];
    insta::assert_snapshot!(transcript(&bench, &lines));
}

#[test]
fn usage_that_makes_no_command_is_explained_on_standard_error() {
    let bench = Bench::new();
    let lines = [
        "session",
        "session crate",
        "session create --agent scout",
        "session show",
        "session show s1 --tenent acme",
        "session use s1 search",
        "session use s1 search --agent a --any-agent",
        "session use s1 search --agent a --tokens ten",
        "session use s1 search --agent a --tokens -1",
        "session use s1 search --agent a --tokens 18446744073709551616",
        "session use s1 search --agent a --sensitivity secret",
        "session list --limit 5 --all",
        "--json session crate",
        "--json session use s1 search",
    ];
    insta::assert_snapshot!(transcript(&bench, &lines));
}
