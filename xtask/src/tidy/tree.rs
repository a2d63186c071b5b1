//! The files of the workspace, with the questions the checks ask of a path.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::mask::{self, Views};
use crate::error::TaskError;

/// Directories that are not ours to judge: built, or git's own.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];

/// Endings of the files whose text is looked at; the rest are only known to be
/// there, so that links to them resolve.
const TEXTS: [&str; 8] = ["rs", "toml", "md", "sh", "patch", "yml", "yaml", "run"];

/// Endings of the files that a browser gets.
const OF_BROWSERS: [&str; 4] = ["html", "js", "mjs", "css"];

/// Every file of the workspace by its path from the root.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, File>,
}

/// One file.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root, with `/` between the names.
    pub(super) path: String,
    /// Empty if it is not a kind of text that is looked at.
    pub(crate) text: String,
    /// The two views of a Rust source; both empty for any other file.
    pub(super) views: Views,
}

impl Tree {
    /// Reads what lies below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self, TaskError> {
        let mut tree = Self::default();
        tree.add_directory(root, "")?;
        Ok(tree)
    }

    fn add_directory(&mut self, directory: &Path, prefix: &str) -> Result<(), TaskError> {
        let unreadable = |source| TaskError::Read {
            path: directory.to_path_buf(),
            source,
        };
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if entry.file_type().map_err(unreadable)?.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    self.add_directory(&entry.path(), &format!("{path}/"))?;
                }
            } else {
                self.add_file(&entry.path(), path)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, place: &Path, path: String) -> Result<(), TaskError> {
        let text = if is_text(&path) || is_of_browser(&path) {
            fs::read_to_string(place).map_err(|source| TaskError::Read {
                path: place.to_path_buf(),
                source,
            })?
        } else {
            String::new()
        };
        self.add(path, text);
        Ok(())
    }

    fn add(&mut self, path: String, text: String) {
        let views = if path.ends_with(".rs") {
            mask::views(&text)
        } else {
            Views::default()
        };
        self.files.insert(path.clone(), File { path, text, views });
    }

    /// A tree of these paths and texts, for tests.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    /// All files in the order of their paths.
    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    /// The file at exactly this path.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// Whether there is a file or a directory at this path.
    pub(super) fn holds(&self, path: &str) -> bool {
        let inside = format!("{}/", path.trim_end_matches('/'));
        self.files.contains_key(path)
            || path.is_empty()
            || self.files.keys().any(|file| file.starts_with(&inside))
    }

    /// The Rust sources below a directory.
    pub(crate) fn sources_in(&self, directory: &str) -> impl Iterator<Item = &File> + use<'_> {
        let inside = format!("{directory}/");
        let sources = self.files().filter(|file| file.is_rust());
        sources.filter(move |file| file.path.starts_with(&inside))
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }
}

fn is_text(path: &str) -> bool {
    TEXTS.contains(&ending(path))
}

fn is_of_browser(path: &str) -> bool {
    OF_BROWSERS.contains(&ending(path))
}

fn ending(path: &str) -> &str {
    path.rsplit(['.', '/']).next().unwrap_or_default()
}

impl File {
    /// A Rust source.
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// A Rust source of something other than this tool.
    pub(super) fn is_rust_of_others(&self) -> bool {
        self.is_rust() && !self.path.starts_with("xtask/")
    }

    /// A Rust source of a crate that must leave printing to the command.
    pub(super) fn is_silent_library(&self) -> bool {
        let mut names = self.path.split('/');
        let told = names.any(|name| matches!(name, "tests" | "examples" | "benches"));
        self.is_rust_of_others() && !self.path.starts_with("crates/windlass-cli/") && !told
    }

    /// A file of pure decisions.
    pub(super) fn is_rules(&self) -> bool {
        let name = self.path.rsplit('/').next();
        name.is_some_and(|name| name.starts_with("rules")) && self.is_rust()
            || self.path.contains("/rules/") && self.is_rust()
    }

    /// A text that travels with the project and is read by people.
    pub(super) fn is_read_by_people(&self) -> bool {
        is_text(&self.path)
    }

    /// A file of the console.
    pub(super) fn is_of_console(&self) -> bool {
        self.path.starts_with("crates/windlass-server/console/") && is_of_browser(&self.path)
    }

    /// A script or a style sheet of the console, or of its suite.
    pub(super) fn is_browser_source(&self) -> bool {
        let ours = self.is_of_console() || self.path.starts_with("xtask/console/");
        ours && is_of_browser(&self.path) && !self.path.ends_with(".html")
    }

    /// A document.
    pub(super) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// The manifest of a crate of this workspace.
    pub(super) fn is_member_manifest(&self) -> bool {
        let names: Vec<_> = self.path.split('/').collect();
        matches!(
            names[..],
            ["crates", _, "Cargo.toml"] | ["xtask" | "benches", "Cargo.toml"]
        )
    }

    /// Where the loops of the long tests are listed.
    pub(super) fn is_table_of_loops(&self) -> bool {
        self.path == "xtask/src/loops.rs"
    }

    /// The path of the directory that the file lies in.
    pub(super) fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(parent, _)| parent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn the_workspace_is_read_without_what_was_built() {
        let tree = Tree::read(&workspace::root()).unwrap();
        let own = tree.file("xtask/src/tidy/tree.rs").unwrap();
        assert!(own.text.starts_with("//! The files of the workspace"));
        assert!(tree.file(".ci/run").is_some());
        assert!(!tree.holds("target"), "what was built was read");
    }

    #[test]
    fn directories_are_held_and_namesakes_are_not() {
        let tree = Tree::of(&[("docs/adr/one.md", "")]);
        assert!(tree.holds("docs/adr"));
        assert!(tree.holds("docs/"));
        assert!(!tree.holds("doc"));
    }

    #[test]
    fn only_libraries_must_be_silent() {
        let silent = |path: &str| Tree::of(&[(path, "")]).files().all(File::is_silent_library);
        assert!(silent("crates/windlass/src/lib.rs"));
        assert!(!silent("crates/windlass/tests/it/main.rs"));
        assert!(!silent("crates/windlass/examples/turn.rs"));
        assert!(!silent("crates/windlass-cli/src/main.rs"));
        assert!(!silent("benches/src/main.rs"));
        assert!(!silent("xtask/src/main.rs"));
    }

    #[test]
    fn the_workspace_of_peers_is_no_member() {
        let member = |path: &str| {
            Tree::of(&[(path, "")])
                .files()
                .all(File::is_member_manifest)
        };
        assert!(member("crates/windlass/Cargo.toml"));
        assert!(member("benches/Cargo.toml"));
        assert!(!member("benches/peers/Cargo.toml"));
        assert!(!member("Cargo.toml"));
    }
}
