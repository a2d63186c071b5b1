//! Names of tools and credentials, and the lists that allow them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::limits::{NAME_BYTES_MAX, PATTERNS_MAX};

/// The name of a tool or a credential as the caller knows it.
///
/// 1 to 256 bytes of UTF-8 without control characters and without `*`, which
/// is kept for patterns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Name {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        check_text(&text)?;
        if text.contains('*') {
            return Err(Problem::Character);
        }
        Ok(Self(text))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name, or the beginning of one followed by `*`, which matches every name
/// that begins so. `*` alone matches every name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

impl Pattern {
    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` is one of those the pattern stands for.
    #[must_use]
    pub fn matches(&self, name: &Name) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.0.starts_with(beginning),
            None => self.0 == name.0,
        }
    }
}

impl Pattern {
    /// Whether every name that `other` stands for is one of this pattern's.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self.0.strip_suffix('*'), other.0.strip_suffix('*')) {
            (Some(beginning), Some(longer)) => longer.starts_with(beginning),
            (Some(beginning), None) => other.0.starts_with(beginning),
            (None, _) => self.0 == other.0,
        }
    }
}

impl FromStr for Pattern {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Pattern {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        check_text(&text)?;
        if text.strip_suffix('*').unwrap_or(&text).contains('*') {
            return Err(Problem::Character);
        }
        Ok(Self(text))
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl From<Name> for Pattern {
    fn from(name: Name) -> Self {
        Self(name.0)
    }
}

fn check_text(text: &str) -> Result<(), Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(Problem::TooLong {
            length: text.len(),
            max: NAME_BYTES_MAX,
        });
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::Character);
    }
    Ok(())
}

/// Which tools, or which credentials, a session may use.
///
/// An empty [`Allow::Only`] allows nothing. There is no way to spell "all" by
/// leaving something out: as JSON it is `"all"` or `{"only": [...]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    /// Every name.
    All,
    /// The names that one of these patterns matches.
    Only(Vec<Pattern>),
}

impl Allow {
    /// Nothing at all.
    #[must_use]
    pub const fn nothing() -> Self {
        Self::Only(Vec::new())
    }

    /// Exactly these names and patterns.
    ///
    /// # Errors
    ///
    /// The [`Problem`] of the first text that is no pattern.
    pub fn only<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, Problem> {
        let parsed: Result<Vec<_>, _> = patterns.into_iter().map(Pattern::from_str).collect();
        parsed.map(Self::Only)
    }

    /// Whether `name` may be used.
    #[must_use]
    pub fn allows(&self, name: &Name) -> bool {
        match self {
            Self::All => true,
            Self::Only(patterns) => patterns.iter().any(|pattern| pattern.matches(name)),
        }
    }

    /// Bytes of all its patterns.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Only(patterns) => patterns.iter().map(|pattern| pattern.0.len()).sum(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Problem> {
        match self {
            Self::Only(patterns) if patterns.len() > PATTERNS_MAX => Err(Problem::TooMany {
                count: patterns.len(),
                max: PATTERNS_MAX,
            }),
            Self::All | Self::Only(_) => Ok(()),
        }
    }
}
