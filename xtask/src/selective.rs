//! What a fresh crate gets that takes one part of Windlass and not the rest.
//!
//! For each bar a crate is made below the target directory that depends on
//! nothing but the named parts, with their default features, and cargo is
//! asked for its tree as any user would ask (`cargo tree -e normal`). The
//! workspace itself would not do: there a crate has the features of all its
//! neighbours. The crate takes the workspace's `Cargo.lock`, so the versions
//! are those that are tested here and nothing is downloaded.

mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::commands::{self, cargo};
use crate::error::TaskError;
use crate::finding::{self, Finding};
use crate::layers::Family;
use crate::steps::Outcome;
use crate::workspace;
use tree::Tree;

/// What one selection of parts may cost.
struct Bar {
    parts: &'static [&'static str],
    /// Most crates in the tree, the fresh one and proc macros included.
    crates_max: usize,
    /// What must not be in it at any depth.
    blind_to: &'static [Family],
}

/// What is kept.
const BARS: &[Bar] = &[
    Bar {
        parts: &["windlass-stash"],
        crates_max: 32,
        blind_to: &[Family::Runtime, Family::Driver, Family::Http],
    },
    Bar {
        parts: &["windlass-session", "windlass-store-memory"],
        crates_max: 55,
        blind_to: &[Family::Runtime, Family::Driver, Family::Http],
    },
];

/// Checks the trees and prints how they compare with their bars.
pub(crate) fn run() -> Result<ExitCode, TaskError> {
    let outcome = step()?;
    println!("selective: {outcome}");
    Ok(if outcome.is_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The same as a step of a longer run.
pub(crate) fn step() -> Result<Outcome, TaskError> {
    let metadata = workspace::members()?;
    let place = metadata.target_directory.join("selective");
    let mut findings = Vec::new();
    let mut counts = Vec::new();
    for bar in BARS {
        let tree = Tree::parse(&listing(bar, place.as_std_path())?);
        findings.extend(check(bar, &tree));
        counts.push(count(bar, &tree));
    }
    Ok(verdict(&findings, &counts))
}

fn verdict(findings: &[Finding], counts: &[String]) -> Outcome {
    if finding::report(findings) {
        Outcome::Passed(counts.join("; "))
    } else {
        Outcome::Failed(counts.join("; "))
    }
}

/// Such as `windlass-stash 20 of 32`.
fn count(bar: &Bar, tree: &Tree) -> String {
    format!("{} {} of {}", name(bar), tree.len(), bar.crates_max)
}

fn name(bar: &Bar) -> String {
    bar.parts.join(" + ")
}

/// Everything that is too much in a tree.
fn check(bar: &Bar, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count = tree.len();
    if count > bar.crates_max {
        let what = format!("needs {count} crates; at most {} may be", bar.crates_max);
        findings.push(Finding::new(name(bar), what));
    }
    for part in bar.parts {
        if tree.way_to(part).is_none() {
            findings.push(Finding::new(
                name(bar),
                format!("has no `{part}` in its tree"),
            ));
        }
    }
    for family in bar.blind_to {
        let ways = family
            .crates()
            .iter()
            .filter_map(|krate| tree.way_to(krate));
        let seen = ways.map(|way| format!("sees {family:?}: {}", way.join(" > ")));
        findings.extend(seen.map(|what| Finding::new(name(bar), what)));
    }
    findings
}

/// What `cargo tree` says of a fresh crate, a line a crate with its depth.
fn listing(bar: &Bar, place: &Path) -> Result<Vec<String>, TaskError> {
    let directory = place.join(bar.parts.join("-and-"));
    make(bar, &directory)?;
    let mut command = cargo(&["tree", "--offline", "--edges", "normal", "--no-dedupe"]);
    command.args(["--prefix", "depth"]).current_dir(&directory);
    commands::answer(&mut command)
}

/// Writes the fresh crate.
fn make(bar: &Bar, directory: &Path) -> Result<(), TaskError> {
    let root = workspace::root();
    let source = directory.join("src");
    let lock = directory.join("Cargo.lock");
    written(&source, fs::create_dir_all(&source))?;
    written(&lock, fs::copy(root.join("Cargo.lock"), &lock))?;
    for (path, text) in [
        (directory.join("Cargo.toml"), manifest(bar, &root)),
        (source.join("lib.rs"), String::new()),
    ] {
        written(&path, fs::write(&path, text))?;
    }
    Ok(())
}

fn manifest(bar: &Bar, root: &Path) -> String {
    let mut text = "[package]\nname = \"fresh\"\nedition = \"2024\"\n\n[workspace]\n\n".to_owned();
    text.push_str("[dependencies]\n");
    for part in bar.parts {
        let path = root.join("crates").join(part);
        let path = toml::Value::String(path.display().to_string());
        text.push_str(&format!("{part} = {{ path = {path} }}\n"));
    }
    text
}

fn written<T>(path: &Path, done: std::io::Result<T>) -> Result<(), TaskError> {
    let path = PathBuf::from(path);
    done.map(drop)
        .map_err(|source| TaskError::Write { path, source })
}

#[cfg(test)]
mod tests;
