//! What is in a package: all that belongs there, and nothing else.

use std::fs;
use std::path::Path;

use super::crates::{Crate, LICENCE_FILES, Release};
use crate::error::TaskError;
use crate::finding::Finding;
use crate::tidy::words::machine_path_in;

/// Largest packed package: ten of them are read in a second on a slow line.
const PACKED_BYTES_MAX: u64 = 256 * 1024;

/// Largest file of a package; a larger one is data, which belongs elsewhere.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// What cargo itself adds.
const OF_CARGO: [&str; 4] = [
    "Cargo.toml",
    "Cargo.toml.orig",
    "Cargo.lock",
    ".cargo_vcs_info.json",
];

/// The directories of ours that are packaged.
const DIRECTORIES: [&str; 2] = ["src/", "examples/"];

/// One package, as cargo has made and unpacked it.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) packed_bytes: u64,
    /// By path from the package's root.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

impl Package {
    /// Reads what cargo made of a crate, and what was unpacked of it below
    /// `place`.
    pub(super) fn read(made: &Path, place: &Path, krate: &Crate) -> Result<Self, TaskError> {
        let stem = krate.stem();
        let packed = made.join(format!("{stem}.crate"));
        let packed_bytes = fs::metadata(&packed).map_err(|source| unreadable(&packed, source))?;
        let mut package = Self {
            name: krate.name.clone(),
            packed_bytes: packed_bytes.len(),
            files: Vec::new(),
        };
        package.add(&place.join(stem), "")?;
        package.files.sort();
        Ok(package)
    }

    fn add(&mut self, directory: &Path, prefix: &str) -> Result<(), TaskError> {
        let entries = fs::read_dir(directory).map_err(|source| unreadable(directory, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| unreadable(directory, source))?;
            let (place, name) = (entry.path(), entry.file_name());
            let path = format!("{prefix}{}", name.to_string_lossy());
            if place.is_dir() {
                self.add(&place, &format!("{path}/"))?;
            } else {
                let bytes = fs::read(&place).map_err(|source| unreadable(&place, source))?;
                self.files.push((path, bytes));
            }
        }
        Ok(())
    }

    /// How much it is on the disk of whoever takes it.
    pub(super) fn unpacked_bytes(&self) -> u64 {
        let sizes = self.files.iter().map(|(_, bytes)| bytes.len());
        sizes.sum::<usize>().try_into().unwrap_or(u64::MAX)
    }

    fn text(&self, path: &str) -> Option<&[u8]> {
        let mut files = self.files.iter();
        files
            .find(|(found, _)| found == path)
            .map(|(_, bytes)| bytes.as_slice())
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> TaskError {
    let path = path.to_path_buf();
    TaskError::Read { path, source }
}

/// Everything that is missing, too much or too large.
pub(super) fn check(package: &Package, krate: &Crate, release: &Release) -> Vec<Finding> {
    let mut faults = missing(package, krate);
    faults.extend(wrong_licences(package, release));
    faults.extend(too_large(package));
    for (path, bytes) in &package.files {
        faults.extend(foreign(path));
        faults.extend(machine_paths(path, bytes, &release.root));
    }
    faults
        .into_iter()
        .map(|what| Finding::new(&package.name, what))
        .collect()
}

fn missing(package: &Package, krate: &Crate) -> Vec<String> {
    let source = if krate.is_library {
        "src/lib.rs"
    } else {
        "src/main.rs"
    };
    let wanted = ["Cargo.toml", "README.md", source].into_iter();
    let wanted = wanted.filter(|path| package.text(path).is_none());
    let mut faults: Vec<_> = wanted.map(|path| format!("packages no `{path}`")).collect();
    let mut paths = package.files.iter().map(|(path, _)| path);
    if krate.is_library && !paths.any(|path| path.starts_with("examples/")) {
        faults.push("packages no example".to_owned());
    }
    faults
}

fn wrong_licences(package: &Package, release: &Release) -> Vec<String> {
    let wrong = LICENCE_FILES
        .into_iter()
        .filter_map(|file| match package.text(file) {
            None => Some(format!("packages no `{file}`")),
            Some(found) if Some(found) == release.licences.get(file).map(String::as_bytes) => None,
            Some(_) => Some(format!("packages a `{file}` that is not the workspace's")),
        });
    wrong.collect()
}

fn too_large(package: &Package) -> Vec<String> {
    let large = package
        .files
        .iter()
        .filter(|(_, bytes)| bytes.len() > FILE_BYTES_MAX);
    let mut faults: Vec<_> = large
        .map(|(path, bytes)| {
            let count = bytes.len();
            format!("packages `{path}` of {count} bytes; at most {FILE_BYTES_MAX} may be")
        })
        .collect();
    if package.packed_bytes > PACKED_BYTES_MAX {
        let count = package.packed_bytes;
        faults.push(format!(
            "has {count} bytes packed; at most {PACKED_BYTES_MAX} may be"
        ));
    }
    faults
}

/// Tests, their fixtures and faults stay here: they need the workspace.
fn foreign(path: &str) -> Option<String> {
    let own = DIRECTORIES
        .iter()
        .any(|directory| path.starts_with(directory))
        || OF_CARGO.contains(&path)
        || LICENCE_FILES.contains(&path)
        || path == "README.md";
    (!own).then(|| format!("packages `{path}`, which does not belong there"))
}

fn machine_paths(path: &str, bytes: &[u8], root: &str) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let root = Some(root).filter(|root| text.contains(*root));
    let found = root.or_else(|| machine_path_in(&text))?;
    Some(format!(
        "packages `{path}`, which names a place of one machine: `{found}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Release {
        let text = |file: &str| (file.to_owned(), format!("text of {file}"));
        Release {
            licences: LICENCE_FILES.into_iter().map(text).collect(),
            root: "/somewhere/windlass".to_owned(),
            ..Release::default()
        }
    }

    fn good() -> Package {
        let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
        Package {
            name: "a".to_owned(),
            packed_bytes: 1_000,
            files: vec![
                file("Cargo.toml", "[package]"),
                file("Cargo.lock", ""),
                file("README.md", "# a"),
                file("LICENSE-APACHE", "text of LICENSE-APACHE"),
                file("LICENSE-MIT", "text of LICENSE-MIT"),
                file("src/lib.rs", "//! A."),
                file("examples/shown.rs", "fn main() {}"),
            ],
        }
    }

    fn findings(change: impl FnOnce(&mut Package)) -> Vec<String> {
        let mut package = good();
        change(&mut package);
        let krate = Crate {
            is_library: true,
            ..Crate::default()
        };
        let findings = check(&package, &krate, &release());
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_package_of_what_belongs_there_is_not_reported() {
        assert_eq!(findings(|_| {}), [""; 0]);
    }

    #[test]
    fn whatever_is_missing_is_reported() {
        for (path, expected) in [
            ("Cargo.toml", "a: packages no `Cargo.toml`"),
            ("README.md", "a: packages no `README.md`"),
            ("src/lib.rs", "a: packages no `src/lib.rs`"),
            ("examples/shown.rs", "a: packages no example"),
            ("LICENSE-MIT", "a: packages no `LICENSE-MIT`"),
        ] {
            let without = |of: &mut Package| of.files.retain(|(found, _)| found != path);
            assert_eq!(findings(without), [expected]);
        }
    }

    #[test]
    fn another_text_of_a_licence_is_reported() {
        let change = |of: &mut Package| of.files[4].1.push(b'!');
        let expected = ["a: packages a `LICENSE-MIT` that is not the workspace's"];
        assert_eq!(findings(change), expected);
    }

    #[test]
    fn tests_and_faults_are_reported() {
        for path in ["tests/it/main.rs", "faults/one.patch", "notes.md", "src.rs"] {
            let add = |of: &mut Package| of.files.push((path.to_owned(), vec![]));
            let expected = format!("a: packages `{path}`, which does not belong there");
            assert_eq!(findings(add), [expected]);
        }
    }

    #[test]
    fn large_files_and_packages_are_reported() {
        let file = |of: &mut Package| of.files[6].1 = vec![b' '; FILE_BYTES_MAX + 1];
        let expected = ["a: packages `examples/shown.rs` of 65537 bytes; at most 65536 may be"];
        assert_eq!(findings(file), expected);
        let packed = |of: &mut Package| of.packed_bytes = PACKED_BYTES_MAX + 1;
        let expected = ["a: has 262145 bytes packed; at most 262144 may be"];
        assert_eq!(findings(packed), expected);
    }

    #[test]
    fn places_of_one_machine_are_reported() {
        for place in ["/somewhere/windlass/Cargo.toml", concat!("/ho", "me/me")] {
            let add = |of: &mut Package| of.files[5].1.extend(format!("\n{place}").bytes());
            let found = findings(add);
            assert_eq!(found.len(), 1, "{found:?}");
            let expected = "a: packages `src/lib.rs`, which names a place of one machine";
            assert!(found[0].starts_with(expected), "{found:?}");
        }
    }
}
