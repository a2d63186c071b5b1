//! Reads the sources for the habits of the house that no other tool keeps.
//!
//! Each habit is one row in [`CHECKS`]: the files it looks at and a function
//! that finds what is wrong in one of them. A check that found no file to look
//! at fails, so that a moved directory is not mistaken for a clean one. These
//! are ratchets: they are set where the code already is.

mod browser;
mod links;
mod manifests;
mod mask;
mod shape;
mod testing;
pub(crate) mod tree;
pub(crate) mod words;

use std::process::ExitCode;

use crate::error::TaskError;
use crate::finding::{self, Finding};
use crate::steps::Outcome;
use crate::workspace;
use tree::{File, Tree};

/// One habit and how to see that it is kept.
struct Check {
    name: &'static str,
    looks_at: fn(&File) -> bool,
    faults: fn(&File, &Tree) -> Vec<Fault>,
}

/// What is wrong, and in which line if it is in one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    line: Option<usize>,
    what: String,
}

impl Fault {
    /// A fault of the whole file.
    fn new(what: impl Into<String>) -> Self {
        let what = what.into();
        Self { line: None, what }
    }

    /// A fault in one line, counted from one.
    fn at(line: usize, what: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            what: what.into(),
        }
    }
}

/// Every habit.
const CHECKS: &[Check] = &[
    Check {
        name: "each file says at its top what it is for",
        looks_at: File::is_rust,
        faults: shape::header,
    },
    Check {
        name: "functions stay within 70 lines",
        looks_at: File::is_rust,
        faults: shape::functions,
    },
    Check {
        name: "files stay within 600 lines, or say why not",
        looks_at: File::is_rust,
        faults: shape::length,
    },
    Check {
        name: "nothing is left for later",
        looks_at: File::is_rust,
        faults: words::leftovers,
    },
    Check {
        name: "only the command prints",
        looks_at: File::is_silent_library,
        faults: words::printing,
    },
    Check {
        name: "no place of one machine is written down",
        looks_at: File::is_read_by_people,
        faults: words::machine_paths,
    },
    Check {
        name: "rules convert numbers without `as`",
        looks_at: File::is_rules,
        faults: words::casts,
    },
    Check {
        name: "unsafe code says why it is sound",
        looks_at: File::is_rust,
        faults: words::unargued_unsafe,
    },
    Check {
        name: "no test is left out",
        looks_at: File::is_rust,
        faults: testing::ignored,
    },
    Check {
        name: "tests are named as sentences",
        looks_at: File::is_rust,
        faults: testing::names,
    },
    Check {
        name: "a failed assertion shows the value",
        looks_at: File::is_rust,
        faults: testing::mute_assertions,
    },
    Check {
        name: "each crate has tests",
        looks_at: File::is_member_manifest,
        faults: testing::absent,
    },
    Check {
        name: "variables of tests are in the table of loops",
        looks_at: File::is_rust_of_others,
        faults: testing::variables,
    },
    Check {
        name: "each loop of the table is read by a test",
        looks_at: File::is_table_of_loops,
        faults: testing::unread_loops,
    },
    Check {
        name: "each crate takes the workspace's lints",
        looks_at: File::is_member_manifest,
        faults: manifests::lints,
    },
    Check {
        name: "what is published says what it is",
        looks_at: File::is_member_manifest,
        faults: manifests::publishable,
    },
    Check {
        name: "each source of the console says at its top what it is for",
        looks_at: File::is_browser_source,
        faults: browser::header,
    },
    Check {
        name: "sources of the console stay within 600 lines",
        looks_at: File::is_browser_source,
        faults: browser::length,
    },
    Check {
        name: "text stays text in the console",
        looks_at: File::is_of_console,
        faults: browser::markup,
    },
    Check {
        name: "the console loads nothing from elsewhere",
        looks_at: File::is_of_console,
        faults: browser::elsewhere,
    },
    Check {
        name: "links in the documents lead somewhere",
        looks_at: File::is_markdown,
        faults: links::broken,
    },
];

/// Checks the workspace and says what is wrong with it.
pub(crate) fn run() -> Result<ExitCode, TaskError> {
    let outcome = step()?;
    println!("tidy: {outcome}");
    Ok(if outcome.is_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The same as a step of a longer run.
pub(crate) fn step() -> Result<Outcome, TaskError> {
    let tree = Tree::read(&workspace::root())?;
    let findings = check(&tree, CHECKS);
    let clean = finding::report(&findings);
    Ok(if clean {
        Outcome::Passed(format!("{} habits, {} files", CHECKS.len(), tree.len()))
    } else {
        Outcome::Failed(format!("{} faults", findings.len()))
    })
}

fn check(tree: &Tree, checks: &[Check]) -> Vec<Finding> {
    let findings = checks.iter().map(|check| findings_of(check, tree));
    findings.flatten().collect()
}

fn findings_of(check: &Check, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen_none = true;
    for file in tree.files().filter(|file| (check.looks_at)(file)) {
        seen_none = false;
        let faults = (check.faults)(file, tree);
        findings.extend(faults.into_iter().map(|fault| place(file, fault)));
    }
    if seen_none {
        findings.push(Finding::new(check.name, "found no file to look at"));
    }
    findings
}

fn place(file: &File, fault: Fault) -> Finding {
    match fault.line {
        Some(line) => Finding::at(&file.path, line, fault.what),
        None => Finding::new(&file.path, fault.what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_fails_on_a_tree_without_files() {
        let findings = check(&Tree::default(), CHECKS);
        assert_eq!(findings.len(), CHECKS.len());
        for (finding, check) in findings.iter().zip(CHECKS) {
            let expected = format!("{}: found no file to look at", check.name);
            assert_eq!(finding.to_string(), expected);
        }
    }

    #[test]
    fn a_fault_is_reported_with_its_file_and_line() {
        let tree = Tree::of(&[("a.rs", "//! A.\n// FIXME\n")]);
        let leftovers = CHECKS.iter().find(|check| check.name.contains("later"));
        let findings = findings_of(leftovers.unwrap(), &tree);
        let findings: Vec<_> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(findings, ["a.rs:2: leaves something for later: `FIXME`"]);
    }
}
