//! What every crate's manifest has to say.

use toml::{Table, Value};

use super::Fault;
use super::tree::{File, Tree};

/// A crate whose lints are not the workspace's. One that needs `unsafe` in a
/// module of its own may repeat the workspace's table with `unsafe_code` at
/// `deny`, which such a module can lift; nothing else may differ.
pub(super) fn lints(file: &File, tree: &Tree) -> Vec<Fault> {
    let verdict = parsed(&file.text).and_then(|manifest| {
        let root = tree.file("Cargo.toml").ok_or("has no workspace above it")?;
        let root = parsed(&root.text)?;
        let house = at(&root, &["workspace", "lints"]).ok_or("has no lints to take")?;
        let own = at(&manifest, &["lints"]).ok_or("does not take the workspace's lints")?;
        let taken = own.get("workspace") == Some(&Value::Boolean(true));
        if taken || *own == with_unsafe_denied(house) {
            Ok(())
        } else {
            Err("has lints of its own that differ from the workspace's")
        }
    });
    verdict.err().map(Fault::new).into_iter().collect()
}

fn with_unsafe_denied(lints: &Value) -> Value {
    let mut lints = lints.clone();
    let rust = lints.get_mut("rust").and_then(Value::as_table_mut);
    if let Some(rust) = rust {
        rust.insert("unsafe_code".to_owned(), Value::String("deny".to_owned()));
    }
    lints
}

/// A crate to be published that does not say what it is, or has a version or
/// licence of its own.
pub(super) fn publishable(file: &File, _: &Tree) -> Vec<Fault> {
    let manifest = match parsed(&file.text) {
        Ok(manifest) => manifest,
        Err(what) => return vec![Fault::new(what)],
    };
    if at(&manifest, &["package", "publish"]) == Some(&Value::Boolean(false)) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let description = at(&manifest, &["package", "description"]).and_then(Value::as_str);
    if description.is_none_or(|text| text.trim().is_empty()) {
        faults.push(Fault::new("has no description"));
    }
    for field in [
        "version",
        "license",
        "edition",
        "rust-version",
        "repository",
    ] {
        let inherited = at(&manifest, &["package", field, "workspace"]);
        if inherited != Some(&Value::Boolean(true)) {
            faults.push(Fault::new(format!("does not take the workspace's {field}")));
        }
    }
    faults
}

fn parsed(text: &str) -> Result<Table, &'static str> {
    text.parse().map_err(|_| "is not valid TOML")
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let start = table.get(*first)?;
    rest.iter().try_fold(start, |value, name| value.get(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "\
[workspace.lints.rust]
unsafe_code = \"forbid\"
missing_docs = \"warn\"
[workspace.lints.clippy]
todo = \"warn\"
";

    const GOOD: &str = "\
[package]
description = \"A crate\"
version.workspace = true
license.workspace = true
edition.workspace = true
rust-version.workspace = true
repository.workspace = true
";

    fn faults(check: fn(&File, &Tree) -> Vec<Fault>, text: &str) -> Vec<String> {
        let path = "crates/a/Cargo.toml";
        let tree = Tree::of(&[("Cargo.toml", ROOT), (path, text)]);
        let faults = check(tree.file(path).unwrap(), &tree);
        faults.into_iter().map(|fault| fault.what).collect()
    }

    #[test]
    fn a_crate_without_the_workspaces_lints_is_reported() {
        let missing = "does not take the workspace's lints";
        assert_eq!(faults(lints, "[package]"), [missing]);
        assert_eq!(faults(lints, "[lints]\nworkspace = true"), [""; 0]);
    }

    #[test]
    fn only_unsafe_code_may_differ_in_a_repeated_table() {
        let repeated = ROOT.replace("workspace.", "");
        let denied = repeated.replace("forbid", "deny");
        let differ = "has lints of its own that differ from the workspace's";
        assert_eq!(faults(lints, &denied), [""; 0]);
        assert_eq!(faults(lints, &denied.replace("deny", "allow")), [differ]);
        assert_eq!(
            faults(lints, &denied.replace("todo = \"warn\"", "")),
            [differ]
        );
        assert_eq!(faults(lints, &denied.replace("warn", "allow")), [differ]);
    }

    #[test]
    fn what_is_not_toml_is_reported() {
        assert_eq!(faults(lints, "[["), ["is not valid TOML"]);
        assert_eq!(faults(publishable, "[["), ["is not valid TOML"]);
    }

    #[test]
    fn a_published_crate_needs_a_description_and_the_common_fields() {
        assert_eq!(faults(publishable, GOOD), [""; 0]);
        let bare = GOOD.replace("A crate", " ");
        assert_eq!(faults(publishable, &bare), ["has no description"]);
        for field in [
            "version",
            "license",
            "edition",
            "rust-version",
            "repository",
        ] {
            let line = format!("\n{field}.workspace = true");
            let expected = format!("does not take the workspace's {field}");
            assert_eq!(faults(publishable, &GOOD.replace(&line, "")), [expected]);
        }
    }

    #[test]
    fn what_is_not_published_need_not_say_anything() {
        let tool = "[package]\nname = \"a\"\npublish = false";
        assert_eq!(faults(publishable, tool), [""; 0]);
    }
}
