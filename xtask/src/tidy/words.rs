//! Words that do not belong where they stand.

use super::Fault;
use super::tree::{File, Tree};

/// What a comment says when something is left for later.
const LATER: [&str; 2] = ["TODO", "FIXME"];

/// What code says when something is left for later.
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

/// What writes to the terminal.
const PRINTS: [&str; 4] = ["println!", "eprintln!", "print!", "eprint!"];

/// What only one machine has. Taken apart here, so that this file is clean.
const MACHINE: [&str; 4] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("../shared/", "design"),
];

/// Types that an `as` could quietly cut a number down to.
const NUMBERS: [&str; 14] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64",
];

/// Work that somebody meant to come back to.
pub(super) fn leftovers(file: &File, _: &Tree) -> Vec<Fault> {
    let said = find(&file.views.comments, &LATER);
    let done = find(&file.views.code, &UNFINISHED);
    let found = said.into_iter().chain(done);
    let faults = found.map(|(line, word)| {
        let what = format!("leaves something for later: `{word}`");
        Fault::at(line, what)
    });
    faults.collect()
}

/// Printing where only the command should, in a file whose header does not
/// say for whom it is, under the word `Prints`.
pub(super) fn printing(file: &File, _: &Tree) -> Vec<Fault> {
    if has_in_header(file, "Prints") {
        return Vec::new();
    }
    let found = find(&file.views.code, &PRINTS).into_iter();
    let faults = found.map(|(line, word)| Fault::at(line, format!("prints with `{word}`")));
    faults.collect()
}

/// The first word of a text that only one machine can make sense of.
pub(crate) fn machine_path_in(text: &str) -> Option<&'static str> {
    find(text, &MACHINE).first().map(|(_, word)| *word)
}

/// Paths that hold only on the machine of whoever wrote them. The text before
/// one may not belong to it: `due/` in front makes a key, not a path.
pub(super) fn machine_paths(file: &File, _: &Tree) -> Vec<Fault> {
    let found = find(&file.text, &MACHINE).into_iter();
    let faults = found.map(|(line, word)| {
        let what = format!("names a place of one machine: `{word}`");
        Fault::at(line, what)
    });
    faults.collect()
}

/// Conversions that cannot say no.
pub(super) fn casts(file: &File, _: &Tree) -> Vec<Fault> {
    let lines = file.views.code.lines().enumerate();
    let faults = lines.filter_map(|(index, line)| {
        let number = cast_in(line)?;
        let what = format!("converts with `as {number}`; `try_from` can refuse");
        Some(Fault::at(index + 1, what))
    });
    faults.collect()
}

fn cast_in(line: &str) -> Option<&str> {
    let mut after = line.split(" as ").skip(1);
    after.find_map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        NUMBERS.contains(&name).then_some(name)
    })
}

/// Code that the compiler cannot vouch for, in a file whose header does not
/// argue why it holds, under the word `Safety`.
pub(super) fn unargued_unsafe(file: &File, _: &Tree) -> Vec<Fault> {
    if has_in_header(file, "Safety") {
        return Vec::new();
    }
    let found = find(&file.views.code, &["unsafe "]).into_iter().take(1);
    let faults = found.map(|(line, _)| {
        let what = "is unsafe, and the file's header has no argument under `Safety`";
        Fault::at(line, what)
    });
    faults.collect()
}

fn has_in_header(file: &File, word: &str) -> bool {
    let mut header = file.text.lines().take_while(|line| line.starts_with("//!"));
    header.any(|line| line.contains(word))
}

/// Where one of the words stands as a word of its own, by line.
fn find(text: &str, words: &[&'static str]) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let here = words.iter().filter(|word| stands_alone(line, word));
        found.extend(here.map(|word| (index + 1, *word)));
    }
    found
}

/// Whether the word occurs in the line other than as the end of a longer one.
fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"_-.}$".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(check: fn(&File, &Tree) -> Vec<Fault>, text: &str) -> Vec<Fault> {
        let tree = Tree::of(&[("a.rs", text)]);
        check(tree.file("a.rs").unwrap(), &tree)
    }

    #[test]
    fn work_left_for_later_is_reported_in_comments_and_code() {
        for word in LATER {
            let expected = Fault::at(2, format!("leaves something for later: `{word}`"));
            assert_eq!(faults(leftovers, &format!("a\n// {word}: b")), [expected]);
        }
        for word in UNFINISHED {
            let expected = Fault::at(1, format!("leaves something for later: `{word}`"));
            assert_eq!(faults(leftovers, &format!("{word}()")), [expected]);
        }
    }

    #[test]
    fn quotations_of_those_words_are_not_reported() {
        let text = "let a = \"TODO todo!\"; // say todo! and \"later\"\nmy_todo!();";
        assert_eq!(faults(leftovers, text), []);
    }

    #[test]
    fn printing_is_reported_in_code_and_not_in_examples_of_it() {
        let text = "/// println!(\"a\");\nfn f() { eprintln!(\"b\"); }";
        let expected = Fault::at(2, "prints with `eprintln!`");
        assert_eq!(faults(printing, text), [expected]);
        let argued = format!("//! Prints for the harness.\n{text}");
        assert_eq!(faults(printing, &argued), []);
    }

    #[test]
    fn every_machine_path_is_reported_and_keys_that_look_like_one_are_not() {
        for path in MACHINE {
            let expected = Fault::at(1, format!("names a place of one machine: `{path}`"));
            assert_eq!(faults(machine_paths, &format!("\"{path}x\"")), [expected]);
        }
        let key = concat!("t/acme/wo", "rk/1 {tenant}/wo", "rk/1");
        assert_eq!(faults(machine_paths, key), []);
    }

    #[test]
    fn unsafe_code_needs_an_argument_in_the_header() {
        let code = "#![forbid(unsafe_code)]\nunsafe { a() }";
        let what = "is unsafe, and the file's header has no argument under `Safety`";
        let expected = Fault::at(3, what);
        assert_eq!(
            faults(unargued_unsafe, &format!("//! A.\n{code}")),
            [expected]
        );
        let argued = format!("//! Safety: a is only called here.\n{code}");
        assert_eq!(faults(unargued_unsafe, &argued), []);
    }

    #[test]
    fn casts_are_reported_and_renamed_imports_are_not() {
        let text = "use a::Write as _;\nlet b = c as u64;\nlet d = e as usize;\nf as Goat;";
        let expected = [
            Fault::at(2, "converts with `as u64`; `try_from` can refuse"),
            Fault::at(3, "converts with `as usize`; `try_from` can refuse"),
        ];
        assert_eq!(faults(casts, text), expected);
    }
}
