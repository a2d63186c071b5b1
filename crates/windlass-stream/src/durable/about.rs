//! What never changes of a stream that is named by a path.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_core::{Format, StreamId};

use crate::error::StreamError;
use crate::limits::{CONTENT_TYPE_BYTES_MAX, PATH_BYTES_MAX};
use crate::model::Expiry;
use crate::offset::Offset;

/// How the path of an input begins.
pub(crate) const INPUT: char = '\u{1}';

/// The name of a stream: 1 to 512 bytes, any text but for control characters
/// and segments that are `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Path(Arc<str>);

impl Path {
    /// The path of an input, which none that is parsed can be.
    pub(crate) fn of_input(id: &str) -> Self {
        Self(format!("{INPUT}{id}").into())
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Path {
    type Err = StreamError;

    fn from_str(text: &str) -> Result<Self, StreamError> {
        let refuse = |problem| {
            let field = "path";
            Err(StreamError::Invalid { field, problem })
        };
        // Each byte that is escaped in a key takes three.
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'%');
        let stored: usize = text.bytes().map(|it| if plain(it) { 1 } else { 3 }).sum();
        if text.is_empty() || stored > PATH_BYTES_MAX {
            return refuse("has 1 to 512 bytes, each `/` and sign beyond ASCII counting thrice");
        }
        if text.chars().any(char::is_control) {
            return refuse("has a control character");
        }
        if text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return refuse("has a segment that leads elsewhere");
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the rows of a stream are: a media type of 1 to 255 bytes, kept as it was
/// given. Two are the same if they are so without parameters and case.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentType(Arc<str>);

impl ContentType {
    /// The type as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn essence(&self) -> &str {
        self.0.split(';').next().unwrap_or_default().trim()
    }

    /// Whether each row is one JSON text.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.essence().eq_ignore_ascii_case("application/json")
    }

    /// Whether the rows are text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        let start = self.essence().as_bytes().get(..5);
        start.is_some_and(|start| start.eq_ignore_ascii_case(b"text/"))
    }
}

impl Default for ContentType {
    fn default() -> Self {
        Self("application/octet-stream".into())
    }
}

impl PartialEq for ContentType {
    fn eq(&self, other: &Self) -> bool {
        self.essence().eq_ignore_ascii_case(other.essence())
    }
}

impl Eq for ContentType {}

impl FromStr for ContentType {
    type Err = StreamError;

    fn from_str(text: &str) -> Result<Self, StreamError> {
        let this = Self(text.trim().into());
        let halves = this.essence().split_once('/');
        let named = halves.is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty());
        let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if named && plain && text.len() <= CONTENT_TYPE_BYTES_MAX {
            return Ok(this);
        }
        Err(StreamError::Invalid {
            field: "content_type",
            problem: "is no media type of at most 255 bytes",
        })
    }
}

/// What is stored under a path, and again beside its stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    pub(crate) v: Format,
    pub(crate) stream: StreamId,
    pub(crate) path: Path,
    pub(crate) content_type: ContentType,
    /// The expiry that was asked for; a fork may have inherited another.
    #[serde(default, skip_serializing_if = "Expiry::is_never")]
    pub(crate) asked: Expiry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fork: Option<Fork>,
    /// There while it is an input, which only its sender can name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<Input>,
    /// The path it had as an input, which goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sent: Option<Path>,
}

/// What an input is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pub(crate) target: Path,
    #[serde(default, skip_serializing_if = "Expiry::is_never")]
    pub(crate) expiry: Expiry,
    pub(crate) verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) withdrawn: Option<Withdrawn>,
}

/// Why the rows of an input are seen by nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// The digest of what was sent.
    pub expected: Arc<str>,
    /// The digest of what came.
    pub actual: Arc<str>,
    /// The first row that is withdrawn.
    pub first: Offset,
    /// After the last one.
    pub tail: Offset,
}

impl Withdrawn {
    pub(crate) fn error(&self) -> StreamError {
        StreamError::IntegrityFailed {
            expected: Arc::clone(&self.expected),
            actual: Arc::clone(&self.actual),
            first: self.first,
            tail: self.tail,
        }
    }
}

/// Where the first rows of a fork come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fork {
    /// The path that was asked for, and how far into its stream.
    pub(crate) path: Path,
    pub(crate) offset: Offset,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) part: u64,
    /// The stream that the path led to.
    pub(crate) source: StreamId,
    /// The first offset that can be read from.
    pub(crate) start: Offset,
    /// Whose rows are read, and up to where, in the order of their offsets; what
    /// is behind the last are rows of its own.
    pub(crate) shares: Vec<(StreamId, Offset)>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
