//! Reads the snapshots that Reflexion writes of its state.
//!
//! A file is the whole state, written out again after a trial: an array of
//! environments, each with what the agent remembers of it. A run is the trial
//! that ended with the file. The record has no tool calls; all it shows is
//! that the state was written, so that is the run's one step, under the name
//! [`TOOL`]. What was written is its argument and also the run's messages,
//! one an environment, so that the report's snapshots are those that were
//! really taken. Nothing answers. There are no ids, budgets, times or agents;
//! an environment is a task and no sub-agent.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::conversation::Conversation;
use crate::error::RunError;
use crate::formats::{Content, checked_tool};
use crate::json;
use crate::model::Step;

/// What the one step of a run is called; the record has no name for it.
const TOOL: &str = "write_state";

/// Reads one environment, as its text.
pub(crate) fn environment(raw: &RawValue) -> Result<String, RunError> {
    let _: Environment<'_> = serde_json::from_str(raw.get())?;
    Ok(json::compact(raw)?)
}

/// Puts the environments of a file together.
pub(crate) fn run(environments: Vec<String>) -> Result<Content, RunError> {
    let arguments = format!("[{}]", environments.join(","));
    let mut conversation = Conversation::default();
    let Some(last_message) = conversation.restate(None, environments) else {
        return Ok(Content::new("0".to_owned()));
    };
    let step = Step {
        tool: checked_tool(TOOL.to_owned(), &[])?,
        call: None,
        arguments,
        output: None,
        last_message,
        state: None,
    };
    Ok(Content {
        messages: conversation.into_messages(),
        steps: vec![step],
        whole: Some("environments"),
        ..Content::new("0".to_owned())
    })
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the form is checked")]
struct Environment<'a> {
    name: String,
    #[serde(borrow)]
    memory: Vec<&'a RawValue>,
    is_success: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(environments: &[&str]) -> Result<Content, RunError> {
        let read = environments.iter().map(|text| {
            let raw: &RawValue = serde_json::from_str(text)?;
            environment(raw)
        });
        run(read.collect::<Result<_, _>>()?)
    }

    #[test]
    fn a_snapshot_is_one_step_that_writes_all_of_it() {
        let first = r#"{ "name": "cellar", "memory": ["look first"], "is_success": false }"#;
        let second = r#"{"name": "loft", "memory": [], "is_success": true}"#;
        let content = read(&[first, second]).unwrap();
        let written = r#"[{"name":"cellar","memory":["look first"],"is_success":false},{"name":"loft","memory":[],"is_success":true}]"#;
        assert_eq!(content.steps.len(), 1);
        let step = &content.steps[0];
        assert_eq!(
            (step.tool.as_str(), step.arguments.as_str()),
            (TOOL, written)
        );
        assert_eq!((step.output.as_deref(), step.last_message), (None, 1));
    }

    #[test]
    fn an_environment_without_its_outcome_is_refused() {
        let error = read(&[r#"{"name": "cellar", "memory": []}"#]).unwrap_err();
        assert!(matches!(error, RunError::Form(_)), "{error:?}");
    }
}
