//! The tree that `cargo tree --prefix depth` prints.

use std::collections::BTreeMap;

/// The crates of a tree, each with the first way by which it was reached.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// By name and version; two versions of a crate are two.
    crates: BTreeMap<String, Vec<String>>,
}

impl Tree {
    /// Reads lines such as `2serde v1.0.229 (*)`, parents before children.
    pub(super) fn parse(lines: &[String]) -> Self {
        let mut tree = Self::default();
        let mut way: Vec<String> = Vec::new();
        for line in lines {
            let Some((depth, name, version)) = parts(line) else {
                continue;
            };
            way.truncate(depth);
            way.push(name.to_owned());
            let krate = format!("{name} {version}");
            tree.crates.entry(krate).or_insert_with(|| way.clone());
        }
        tree
    }

    /// How many crates there are, the root included.
    pub(super) fn len(&self) -> usize {
        self.crates.len()
    }

    /// The way from the root to a crate, if it is there in any version.
    pub(super) fn way_to(&self, name: &str) -> Option<&[String]> {
        let mut ways = self.crates.values();
        let way = ways.find(|way| way.last().is_some_and(|last| last == name));
        way.map(Vec::as_slice)
    }
}

/// The depth, name and version in a line; none in a blank one.
fn parts(line: &str) -> Option<(usize, &str, &str)> {
    let end = line.find(|c: char| !c.is_ascii_digit())?;
    let (depth, rest) = line.split_at(end);
    let mut words = rest.split_whitespace();
    Some((depth.parse().ok()?, words.next()?, words.next()?))
}
