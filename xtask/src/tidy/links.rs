//! Whether the links between documents lead to a file, and to a heading in it.

use super::Fault;
use super::tree::{File, Tree};

/// Links that lead nowhere. Those to other sites are taken on trust.
pub(super) fn broken(file: &File, tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (line, text) in prose(&file.text) {
        for target in targets(&text) {
            if !is_elsewhere(target) && !leads_somewhere(file, target, tree) {
                faults.push(Fault::at(line, format!("links to nothing: `{target}`")));
            }
        }
    }
    faults
}

/// The lines outside fenced code, counted from one, without code spans.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let outside = line.split('`').step_by(2).collect::<Vec<_>>();
            lines.push((index + 1, outside.join(" ")));
        }
    }
    lines
}

/// What the links in a line point at: `[text](target)` and `[name]: target`.
fn targets(line: &str) -> Vec<&str> {
    let inline = line.split("](").skip(1);
    let inline = inline.filter_map(|rest| rest.split([')', ' ']).next());
    let named = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "));
    let named = named.and_then(|(_, rest)| rest.split_whitespace().next());
    inline.chain(named).collect()
}

fn is_elsewhere(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

fn leads_somewhere(file: &File, target: &str, tree: &Tree) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() {
        file.path.clone()
    } else {
        match resolved(file.directory(), path) {
            Some(path) => path,
            None => return false,
        }
    };
    let headed = |document: &File| headings(&document.text).any(|slug| slug == anchor);
    tree.holds(&path) && (anchor.is_empty() || tree.file(&path).is_some_and(headed))
}

/// The path from the root, or none if it leaves the root.
fn resolved(directory: &str, path: &str) -> Option<String> {
    let mut names: Vec<_> = directory
        .split('/')
        .filter(|name| !name.is_empty())
        .collect();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

/// The names under which the headings of a document can be linked to.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| slug(line.trim_start_matches('#').trim()))
}

fn slug(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<Fault> {
        let other = "# Title\n## What it `keeps`, and why\n";
        let tree = Tree::of(&[
            ("docs/a.md", text),
            ("docs/adr/one.md", other),
            ("README.md", ""),
        ]);
        broken(tree.file("docs/a.md").unwrap(), &tree)
    }

    #[test]
    fn links_to_what_is_there_are_not_reported() {
        let text = "\
# Here
[a](adr/one.md) [b](../README.md \"title\") [c](adr/) [d](#here)
[e](adr/one.md#what-it-keeps-and-why) [f](https://example.com/x)
[g]: adr/one.md
";
        assert_eq!(faults(text), []);
    }

    #[test]
    fn links_to_nothing_are_reported_with_their_lines() {
        let missing = [
            "adr/two.md",
            "one.md",
            "../../README.md",
            "adr/one.md#no",
            "#no",
        ];
        for target in missing {
            let expected = [Fault::at(2, format!("links to nothing: `{target}`"))];
            assert_eq!(faults(&format!("\n[a]({target})")), expected);
            assert_eq!(faults(&format!("\n[a]: {target}")), expected);
        }
    }

    #[test]
    fn code_is_not_read_for_links() {
        assert_eq!(faults("`[a](no.md)`\n```\n[b](no.md)\n```\n"), []);
    }
}
