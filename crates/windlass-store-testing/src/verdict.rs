//! How the trial of a promise ends.

use std::error::Error;
use std::fmt::{self, Write as _};

use windlass_store::StoreError;

use crate::FixtureError;

/// A promise that was not broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a promise that does not apply was not kept"]
pub enum Outcome {
    /// The store kept it.
    Passed,
    /// The store cannot break it.
    NotApplicable {
        /// Why.
        reason: String,
    },
}

/// A promise that a store did not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The number of the promise.
    pub promise: u8,
    /// What was seen, and what should have been.
    pub detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{} broken: {}", self.promise, self.detail)
    }
}

impl Error for Broken {}

/// Why a trial ended before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    Broken(String),
    NotApplicable(String),
}

/// A step of a trial.
pub(crate) type Trial<T = ()> = Result<T, Stop>;

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Broken(chain(&error))
    }
}

impl From<FixtureError> for Stop {
    fn from(error: FixtureError) -> Self {
        match error {
            FixtureError::NotApplicable { reason } => Self::NotApplicable(reason),
            other => Self::Broken(chain(&other)),
        }
    }
}

/// Stops the trial unless `holds`.
pub(crate) fn ensure(holds: bool, detail: impl FnOnce() -> String) -> Trial {
    if holds {
        Ok(())
    } else {
        Err(Stop::Broken(detail()))
    }
}

/// Stops the trial unless both are equal; `what` names the left one.
pub(crate) fn ensure_equal<T: PartialEq + fmt::Debug>(
    found: &T,
    expected: &T,
    what: impl FnOnce() -> String,
) -> Trial {
    ensure(found == expected, || {
        format!(
            "{}: found {}, expected {}",
            what(),
            brief(found),
            brief(expected)
        )
    })
}

/// The debug form of something, cut where it stops being readable.
pub(crate) fn brief(value: &impl fmt::Debug) -> String {
    let mut short = Short(String::new());
    // An error means that it is long enough.
    let cut = write!(short, "{value:?}").is_err();
    if cut { short.0 + "…" } else { short.0 }
}

/// Text that takes no more once it is long, so that megabytes of values are
/// not written out to be thrown away.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const LONGEST: usize = 600;
        self.0.push_str(text);
        if self.0.len() > LONGEST {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

/// An error and all its causes in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
