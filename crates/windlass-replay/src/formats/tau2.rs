//! Reads runs as tau2-bench records them.
//!
//! A file is one object for a whole evaluation; a run is one element of its
//! `simulations` and its key the simulation's `id`, because a task's id may
//! be a long text in some domains. An assistant's message makes any number of
//! calls, often several; a tool's message answers the one whose id it has.
//! The simulated user has tools of its own: calls and answers whose
//! `requestor` is `user` are messages and nothing else, because no agent made
//! them. The budget is `max_steps` of the evaluation, and the agent is the
//! name of its implementation.
//!
//! The times in the record are placeholders and are not used. An agent that
//! lets other models work for it (ToolOrchestra) leaves no trace of them:
//! the record has no sub-agents.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::conversation::Conversation;
use crate::error::RunError;
use crate::formats::calls::Calls;
use crate::formats::{Content, checked_agent};
use crate::json;

/// An evaluation, of which the runs are not read yet.
#[derive(Deserialize)]
pub(crate) struct Evaluation<'a> {
    info: Option<Info>,
    #[serde(borrow)]
    pub(crate) simulations: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Info {
    max_steps: Option<u64>,
    agent_info: Option<AgentInfo>,
}

#[derive(Deserialize)]
struct AgentInfo {
    implementation: Option<String>,
}

impl Evaluation<'_> {
    /// Reads one of the simulations.
    pub(crate) fn read(&self, raw: &RawValue) -> Result<Content, RunError> {
        let simulation: Simulation<'_> = serde_json::from_str(raw.get())?;
        let mut reader = Reader::default();
        for message in &simulation.messages {
            reader.take(message)?;
        }
        let agent = self.info.as_ref().and_then(|info| info.agent_info.as_ref());
        Ok(Content {
            agent: checked_agent(agent.and_then(|agent| agent.implementation.clone()))?,
            calls_budget: self.info.as_ref().and_then(|info| info.max_steps),
            messages: reader.conversation.into_messages(),
            steps: reader.calls.steps,
            ..Content::new(simulation.id)
        })
    }
}

#[derive(Deserialize)]
struct Simulation<'a> {
    id: String,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    role: String,
    id: Option<String>,
    requestor: Option<String>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    id: Option<String>,
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    requestor: Option<String>,
}

/// What has been read of a conversation.
#[derive(Default)]
struct Reader {
    conversation: Conversation,
    calls: Calls,
}

impl Reader {
    fn take(&mut self, raw: &RawValue) -> Result<(), RunError> {
        let place = self.conversation.push(json::compact(raw)?);
        let message: Message<'_> = serde_json::from_str(raw.get())?;
        for call in message.tool_calls.into_iter().flatten() {
            if is_agent(call.requestor.as_deref()) {
                let arguments = call.arguments.map(json::text).transpose()?.flatten();
                self.calls
                    .make(call.id, call.name, arguments.unwrap_or_default(), place)?;
            }
        }
        if message.role == "tool" && is_agent(message.requestor.as_deref()) {
            let output = message.content.map(json::text).transpose()?.flatten();
            let (id, output) = (message.id, output.unwrap_or_default());
            self.calls.answer(id.as_deref(), output, place)?;
        }
        Ok(())
    }
}

fn is_agent(requestor: Option<&str>) -> bool {
    requestor != Some("user")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = r#"{"max_steps": 30, "agent_info": {"implementation": "keeper"}}"#;

    fn run(messages: &str) -> Result<Content, RunError> {
        let text = format!(
            r#"{{"info": {INFO}, "simulations": [{{"id": "5b1f", "messages": [{messages}]}}]}}"#
        );
        let evaluation: Evaluation<'_> = serde_json::from_str(&text)?;
        evaluation.read(evaluation.simulations[0])
    }

    fn calls(requestor: &str, calls: &[(&str, &str, &str)]) -> String {
        let calls: Vec<String> = calls
            .iter()
            .map(|(id, name, arguments)| {
                format!(r#"{{"id": "{id}", "name": "{name}", "arguments": {arguments}, "requestor": "{requestor}"}}"#)
            })
            .collect();
        format!(
            r#"{{"role": "{requestor}", "content": null, "tool_calls": [{}]}}"#,
            calls.join(",")
        )
    }

    fn answer(requestor: &str, id: &str, content: &str) -> String {
        format!(
            r#"{{"role": "tool", "id": "{id}", "requestor": "{requestor}", "content": {content}}}"#
        )
    }

    #[test]
    fn parallel_calls_are_steps_of_their_own_whatever_form_their_arguments_have() {
        let both = calls(
            "assistant",
            &[("a", "tide", "{\"day\": 3}"), ("b", "wind", "\"{}\"")],
        );
        let answers = [
            answer("assistant", "b", "\"calm\\r\\n\""),
            answer("assistant", "a", "null"),
        ];
        let content = run(&format!("{both},{}", answers.join(","))).unwrap();
        let steps: Vec<_> = content
            .steps
            .iter()
            .map(|step| {
                (
                    step.tool.as_str(),
                    step.arguments.as_str(),
                    step.output.as_deref(),
                    step.last_message,
                )
            })
            .collect();
        let expected = [
            ("tide", "{\"day\":3}", Some(""), 2),
            ("wind", "{}", Some("calm\r\n"), 1),
        ];
        assert_eq!(steps, expected);
        assert_eq!(content.steps[1].call.as_deref(), Some("b"));
        assert_eq!(
            (content.key.as_str(), content.calls_budget),
            ("5b1f", Some(30))
        );
        assert_eq!(content.agent.unwrap().as_str(), "keeper");
    }

    #[test]
    fn what_the_user_calls_is_said_but_no_step() {
        let users = calls("user", &[("u", "unlock", "{}")]);
        let content = run(&format!("{users},{}", answer("user", "u", "\"open\""))).unwrap();
        assert_eq!((content.steps.len(), content.messages.len()), (0, 2));
    }

    #[test]
    fn an_answer_to_a_call_of_another_id_is_refused() {
        let call = calls("assistant", &[("a", "tide", "{}")]);
        let error = run(&format!("{call},{}", answer("assistant", "b", "\"\"")))
            .err()
            .map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("message 1 answers a tool call that nobody made")
        );
    }
}
