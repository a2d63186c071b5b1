//! Making the packages, and building each from nothing but what they hold.
//!
//! Cargo's own verification will not do: it unpacks our crates into the user's
//! cache under their version, and takes what it finds there the next time,
//! whatever has changed since. So the packages are unpacked here, into a
//! workspace in which each stands in for the registry's, and checked one by
//! one, examples included.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use toml::{Table, Value};

use super::crates::{Crate, Release};
use super::text_of;
use crate::commands::{self, cargo};
use crate::error::TaskError;
use crate::workspace;

/// Packages everything and unpacks it into a workspace at `place`; whether
/// that went well.
pub(super) fn package(release: &Release, made: &Path, place: &Path) -> Result<bool, TaskError> {
    if !commands::run(&mut packaging(release))?.success() {
        return Ok(false);
    }
    if place.exists() {
        written(place, fs::remove_dir_all(place))?;
    }
    written(place, fs::create_dir_all(place))?;
    for krate in &release.crates {
        let packed = made.join(format!("{}.crate", krate.stem()));
        if !commands::run(&mut unpacking(&packed, place))?.success() {
            return Ok(false);
        }
    }
    join(release, place)?;
    Ok(true)
}

/// Cargo knows the order. A work tree with changes is packaged as it is.
fn packaging(release: &Release) -> Command {
    let mut command = cargo(&["package", "--workspace", "--offline", "--allow-dirty"]);
    command.arg("--no-verify");
    for name in &release.unpublished {
        command.args(["--exclude", name]);
    }
    command
}

/// The files are dated now (`m`): in every package they have one and the same
/// date, by which cargo would take them for what it built before.
fn unpacking(packed: &Path, place: &Path) -> Command {
    let mut command = Command::new("tar");
    command.arg("-xzmf").arg(packed).arg("-C").arg(place);
    command
}

/// Makes the unpacked packages a workspace, with the versions of others that
/// are tested here.
fn join(release: &Release, place: &Path) -> Result<(), TaskError> {
    let root = workspace::root();
    let house: Table = text_of(&root.join("Cargo.toml"))?.parse()?;
    let manifest = place.join("Cargo.toml");
    let text = together(&release.crates, house.get("profile")).to_string();
    written(&manifest, fs::write(&manifest, text))?;
    let lock = place.join("Cargo.lock");
    written(&lock, fs::copy(root.join("Cargo.lock"), &lock).map(drop))
}

/// The manifest of a workspace of packages, in which whoever asks the registry
/// for one of ours gets the package. The profile is the house's, so that what
/// others need is not built once more.
fn together(crates: &[Crate], profile: Option<&Value>) -> Table {
    let stems = crates.iter().map(|krate| Value::String(krate.stem()));
    let members = Value::Array(stems.collect());
    let ours = crates.iter().map(|krate| {
        let path = Value::String(krate.stem());
        let path = Table::from_iter([("path".to_owned(), path)]);
        (krate.name.clone(), Value::Table(path))
    });
    let instead = Table::from_iter([("crates-io".to_owned(), Value::Table(ours.collect()))]);
    let own = Table::from_iter([
        ("resolver".to_owned(), Value::String("3".to_owned())),
        ("members".to_owned(), members),
    ]);
    let mut manifest = Table::new();
    manifest.insert("workspace".to_owned(), Value::Table(own));
    manifest.insert("patch".to_owned(), Value::Table(instead));
    if let Some(profile) = profile {
        manifest.insert("profile".to_owned(), profile.clone());
    }
    manifest
}

/// Checks one package by itself; whether it can be built.
pub(super) fn check(krate: &Crate, place: &Path, target: &Path) -> Result<bool, TaskError> {
    let mut command = cargo(&["check", "--quiet", "--offline", "--package", &krate.name]);
    command.args(["--bins", "--examples"]);
    if krate.is_library {
        command.arg("--lib");
    }
    command.arg("--target-dir").arg(target).current_dir(place);
    Ok(commands::run(&mut command)?.success())
}

fn written(path: &Path, done: std::io::Result<()>) -> Result<(), TaskError> {
    let path = PathBuf::from(path);
    done.map_err(|source| TaskError::Write { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_left_out_of_what_is_packaged() {
        let command = packaging(&Release::read().unwrap());
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy())
            .collect();
        let excluded: Vec<_> = words
            .windows(2)
            .filter(|pair| pair[0] == "--exclude")
            .map(|pair| pair[1].as_ref())
            .collect();
        assert_eq!(excluded, ["windlass-benches", "xtask"]);
    }

    #[test]
    fn what_is_unpacked_is_newer_than_what_was_built_before() {
        let place = workspace::members()
            .unwrap()
            .target_directory
            .join("unpacking");
        let (source, packed) = (place.join("a.txt"), place.join("a.crate"));
        fs::create_dir_all(&place).unwrap();
        fs::write(&source, "a").unwrap();
        let mut pack = Command::new("tar");
        pack.args([
            "--mtime=2006-07-24",
            "-czf",
            packed.as_str(),
            "-C",
            place.as_str(),
        ]);
        assert!(pack.arg("a.txt").status().unwrap().success(), "{pack:?}");
        fs::remove_file(&source).unwrap();
        let mut unpack = unpacking(packed.as_std_path(), place.as_std_path());
        assert!(unpack.status().unwrap().success(), "{unpack:?}");
        let date = |path| fs::metadata(path).and_then(|of| of.modified()).unwrap();
        assert!(date(&source) >= date(&packed), "{:?}", date(&source));
    }

    #[test]
    fn packages_stand_in_for_the_registrys_and_take_the_houses_profile() {
        let krate = Crate {
            name: "a".to_owned(),
            version: "0.1.0".to_owned(),
            ..Crate::default()
        };
        let house: Table = "[profile.dev]\ndebug = 0".parse().unwrap();
        let expected = "\
[workspace]
resolver = \"3\"
members = [\"a-0.1.0\"]
[patch.crates-io]
a = { path = \"a-0.1.0\" }
[profile.dev]
debug = 0
";
        let expected: Table = expected.parse().unwrap();
        assert_eq!(together(&[krate], house.get("profile")), expected);
    }
}
