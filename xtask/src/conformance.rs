//! Which store keeps which promise, as one table.
//!
//! The tests of the suite are run for every store of the workspace, and each
//! says how its trial ended. A promise of which nothing is heard counts as
//! broken.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use cargo_metadata::{DependencyKind, Metadata};
use serde_json::json;

use crate::commands::{self, cargo};
use crate::error::TaskError;
use crate::workspace;

/// What every store crate's name begins with.
const FAMILY: &str = "windlass-store-";
/// The crate that has the suite.
const SUITE: &str = "windlass-store-testing";
/// How the line begins that a trial says.
const MARK: &str = "conformance P";
/// Promises there are.
const PROMISES: u8 = 19;

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    /// `passed`, `n/a` or `broken`.
    result: String,
    /// Why, where it did not just pass.
    why: String,
}

/// The verdicts of one store, by the promise's number.
type Verdicts = BTreeMap<u8, Verdict>;

/// Runs the suite for every store and prints the table.
pub(crate) fn run(json: bool) -> Result<ExitCode, TaskError> {
    let metadata = workspace::members()?;
    let mut all = Vec::new();
    let mut kept = true;
    for package in stores(&metadata) {
        let arguments = ["test", "-q", "-p", &package, "--test", "it", "--"];
        let mut command = cargo(&arguments);
        let (status, lines) = commands::listen(command.args(["--show-output", "conformance::p"]))?;
        let verdicts = verdicts(&lines);
        kept &= status.success() && verdicts.values().all(|it| it.result != "broken");
        all.push((package[FAMILY.len()..].to_owned(), verdicts));
    }
    print!("{}", if json { objects(&all) } else { table(&all) });
    Ok(if kept && !all.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The store crates: those that test themselves with the suite.
fn stores(metadata: &Metadata) -> Vec<String> {
    let mut names: Vec<String> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package.name.starts_with(FAMILY) && package.name != SUITE)
        .filter(|package| {
            let tests = |kind: &DependencyKind| *kind == DependencyKind::Development;
            let mut dependencies = package.dependencies.iter();
            dependencies.any(|it| it.name == SUITE && tests(&it.kind))
        })
        .map(|package| package.name.to_string())
        .collect();
    names.sort();
    names
}

/// What the trials said; the worst, where one was tried more than once.
fn verdicts(lines: &[String]) -> Verdicts {
    let mut verdicts = Verdicts::new();
    for (number, verdict) in lines.iter().filter_map(|line| parse(line)) {
        let known = verdicts.get(&number);
        if known.is_none_or(|known: &Verdict| known.result != "broken") {
            verdicts.insert(number, verdict);
        }
    }
    for number in 1..=PROMISES {
        verdicts.entry(number).or_insert_with(|| Verdict {
            result: "broken".to_owned(),
            why: "its trial was not run to an end".to_owned(),
        });
    }
    verdicts
}

fn parse(line: &str) -> Option<(u8, Verdict)> {
    let (number, rest) = line.strip_prefix(MARK)?.split_once(' ')?;
    let (result, why) = rest.split_once(' ').unwrap_or((rest, ""));
    let verdict = Verdict {
        result: result.to_owned(),
        why: why.trim().to_owned(),
    };
    Some((number.parse().ok()?, verdict))
}

/// One object a line: store, promise, result, and why where there is a why.
fn objects(all: &[(String, Verdicts)]) -> String {
    let mut text = String::new();
    for (store, verdicts) in all {
        for (number, verdict) in verdicts {
            let promise = format!("P{number}");
            let mut object =
                json!({ "store": store, "promise": promise, "result": verdict.result });
            if !verdict.why.is_empty() {
                object["reason"] = verdict.why.clone().into();
            }
            writeln!(text, "{object}").expect("a text takes everything");
        }
    }
    text
}

/// A row a promise, a column a store, and the reasons below.
fn table(all: &[(String, Verdicts)]) -> String {
    let mut text = format!("{:<8}", "promise");
    for (store, _) in all {
        write!(text, "  {store:<8}").expect("a text takes everything");
    }
    text = format!("{}\n", text.trim_end());
    let mut reasons = String::new();
    for number in 1..=PROMISES {
        let mut row = format!("{:<8}", format!("P{number}"));
        for (store, verdicts) in all {
            let verdict = &verdicts[&number];
            write!(row, "  {:<8}", verdict.result).expect("a text takes everything");
            if !verdict.why.is_empty() {
                writeln!(reasons, "{store} P{number}: {}", verdict.why)
                    .expect("a text takes everything");
            }
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text + &reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard() -> Vec<(String, Verdicts)> {
        let lines = [
            "running 3 tests",
            "conformance P1 passed ",
            "conformance P11 n/a it ends with its process",
            "conformance P2 broken half a batch",
            "conformance P2 passed ",
        ];
        let lines = lines.map(str::to_owned);
        vec![("memory".to_owned(), verdicts(&lines))]
    }

    #[test]
    fn what_was_broken_once_or_not_heard_of_is_broken() {
        let (_, verdicts) = &heard()[0];
        let result = |number: u8| verdicts[&number].result.as_str();
        assert_eq!(result(1), "passed");
        assert_eq!(result(2), "broken");
        assert_eq!(result(3), "broken");
        assert_eq!(result(11), "n/a");
        assert_eq!(verdicts.len(), usize::from(PROMISES));
    }

    #[test]
    fn the_table_has_a_row_a_promise_and_the_reasons() {
        let text = table(&heard());
        assert!(
            text.starts_with("promise   memory\nP1        passed\n"),
            "{text}"
        );
        assert!(
            text.contains("\nmemory P11: it ends with its process\n"),
            "{text}"
        );
    }

    #[test]
    fn an_object_has_a_reason_only_where_there_is_one() {
        let text = objects(&heard());
        let first = text.lines().next().map(serde_json::from_str);
        let expected = json!({ "store": "memory", "promise": "P1", "result": "passed" });
        assert_eq!(first.map(Result::ok), Some(Some(expected)));
        assert!(text.contains(r#""reason":"half a batch""#), "{text}");
    }

    #[test]
    fn every_store_of_the_workspace_is_tried() {
        let stores = stores(&workspace::members().unwrap());
        let expected =
            ["memory", "postgres", "sled", "sqlite"].map(|name| format!("{FAMILY}{name}"));
        assert_eq!(stores, expected);
    }
}
