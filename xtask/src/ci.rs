//! What a change has to pass: the list of steps behind `cargo xtask ci`.

use std::process::{Command, ExitCode};

use cargo_metadata::{Metadata, TargetKind};

use crate::commands::{self, cargo};
use crate::error::TaskError;
use crate::steps::{self, Outcome, Step};
use crate::{layers, release, selective, suite, tidy, workspace};

/// A crate and its features but the default set.
type Choice = (String, Vec<String>);

/// What the examples are given that do nothing without, or have no end.
const ARGUMENTS: &[(&str, &[&str])] = &[
    ("serve", &["--once"]),
    (
        "count_refusals",
        &["most-used", "docs/examples/airline.json"],
    ),
];

/// How to get the program that looks at licences and sources.
const DENY_INSTALL: &str = "cargo install --locked cargo-deny";

/// Runs all the steps, cheap ones first. Their budgets add up to 25 minutes
/// for a cold run on two cores.
pub(crate) fn run() -> Result<ExitCode, TaskError> {
    let choices = choices(&workspace::members()?);
    Ok(steps::run(vec![
        Step::new("fmt", 10, fmt),
        Step::new("layers", 30, layers::step),
        Step::new("tidy", 5, tidy::step),
        Step::new("selective", 5, selective::step),
        Step::new("manifests", 5, release::rules),
        Step::new("deny", 30, deny),
        Step::new("clippy", 220, clippy),
        Step::new("clippy, features", 150, move || clippy_features(&choices)),
        Step::new("tests", 900, || suite::run(&[], |one| one.ci)),
        Step::new("doctests", 35, suite::documentation),
        Step::new("examples", 40, examples),
        Step::new("docs", 70, docs),
    ]))
}

/// Compares the sources with what the formatter would make of them.
pub(crate) fn fmt() -> Result<Outcome, TaskError> {
    finish(&mut cargo(&["fmt", "--all", "--", "--check"]))
}

/// Lints every target of every crate, with the features each has by default.
pub(crate) fn clippy() -> Result<Outcome, TaskError> {
    lint(&["--workspace", "--all-targets"])
}

/// Lints what of each crate that has features others build on, without them
/// and with each alone. Its tests would bring features of what they need, and
/// hide that one is missing.
fn clippy_features(choices: &[Choice]) -> Result<Outcome, TaskError> {
    let mut linted = Vec::new();
    for (package, features) in choices {
        let bare = ["-p", package, "--lib", "--no-default-features"];
        let outcome = lint(&bare)?;
        if outcome.is_failed() {
            return Ok(outcome);
        }
        for feature in features {
            let outcome = lint(&[&bare[..], &["--features", feature]].concat())?;
            if outcome.is_failed() {
                return Ok(outcome);
            }
        }
        linted.push(format!("{package}: none, {}", features.join(", ")));
    }
    Ok(Outcome::Passed(linted.join("; ")))
}

fn lint(selection: &[&str]) -> Result<Outcome, TaskError> {
    let mut command = cargo(&["clippy"]);
    command.args(selection).args(["--", "-D", "warnings"]);
    finish(&mut command)
}

/// The crates of which a user can choose features, with those features.
fn choices(metadata: &Metadata) -> Vec<Choice> {
    let packages = metadata.workspace_packages();
    let choices = packages.iter().map(|package| {
        let chosen = package.features.keys().filter(|name| *name != "default");
        (package.name.to_string(), chosen.cloned().collect())
    });
    choices
        .filter(|(_, features): &Choice| !features.is_empty())
        .collect()
}

/// Runs what the crates show their users; each has to end by itself and well.
/// They are built together with all others, so that what the tests have built
/// serves here too: cargo chooses other features for a crate alone.
fn examples() -> Result<Outcome, TaskError> {
    let built = finish(&mut cargo(&["build", "--workspace", "--examples"]))?;
    if built.is_failed() {
        return Ok(built);
    }
    let metadata = workspace::members()?;
    let directory = metadata.target_directory.join("debug/examples");
    let examples = examples_of(&metadata);
    for example in &examples {
        let mut command = Command::new(directory.join(example));
        command.args(arguments_for(example));
        let outcome = finish(command.current_dir(workspace::root()))?;
        if outcome.is_failed() {
            return Ok(Outcome::Failed(format!("`{example}`")));
        }
    }
    Ok(match examples.len() {
        0 => Outcome::Failed("there is none".to_owned()),
        count => Outcome::Passed(format!("{count} ran")),
    })
}

fn examples_of(metadata: &Metadata) -> Vec<String> {
    let packages = metadata.workspace_packages();
    let targets = packages.iter().flat_map(|package| &package.targets);
    let examples = targets.filter(|target| target.kind.contains(&TargetKind::Example));
    examples.map(|target| target.name.clone()).collect()
}

fn arguments_for(example: &str) -> &'static [&'static str] {
    let found = ARGUMENTS.iter().find(|(name, _)| *name == example);
    found.map_or(&[], |(_, arguments)| arguments)
}

/// Builds the documentation of the libraries; a broken link fails.
fn docs() -> Result<Outcome, TaskError> {
    let mut command = cargo(&["doc", "--workspace", "--no-deps", "--lib"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    finish(&mut command)
}

/// Looks at licences, banned crates and sources, without the network: the step
/// `layers` has fetched what the dependency graph names.
pub(crate) fn deny() -> Result<Outcome, TaskError> {
    if commands::answers(&mut cargo(&["deny", "--version"])) {
        let checks = ["licenses", "bans", "sources"];
        let mut command = cargo(&["deny", "--offline", "check", "--hide-inclusion-graph"]);
        command.args(checks);
        return finish(&mut command);
    }
    Ok(without_deny(workspace::is_unattended()))
}

fn without_deny(unattended: bool) -> Outcome {
    let reason = format!("cargo-deny is not installed; `{DENY_INSTALL}`");
    if unattended {
        Outcome::Failed(reason)
    } else {
        Outcome::Skipped(reason)
    }
}

fn finish(command: &mut Command) -> Result<Outcome, TaskError> {
    Ok(Outcome::of(commands::run(command)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_cargo_deny_fails_where_nobody_watches() {
        let reason = "cargo-deny is not installed; `cargo install --locked cargo-deny`";
        assert_eq!(without_deny(true), Outcome::Failed(reason.to_owned()));
        assert_eq!(without_deny(false), Outcome::Skipped(reason.to_owned()));
    }

    #[test]
    fn every_example_is_run_and_arguments_are_for_those_that_exist() {
        let examples = examples_of(&workspace::members().unwrap());
        assert!(examples.contains(&"agent_run".to_owned()), "{examples:?}");
        for (example, arguments) in ARGUMENTS {
            assert!(examples.contains(&(*example).to_owned()), "{examples:?}");
            assert_eq!(arguments_for(example), *arguments);
        }
        assert_eq!(arguments_for("agent_run"), [""; 0]);
    }

    #[test]
    fn every_feature_but_the_default_set_is_linted_alone() {
        let choices = choices(&workspace::members().unwrap());
        let facade = choices.iter().find(|(package, _)| package == "windlass");
        let (_, features) = facade.expect("the facade has features");
        assert!(features.contains(&"memory".to_owned()), "{features:?}");
        assert!(!features.contains(&"default".to_owned()), "{features:?}");
        assert!(
            choices.iter().all(|(_, features)| !features.is_empty()),
            "{choices:?}"
        );
    }
}
