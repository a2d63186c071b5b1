//! Whether all that is published together has one version, and asks for it.

use super::crates::{Crate, Dependency, Release};
use crate::finding::Finding;

/// Versions of a crate, and those that it asks of ours.
pub(super) fn check(krate: &Crate, release: &Release) -> Vec<Finding> {
    let own = wrong_own(krate, release);
    let asked = krate.dependencies.iter();
    let asked = asked.filter_map(|dependency| wrong_asked(dependency, release));
    let faults = own.into_iter().chain(asked);
    faults.map(|what| Finding::new(&krate.name, what)).collect()
}

fn wrong_own(krate: &Crate, release: &Release) -> Option<String> {
    let (found, expected) = (&krate.version, &release.version);
    (found != expected).then(|| format!("has version {found}, the workspace {expected}"))
}

fn wrong_asked(dependency: &Dependency, release: &Release) -> Option<String> {
    let Dependency {
        name,
        requirement,
        in_tests,
    } = dependency;
    if release.unpublished.contains(name) {
        return Some(format!("depends on `{name}`, which is not published"));
    }
    let version = &release.version;
    if *requirement == format!("^{version}") {
        return None;
    }
    let purpose = if *in_tests { " in its tests" } else { "" };
    Some(format!(
        "asks for `{name}` {requirement}{purpose}, which is not {version}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(version: &str, name: &str, requirement: &str, in_tests: bool) -> Vec<String> {
        let release = Release {
            version: "0.2.0".to_owned(),
            unpublished: vec!["xtask".to_owned()],
            ..Release::default()
        };
        let dependency = Dependency {
            name: name.to_owned(),
            requirement: requirement.to_owned(),
            in_tests,
        };
        let krate = Crate {
            name: "a".to_owned(),
            version: version.to_owned(),
            dependencies: vec![dependency],
            ..Crate::default()
        };
        check(&krate, &release)
            .iter()
            .map(Finding::to_string)
            .collect()
    }

    #[test]
    fn one_version_for_all_is_not_reported() {
        assert_eq!(findings("0.2.0", "b", "^0.2.0", false), [""; 0]);
    }

    #[test]
    fn a_crate_that_was_left_behind_is_reported() {
        let expected = ["a: has version 0.1.0, the workspace 0.2.0"];
        assert_eq!(findings("0.1.0", "b", "^0.2.0", false), expected);
    }

    #[test]
    fn a_dependency_of_another_version_or_without_one_is_reported() {
        let expected = ["a: asks for `b` ^0.1.0, which is not 0.2.0"];
        assert_eq!(findings("0.2.0", "b", "^0.1.0", false), expected);
        let expected = ["a: asks for `b` * in its tests, which is not 0.2.0"];
        assert_eq!(findings("0.2.0", "b", "*", true), expected);
    }

    #[test]
    fn a_dependency_that_nobody_can_get_is_reported() {
        let expected = ["a: depends on `xtask`, which is not published"];
        assert_eq!(findings("0.2.0", "xtask", "^0.2.0", true), expected);
    }
}
