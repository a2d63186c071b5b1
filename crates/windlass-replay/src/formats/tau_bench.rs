//! Reads runs as tau-bench records them.
//!
//! A run is one try at one task: its key is `TASK.TRIAL`. Its conversation is
//! a list of OpenAI's chat messages. An assistant's message makes any number
//! of calls; a tool's message answers one of them, named by the call's id.
//! The format knows no budget, no times and no sub-agents.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::conversation::Conversation;
use crate::error::RunError;
use crate::formats::calls::Calls;
use crate::formats::{Content, checked_agent};
use crate::json;

/// Reads one element of the file's array.
pub(crate) fn read(raw: &RawValue) -> Result<Content, RunError> {
    let entry: Entry<'_> = serde_json::from_str(raw.get())?;
    let mut reader = Reader::default();
    for message in &entry.traj {
        reader.take(message)?;
    }
    let key = format!("{}.{}", entry.task_id, entry.trial);
    Ok(Content {
        agent: checked_agent(entry.agent)?,
        messages: reader.conversation.into_messages(),
        steps: reader.calls.steps,
        ..Content::new(key)
    })
}

#[derive(Deserialize)]
struct Entry<'a> {
    task_id: u64,
    trial: u64,
    agent: Option<String>,
    #[serde(borrow)]
    traj: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    role: String,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct Call<'a> {
    id: Option<String>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: String,
    #[serde(borrow)]
    arguments: &'a RawValue,
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
            let arguments = json::text(call.function.arguments)?.unwrap_or_default();
            self.calls
                .make(call.id, call.function.name, arguments, place)?;
        }
        if message.role == "tool" {
            let output = message.content.map(json::text).transpose()?.flatten();
            let (id, output) = (message.tool_call_id, output.unwrap_or_default());
            self.calls.answer(id.as_deref(), output, place)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(traj: &str) -> Result<Content, RunError> {
        let text = format!("{{\"task_id\": 7, \"trial\": 2, \"traj\": [{traj}], \"reward\": 1.0}}");
        read(&RawValue::from_string(text).unwrap())
    }

    fn calls(calls: &[(&str, &str)]) -> String {
        let calls: Vec<String> = calls
            .iter()
            .map(|(id, name)| {
                format!("{{\"id\":\"{id}\",\"type\":\"function\",\"function\":{{\"name\":\"{name}\",\"arguments\":\"{{}}\"}}}}")
            })
            .collect();
        format!(
            "{{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{}]}}",
            calls.join(",")
        )
    }

    fn answer(id: &str, content: &str) -> String {
        format!("{{\"role\":\"tool\",\"tool_call_id\":\"{id}\",\"content\":\"{content}\"}}")
    }

    fn outputs(content: &Content) -> Vec<(&str, Option<&str>, usize)> {
        let steps = content.steps.iter();
        steps
            .map(|step| {
                (
                    step.tool.as_str(),
                    step.output.as_deref(),
                    step.last_message,
                )
            })
            .collect()
    }

    #[test]
    fn a_call_and_its_answer_are_one_step_of_the_conversation() {
        let hello = "{\"role\": \"user\", \"content\": \"hello\"}".to_owned();
        let content =
            run(&[hello, calls(&[("c1", "search")]), answer("c1", "found")].join(",")).unwrap();
        assert_eq!(content.key, "7.2");
        assert_eq!(content.calls_budget, None);
        assert_eq!(
            content.messages[0].text,
            "{\"role\":\"user\",\"content\":\"hello\"}"
        );
        assert_eq!(outputs(&content), [("search", Some("found"), 2)]);
        assert_eq!(content.steps[0].arguments, "{}");
    }

    #[test]
    fn an_id_used_twice_answers_the_calls_in_their_order() {
        let first = [calls(&[("same", "search")]), answer("same", "one")];
        let second = [calls(&[("same", "book")]), answer("same", "two")];
        let content = run(&[first, second].concat().join(",")).unwrap();
        assert_eq!(
            outputs(&content),
            [("search", Some("one"), 1), ("book", Some("two"), 3)]
        );
    }

    #[test]
    fn calls_of_one_message_are_steps_of_their_own() {
        let both = calls(&[("a", "search"), ("b", "book")]);
        let content = run(&[both, answer("b", "booked"), answer("a", "found")].join(",")).unwrap();
        assert_eq!(
            outputs(&content),
            [("search", Some("found"), 2), ("book", Some("booked"), 1)]
        );
    }

    #[test]
    fn a_call_that_was_never_answered_is_a_step_without_output() {
        let content = run(&calls(&[("a", "search")])).unwrap();
        assert_eq!(outputs(&content), [("search", None, 0)]);
    }

    #[test]
    fn an_answer_to_no_call_is_refused() {
        let error = run(&answer("nobody", "x"))
            .err()
            .map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("message 0 answers a tool call that nobody made")
        );
    }

    #[test]
    fn a_tool_whose_name_is_no_name_is_refused() {
        let error = run(&calls(&[("a", "search*")]))
            .err()
            .map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("the tool of call 1 cannot be used"));
    }
}
