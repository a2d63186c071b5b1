//! Whether a README says what its crate is, shows it, and lists its features.

use std::collections::BTreeMap;

use super::crates::Crate;
use crate::finding::Finding;

/// Under which heading the features are.
const FEATURES: &str = "## Features";

/// The crate whose features a user chooses from.
const FACADE: &str = "windlass";

/// Everything that is missing or wrong.
pub(super) fn check(krate: &Crate) -> Vec<Finding> {
    let place = format!("{}/README.md", krate.name);
    if krate.readme.is_empty() {
        return vec![Finding::new(place, "is not there")];
    }
    let mut faults = Vec::new();
    faults.extend(wrong_title(krate));
    faults.extend(no_code(krate));
    faults.extend(wrong_examples(krate));
    faults.extend(wrong_features(krate));
    faults.extend(wrong_versions(krate));
    faults
        .into_iter()
        .map(|what| Finding::new(&place, what))
        .collect()
}

fn wrong_title(krate: &Crate) -> Option<String> {
    let expected = format!("# {}", krate.name);
    let found = krate.readme.lines().next();
    (found != Some(&expected)).then(|| format!("does not begin with `{expected}`"))
}

/// An example of a library is one that rustdoc compiles; of a program, one
/// that its tests run.
fn no_code(krate: &Crate) -> Option<String> {
    let fence = if krate.is_library {
        "```rust"
    } else {
        "```console"
    };
    let shown = krate.readme.lines().any(|line| line == fence);
    (!shown).then(|| format!("shows no example that is tried, in a block `{fence}`"))
}

/// The README of the whole project leads to every crate's, and has the feature
/// table of the facade; its other tables have no code in their first column.
pub(super) fn check_project(text: &str, crates: &[Crate]) -> Vec<Finding> {
    let link = |name: &str| format!("(crates/{name}/README.md)");
    let unnamed = crates.iter().filter(|of| !text.contains(&link(&of.name)));
    let mut faults: Vec<_> = unnamed
        .map(|of| format!("does not lead to `{}`", of.name))
        .collect();
    for facade in crates.iter().filter(|of| of.name == FACADE) {
        faults.extend(wrong_table(text, &facade.features));
    }
    let findings = faults.into_iter();
    findings
        .map(|what| Finding::new("README.md", what))
        .collect()
}

/// At least one of the examples is named; none is that does not exist.
fn wrong_examples(krate: &Crate) -> Vec<String> {
    let words: Vec<_> = krate.readme.split_whitespace().collect();
    let named = words.windows(2).filter(|pair| pair[0] == "--example");
    let named: Vec<_> = named.map(|pair| pair[1].trim_matches('`')).collect();
    let exists = |name: &&&str| krate.examples.iter().any(|example| example == **name);
    let ghosts = named.iter().filter(|name| !exists(name));
    let mut faults: Vec<_> = ghosts
        .map(|name| format!("names an example that is not there: `{name}`"))
        .collect();
    if named.is_empty() && !krate.examples.is_empty() {
        faults.push("names none of the crate's examples".to_owned());
    }
    faults
}

fn wrong_features(krate: &Crate) -> Vec<String> {
    let Some((_, section)) = krate.readme.split_once(FEATURES) else {
        return vec![format!("has no `{FEATURES}`")];
    };
    let section = section.split("\n## ").next().unwrap_or_default();
    wrong_table(section, &krate.features)
}

/// A table has a row for each feature and no other, with its default.
fn wrong_table(section: &str, features: &BTreeMap<String, bool>) -> Vec<String> {
    let listed: BTreeMap<_, _> = section.lines().filter_map(row).collect();
    let mut faults = Vec::new();
    for (name, is_default) in features {
        let expected = if *is_default { "yes" } else { "no" };
        match listed.get(name.as_str()) {
            None => faults.push(format!("does not list the feature `{name}`")),
            Some(found) if *found != expected => faults.push(format!(
                "says `{found}` of whether `{name}` is a default, which is `{expected}`"
            )),
            Some(_) => {}
        }
    }
    let ghosts = listed.keys().filter(|name| !features.contains_key(**name));
    faults.extend(ghosts.map(|name| format!("lists a feature that is not there: `{name}`")));
    faults
}

/// The feature and its default in a row such as
/// ``| `sqlite` | yes | the durable store |``.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix("| `")?.split(" | ");
    let name = cells.next()?.strip_suffix('`')?;
    Some((name, cells.next()?.trim()))
}

/// A line for a manifest that asks for another version of ours.
fn wrong_versions(krate: &Crate) -> Vec<String> {
    let lines = krate.readme.lines();
    let asked = lines.filter(|line| line.starts_with("windlass") && line.contains(" = "));
    let asked = asked.filter_map(|line| line.split('"').nth(1));
    let fits = |version: &&str| krate.version.starts_with(*version);
    let wrong = asked.filter(|version| !fits(version));
    let faults = wrong.map(|version| format!("asks for version {version} of ours"));
    faults.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "\
# a

Does one thing.

```toml
windlass-a = \"0.1\"
```

```rust
a();
```

`cargo run -p a --example shown` shows it.

## Features

| feature | default | what it brings |
|---|---|---|
| `big` | no | more |
| `small` | yes | less |

## Licence
";

    fn findings(text: &str) -> Vec<String> {
        let krate = Crate {
            name: "a".to_owned(),
            version: "0.1.0".to_owned(),
            readme: text.to_owned(),
            features: BTreeMap::from([("big".to_owned(), false), ("small".to_owned(), true)]),
            examples: vec!["shown".to_owned()],
            is_library: true,
            ..Crate::default()
        };
        let findings = check(&krate);
        let findings = findings.iter().map(Finding::to_string);
        let findings = findings.map(|line| line.replacen("a/README.md: ", "", 1));
        findings.collect()
    }

    #[test]
    fn a_complete_readme_is_not_reported() {
        assert_eq!(findings(README), [""; 0]);
    }

    #[test]
    fn what_a_readme_lacks_is_reported() {
        for (from, to, expected) in [
            ("# a", "# b", "does not begin with `# a`"),
            (
                "```rust",
                "```text",
                "shows no example that is tried, in a block ````rust`",
            ),
            (
                "--example shown",
                "nothing",
                "names none of the crate's examples",
            ),
            (
                "--example shown",
                "--example hidden",
                "names an example that is not there: `hidden`",
            ),
            ("\"0.1\"", "\"0.2\"", "asks for version 0.2 of ours"),
        ] {
            assert_eq!(findings(&README.replacen(from, to, 1)), [expected]);
        }
        assert_eq!(findings(""), ["is not there"]);
    }

    #[test]
    fn a_feature_table_that_is_not_the_manifests_is_reported() {
        for (from, to, expected) in [
            ("## Features", "## Else", "has no `## Features`"),
            (
                "| `big` | no | more |\n",
                "",
                "does not list the feature `big`",
            ),
            (
                "| `big` | no |",
                "| `big` | yes |",
                "says `yes` of whether `big` is a default, which is `no`",
            ),
            (
                "| `small`",
                "| `tiny` | no | least |\n| `small`",
                "lists a feature that is not there: `tiny`",
            ),
        ] {
            assert_eq!(findings(&README.replacen(from, to, 1)), [expected]);
        }
    }

    #[test]
    fn the_projects_readme_leads_to_every_crate_and_lists_the_facades_features() {
        let facade = Crate {
            name: FACADE.to_owned(),
            features: BTreeMap::from([("memory".to_owned(), true)]),
            ..Crate::default()
        };
        let part = Crate {
            name: "windlass-a".to_owned(),
            ..Crate::default()
        };
        let crates = [facade, part];
        let text = "\
[one](crates/windlass/README.md) [two](crates/windlass-a/README.md)
| `memory` | yes | a store |
";
        let findings = |text: &str| {
            let findings = check_project(text, &crates);
            findings.iter().map(Finding::to_string).collect::<Vec<_>>()
        };
        assert_eq!(findings(text), [""; 0]);
        let expected = ["README.md: does not lead to `windlass-a`"];
        assert_eq!(findings(&text.replace("windlass-a", "b")), expected);
        let expected = ["README.md: does not list the feature `memory`"];
        assert_eq!(findings(&text.replace("`memory`", "memory")), expected);
    }

    #[test]
    fn a_program_shows_itself_at_a_terminal() {
        let krate = Crate {
            name: "a".to_owned(),
            readme: "# a\n```console\n$ a\n```\n## Features\nNone.\n".to_owned(),
            ..Crate::default()
        };
        let findings = check(&krate);
        assert_eq!(findings, []);
    }
}
