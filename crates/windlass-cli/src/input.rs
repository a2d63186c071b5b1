//! Input that is read from a file or standard input: bounded, strict, and
//! never repeated in an error.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use windlass::core::{Coded, ErrorKind};

use crate::failure::{CommandError, Failure};

/// Most bytes of one input.
const INPUT_BYTES_MAX: u64 = 1_024 * 1_024;

/// Why an input cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("cannot read the input")]
    Unreadable(#[source] io::Error),
    #[error("the input has more than {max} bytes")]
    TooLarge { max: u64 },
    #[error("the input is not acceptable JSON: line {line}, column {column}: {problem}")]
    Json {
        line: usize,
        column: usize,
        problem: JsonProblem,
    },
}

/// What is wrong with JSON, in words that are ours and not the input's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonProblem {
    #[error("it is not JSON")]
    Syntax,
    #[error("it ends too early")]
    Ended,
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` is given twice")]
    Duplicate(&'static str),
    #[error("a field that is not known")]
    Unknown,
    #[error("a value of the wrong type")]
    Type,
}

impl Coded for InputError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable_input",
            Self::TooLarge { .. } => "input_too_large",
            Self::Json { .. } => "invalid_json",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreadable(cause) => match cause.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                io::ErrorKind::PermissionDenied => ErrorKind::Environment,
                _ => ErrorKind::Invalid,
            },
            Self::TooLarge { .. } | Self::Json { .. } => ErrorKind::Invalid,
        }
    }
}

/// Reads a file, or standard input for `-`, and understands it as JSON with
/// the fields `known`.
///
/// # Errors
///
/// [`InputError`], or [`CommandError::Runtime`] if there is no thread to read
/// with.
pub(crate) async fn json<T: DeserializeOwned>(
    source: PathBuf,
    known: &'static [&'static str],
) -> Result<T, Failure> {
    let bytes = bytes(source, INPUT_BYTES_MAX).await?;
    Ok(serde_json::from_slice(&bytes).map_err(|error| describe(&error, known))?)
}

/// Reads a file, or standard input for `-`, of at most `max` bytes of text.
///
/// # Errors
///
/// As [`json`]; what is no text in UTF-8 is no JSON either.
pub(crate) async fn text(source: PathBuf, max: u64) -> Result<String, Failure> {
    let bytes = bytes(source, max).await?;
    let text = String::from_utf8(bytes).map_err(|_| InputError::Json {
        line: 1,
        column: 0,
        problem: JsonProblem::Syntax,
    });
    Ok(text?)
}

/// Reads a file, or standard input for `-`, of at most `max` bytes.
///
/// # Errors
///
/// As [`json`], but never that it is no JSON.
pub(crate) async fn bytes(source: PathBuf, max: u64) -> Result<Vec<u8>, Failure> {
    let read = tokio::task::spawn_blocking(move || read_bounded(&source, max)).await;
    let bytes = read.map_err(|cause| CommandError::Runtime(io::Error::other(cause)))?;
    let bytes = bytes.map_err(InputError::Unreadable)?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > max) {
        return Err(InputError::TooLarge { max }.into());
    }
    Ok(bytes)
}

/// At most one byte more than allowed, so that more is noticed.
fn read_bounded(source: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if source == Path::new("-") {
        io::stdin().lock().take(max + 1).read_to_end(&mut bytes)?;
    } else {
        File::open(source)?.take(max + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The parser's own message quotes the input, so only what it says about
/// known fields is kept.
fn describe(error: &serde_json::Error, known: &'static [&'static str]) -> InputError {
    let said = error.to_string();
    let problem = match error.classify() {
        Category::Syntax | Category::Io => JsonProblem::Syntax,
        Category::Eof => JsonProblem::Ended,
        Category::Data if said.starts_with("unknown field") => JsonProblem::Unknown,
        Category::Data => named(&said, "missing field", known)
            .map(JsonProblem::Missing)
            .or_else(|| named(&said, "duplicate field", known).map(JsonProblem::Duplicate))
            .unwrap_or(JsonProblem::Type),
    };
    InputError::Json {
        line: error.line(),
        column: error.column(),
        problem,
    }
}

fn named(said: &str, what: &str, known: &'static [&'static str]) -> Option<&'static str> {
    known
        .iter()
        .copied()
        .find(|field| said.starts_with(&format!("{what} `{field}`")))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Spec {
        #[expect(dead_code, reason = "only its presence matters")]
        agent: String,
    }

    fn problem(text: &str) -> JsonProblem {
        let error = serde_json::from_str::<Spec>(text).unwrap_err();
        match describe(&error, &["agent"]) {
            InputError::Json { problem, .. } => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_fault_of_json_has_its_own_words() {
        let table = [
            ("", JsonProblem::Ended),
            ("{", JsonProblem::Ended),
            ("{]", JsonProblem::Syntax),
            ("{} {}", JsonProblem::Missing("agent")),
            (r#"{"agent":"a"} x"#, JsonProblem::Syntax),
            (
                r#"{"agent":"a","agent":"b"}"#,
                JsonProblem::Duplicate("agent"),
            ),
            (r#"{"agent":"a","secret":1}"#, JsonProblem::Unknown),
            (r#"{"agent":["secret"]}"#, JsonProblem::Type),
            (r#"{"agent":18446744073709551616}"#, JsonProblem::Type),
            ("[]", JsonProblem::Type),
        ];
        for (text, expected) in table {
            assert_eq!(problem(text), expected, "{text}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused_and_not_repeated() {
        let error = serde_json::from_str::<Spec>(&"[".repeat(100_000)).unwrap_err();
        let shown = describe(&error, &["agent"]).to_string();
        assert!(shown.len() < 120, "{shown}");
    }
}
