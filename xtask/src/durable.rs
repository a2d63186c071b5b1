//! The conformance suite of the Durable Streams protocol, against a server of
//! this workspace over each store.
//!
//! The suite comes from its registry at a pinned version, into the target
//! directory. What it counts is printed as a table, and each test that fails by
//! its name.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use windlass_store_testing::postgres;

use crate::commands::{self, cargo};
use crate::error::TaskError;
use crate::steps::{Outcome, Step};
use crate::workspace;

/// What is fetched.
const PACKAGES: &str = r#"{
  "private": true,
  "type": "module",
  "dependencies": {
    "@durable-streams/server-conformance-tests": "0.3.6",
    "vitest": "4.1.12"
  }
}
"#;

/// The one test file.
const TESTS: &str = r#"import { runConformanceTests } from "@durable-streams/server-conformance-tests"
runConformanceTests({
  baseUrl: process.env.SUITE_URL,
  longPollTimeoutMs: 500,
  subscriptions: true,
})
"#;

/// The least number of tests that a whole run has: fewer prove too little.
const TESTS_MIN: usize = 338;

/// How long a run over one store may take, in seconds.
const SECONDS_MAX: u64 = 400;

/// A store to run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ground {
    /// In memory
    Memory,
    /// A file of SQLite
    Sqlite,
    /// A PostgreSQL of its own, from the binaries that are installed
    Postgres,
}

const GROUNDS: [Ground; 3] = [Ground::Memory, Ground::Sqlite, Ground::Postgres];

impl Ground {
    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// A step for each store, or for the one that is named.
pub(crate) fn steps(only: Option<Ground>) -> Vec<Step> {
    let grounds = GROUNDS.into_iter();
    let chosen = grounds.filter(|ground| only.is_none_or(|only| only == *ground));
    let step = |ground: Ground| {
        let name = format!("suite durable-streams {}", ground.name());
        Step::new(&name, SECONDS_MAX, move || run(ground))
    };
    chosen.map(step).collect()
}

fn run(ground: Ground) -> Result<Outcome, TaskError> {
    let target = PathBuf::from(workspace::members()?.target_directory);
    let suite = target.join("suites/durable-streams");
    if !installed(&suite)? {
        let why = "the suite cannot be installed here: it needs npm";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    let database = match ground {
        Ground::Postgres => match postgres::Server::start(&[]) {
            Ok(server) => Some(server),
            Err(error) => return Ok(Outcome::Skipped(format!("no PostgreSQL here: {error}"))),
        },
        Ground::Memory | Ground::Sqlite => None,
    };
    if !commands::run(&mut cargo(&["build", "-p", "windlass-cli"]))?.success() {
        return Ok(Outcome::Failed("the server does not build".to_owned()));
    }
    let place = suite.join(ground.name());
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).map_err(|source| TaskError::Write {
        path: place.clone(),
        source,
    })?;
    let store = match (&database, ground) {
        (Some(database), _) => database.url(),
        (None, Ground::Memory) => "memory:".to_owned(),
        (None, _) => "sqlite:./suite.db".to_owned(),
    };
    let server = Server::start(&target.join("debug/windlass"), &store, &place)?;
    let counted = suite_tests(&suite, &place, &server.url)?;
    drop(server);
    Ok(counted.outcome())
}

/// Whether the suite is there, fetched if need be.
fn installed(suite: &Path) -> Result<bool, TaskError> {
    let failed = |source| TaskError::Write {
        path: suite.to_path_buf(),
        source,
    };
    fs::create_dir_all(suite).map_err(failed)?;
    let manifest = suite.join("package.json");
    let is_there = fs::read_to_string(&manifest).is_ok_and(|text| text == PACKAGES);
    fs::write(suite.join("suite.test.js"), TESTS).map_err(failed)?;
    if is_there && suite.join("node_modules/vitest").is_dir() {
        return Ok(true);
    }
    if !commands::answers(Command::new("npm").arg("--version")) {
        return Ok(false);
    }
    fs::write(&manifest, PACKAGES).map_err(failed)?;
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--silent"]);
    Ok(commands::run(install.current_dir(suite))?.success())
}

/// A server of its own, until it is dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(program: &Path, store: &str, place: &Path) -> Result<Self, TaskError> {
        let failed = |source| TaskError::Spawn {
            program: "the server".to_owned(),
            source,
        };
        let mut command = Command::new(program);
        command
            .args(["--store", store, "--json", "serve"])
            .args(["--listen", "127.0.0.1:0", "--log", "warn"])
            // What the suite expects of whoever runs it.
            .env("WINDLASS__SERVER__LONG_POLL_MS", "500")
            .env("WINDLASS__SERVER__CORS_ORIGINS", "https://example.com")
            .current_dir(place);
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(failed)?;
        }
        let url = line.split('"').find(|text| text.starts_with("http://"));
        let url = url.unwrap_or_default().to_owned();
        Ok(Self { child, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn suite_tests(suite: &Path, place: &Path, url: &str) -> Result<Counted, TaskError> {
    let report = place.join("report.json");
    let mut output = "--outputFile=".to_owned();
    output.push_str(&report.to_string_lossy());
    let mut command = Command::new("npx");
    command
        .args(["--no-install", "vitest", "run", "suite.test.js"])
        .args(["--testTimeout", "40000", "--reporter=json", &output])
        .env("SUITE_URL", format!("{url}/durable"))
        .current_dir(suite);
    // How it ended is in the report.
    commands::run(&mut command)?;
    let text = fs::read_to_string(&report).map_err(|source| TaskError::Read {
        path: report,
        source,
    })?;
    Ok(Counted::of(
        &serde_json::from_str(&text).unwrap_or_default(),
    ))
}

/// What came of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    passed: usize,
    /// Names, and the first line of why.
    failed: Vec<(String, String)>,
}

impl Counted {
    /// Reads a report of vitest.
    fn of(report: &Value) -> Self {
        let mut counted = Self::default();
        let files = report["testResults"].as_array().into_iter().flatten();
        let tests = files.flat_map(|file| file["assertionResults"].as_array());
        for test in tests.flatten() {
            match test["status"].as_str() {
                Some("passed") => counted.passed += 1,
                Some("failed") => {
                    let name = test["fullName"].as_str().unwrap_or_default();
                    let why = test["failureMessages"][0].as_str().unwrap_or_default();
                    let why = why.lines().next().unwrap_or_default();
                    counted.failed.push((name.to_owned(), why.to_owned()));
                }
                // Left out.
                _ => {}
            }
        }
        counted
    }

    fn outcome(&self) -> Outcome {
        for (name, why) in &self.failed {
            println!("failed: {name}: {why}");
        }
        let all = self.passed + self.failed.len();
        let note = format!("{} of {all} tests", self.passed);
        if self.failed.is_empty() && all >= TESTS_MIN {
            Outcome::Passed(note)
        } else {
            Outcome::Failed(note)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_test_that_fails_is_named_and_one_that_is_left_out_is_not_counted() {
        let report = json!({ "testResults": [{ "assertionResults": [
            { "status": "passed", "fullName": "a" },
            { "status": "skipped", "fullName": "b" },
            { "status": "failed", "fullName": "c", "failureMessages": ["why\nat x"] },
        ] }] });
        let counted = Counted::of(&report);
        let failed = vec![("c".to_owned(), "why".to_owned())];
        assert_eq!(counted, Counted { passed: 1, failed });
        let outcome = Outcome::Failed("1 of 2 tests".to_owned());
        assert_eq!(counted.outcome(), outcome);
    }

    #[test]
    fn a_run_of_few_tests_proves_too_little() {
        let few = Counted {
            passed: TESTS_MIN - 1,
            failed: Vec::new(),
        };
        assert!(few.outcome().is_failed(), "{few:?}");
        let all = Counted {
            passed: TESTS_MIN,
            failed: Vec::new(),
        };
        assert_eq!(
            all.outcome(),
            Outcome::Passed("338 of 338 tests".to_owned())
        );
    }
}
