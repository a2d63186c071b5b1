//! What the pages that are shown in a browser keep to: text stays text, and
//! nothing comes from elsewhere.

use super::Fault;
use super::tree::{File, Tree};

/// Longest file.
const LINES_MAX: usize = 600;

/// What makes markup or code of text, or a style that the policy refuses.
const MARKUP: [&str; 14] = [
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "createContextualFragment",
    "DOMParser",
    "document.write",
    "srcdoc",
    "setHTMLUnsafe",
    "parseHTMLUnsafe",
    "eval(",
    "new Function",
    "javascript:",
    "setAttribute(\"style\"",
    "setAttribute('style'",
];

/// What would fetch from another server.
const ELSEWHERE: [&str; 4] = ["http:", "https:", "src=\"//", "href=\"//"];

/// The one address that is a name and is never fetched.
const NAMESPACE: &str = "http://www.w3.org/2000/svg";

/// Attributes of a page by which script or style would stand in its markup.
const INLINE: [&str; 5] = [" style=", " onclick=", " onload=", " onerror=", "<style"];

/// A file that does not begin with a comment on what it is for.
pub(super) fn header(file: &File, _: &Tree) -> Vec<Fault> {
    let first = file.text.lines().next().unwrap_or_default();
    let said = ["// ", "/* "]
        .iter()
        .find_map(|mark| first.strip_prefix(mark));
    if said.is_some_and(|text| !text.trim().is_empty()) {
        return Vec::new();
    }
    vec![Fault::at(
        1,
        "does not begin with a comment on what it is for",
    )]
}

/// A file that is too long.
pub(super) fn length(file: &File, _: &Tree) -> Vec<Fault> {
    let lines = file.text.lines().count();
    if lines <= LINES_MAX || file.path.ends_with(".css") {
        return Vec::new();
    }
    vec![Fault::new(format!("has {lines} lines (most: {LINES_MAX})"))]
}

/// Ways by which a text of somebody's could become markup.
pub(super) fn markup(file: &File, _: &Tree) -> Vec<Fault> {
    let inline = INLINE.iter().filter(|_| file.path.ends_with(".html"));
    let refused: Vec<_> = MARKUP.iter().chain(inline).copied().collect();
    found(file, &refused, |_| true, "lets text become markup by")
}

/// Resources of other servers.
pub(super) fn elsewhere(file: &File, _: &Tree) -> Vec<Fault> {
    let is_not_the_name = |line: &str| !line.contains(NAMESPACE);
    found(file, &ELSEWHERE, is_not_the_name, "leads elsewhere by")
}

fn found(file: &File, words: &[&str], counts: fn(&str) -> bool, what: &str) -> Vec<Fault> {
    let lines = file.text.lines().enumerate();
    let lines = lines.filter(|(_, line)| counts(line));
    let faults = lines.flat_map(|(index, line)| {
        let words = words.iter().filter(|word| line.contains(**word));
        words.map(move |word| Fault::at(index + 1, format!("{what} `{word}`")))
    });
    faults.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&File, &Tree) -> Vec<Fault>;

    fn faults(rule: Rule, path: &str, text: &str) -> Vec<Fault> {
        let tree = Tree::of(&[(path, text)]);
        rule(tree.file(path).unwrap(), &tree)
    }

    #[test]
    fn whatever_makes_markup_of_text_is_refused() {
        for word in MARKUP {
            let text = format!("// A.\nhost.{word}\n");
            let expected = format!("lets text become markup by `{word}`");
            assert_eq!(
                faults(markup, "a.js", &text),
                [Fault::at(2, expected)],
                "{word}"
            );
        }
        assert_eq!(faults(markup, "a.js", "host.textContent = text;\n"), []);
    }

    #[test]
    fn a_page_has_neither_style_nor_handlers_in_its_markup() {
        for word in INLINE {
            let text = format!("<p{word}\"x\">\n");
            assert_eq!(faults(markup, "a.html", &text).len(), 1, "{word}");
        }
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        let scripts = "<script src=\"https://cdn.example/x.js\">\n<img src=\"//x/y.png\">\n";
        assert_eq!(faults(elsewhere, "a.html", scripts).len(), 2);
        let name = "const SVG = \"http://www.w3.org/2000/svg\";\n";
        assert_eq!(faults(elsewhere, "a.js", name), []);
    }

    #[test]
    fn a_file_introduces_itself_and_stays_short() {
        assert_eq!(faults(header, "a.js", "// What it is.\n"), []);
        assert_eq!(faults(header, "a.css", "/* What it is. */\n"), []);
        assert_eq!(faults(header, "a.js", "import x\n").len(), 1);
        let long = "x\n".repeat(LINES_MAX + 1);
        assert_eq!(faults(length, "a.js", &long).len(), 1);
        assert_eq!(faults(length, "a.js", &long[2..]), []);
    }
}
