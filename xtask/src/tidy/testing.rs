//! Whether the tests are there, run, speak in sentences and show what they saw.

use std::collections::BTreeSet;

use super::Fault;
use super::shape::functions_in;
use super::tree::{File, Tree};
use crate::loops::{LOOPS, Loop, OTHERS, variables_in};

/// Fewest words in the name of a test.
const NAME_WORDS_MIN: usize = 3;

/// Tests that are never run.
pub(super) fn ignored(file: &File, _: &Tree) -> Vec<Fault> {
    let lines = file.views.code.lines().enumerate();
    let hits = lines.filter(|(_, line)| line.trim_start().starts_with("#[ignore"));
    let faults = hits.map(|(index, _)| Fault::at(index + 1, "leaves a test out with `#[ignore]`"));
    faults.collect()
}

/// Tests whose names say no more than what they call.
pub(super) fn names(file: &File, _: &Tree) -> Vec<Fault> {
    let functions = functions_in(&file.views.code);
    let mut faults = Vec::new();
    for attribute in test_attributes(&file.views.code) {
        let Some(test) = functions.iter().find(|test| test.line > attribute) else {
            continue;
        };
        let words = test.name.split('_').filter(|word| !word.is_empty());
        // a macro's parameter is named where the macro is called
        if words.count() < NAME_WORDS_MIN && !test.name.contains('$') {
            let what = format!("`{}` is a test but no sentence", test.name);
            faults.push(Fault::at(test.line, what));
        }
    }
    faults
}

/// The lines, counted from one, of attributes that make a function a test.
fn test_attributes(code: &str) -> impl Iterator<Item = usize> {
    let lines = code.lines().enumerate();
    let hits = lines.filter(|(_, line)| is_test_attribute(line.trim()));
    hits.map(|(index, _)| index + 1)
}

fn is_test_attribute(line: &str) -> bool {
    let Some(path) = line.strip_prefix("#[") else {
        return false;
    };
    let end = path.find(['(', ']']).unwrap_or(path.len());
    path[..end].rsplit("::").next() == Some("test")
}

/// Assertions that fail without showing what they looked at.
pub(super) fn mute_assertions(file: &File, _: &Tree) -> Vec<Fault> {
    let lines = file.views.code.lines().enumerate();
    let mute = lines.filter(|(_, line)| is_mute(line.trim()));
    let what = "fails without showing the value it saw";
    let faults = mute.map(|(index, _)| Fault::at(index + 1, what));
    faults.collect()
}

/// Whether a line, as the formatter leaves it, asserts a shape and gives no
/// message. With a message that does not fit, the macro stands alone.
fn is_mute(line: &str) -> bool {
    let verdict = line.ends_with(".is_ok());") || line.ends_with(".is_err());");
    let shape = line.starts_with("assert!(matches!(") && !line.contains(", \"");
    line.starts_with("assert!(") && verdict || shape
}

/// A crate without a single test.
pub(super) fn absent(manifest: &File, tree: &Tree) -> Vec<Fault> {
    let mut sources = tree.sources_in(manifest.directory());
    if sources.any(|file| test_attributes(&file.views.code).next().is_some()) {
        return Vec::new();
    }
    vec![Fault::new("is the manifest of a crate without tests")]
}

/// Variables that a test reads and the table of loops does not have.
pub(super) fn variables(file: &File, _: &Tree) -> Vec<Fault> {
    unknown_variables(&file.text, LOOPS, OTHERS)
}

fn unknown_variables(text: &str, loops: &[Loop], others: &[&str]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for variable in variables_in(line) {
            let repeats = loops.iter().any(|one| one.variable == variable);
            if !repeats && !others.contains(&variable) {
                let what = format!("`{variable}` is not in the table of loops");
                faults.push(Fault::at(index + 1, what));
            }
        }
    }
    faults
}

/// Loops of the table that no test reads.
pub(super) fn unread_loops(_: &File, tree: &Tree) -> Vec<Fault> {
    unread(LOOPS, tree)
}

fn unread(loops: &[Loop], tree: &Tree) -> Vec<Fault> {
    let lines = tree.sources_in("crates").flat_map(|file| file.text.lines());
    let read: BTreeSet<_> = lines.flat_map(variables_in).collect();
    let idle = loops.iter().filter(|one| !read.contains(one.variable));
    let faults = idle.map(|one| Fault::new(format!("no test reads `{}`", one.variable)));
    faults.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOP: Loop = Loop {
        variable: "WINDLASS_CYCLES",
        unit: "cycles",
        quick: 1,
        ci: 2,
        nightly: 3,
    };

    fn faults(check: fn(&File, &Tree) -> Vec<Fault>, text: &str) -> Vec<Fault> {
        let tree = Tree::of(&[("a.rs", text)]);
        check(tree.file("a.rs").unwrap(), &tree)
    }

    #[test]
    fn an_ignored_test_is_reported() {
        let expected = Fault::at(2, "leaves a test out with `#[ignore]`");
        let text = "#[test]\n    #[ignore = \"slow\"]\nfn a_b_c() {}";
        assert_eq!(faults(ignored, text), [expected]);
    }

    #[test]
    fn short_names_are_reported_under_every_test_attribute() {
        for attribute in [
            "#[test]",
            "#[tokio::test]",
            "#[tokio::test(flavor = \"x\")]",
        ] {
            let text = format!("{attribute}\nasync fn two_words() {{}}\nfn helper() {{}}");
            let expected = Fault::at(2, "`two_words` is a test but no sentence");
            assert_eq!(faults(names, &text), [expected], "{attribute}");
        }
    }

    #[test]
    fn sentences_and_parameters_of_macros_are_not_reported() {
        let text =
            "#[test]\nfn one_two_three() {}\n#[test]\nfn $name() {}\n#[cfg(test)]\nfn a() {}";
        assert_eq!(faults(names, text), []);
    }

    #[test]
    fn assertions_without_the_value_are_reported() {
        let mute = [
            "assert!(a.is_ok());",
            "assert!(a.b().is_err());",
            "assert!(matches!(a, B));",
            "assert!(matches!(",
        ];
        for line in mute {
            let expected = Fault::at(1, "fails without showing the value it saw");
            assert_eq!(faults(mute_assertions, line), [expected], "{line}");
        }
    }

    #[test]
    fn assertions_that_show_the_value_are_not_reported() {
        let telling = [
            "assert!(a.is_ok(), \"{a:?}\");",
            "assert!(matches!(a, B), \"{a:?}\");",
            "assert_eq!(a, b);",
            "assert!(a.is_empty());",
        ];
        for line in telling {
            assert_eq!(faults(mute_assertions, line), [], "{line}");
        }
    }

    #[test]
    fn a_crate_without_tests_is_reported() {
        let manifest = ("crates/a/Cargo.toml", "");
        let source = |text| ("crates/a/src/lib.rs", text);
        let verdict = |files: &[(&str, &str)]| {
            let tree = Tree::of(files);
            absent(tree.file("crates/a/Cargo.toml").unwrap(), &tree)
        };
        let what = "is the manifest of a crate without tests";
        assert_eq!(
            verdict(&[manifest, source("// #[test]")]),
            [Fault::new(what)]
        );
        let other = ("crates/ab/src/lib.rs", "#[test]");
        assert_eq!(verdict(&[manifest, other]), [Fault::new(what)]);
        assert_eq!(verdict(&[manifest, source("#[test]\nfn a() {}")]), []);
    }

    #[test]
    fn a_variable_that_no_table_has_is_reported() {
        let text = "var(\"WINDLASS_CYCLES\");\nvar(\"WINDLASS_OTHER\"); \"WINDLASS__A__B\"";
        let expected = Fault::at(2, "`WINDLASS_OTHER` is not in the table of loops");
        assert_eq!(unknown_variables(text, &[LOOP], &[]), [expected]);
        assert_eq!(unknown_variables(text, &[LOOP], &["WINDLASS_OTHER"]), []);
    }

    #[test]
    fn a_loop_that_nothing_reads_is_reported() {
        let expected = Fault::new("no test reads `WINDLASS_CYCLES`");
        let elsewhere = Tree::of(&[("xtask/src/a.rs", "\"WINDLASS_CYCLES\"")]);
        assert_eq!(unread(&[LOOP], &elsewhere), [expected]);
        let here = Tree::of(&[("crates/b/tests/it/main.rs", "\"WINDLASS_CYCLES\"")]);
        assert_eq!(unread(&[LOOP], &here), []);
    }
}
