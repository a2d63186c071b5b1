//! Running the tests, counting them, and collecting what they say they skipped.
//!
//! `cargo nextest` is used where it is installed, because it runs the tests of
//! all crates at once; without it `cargo test` runs the same ones. Either way
//! a run of no tests is a failure. A test that has to leave something out
//! prints a line beginning with `skipped: `; the lines are shown at the end,
//! since both runners hide what a passing test prints.

use std::fs;
use std::path::{Path, PathBuf};

use crate::commands;
use crate::error::TaskError;
use crate::loops::{LOOPS, Loop};
use crate::steps::Outcome;
use crate::workspace;

/// Where nextest leaves its report, below the target directory.
const REPORT: &str = "nextest/ci/junit.xml";

/// How a test begins the line in which it says what it left out.
const SKIP_MARK: &str = "skipped: ";

/// Runs the unit and integration tests of `packages`, or of all if there are
/// none named, with each loop as long as `length` says.
pub(crate) fn run(packages: &[String], length: fn(&Loop) -> u32) -> Result<Outcome, TaskError> {
    let selection = selection(packages);
    if commands::answers(&mut commands::cargo(&["nextest", "--version"])) {
        with_nextest(&selection, length)
    } else {
        with_cargo(&selection, length)
    }
}

/// Runs the examples in the documentation.
pub(crate) fn documentation() -> Result<Outcome, TaskError> {
    let mut command = commands::cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]);
    let (status, lines) = commands::overhear(command.args(["--color", "never"]))?;
    Ok(judge(status.success(), &Tally::of_cargo(&lines)))
}

/// Runs the tests of one crate in release, with each loop at its nightly length.
pub(crate) fn nightly(package: &str) -> Result<Outcome, TaskError> {
    with_cargo(&["--release", "-p", package], |one| one.nightly)
}

fn selection(packages: &[String]) -> Vec<&str> {
    if packages.is_empty() {
        return vec!["--workspace"];
    }
    let named = packages.iter().map(|package| ["-p", package.as_str()]);
    named.flatten().collect()
}

fn with_nextest(selection: &[&str], length: fn(&Loop) -> u32) -> Result<Outcome, TaskError> {
    let report = PathBuf::from(workspace::members()?.target_directory).join(REPORT);
    forget(&report)?;
    let mut command = commands::cargo(&["nextest", "run", "--profile", "ci"]);
    command.args(selection).envs(settings(length));
    let status = commands::run(&mut command)?;
    let read = fs::read_to_string(&report).unwrap_or_default();
    Ok(judge(status.success(), &Tally::of_nextest(&read)))
}

fn with_cargo(selection: &[&str], length: fn(&Loop) -> u32) -> Result<Outcome, TaskError> {
    let mut command = commands::cargo(&["test", "--no-fail-fast", "--color", "never"]);
    command.arg("--tests").args(selection);
    command.args(["--", "--show-output"]).envs(settings(length));
    let (status, lines) = commands::overhear(&mut command)?;
    Ok(judge(status.success(), &Tally::of_cargo(&lines)))
}

fn settings(length: fn(&Loop) -> u32) -> impl Iterator<Item = (&'static str, String)> {
    let setting = move |one: &'static Loop| (one.variable, length(one).to_string());
    LOOPS.iter().map(setting)
}

/// Removes the report of an earlier run, so that it is not taken for this one's.
fn forget(report: &Path) -> Result<(), TaskError> {
    match fs::remove_file(report) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(TaskError::Read {
            path: report.to_path_buf(),
            source,
        }),
        _ => Ok(()),
    }
}

fn judge(success: bool, tally: &Tally) -> Outcome {
    for skip in &tally.skips {
        println!("{SKIP_MARK}{skip}");
    }
    match (tally.run, success) {
        (0, _) => Outcome::Failed("no test ran".to_owned()),
        (run, false) => Outcome::Failed(format!("of {run} tests")),
        (_, true) => Outcome::Passed(tally.words()),
    }
}

/// What came of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    run: usize,
    skips: Vec<String>,
}

impl Tally {
    /// Reads nextest's report.
    fn of_nextest(report: &str) -> Self {
        let run = report.lines().filter(|line| line.contains("<testcase "));
        let skips = report.lines().filter_map(skip).map(unescape);
        Self {
            run: run.count(),
            skips: sorted(skips),
        }
    }

    /// Reads the output of `cargo test`.
    fn of_cargo(lines: &[String]) -> Self {
        let skips = lines.iter().filter_map(|line| skip(line));
        Self {
            run: lines.iter().map(|line| tests_in(line)).sum(),
            skips: sorted(skips.map(str::to_owned)),
        }
    }

    fn words(&self) -> String {
        match self.skips.len() {
            0 => format!("{} tests", self.run),
            skips => format!("{} tests, {skips} left something out", self.run),
        }
    }
}

/// How many tests passed or failed according to a line such as
/// `test result: ok. 3 passed; 0 failed; ...`; 0 for any other line.
fn tests_in(line: &str) -> usize {
    let Some(result) = line.trim().strip_prefix("test result: ") else {
        return 0;
    };
    let counts = result.split(['.', ';']).filter_map(|part| {
        let (number, word) = part.trim().split_once(' ')?;
        let counted = word == "passed" || word == "failed";
        counted.then(|| number.parse::<usize>().ok()).flatten()
    });
    counts.sum()
}

/// What a test says it left out. In nextest's report the line may share its
/// place with the tags around a test's output.
fn skip(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = line.strip_prefix("<system-out>").unwrap_or(line);
    let line = line.strip_prefix("<system-err>").unwrap_or(line);
    let said = line.strip_prefix(SKIP_MARK)?;
    let said = said.strip_suffix("</system-out>").unwrap_or(said);
    Some(said.strip_suffix("</system-err>").unwrap_or(said))
}

fn unescape(text: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&amp;", "&"),
    ];
    let plain = |text: String, (entity, plain): (&str, &str)| text.replace(entity, plain);
    entities.into_iter().fold(text.to_owned(), plain)
}

fn sorted(skips: impl Iterator<Item = String>) -> Vec<String> {
    let mut skips: Vec<_> = skips.collect();
    skips.sort();
    skips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_output_is_counted_over_all_binaries() {
        let lines = [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out",
            "skipped: no recorded runs here",
            "test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out",
        ];
        let tally = Tally::of_cargo(&lines.map(str::to_owned));
        assert_eq!(tally.run, 8);
        assert_eq!(tally.skips, ["no recorded runs here"]);
    }

    #[test]
    fn nextest_report_is_counted_and_its_skips_are_readable() {
        let report = "\
<testsuites name=\"ci\" tests=\"2\">
    <testcase name=\"a\" classname=\"x\" time=\"0.1\"/>
    <testcase name=\"b\" classname=\"x\" time=\"0.1\">
        <system-out>
running 1 test
skipped: no &lt;data&gt; &amp; no server
test b ... ok
</system-out>
        <system-err>skipped: second</system-err>
";
        let tally = Tally::of_nextest(report);
        assert_eq!(tally.run, 2);
        assert_eq!(tally.skips, ["no <data> & no server", "second"]);
    }

    #[test]
    fn a_run_of_no_tests_is_a_failure_however_it_ended() {
        for success in [true, false] {
            let outcome = judge(success, &Tally::default());
            assert_eq!(outcome, Outcome::Failed("no test ran".to_owned()));
        }
    }

    #[test]
    fn a_failed_run_is_a_failure_whatever_it_counted() {
        let tally = Tally {
            run: 3,
            skips: vec![],
        };
        assert_eq!(
            judge(false, &tally),
            Outcome::Failed("of 3 tests".to_owned())
        );
    }

    #[test]
    fn no_named_package_means_the_whole_workspace() {
        assert_eq!(selection(&[]), ["--workspace"]);
        let named = ["a".to_owned(), "b".to_owned()];
        assert_eq!(selection(&named), ["-p", "a", "-p", "b"]);
    }
}
