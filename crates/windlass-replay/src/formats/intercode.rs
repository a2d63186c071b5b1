//! Reads runs as InterCode records them.
//!
//! A run's key is its key in the file's object. Each action is one call of
//! the run's one tool: the environment it ran in, under the name the record
//! gives (`ic_bash`). The command is the argument of the call, not its name:
//! what an authority would have to allow is the shell. The budget is
//! `turns_max`.
//!
//! The record keeps no messages. The conversation is taken to be the query
//! (`user`), then for each turn the action (`assistant`) and the observation
//! (`tool`), as objects of `role` and `content`. There are no ids of calls,
//! no times and no sub-agents.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::conversation::Conversation;
use crate::error::RunError;
use crate::formats::{Content, checked_agent, checked_tool, message};
use crate::json;
use crate::model::Step;

/// Reads one member of the file's object.
pub(crate) fn read(key: &str, raw: &RawValue) -> Result<Content, RunError> {
    let entry: Entry<'_> = serde_json::from_str(raw.get())?;
    let Turns {
        actions,
        observations,
    } = entry.turn_history;
    if actions.len() != observations.len() {
        let (actions, observations) = (actions.len(), observations.len());
        return Err(RunError::UnequalTurns {
            actions,
            observations,
        });
    }
    let tool = checked_tool(entry.environment, &[])?;
    let mut conversation = Conversation::default();
    conversation.push(message("user", &entry.query));
    let mut steps = Vec::with_capacity(actions.len());
    for (arguments, observation) in actions.into_iter().zip(observations) {
        let output = json::text(observation)?.unwrap_or_default();
        conversation.push(message("assistant", &arguments));
        steps.push(Step {
            tool: tool.clone(),
            call: None,
            arguments,
            last_message: conversation.push(message("tool", &output)),
            output: Some(output),
            state: None,
        });
    }
    Ok(Content {
        agent: checked_agent(entry.agent)?,
        calls_budget: entry.summary.and_then(|summary| summary.turns_max),
        messages: conversation.into_messages(),
        steps,
        ..Content::new(key.to_owned())
    })
}

#[derive(Deserialize)]
struct Entry<'a> {
    environment: String,
    agent: Option<String>,
    query: String,
    #[serde(borrow)]
    turn_history: Turns<'a>,
    summary: Option<Summary>,
}

#[derive(Deserialize)]
struct Turns<'a> {
    actions: Vec<String>,
    #[serde(borrow)]
    observations: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Summary {
    turns_max: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(actions: &str, observations: &str) -> Result<Content, RunError> {
        let text = format!(
            "{{\"environment\": \"ic_bash\", \"query\": \"count\", \
              \"turn_history\": {{\"actions\": {actions}, \"observations\": {observations}, \"rewards\": []}}, \
              \"summary\": {{\"turns_max\": 10, \"turns_taken\": 1}}}}"
        );
        read("3", &RawValue::from_string(text).unwrap())
    }

    #[test]
    fn an_action_is_a_call_of_the_environment() {
        let content = run("[\"ls\", \"wc -l\"]", "[\"a\\nb\\n\", \"2\\n\"]").unwrap();
        let names: Vec<_> = content
            .steps
            .iter()
            .map(|step| step.tool.as_str())
            .collect();
        assert_eq!(names, ["ic_bash", "ic_bash"]);
        assert_eq!(content.steps[1].arguments, "wc -l");
        assert_eq!(content.steps[1].output.as_deref(), Some("2\n"));
        assert_eq!(
            (content.key.as_str(), content.calls_budget),
            ("3", Some(10))
        );
    }

    #[test]
    fn the_conversation_is_the_query_and_two_messages_a_turn() {
        let content = run("[\"ls\"]", "[\"a\\n\"]").unwrap();
        let expected = [
            "{\"role\":\"user\",\"content\":\"count\"}",
            "{\"role\":\"assistant\",\"content\":\"ls\"}",
            "{\"role\":\"tool\",\"content\":\"a\\n\"}",
        ];
        let texts = content.messages.iter().map(|message| &message.text);
        assert_eq!(texts.collect::<Vec<_>>(), expected);
        assert_eq!(content.steps[0].last_message, 2);
    }

    #[test]
    fn turns_without_their_observation_are_refused() {
        let error = run("[\"ls\", \"pwd\"]", "[\"a\"]")
            .err()
            .map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("there are 2 actions but 1 observations")
        );
    }
}
