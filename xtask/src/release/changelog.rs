//! Whether the changelog speaks of what is about to be released.

use std::cmp::Ordering;

use crate::finding::Finding;

const PLACE: &str = "CHANGELOG.md";
const UNRELEASED: &str = "Unreleased";

/// The kinds of change that Keep a Changelog knows.
const KINDS: [&str; 6] = [
    "Added",
    "Changed",
    "Deprecated",
    "Removed",
    "Fixed",
    "Security",
];

/// One `## [NAME] - DATE`.
struct Section<'a> {
    line: usize,
    name: &'a str,
    date: Option<&'a str>,
    has_entries: bool,
}

/// Everything that is wrong with the changelog of a workspace at `version`.
pub(super) fn check(text: &str, version: &str) -> Vec<Finding> {
    let sections = sections(text);
    let mut findings: Vec<_> = sections.iter().filter_map(wrong_heading).collect();
    findings.extend(wrong_kinds(text));
    findings.extend(wrong_order(&sections));
    findings.extend(wrong_version(&sections, version));
    findings
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            let (name, date) = match heading.split_once(" - ") {
                Some((name, date)) => (name, Some(date)),
                None => (heading, None),
            };
            sections.push(Section {
                line: index + 1,
                name: name.trim_matches(['[', ']']),
                date,
                has_entries: false,
            });
        } else if let Some(section) = sections.last_mut() {
            section.has_entries |= line.starts_with("- ");
        }
    }
    sections
}

fn wrong_heading(section: &Section<'_>) -> Option<Finding> {
    let what = match (section.name, section.date) {
        (UNRELEASED, None) => return None,
        (UNRELEASED, Some(_)) => "is not released and has a date".to_owned(),
        (name, _) if numbers(name).is_none() => format!("`{name}` is no version"),
        (name, None) => format!("`{name}` has no date"),
        (name, Some(date)) if !is_date(date) => format!("the date of `{name}` is no `YYYY-MM-DD`"),
        (name, Some(_)) if !section.has_entries => format!("`{name}` says nothing"),
        _ => return None,
    };
    Some(Finding::at(PLACE, section.line, what))
}

/// The three numbers of a version, without what may follow a hyphen.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let numbers = version.split('-').next()?.split('.').map(str::parse);
    let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

fn is_date(text: &str) -> bool {
    let shape = text
        .bytes()
        .map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    shape.eq(*b"0000-00-00")
}

fn wrong_kinds(text: &str) -> Vec<Finding> {
    let headings = text.lines().enumerate();
    let headings =
        headings.filter_map(|(index, line)| Some((index + 1, line.strip_prefix("### ")?)));
    let wrong = headings.filter(|(_, kind)| !KINDS.contains(kind));
    let findings = wrong
        .map(|(line, kind)| Finding::at(PLACE, line, format!("`{kind}` is no kind of change")));
    findings.collect()
}

/// Newest first, and each once.
fn wrong_order(sections: &[Section<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pair in sections.windows(2) {
        let (newer, older) = (&pair[0], &pair[1]);
        let order = match (numbers(newer.name), numbers(older.name)) {
            (Some(newer), Some(older)) => newer.cmp(&older),
            (None, Some(_)) => Ordering::Greater,
            _ => Ordering::Less,
        };
        if order != Ordering::Greater {
            let what = format!("`{}` does not come before `{}`", older.name, newer.name);
            findings.push(Finding::at(PLACE, older.line, what));
        }
    }
    findings
}

/// What is about to be released must be written down, under its version or as
/// unreleased, and a version that has its section is not changed any more.
fn wrong_version(sections: &[Section<'_>], version: &str) -> Option<Finding> {
    let find = |name: &str| sections.iter().find(|section| section.name == name);
    let unreleased = find(UNRELEASED).filter(|section| section.has_entries);
    let newest = sections.iter().find_map(|section| numbers(section.name));
    let what = match (find(version), unreleased) {
        (None, None) => format!("says nothing of {version}, the workspace's version"),
        (Some(_), Some(_)) => {
            format!("has unreleased changes, and the workspace still has the version {version}")
        }
        _ if newest > numbers(version) => {
            format!("has a version above {version}, the workspace's")
        }
        _ => return None,
    };
    Some(Finding::new(PLACE, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASED: &str = "\
# Changelog
## [0.2.0] - 2026-01-02
### Added
- Two.
## [0.1.0] - 2026-01-01
### Fixed
- One.
";

    fn findings(text: &str, version: &str) -> Vec<String> {
        check(text, version)
            .iter()
            .map(Finding::to_string)
            .collect()
    }

    #[test]
    fn a_section_of_the_version_or_unreleased_changes_are_enough() {
        assert_eq!(findings(RELEASED, "0.2.0"), [""; 0]);
        let unreleased = "## [Unreleased]\n### Added\n- One.\n";
        assert_eq!(findings(unreleased, "0.1.0"), [""; 0]);
        let empty = format!("## [Unreleased]\n{RELEASED}");
        assert_eq!(findings(&empty, "0.2.0"), [""; 0]);
    }

    #[test]
    fn a_version_of_which_nothing_is_said_is_reported() {
        let expected = ["CHANGELOG.md: says nothing of 0.3.0, the workspace's version"];
        assert_eq!(findings(RELEASED, "0.3.0"), expected);
        assert_eq!(
            findings(&format!("## [Unreleased]\n{RELEASED}"), "0.3.0"),
            expected
        );
    }

    #[test]
    fn changes_after_a_release_need_another_version() {
        let text = format!("## [Unreleased]\n### Added\n- Three.\n{RELEASED}");
        let expected =
            ["CHANGELOG.md: has unreleased changes, and the workspace still has the version 0.2.0"];
        assert_eq!(findings(&text, "0.2.0"), expected);
        assert_eq!(findings(&text, "0.3.0"), [""; 0]);
        let above = ["CHANGELOG.md: has a version above 0.1.1, the workspace's"];
        assert_eq!(findings(&text, "0.1.1"), above);
    }

    #[test]
    fn headings_without_a_version_a_date_or_a_known_kind_are_reported() {
        for (from, to, expected) in [
            ("0.2.0", "next", "CHANGELOG.md:2: `next` is no version"),
            (" - 2026-01-02", "", "CHANGELOG.md:2: `0.2.0` has no date"),
            (
                "2026-01-02",
                "today",
                "CHANGELOG.md:2: the date of `0.2.0` is no `YYYY-MM-DD`",
            ),
            ("- Two.", "", "CHANGELOG.md:2: `0.2.0` says nothing"),
            (
                "Added",
                "News",
                "CHANGELOG.md:3: `News` is no kind of change",
            ),
        ] {
            let found = findings(&RELEASED.replacen(from, to, 1), "0.2.0");
            assert_eq!(
                found.first().map(String::as_str),
                Some(expected),
                "{found:?}"
            );
        }
        let dated = "## [Unreleased] - 2026-01-01\n- One.\n";
        let expected = ["CHANGELOG.md:1: is not released and has a date"];
        assert_eq!(findings(dated, "0.1.0"), expected);
    }

    #[test]
    fn versions_out_of_order_or_twice_are_reported() {
        let twice = RELEASED.replace("0.1.0", "0.2.0");
        let expected = ["CHANGELOG.md:5: `0.2.0` does not come before `0.2.0`"];
        assert_eq!(findings(&twice, "0.2.0"), expected);
        let late = format!("{RELEASED}## [Unreleased]\n");
        let expected = ["CHANGELOG.md:8: `Unreleased` does not come before `0.1.0`"];
        assert_eq!(findings(&late, "0.2.0"), expected);
    }
}
