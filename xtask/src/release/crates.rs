//! What the rules of a release look at: the publishable crates in the order in
//! which they are published, and the texts that belong to all of them.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, TargetKind};

use super::text_of;
use crate::error::TaskError;
use crate::workspace;

/// The licences whose texts every package holds.
pub(super) const LICENCE_FILES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Everything that would be published together.
#[derive(Debug, Default)]
pub(super) struct Release {
    pub(super) version: String,
    pub(super) licence: String,
    pub(super) rust_version: String,
    pub(super) changelog: String,
    /// The project's, not a crate's.
    pub(super) readme: String,
    /// The root's licence texts, by file.
    pub(super) licences: BTreeMap<String, String>,
    /// Dependencies before those that depend on them.
    pub(super) crates: Vec<Crate>,
    /// The members that stay here.
    pub(super) unpublished: Vec<String>,
    /// The root as text, which must not be in a package.
    pub(super) root: String,
}

/// One publishable crate.
#[derive(Clone, Debug, Default)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) description: String,
    pub(super) licence: String,
    pub(super) rust_version: String,
    pub(super) keywords: Vec<String>,
    pub(super) categories: Vec<String>,
    pub(super) readme: String,
    /// All but `default`, and whether it is among those.
    pub(super) features: BTreeMap<String, bool>,
    /// Whether docs.rs is told to build with all of them.
    pub(super) documents_all_features: bool,
    pub(super) examples: Vec<String>,
    pub(super) is_library: bool,
    /// Those of ours only.
    pub(super) dependencies: Vec<Dependency>,
}

/// A dependency on one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// As cargo writes it: `^0.1.0`, or `*` if there is none.
    pub(super) requirement: String,
    pub(super) in_tests: bool,
}

impl Crate {
    /// The name of its package, without an ending.
    pub(super) fn stem(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

impl Release {
    /// Reads the workspace.
    pub(super) fn read() -> Result<Self, TaskError> {
        let metadata = workspace::members()?;
        let root = workspace::root();
        let manifest = text_of(&root.join("Cargo.toml"))?;
        let manifest: toml::Table = manifest.parse()?;
        let common = |field: &str| {
            let value = manifest.get("workspace").and_then(|of| of.get("package"));
            let value = value.and_then(|of| of.get(field)?.as_str());
            value.unwrap_or_default().to_owned()
        };
        let mut licences = BTreeMap::new();
        for file in LICENCE_FILES {
            licences.insert(file.to_owned(), text_of(&root.join(file))?);
        }
        let (crates, unpublished) = members(&metadata)?;
        Ok(Self {
            version: common("version"),
            licence: common("license"),
            rust_version: common("rust-version"),
            changelog: text_of(&root.join("CHANGELOG.md"))?,
            readme: text_of(&root.join("README.md"))?,
            licences,
            crates: ordered(crates),
            unpublished,
            root: root.display().to_string(),
        })
    }
}

fn members(metadata: &Metadata) -> Result<(Vec<Crate>, Vec<String>), TaskError> {
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<String> = packages.iter().map(|of| of.name.to_string()).collect();
    let (mut crates, mut unpublished) = (Vec::new(), Vec::new());
    for package in packages {
        if package.publish.as_ref().is_none_or(|to| !to.is_empty()) {
            crates.push(read(package, &ours)?);
        } else {
            unpublished.push(package.name.to_string());
        }
    }
    unpublished.sort();
    Ok((crates, unpublished))
}

fn read(package: &cargo_metadata::Package, ours: &BTreeSet<String>) -> Result<Crate, TaskError> {
    let readme = match package.readme() {
        Some(path) if path.exists() => text_of(path.as_std_path())?,
        _ => String::new(),
    };
    let is = |kind: TargetKind| {
        package
            .targets
            .iter()
            .filter(move |target| target.kind.contains(&kind))
    };
    let all_features = package.metadata.pointer("/docs/rs/all-features");
    let own = package.dependencies.iter();
    let own = own.filter(|dependency| ours.contains(&dependency.name));
    Ok(Crate {
        name: package.name.to_string(),
        version: package.version.to_string(),
        description: package.description.clone().unwrap_or_default(),
        licence: package.license.clone().unwrap_or_default(),
        rust_version: rust_version(package),
        keywords: package.keywords.clone(),
        categories: package.categories.clone(),
        readme,
        features: features(package),
        documents_all_features: all_features == Some(&true.into()),
        examples: is(TargetKind::Example)
            .map(|target| target.name.clone())
            .collect(),
        is_library: is(TargetKind::Lib).next().is_some(),
        dependencies: own.map(dependency).collect(),
    })
}

/// As the manifest writes it, `1.95`, which cargo completes to `1.95.0`.
fn rust_version(package: &cargo_metadata::Package) -> String {
    let version = package.rust_version.as_ref().map(ToString::to_string);
    let version = version.unwrap_or_default();
    version.strip_suffix(".0").unwrap_or(&version).to_owned()
}

fn features(package: &cargo_metadata::Package) -> BTreeMap<String, bool> {
    let default = package.features.get("default");
    let is_default = |name: &String| default.is_some_and(|set| set.contains(name));
    let names = package.features.keys().filter(|name| *name != "default");
    names.map(|name| (name.clone(), is_default(name))).collect()
}

fn dependency(dependency: &cargo_metadata::Dependency) -> Dependency {
    Dependency {
        name: dependency.name.clone(),
        requirement: dependency.req.to_string(),
        in_tests: dependency.kind == DependencyKind::Development,
    }
}

/// Dependencies first; those of tests count too, since cargo wants them to be
/// published. What is in a circle comes last, in the order it came in.
fn ordered(mut crates: Vec<Crate>) -> Vec<Crate> {
    let mut done: Vec<Crate> = Vec::new();
    loop {
        let known = |name: &str| done.iter().any(|of| of.name == name);
        let ready = |of: &Crate| of.dependencies.iter().all(|on| known(&on.name));
        let Some(next) = crates.iter().position(ready) else {
            done.append(&mut crates);
            return done;
        };
        done.push(crates.remove(next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_read_with_dependencies_first() {
        let release = Release::read().unwrap();
        let names: Vec<_> = release.crates.iter().map(|of| of.name.as_str()).collect();
        let place = |name: &str| names.iter().position(|of| *of == name).unwrap();
        assert!(
            place("windlass-store") < place("windlass-store-testing"),
            "{names:?}"
        );
        assert!(
            place("windlass-store-testing") < place("windlass-store-memory"),
            "{names:?}"
        );
        assert!(place("windlass") < place("windlass-cli"), "{names:?}");
        assert_eq!(release.unpublished, ["windlass-benches", "xtask"]);
        assert_eq!(release.licence, "MIT OR Apache-2.0");
    }

    #[test]
    fn features_are_read_with_their_defaults() {
        let release = Release::read().unwrap();
        let facade = release
            .crates
            .iter()
            .find(|of| of.name == "windlass")
            .unwrap();
        assert_eq!(facade.features.get("memory"), Some(&true));
        assert_eq!(facade.features.get("default"), None);
        assert!(facade.documents_all_features, "{facade:?}");
    }

    #[test]
    fn a_circle_of_dependencies_ends_the_order_and_not_the_program() {
        let krate = |name: &str, on: &str| Crate {
            name: name.to_owned(),
            dependencies: vec![Dependency {
                name: on.to_owned(),
                requirement: "^0.1.0".to_owned(),
                in_tests: true,
            }],
            ..Crate::default()
        };
        let crates = ordered(vec![krate("a", "b"), krate("b", "a")]);
        assert_eq!(crates.len(), 2);
    }
}
