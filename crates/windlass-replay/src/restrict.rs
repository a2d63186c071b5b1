//! Restrictions that a replay can put on its sessions, so that a record
//! demands refusals.

use std::str::FromStr;

use windlass::session::Name;

use crate::model::Run;

/// What sessions are denied that their run had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// A tool that is not among those the session may call, nor the sessions
    /// below it.
    pub withhold: Option<Withhold>,
    /// A budget of so many percent of the calls that the run makes, rounded
    /// down, but at least 1, instead of the run's own.
    pub calls_percent: Option<Percent>,
}

impl Restrictions {
    /// The tool withheld from `run`.
    #[must_use]
    pub fn withheld<'a>(&'a self, run: &'a Run) -> Option<&'a Name> {
        match self.withhold.as_ref()? {
            Withhold::MostUsed => run.most_used_tool(),
            Withhold::Named(tool) => Some(tool),
        }
    }
}

/// Which tool a session may not call although its run does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withhold {
    /// The one that the run calls most often; of several, the first by name.
    MostUsed,
    /// This one.
    Named(Name),
}

impl Withhold {
    /// How [`Withhold::MostUsed`] is spelled.
    pub const MOST_USED: &'static str = "most-used";
}

impl FromStr for Withhold {
    type Err = NotATool;

    /// `most-used`, or the name of a tool.
    fn from_str(text: &str) -> Result<Self, NotATool> {
        if text == Self::MOST_USED {
            return Ok(Self::MostUsed);
        }
        text.parse().map(Self::Named).map_err(NotATool)
    }
}

/// A text cannot be the name of a tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a tool cannot be used")]
pub struct NotATool(#[source] windlass::session::Problem);

/// A share of a whole: 1 to 100 percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(u64);

impl Percent {
    /// `percent`, if it is 1 to 100.
    #[must_use]
    pub fn new(percent: u64) -> Option<Self> {
        (1..=100).contains(&percent).then_some(Self(percent))
    }

    /// So much of `whole`, rounded down.
    pub(crate) fn of(self, whole: u64) -> u64 {
        whole.saturating_mul(self.0) / 100
    }
}

impl FromStr for Percent {
    type Err = NotAPercentage;

    fn from_str(text: &str) -> Result<Self, NotAPercentage> {
        text.parse().ok().and_then(Self::new).ok_or(NotAPercentage)
    }
}

/// A text is no whole number of percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a percentage is a whole number from 1 to 100")]
pub struct NotAPercentage;
