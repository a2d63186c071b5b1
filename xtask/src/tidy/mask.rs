//! Two views of a Rust source, line for line the same shape as the text: one
//! with only its code, one with only its comments. What does not belong to a
//! view is blank in it, and so are the insides of string literals in the code,
//! so a check can look for a word without being fooled by a quotation of it.

/// The code and the comments of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Views {
    /// Code; literals are reduced to their quotes.
    pub(super) code: String,
    /// Comments of every kind, with their marks.
    pub(super) comments: String,
}

/// Splits a source into its views.
pub(super) fn views(text: &str) -> Views {
    let mut lexer = Lexer {
        rest: text,
        before: ' ',
        views: Views::default(),
    };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.views
}

struct Lexer<'a> {
    rest: &'a str,
    /// The last character of code before `rest`.
    before: char,
    views: Views,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.comment(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.comment(block_length(rest));
        } else if let Some(length) = raw_string_length(rest).filter(|_| self.may_open_raw()) {
            self.literal(length);
        } else if rest.starts_with('"') {
            self.literal(quoted_length(rest, '"'));
        } else if let Some(length) = character_length(rest) {
            self.literal(length);
        } else {
            self.code(rest.chars().next().map_or(0, char::len_utf8));
        }
    }

    /// Whether an `r` here can begin a raw string instead of ending a name.
    /// A `b` or `c` before it is taken for the prefix of a byte or C string.
    fn may_open_raw(&self) -> bool {
        let in_a_name = self.before.is_alphanumeric() || self.before == '_';
        !in_a_name || matches!(self.before, 'b' | 'c')
    }

    fn comment(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.views.comments.push_str(taken);
        self.views.code.push_str(&blank(taken));
        self.rest = rest;
    }

    fn literal(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        let blank = blank(taken);
        self.views.comments.push_str(&blank);
        // a literal's own quotes stay, so that it can still be seen as one
        let quoted = blank.replacen(' ', "\"", 1);
        let (inside, last) = quoted.split_at(quoted.len() - 1);
        self.views.code.push_str(inside);
        self.views
            .code
            .push_str(if last == " " { "\"" } else { last });
        self.before = '"';
        self.rest = rest;
    }

    fn code(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.views.code.push_str(taken);
        self.views.comments.push_str(&blank(taken));
        self.before = taken.chars().next().unwrap_or(self.before);
        self.rest = rest;
    }
}

/// As many spaces as there are characters, with the line breaks kept.
fn blank(text: &str) -> String {
    let blanks = text.chars().map(|c| if c == '\n' { '\n' } else { ' ' });
    blanks.collect()
}

/// The length of a block comment, those nested in it included.
fn block_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a raw string if one begins here.
fn raw_string_length(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inside = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let opening = text.len() - inside.len();
    Some(
        inside
            .find(&end)
            .map_or(text.len(), |at| opening + at + end.len()),
    )
}

/// The length of a literal that ends at the next unescaped `quote`.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// The length of a character literal if one begins here; a lifetime is none.
fn character_length(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let mut characters = inside.chars();
    let first = characters.next()?;
    let closed = first == '\\' || characters.next() == Some('\'');
    closed.then(|| quoted_length(text, '\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        views(text).code
    }

    #[test]
    fn both_views_have_the_lines_of_the_text() {
        let text = "a /* b\nc */ d // e\n\"f\ng\" h\n";
        let views = views(text);
        assert_eq!(views.code, "a     \n     d     \n\" \n \" h\n");
        assert_eq!(views.comments, "  /* b\nc */   // e\n  \n    \n");
    }

    #[test]
    fn marks_of_comments_inside_strings_open_none() {
        assert_eq!(code("\"// no\" yes"), "\"     \" yes");
        assert_eq!(code("\"/*\" yes"), "\"  \" yes");
    }

    #[test]
    fn escaped_quotes_do_not_end_a_literal() {
        assert_eq!(code(r#""a\"b" c"#), "\"    \" c");
        assert_eq!(code(r#""\\" c"#), "\"  \" c");
        assert_eq!(code(r"'\'' c"), "\"  \" c");
    }

    #[test]
    fn raw_strings_end_at_their_own_hashes() {
        assert_eq!(code("r#\"a\" b\"# c"), "\"       \" c");
        assert_eq!(code("br\"\\\" c"), "b\"  \" c");
        assert_eq!(code("for r#fn in x"), "for r#fn in x");
        assert_eq!(code("bar\"x\" y"), "bar\" \" y");
    }

    #[test]
    fn braces_and_quotes_as_characters_are_masked_and_lifetimes_are_not() {
        assert_eq!(code("'{' '\"' b"), "\" \" \" \" b");
        assert_eq!(code("&'a str, 'static"), "&'a str, 'static");
    }

    #[test]
    fn nested_comments_end_with_the_outer_one() {
        assert_eq!(code("/* a /* b */ c */ d"), "                  d");
    }

    #[test]
    fn an_unfinished_literal_or_comment_ends_with_the_text() {
        assert_eq!(code("\"abc"), "\"  \"");
        assert_eq!(code("/* abc"), "      ");
    }
}
