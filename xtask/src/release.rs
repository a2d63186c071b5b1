//! What a release would publish, packaged and looked at without publishing it.
//!
//! `cargo xtask release --dry-run` packages every publishable crate, builds
//! each from packages alone, and reads what is in them. The rules that
//! need no package (manifests, versions, READMEs, the changelog) are a step of
//! `ci` as well: they take a moment and build nothing. Nothing here
//! uploads anything: publishing is a maintainer's decision, and [`STEPS`] says
//! how it is done.

mod build;
mod changelog;
mod contents;
mod crates;
mod manifest;
mod readme;
mod versions;

use std::fs;
use std::process::ExitCode;

use crate::error::TaskError;
use crate::finding::{self, Finding};
use crate::steps::Outcome;
use crate::workspace;
use contents::Package;
use crates::Release;

/// What a maintainer does.
const STEPS: &str = "\
Nothing was published: this tool never does. To release:
  1. set `version` in the workspace's Cargo.toml, there and beside each path
  2. give the changelog a section `## [VERSION] - DATE` with what was unreleased
  3. cargo xtask ci, cargo xtask nightly, cargo xtask release --dry-run
  4. commit, and tag the commit with vVERSION
  5. cargo publish --workspace, which knows the order
  6. push the commit and the tag
";

/// The command: with `dry_run` everything but the upload, without it only what
/// is to be done by hand.
pub(crate) fn run(dry_run: bool) -> Result<ExitCode, TaskError> {
    if !dry_run {
        eprint!("{STEPS}");
        return Ok(ExitCode::FAILURE);
    }
    let outcome = step()?;
    println!("release: {outcome}");
    Ok(if outcome.is_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Packages, builds and checks everything, as a step of a longer run.
pub(crate) fn step() -> Result<Outcome, TaskError> {
    let release = Release::read()?;
    let mut findings = check(&release);
    let target = workspace::members()?.target_directory.into_std_path_buf();
    let (made, place) = (target.join("package"), target.join("packages"));
    if !build::package(&release, &made, &place)? {
        finding::report(&findings);
        return Ok(Outcome::Failed("a crate cannot be packaged".to_owned()));
    }
    let mut packages = Vec::new();
    for krate in &release.crates {
        if !build::check(krate, &place, &target)? {
            findings.push(Finding::new(&krate.name, "cannot be built from packages"));
        }
        packages.push(Package::read(&made, &place, krate)?);
    }
    findings.extend(contents_of(&release, &packages));
    print!("\n{}", table(&packages));
    Ok(verdict(&findings, packages.len()))
}

/// The rules that need no package, as a step of a longer run.
pub(crate) fn rules() -> Result<Outcome, TaskError> {
    let release = Release::read()?;
    Ok(verdict(&check(&release), release.crates.len()))
}

fn verdict(findings: &[Finding], crates: usize) -> Outcome {
    if finding::report(findings) {
        Outcome::Passed(format!("{crates} crates"))
    } else {
        Outcome::Failed(format!("{} faults", findings.len()))
    }
}

/// Everything that can be said without a package.
fn check(release: &Release) -> Vec<Finding> {
    let mut findings = changelog::check(&release.changelog, &release.version);
    findings.extend(readme::check_project(&release.readme, &release.crates));
    for krate in &release.crates {
        findings.extend(manifest::check(krate, release));
        findings.extend(versions::check(krate, release));
        findings.extend(readme::check(krate));
    }
    findings
}

fn contents_of(release: &Release, packages: &[Package]) -> Vec<Finding> {
    let pairs = release.crates.iter().zip(packages);
    let findings = pairs.flat_map(|(krate, package)| contents::check(package, krate, release));
    findings.collect()
}

/// A line a crate, in the order in which they are published.
fn table(packages: &[Package]) -> String {
    let width = packages.iter().map(|package| package.name.len()).max();
    let width = width.unwrap_or(0);
    let mut text = format!("{:width$}  files   unpacked     packed\n", "crate");
    for package in packages {
        let (files, unpacked) = (package.files.len(), kibibytes(package.unpacked_bytes()));
        let packed = kibibytes(package.packed_bytes);
        let name = &package.name;
        text.push_str(&format!(
            "{name:width$}  {files:>5}  {unpacked:>9}  {packed:>9}\n"
        ));
    }
    text
}

/// Such as `12.5 KiB`, rounded down.
fn kibibytes(bytes: u64) -> String {
    format!("{}.{} KiB", bytes / 1024, bytes % 1024 * 10 / 1024)
}

/// The text of a file of the workspace.
fn text_of(path: &std::path::Path) -> Result<String, TaskError> {
    fs::read_to_string(path).map_err(|source| TaskError::Read {
        path: path.to_path_buf(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_as_it_is_could_be_released() {
        let findings = check(&Release::read().unwrap());
        let findings: Vec<_> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(findings, [""; 0]);
    }

    #[test]
    fn nothing_is_published_and_the_maintainer_is_told_how() {
        assert_eq!(run(false).unwrap(), ExitCode::FAILURE);
        assert!(STEPS.contains("cargo publish --workspace"), "{STEPS}");
    }

    #[test]
    fn sizes_are_shown_a_line_a_crate() {
        let package = Package {
            name: "windlass-core".to_owned(),
            packed_bytes: 1_536,
            files: vec![("src/lib.rs".to_owned(), vec![0; 10 * 1024 + 103])],
        };
        let expected = "\
crate          files   unpacked     packed
windlass-core      1   10.1 KiB    1.5 KiB
";
        assert_eq!(table(&[package]), expected);
    }
}
