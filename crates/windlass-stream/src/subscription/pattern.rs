//! Patterns of paths: `*` stands for one segment or a part of one, `**` for
//! any number of whole segments, none included.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::limits::PATTERN_BYTES_MAX;

/// A pattern of paths. Matching takes time in proportion to the product of
/// both lengths at most, whatever the pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Arc<str>);

/// A text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern has 1 to {PATTERN_BYTES_MAX} bytes and no empty segment")]
pub struct PatternError;

impl Pattern {
    /// The pattern as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path` is one that the pattern stands for.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let pattern: Vec<&str> = self.0.split('/').collect();
        let path: Vec<&str> = path.split('/').collect();
        spread(&pattern, &path, |it| *it == "**", |a, b| is_like(a, b))
    }

    /// The text that every path begins with that it stands for: whole segments,
    /// each with its `/`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let Some(wild) = self.0.find('*') else {
            return &self.0;
        };
        let end = self.0[..wild].rfind('/').map_or(0, |slash| slash + 1);
        // `a/**` stands for `a`, too.
        let whole = self.0[end..].starts_with("**") && end > 0;
        &self.0[..end - usize::from(whole)]
    }
}

/// Whether one segment is like another that may have `*` in it.
fn is_like(pattern: &str, segment: &str) -> bool {
    let (pattern, segment) = (pattern.as_bytes(), segment.as_bytes());
    spread(pattern, segment, |it| *it == b'*', |a, b| a == b)
}

/// Whether `text` is `pattern` where whatever is a star stands for any number
/// of pieces. On a mismatch the last star takes one piece more: the ones before
/// it never need to.
fn spread<A, B>(
    pattern: &[A],
    text: &[B],
    is_star: impl Fn(&A) -> bool,
    is_same: impl Fn(&A, &B) -> bool,
) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(piece) = text.get(place) {
        match pattern.get(at) {
            Some(wild) if is_star(wild) => {
                star = Some((at, place));
                at += 1;
            }
            Some(same) if is_same(same, piece) => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((wild, taken)) = star else {
                    return false;
                };
                star = Some((wild, taken + 1));
                at = wild + 1;
                place = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(is_star)
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let fits = (1..=PATTERN_BYTES_MAX).contains(&text.len());
        if !fits || text.split('/').any(str::is_empty) {
            return Err(PatternError);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        pattern.parse::<Pattern>().expect("a pattern").matches(path)
    }

    /// The same rule, said as it is defined.
    fn model(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, _) => path.is_empty(),
            (Some((&"**", rest)), _) => (0..=path.len()).any(|skip| model(rest, &path[skip..])),
            (Some(_), None) => false,
            (Some((first, rest)), Some((segment, others))) => {
                like(first.as_bytes(), segment.as_bytes()) && model(rest, others)
            }
        }
    }

    fn like(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|skip| like(rest, &text[skip..])),
            Some((byte, rest)) => text.first() == Some(byte) && like(rest, &text[1..]),
        }
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_any_number() {
        let yes = [
            ("events/*", "events/a"),
            ("events/**", "events"),
            ("events/**", "events/a/b"),
            ("**", "a/b/c"),
            ("**/end", "end"),
            ("**/end", "a/b/end"),
            ("a/*/c", "a/b/c"),
            ("a/run-*", "a/run-17"),
            ("a/**/z/**", "a/z/z/b"),
        ];
        for (pattern, path) in yes {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        let no = [
            ("events/*", "events"),
            ("events/*", "events/a/b"),
            ("events/**", "eventsx/a"),
            ("a/*/c", "a/c"),
            ("a/run-*", "a/walk-17"),
            ("a", "b"),
        ];
        for (pattern, path) in no {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_without_segments_is_none() {
        for text in ["", "/", "a//b", "/a", "a/"] {
            assert_eq!(text.parse::<Pattern>(), Err(PatternError), "{text}");
        }
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        assert_eq!(long.parse::<Pattern>(), Err(PatternError));
    }

    proptest! {
        #[test]
        fn matching_is_what_it_is_defined_as(
            pattern in "(\\*\\*|[ab*]{1,3})(/(\\*\\*|[ab*]{1,3})){0,4}",
            path in "[ab]{1,3}(/[ab]{1,3}){0,5}",
        ) {
            let pieces: Vec<&str> = pattern.split('/').collect();
            let segments: Vec<&str> = path.split('/').collect();
            let pattern: Pattern = pattern.parse().expect("a pattern");
            let expected = model(&pieces, &segments);
            prop_assert_eq!(pattern.matches(&path), expected);
            prop_assert!(!expected || path.starts_with(pattern.prefix()));
        }
    }
}
