//! The formats of recorded runs, and how they are told apart.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::document::Document;

/// A format of recorded runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// What tau-bench writes: an array of runs, each with a conversation
    /// `traj` in the form of OpenAI's chat messages.
    TauBench,
    /// What InterCode writes: an object of runs by number, each with a
    /// `turn_history` of actions and observations.
    InterCode,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::TauBench, Self::InterCode];

    /// The format as it is spelled on the command line and in ids.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TauBench => "tau-bench",
            Self::InterCode => "intercode",
        }
    }

    /// The agent of a run whose record does not name one.
    pub(crate) const fn agent(self) -> &'static str {
        match self {
            Self::TauBench => "tau-bench-agent",
            Self::InterCode => "intercode-agent",
        }
    }

    /// The format of a document, judged by its first run.
    pub(crate) fn of(document: &Document<'_>) -> Option<Self> {
        match document {
            Document::Array(runs) => {
                Self::of_run(runs.first()?).filter(|format| *format == Self::TauBench)
            }
            Document::Object(runs) => {
                Self::of_run(runs.first()?.1).filter(|format| *format == Self::InterCode)
            }
        }
    }

    /// The format that the fields of one run belong to.
    pub(crate) fn of_run(run: &RawValue) -> Option<Self> {
        let fields: Fields = serde_json::from_str(run.get()).ok()?;
        match (fields.traj, fields.turn_history) {
            (Some(_), None) => Some(Self::TauBench),
            (None, Some(_)) => Some(Self::InterCode),
            _ => None,
        }
    }
}

/// The field of each format that no other has.
#[derive(Deserialize)]
struct Fields {
    traj: Option<IgnoredAny>,
    turn_history: Option<IgnoredAny>,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormatName;

    fn from_str(text: &str) -> Result<Self, UnknownFormatName> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or(UnknownFormatName)
    }
}

/// A text names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a format is one of `tau-bench`, `intercode`")]
pub struct UnknownFormatName;
