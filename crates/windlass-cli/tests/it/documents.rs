//! What the documents promise is what the command does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, settled, skip};
use crate::outputs::block;
use crate::remote::Serving;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document(name: &str) -> String {
    fs::read_to_string(workspace().join("docs").join(name)).unwrap()
}

/// The exit codes that docs/errors.md gives each code.
pub(crate) fn documented_exits() -> BTreeMap<String, Vec<i32>> {
    let text = document("errors.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .map(|cells| {
            let exits = cells[3].split(", ").map(|exit| exit.parse().unwrap());
            (cells[1].trim_matches('`').to_owned(), exits.collect())
        })
        .collect()
}

/// Every code in the source: each text that a function `code` can answer.
fn codes_in_source() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for krate in fs::read_dir(workspace().join("crates")).unwrap() {
        visit(&krate.unwrap().path().join("src"), &mut codes);
    }
    codes
}

fn visit(path: &Path, codes: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            visit(&entry.unwrap().path(), codes);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        collect(&fs::read_to_string(path).unwrap(), codes);
    }
}

fn collect(source: &str, codes: &mut BTreeSet<String>) {
    for (start, _) in source.match_indices(" fn code(") {
        let line = source[..start].rfind('\n').map_or(0, |end| end + 1);
        let indent = source[line..].len() - source[line..].trim_start().len();
        let end = format!("\n{}}}", &source[line..line + indent]);
        let body = source[start..]
            .split(end.as_str())
            .next()
            .unwrap_or_default();
        // An attribute in it may name a feature.
        let lines = body.lines().filter(|line| !line.trim().starts_with("#["));
        let texts = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
        codes.extend(texts.map(str::to_owned));
    }
}

#[test]
fn every_code_of_the_source_is_documented_and_no_other_is() {
    let documented: BTreeSet<String> = documented_exits().into_keys().collect();
    let known = codes_in_source();
    assert!(known.len() > 40, "the source was not searched: {known:?}");
    let missing: Vec<_> = known.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&known).collect();
    assert_eq!(
        (missing, unknown),
        (vec![], vec![]),
        "undocumented, and documented but unknown"
    );
}

#[test]
fn every_documented_exit_code_is_that_of_its_kind() {
    let text = document("errors.md");
    let (kinds, codes) = text.split_once("## Sessions").unwrap();
    let cells = |row: &str| {
        row.split('|')
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let exits: BTreeMap<String, String> = kinds
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|row| (cells(row)[1].clone(), cells(row)[2].clone()))
        .collect();
    for row in codes.lines().filter(|line| line.starts_with("| `")) {
        let cells = cells(row);
        let expected: Vec<&str> = cells[2]
            .split(", ")
            .map(|kind| exits[kind].as_str())
            .collect();
        assert_eq!(cells[3], expected.join(", "), "{row}");
    }
}

/// The commands of a document with what it says they print.
fn examples(text: &str) -> Vec<(String, String)> {
    let blocks = text
        .split("```console\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let mut examples: Vec<(String, String)> = Vec::new();
    for line in blocks.flat_map(str::lines) {
        match (line.strip_prefix("$ "), examples.last_mut()) {
            (Some(command), _) => examples.push((command.to_owned(), String::new())),
            (None, Some((_, said))) => *said += &format!("{line}\n"),
            (None, None) => panic!("a block begins without a command: {line}"),
        }
    }
    examples
}

/// Runs the examples of a page one after the other, and fails unless they
/// print what the page says.
fn assert_examples(page: &str, text: &str, examples_min: usize) {
    assert_examples_on(&Bench::new(), "", page, text, examples_min);
}

/// The same on a bench that has something already, each behind `before`.
fn assert_examples_on(bench: &Bench, before: &str, page: &str, text: &str, examples_min: usize) {
    std::os::unix::fs::symlink(workspace().join("docs"), bench.path("docs")).unwrap();
    let examples = examples(text);
    assert!(
        examples.len() >= examples_min,
        "the page was not read: {examples:?}"
    );
    let mut said = String::new();
    let mut printed = String::new();
    for (command, expected) in examples {
        let output = bench.shell(&format!("{before}{command}"));
        said += &format!("$ {command}\n{}", settled(&expected));
        printed += &format!("$ {command}\n{}", settled(&output));
    }
    assert_eq!(
        printed, said,
        "{page} is out of date; this is what the examples print:\n{printed}"
    );
}

#[test]
fn every_example_of_the_command_prints_what_its_page_says() {
    assert_examples("docs/cli.md", &document("cli.md"), 20);
}

#[test]
fn every_example_of_the_crates_readme_prints_what_it_says() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(own).unwrap();
    assert_examples("README.md of this crate", &text, 3);
}

#[test]
fn every_example_of_the_audit_prints_what_its_page_says() {
    if Command::new("python3").arg("--version").output().is_err() {
        skip("there is no python3");
        return;
    }
    let bench = Bench::new();
    let settings = "[audit]\ndetail = \"security\"\n";
    fs::write(bench.path("windlass.toml"), settings).unwrap();
    fs::write(bench.path("verify.py"), block("audit.md", "python")).unwrap();
    assert_examples_on(&bench, "", "docs/audit.md", &document("audit.md"), 10);
}

#[test]
fn every_example_of_backups_prints_what_its_page_says() {
    let bench = Bench::with_session();
    assert_examples_on(&bench, "", "docs/backup.md", &document("backup.md"), 7);
}

#[test]
fn every_example_of_maintenance_prints_what_its_page_says() {
    assert_examples("docs/maintenance.md", &document("maintenance.md"), 8);
}

#[test]
fn every_example_of_streams_over_http_prints_what_its_page_says() {
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if let Some(missing) = ["curl", "python3"].into_iter().find(|it| !is_there(it)) {
        skip(&format!("there is no {missing}"));
        return;
    }
    let bench = Bench::new();
    fs::write(bench.path("check.py"), block("streams.md", "python")).unwrap();
    let serving = Serving::start(&bench);
    let address = format!("W={}\n", serving.url);
    assert_examples_on(
        &bench,
        &address,
        "docs/streams.md",
        &document("streams.md"),
        10,
    );
}
