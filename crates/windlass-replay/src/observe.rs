//! What a replay tells while it runs.

use std::ops::ControlFlow;

use crate::model::Run;

/// Is told of every step once its outcome is durable.
///
/// Steps of different runs come in any order, those of one run in theirs.
pub trait Observer: Sync {
    /// Takes note of a step. [`ControlFlow::Break`] ends the replay with
    /// [`ReplayError::Stopped`](crate::ReplayError::Stopped); what was done
    /// stays done.
    fn step(&self, done: &StepDone<'_>) -> ControlFlow<()>;
}

/// Takes no note.
impl Observer for () {
    fn step(&self, _: &StepDone<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// One step that has its outcome.
#[derive(Clone, Copy, Debug)]
pub struct StepDone<'a> {
    /// The run.
    pub run: &'a Run,
    /// The step's number in it, counted from 1.
    pub number: usize,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether an earlier replay into the same store did it.
    pub found: bool,
}

/// What became of a recorded tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was authorised, and that is durable.
    Allowed,
    /// It was refused, with this error code; nothing was stored.
    Refused(&'static str),
}

impl Outcome {
    /// `allowed`, or the code of the refusal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused(code) => code,
        }
    }
}
