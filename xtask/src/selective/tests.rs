//! Trees with something too much in them, and the trees as they are.

use super::*;

const BAR: Bar = Bar {
    parts: &["windlass-stash"],
    crates_max: 4,
    blind_to: &[Family::Runtime, Family::Driver],
};

fn tree(lines: &[&str]) -> Tree {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    Tree::parse(&lines)
}

fn verdict_on(lines: &[&str]) -> Vec<String> {
    let findings = check(&BAR, &tree(lines));
    findings.iter().map(Finding::to_string).collect()
}

#[test]
fn a_tree_at_its_bar_is_not_reported_and_repetitions_count_once() {
    let lines = [
        "0fresh v0.1.0 (elsewhere)",
        "1windlass-stash v0.1.0 (elsewhere)",
        "2serde v1.0.229",
        "3serde_derive v1.0.229 (proc-macro)",
        "2serde_derive v1.0.229 (proc-macro)",
        "",
    ];
    assert_eq!(verdict_on(&lines), [""; 0]);
    assert_eq!(count(&BAR, &tree(&lines)), "windlass-stash 4 of 4");
}

#[test]
fn one_crate_more_than_the_bar_is_reported() {
    let lines = [
        "0fresh v0.1.0",
        "1windlass-stash v0.1.0",
        "2a v1.0.0",
        "2b v1.0.0",
        "2c v1.0.0",
    ];
    assert_eq!(
        verdict_on(&lines),
        ["windlass-stash: needs 5 crates; at most 4 may be"]
    );
}

#[test]
fn two_versions_of_one_crate_are_two() {
    let lines = [
        "0fresh v0.1.0",
        "1windlass-stash v0.1.0",
        "2syn v2.0.0",
        "2syn v3.0.0",
    ];
    assert_eq!(tree(&lines).len(), 4);
}

#[test]
fn a_runtime_is_reported_with_the_way_to_it() {
    let lines = [
        "0fresh v0.1.0",
        "1windlass-stash v0.1.0",
        "2bytes v1.0.0",
        "2innocent v1.0.0",
        "3tokio v1.0.0",
    ];
    let expected = [
        "windlass-stash: needs 5 crates; at most 4 may be",
        "windlass-stash: sees Runtime: fresh > windlass-stash > innocent > tokio",
    ];
    assert_eq!(verdict_on(&lines), expected);
}

#[test]
fn a_driver_is_reported_and_a_namesake_is_not() {
    let lines = [
        "0fresh v0.1.0",
        "1windlass-stash v0.1.0",
        "2rusqlite v0.41.1",
    ];
    assert_eq!(
        verdict_on(&lines),
        ["windlass-stash: sees Driver: fresh > windlass-stash > rusqlite"]
    );
    let lines = [
        "0fresh v0.1.0",
        "1windlass-stash v0.1.0",
        "2rusqlite-names v1.0.0",
    ];
    assert_eq!(verdict_on(&lines), [""; 0]);
}

#[test]
fn a_tree_without_its_part_is_not_taken_for_a_small_one() {
    assert_eq!(
        verdict_on(&[]),
        ["windlass-stash: has no `windlass-stash` in its tree"]
    );
}

#[test]
fn a_finding_fails_the_step_and_the_counts_are_shown_either_way() {
    let counts = ["a 1 of 2".to_owned(), "b 3 of 4".to_owned()];
    let passed = Outcome::Passed("a 1 of 2; b 3 of 4".to_owned());
    assert_eq!(verdict(&[], &counts), passed);
    let failed = Outcome::Failed("a 1 of 2; b 3 of 4".to_owned());
    assert_eq!(verdict(&[Finding::new("a", "b")], &counts), failed);
}

#[test]
fn the_fresh_crate_takes_the_parts_with_their_default_features_and_nothing_else() {
    let text = manifest(&BAR, Path::new("root"));
    let expected = "\
[package]
name = \"fresh\"
edition = \"2024\"

[workspace]

[dependencies]
windlass-stash = { path = \"root/crates/windlass-stash\" }
";
    assert_eq!(text, expected);
}

#[test]
fn the_pages_of_the_parts_say_what_their_bars_are() {
    for bar in BARS {
        let page = workspace::root().join("crates").join(bar.parts[0]);
        let page = fs::read_to_string(page.join("README.md")).unwrap();
        let words: Vec<_> = page.split_whitespace().collect();
        let said = format!("at most {} crates in its tree", bar.crates_max);
        assert!(words.join(" ").contains(&said), "{}: {said}", bar.parts[0]);
    }
}
