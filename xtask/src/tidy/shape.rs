//! How long things are, and whether a file introduces itself.

use super::Fault;
use super::tree::{File, Tree};

/// Longest function, from its first line to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Longest file that needs no excuse.
const FILE_LINES_MAX: usize = 600;

/// How a longer file begins the line that gives its reason.
const LENGTH_MARK: &str = "//! Length: ";

/// A file that does not begin with what it is for.
pub(super) fn header(file: &File, _: &Tree) -> Vec<Fault> {
    let first = file.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//! ");
    if says.is_some_and(|text| !text.trim().is_empty()) {
        return Vec::new();
    }
    vec![Fault::at(1, "does not begin with `//!` and what it is for")]
}

/// A file that is too long and does not say why.
pub(super) fn length(file: &File, _: &Tree) -> Vec<Fault> {
    let lines = file.text.lines().count();
    let mut header = file.text.lines().take_while(|line| line.starts_with("//!"));
    let excused = header.any(|line| {
        let reason = line.strip_prefix(LENGTH_MARK);
        reason.is_some_and(|reason| !reason.trim().is_empty())
    });
    if lines <= FILE_LINES_MAX || excused {
        return Vec::new();
    }
    vec![Fault::new(format!(
        "has {lines} lines and no `{LENGTH_MARK}` with a reason (most: {FILE_LINES_MAX})"
    ))]
}

/// Functions that are too long.
pub(super) fn functions(file: &File, _: &Tree) -> Vec<Fault> {
    let functions = functions_in(&file.views.code).into_iter();
    let long = functions.filter(|function| function.lines > FUNCTION_LINES_MAX);
    let faults = long.map(|Function { name, line, lines }| {
        let what = format!("`{name}` has {lines} lines (most: {FUNCTION_LINES_MAX})");
        Fault::at(line, what)
    });
    faults.collect()
}

/// A function with a body, or without one in a trait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Where it begins, counted from one.
    pub(super) line: usize,
    /// From there to its closing brace or semicolon.
    pub(super) lines: usize,
}

/// Every function of a source from which literals and comments were masked.
/// A function inside another is counted in both.
pub(super) fn functions_in(code: &str) -> Vec<Function> {
    let mut functions = Vec::new();
    let mut start = 0;
    for (index, line) in code.split_inclusive('\n').enumerate() {
        if let Some(name) = function_name(line) {
            functions.push(Function {
                name: name.to_owned(),
                line: index + 1,
                lines: lines_until_end(&code[start..]),
            });
        }
        start += line.len();
    }
    functions
}

/// The name of the function that a line begins, if it begins one.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    while let Some(shorter) = without_qualifier(rest) {
        rest = shorter.trim_start();
    }
    let name = rest.strip_prefix("fn ")?;
    let end = name.find(['(', '<', '\n']).unwrap_or(name.len());
    Some(name[..end].trim())
}

fn without_qualifier(text: &str) -> Option<&str> {
    if let Some(restricted) = text.strip_prefix("pub(") {
        return restricted.split_once(')').map(|(_, rest)| rest);
    }
    if let Some(foreign) = text.strip_prefix("extern \"") {
        return foreign.split_once('"').map(|(_, rest)| rest);
    }
    let qualifiers = ["pub ", "default ", "const ", "async ", "unsafe ", "extern "];
    let mut shorter = qualifiers.iter().filter_map(|word| text.strip_prefix(word));
    shorter.next()
}

/// How many lines it takes until the function that begins here is closed.
fn lines_until_end(code: &str) -> usize {
    let mut lines = 1;
    let mut brackets = 0_usize;
    let mut braces = 0_usize;
    for c in code.chars() {
        match c {
            '\n' => lines += 1,
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            '{' => braces += 1,
            '}' if braces == 1 && brackets == 0 => return lines,
            '}' => braces = braces.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return lines,
            _ => {}
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(check: fn(&File, &Tree) -> Vec<Fault>, text: &str) -> Vec<Fault> {
        let tree = Tree::of(&[("a.rs", text)]);
        check(tree.file("a.rs").unwrap(), &tree)
    }

    fn function_of(lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "    a;\n".repeat(lines - 2))
    }

    #[test]
    fn a_file_without_a_header_is_reported() {
        let what = "does not begin with `//!` and what it is for";
        for text in ["", "use a;\n//! A.\n", "//!\n", "/// A.\n"] {
            assert_eq!(faults(header, text), [Fault::at(1, what)], "{text}");
        }
        assert_eq!(faults(header, "//! A.\n"), []);
    }

    #[test]
    fn a_function_of_71_lines_is_reported_and_one_of_70_is_not() {
        let text = format!("{}{}", function_of(70), function_of(71));
        let expected = Fault::at(71, "`f` has 71 lines (most: 70)");
        assert_eq!(faults(functions, &text), [expected]);
    }

    #[test]
    fn braces_in_literals_do_not_close_a_function() {
        let inside = "    a('}', \"}\"); // }\n".repeat(70);
        let text = format!("    pub(crate) async fn long(\n) {{\n{inside}    }}\n");
        let expected = Fault::at(1, "`long` has 73 lines (most: 70)");
        assert_eq!(faults(functions, &text), [expected]);
    }

    #[test]
    fn functions_are_found_behind_their_qualifiers() {
        let code = "\
pub fn a<T>() {}
pub(in crate::x) const unsafe extern \"C\" fn b(x: [u8; 4]);
    async fn c() -> [u8; 2] {
        let inner = |x: fn()| x;
    }
let not_one = 1;
";
        let functions = functions_in(code);
        let found: Vec<_> = functions
            .iter()
            .map(|function| (function.name.as_str(), function.line, function.lines))
            .collect();
        assert_eq!(found, [("a", 1, 1), ("b", 2, 1), ("c", 3, 3)]);
    }

    #[test]
    fn a_long_file_needs_a_reason_in_its_header() {
        let long = "x\n".repeat(600);
        let what = "has 601 lines and no `//! Length: ` with a reason (most: 600)";
        let plain = format!("//! A.\n{long}");
        assert_eq!(faults(length, &plain), [Fault::new(what)]);
        assert_eq!(faults(length, &plain[2..]), [Fault::new(what)]);
        let excused = format!("//! Length: one table.\n{long}");
        assert_eq!(faults(length, &excused), []);
        let empty = format!("//! Length: \n{long}");
        assert_eq!(faults(length, &empty), [Fault::new(what)]);
        assert_eq!(faults(length, &"x\n".repeat(600)), []);
    }
}
