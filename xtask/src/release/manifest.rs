//! Whether a manifest says what a registry and its readers want to know.

use super::crates::{Crate, Release};
use crate::finding::Finding;

/// Longest description, in characters: what a registry shows in one line.
const DESCRIPTION_CHARS_MAX: usize = 120;

/// Most keywords that a registry takes.
const KEYWORDS_MAX: usize = 5;

/// Longest keyword that a registry takes, in characters.
const KEYWORD_CHARS_MAX: usize = 20;

/// Most categories that a registry takes.
const CATEGORIES_MAX: usize = 5;

/// Everything that is missing or wrong.
pub(super) fn check(krate: &Crate, release: &Release) -> Vec<Finding> {
    let faults = [
        wrong_description(krate),
        wrong_common("licence", &krate.licence, &release.licence),
        wrong_common("rust-version", &krate.rust_version, &release.rust_version),
        wrong_keywords(krate),
        wrong_categories(krate),
        undocumented_features(krate),
        no_example(krate),
    ];
    let faults = faults.into_iter().flatten();
    faults.map(|what| Finding::new(&krate.name, what)).collect()
}

fn wrong_description(krate: &Crate) -> Option<String> {
    let description = krate.description.trim();
    match description.chars().count() {
        0 => Some("has no description".to_owned()),
        1..=DESCRIPTION_CHARS_MAX if description.ends_with('.') => {
            Some("has a description that ends with a full stop".to_owned())
        }
        1..=DESCRIPTION_CHARS_MAX => None,
        count => Some(format!(
            "has a description of {count} characters; at most {DESCRIPTION_CHARS_MAX} are read"
        )),
    }
}

fn wrong_common(field: &str, found: &str, expected: &str) -> Option<String> {
    (found != expected).then(|| format!("has {field} `{found}`, the workspace `{expected}`"))
}

fn wrong_keywords(krate: &Crate) -> Option<String> {
    let is_word = |keyword: &&String| {
        keyword.len() <= KEYWORD_CHARS_MAX
            && keyword.starts_with(|c: char| c.is_ascii_lowercase())
            && keyword
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_+".contains(&byte))
    };
    let keywords = &krate.keywords;
    if keywords.is_empty() || keywords.len() > KEYWORDS_MAX {
        let count = keywords.len();
        return Some(format!(
            "has {count} keywords; 1 to {KEYWORDS_MAX} are taken"
        ));
    }
    let wrong = keywords.iter().find(|keyword| !is_word(keyword))?;
    Some(format!("has a keyword that is not taken: `{wrong}`"))
}

fn wrong_categories(krate: &Crate) -> Option<String> {
    let count = krate.categories.len();
    let wrong = count == 0 || count > CATEGORIES_MAX;
    wrong.then(|| format!("has {count} categories; 1 to {CATEGORIES_MAX} are taken"))
}

fn undocumented_features(krate: &Crate) -> Option<String> {
    let wrong = !krate.features.is_empty() && !krate.documents_all_features;
    wrong.then(|| "does not tell docs.rs to build with all features".to_owned())
}

fn no_example(krate: &Crate) -> Option<String> {
    let wrong = krate.is_library && krate.examples.is_empty();
    wrong.then(|| "is a library without an example".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Release {
        Release {
            licence: "MIT OR Apache-2.0".to_owned(),
            rust_version: "1.95".to_owned(),
            ..Release::default()
        }
    }

    fn good() -> Crate {
        Crate {
            name: "a".to_owned(),
            description: "Does one thing".to_owned(),
            licence: release().licence,
            rust_version: release().rust_version,
            keywords: vec!["agents".to_owned(), "key-value".to_owned()],
            categories: vec!["database".to_owned()],
            examples: vec!["shown".to_owned()],
            is_library: true,
            ..Crate::default()
        }
    }

    fn findings(change: impl FnOnce(&mut Crate)) -> Vec<String> {
        let mut krate = good();
        change(&mut krate);
        let findings = check(&krate, &release());
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_complete_manifest_is_not_reported() {
        assert_eq!(findings(|_| {}), [""; 0]);
        let documented = |krate: &mut Crate| {
            krate.features.insert("more".to_owned(), false);
            krate.documents_all_features = true;
        };
        assert_eq!(findings(documented), [""; 0]);
    }

    #[test]
    fn descriptions_that_are_missing_long_or_sentences_are_reported() {
        for (description, expected) in [
            (" ", "a: has no description"),
            ("It is.", "a: has a description that ends with a full stop"),
            (
                &*"x".repeat(121),
                "a: has a description of 121 characters; at most 120 are read",
            ),
        ] {
            assert_eq!(
                findings(|of| of.description = description.to_owned()),
                [expected]
            );
        }
    }

    #[test]
    fn another_licence_or_rust_version_than_the_workspaces_is_reported() {
        let expected = ["a: has licence `GPL-3.0-only`, the workspace `MIT OR Apache-2.0`"];
        assert_eq!(
            findings(|of| of.licence = "GPL-3.0-only".to_owned()),
            expected
        );
        let expected = ["a: has rust-version ``, the workspace `1.95`"];
        assert_eq!(findings(|of| of.rust_version = String::new()), expected);
    }

    #[test]
    fn keywords_and_categories_that_no_registry_takes_are_reported() {
        let none = ["a: has 0 keywords; 1 to 5 are taken"];
        assert_eq!(findings(|of| of.keywords = vec![]), none);
        let many = ["a: has 6 keywords; 1 to 5 are taken"];
        assert_eq!(findings(|of| of.keywords = vec!["a".to_owned(); 6]), many);
        for wrong in ["two words", "9lives", "a-keyword-of-21-chars"] {
            let expected = format!("a: has a keyword that is not taken: `{wrong}`");
            assert_eq!(
                findings(|of| of.keywords = vec![wrong.to_owned()]),
                [expected]
            );
        }
        let none = ["a: has 0 categories; 1 to 5 are taken"];
        assert_eq!(findings(|of| of.categories = vec![]), none);
    }

    #[test]
    fn features_that_docs_rs_would_not_show_are_reported() {
        let expected = ["a: does not tell docs.rs to build with all features"];
        let change = |of: &mut Crate| of.features = [("more".to_owned(), false)].into();
        assert_eq!(findings(change), expected);
    }

    #[test]
    fn a_library_needs_an_example_and_a_program_does_not() {
        let expected = ["a: is a library without an example"];
        assert_eq!(findings(|of| of.examples = vec![]), expected);
        let program = |of: &mut Crate| {
            of.examples = vec![];
            of.is_library = false;
        };
        assert_eq!(findings(program), [""; 0]);
    }
}
