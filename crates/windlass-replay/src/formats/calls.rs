//! Calls and their answers, paired up by the calls' ids.
//!
//! Ids are not unique within a run (models make them up anew), so an answer
//! belongs to the earliest call of its id that has none yet.

use crate::error::RunError;
use crate::formats::checked_tool;
use crate::model::Step;

#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) steps: Vec<Step>,
    /// Calls that wait for their answer: id and place in `steps`.
    open: Vec<(Option<String>, usize)>,
}

impl Calls {
    /// Takes a call made by the message at place `message`.
    pub(super) fn make(
        &mut self,
        id: Option<String>,
        tool: String,
        arguments: String,
        message: usize,
    ) -> Result<(), RunError> {
        self.open.push((id.clone(), self.steps.len()));
        self.steps.push(Step {
            tool: checked_tool(tool, &self.steps)?,
            call: id,
            arguments,
            output: None,
            last_message: message,
            state: None,
        });
        Ok(())
    }

    /// Takes an answer, which is the message at place `message`.
    pub(super) fn answer(
        &mut self,
        id: Option<&str>,
        output: String,
        message: usize,
    ) -> Result<(), RunError> {
        let waiting = self
            .open
            .iter()
            .position(|(call, _)| id.is_none() || call.as_deref() == id);
        let waiting = waiting.ok_or(RunError::AnswerWithoutCall { message })?;
        let (_, step) = self.open.remove(waiting);
        let step = &mut self.steps[step];
        step.output = Some(output);
        step.last_message = message;
        Ok(())
    }
}
