//! One thing that is not as it should be, and where.

use std::fmt;

/// A fault and its place, in the form `place: what`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    place: String,
    what: String,
}

impl Finding {
    /// A fault of a whole file, crate or check.
    pub(crate) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
        }
    }

    /// A fault in one line of a file, counted from one.
    pub(crate) fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), what)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Prints every finding; answers whether there was none.
pub(crate) fn report(findings: &[Finding]) -> bool {
    for finding in findings {
        println!("{finding}");
    }
    findings.is_empty()
}
