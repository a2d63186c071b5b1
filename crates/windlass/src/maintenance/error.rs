//! Every way in which upkeep can fail.

use windlass_core::{Coded, ErrorKind, Millis, RandomError};
use windlass_store::StoreError;

use crate::MaintainError;
use crate::error::kind_of;

/// Why upkeep did not do what it was to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// There is no task of that name.
    #[error("there is no task `{name}`; there are {known}")]
    UnknownTask {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A task failed; what it did before stays done.
    #[error("the task `{task}` failed")]
    Task {
        /// Which.
        task: &'static str,
        /// How.
        source: MaintainError,
    },
    /// A task panicked; what it did before stays done.
    #[error("the task `{task}` panicked: {message}")]
    Panicked {
        /// Which.
        task: &'static str,
        /// What it said, cut after 200 characters.
        message: String,
    },
    /// The clock cannot be right.
    #[error(transparent)]
    Clock(#[from] ClockRefused),
    /// The store failed.
    #[error("cannot read or write what upkeep keeps about itself")]
    Store(#[from] StoreError),
    /// What is stored about upkeep cannot be read.
    #[error("the record `{what}` of maintenance cannot be read: {why}")]
    Corrupt {
        /// Which.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The lease was renewed again and again while it was to be given back.
    #[error("the lease of upkeep could not be given back: it kept changing")]
    StillHeld,
    /// There were no random bytes.
    #[error("no random bytes for upkeep")]
    Random(#[from] RandomError),
}

impl Coded for MaintenanceError {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownTask { .. } => "unknown_task",
            Self::Task { source, .. } => source.code(),
            Self::Panicked { .. } => "task_panicked",
            Self::Clock(refused) => refused.code(),
            Self::Store(source) => source.kind().code(),
            Self::Corrupt { .. } => "corrupt_record",
            Self::StillHeld => "busy",
            Self::Random(_) => "no_randomness",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownTask { .. } => ErrorKind::NotFound,
            Self::Task { source, .. } => source.kind(),
            Self::Panicked { .. } | Self::StillHeld => ErrorKind::Unavailable,
            Self::Random(_) => ErrorKind::Environment,
            Self::Clock(refused) => refused.kind(),
            Self::Store(source) => kind_of(source.kind()),
            Self::Corrupt { .. } => ErrorKind::Corrupt,
        }
    }
}

/// The clock of this machine is too far from the time that the store has seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock of this machine says {now}, which is {} ms {} the time that the store has seen, \
     {mark} (both Unix milliseconds); set the clock, or, if it is right, accept it: \
     windlass check --accept-clock", 
    .now.get().abs_diff(mark.get()), if now < mark { "before" } else { "after" }
)]
pub struct ClockRefused {
    /// What the clock says.
    pub now: Millis,
    /// The latest time that the store has seen.
    pub mark: Millis,
}

impl Coded for ClockRefused {
    fn code(&self) -> &'static str {
        "clock_refused"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Environment
    }
}
