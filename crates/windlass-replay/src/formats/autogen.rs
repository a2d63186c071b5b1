//! Reads what AutoGen's recorder of a model client records.
//!
//! The recorder stands between an application and its model client and keeps
//! every call: the messages that were sent and the response. A step is one
//! such call; its tool is what the record calls it (`create`), because that
//! is what an authority would have to allow. Functions that a response asks
//! for are not calls of the client, and whether they were made is not
//! recorded.
//!
//! An application talks with the model in several conversations, whose calls
//! are interleaved. A run is one conversation: a call belongs to an earlier
//! one if its messages are those of that conversation's last call, then the
//! response, then more. Its key is the place of its first call in the file.
//! Nothing in the record says that one conversation was begun on behalf of
//! another, so none is a sub-agent of another. There are no ids of calls,
//! budgets, times or agents.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::conversation::Conversation;
use crate::error::RunError;
use crate::formats::{Content, checked_tool};
use crate::json;
use crate::model::Step;

/// The conversations of a file as far as its calls have been read.
#[derive(Default)]
pub(crate) struct Recorder {
    talks: Vec<Talk>,
    /// Which conversation has come to messages of this digest, its last
    /// response included.
    expected: HashMap<[u8; 32], usize>,
    calls: usize,
}

/// One conversation.
struct Talk {
    key: String,
    /// What was sent with the last call, which everything before it is part
    /// of.
    sent: Vec<String>,
    steps: Vec<Step>,
    /// What the last call answered, as a message, until the next call shows
    /// it.
    answer: String,
}

#[derive(Deserialize)]
struct Call<'a> {
    mode: String,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
    #[serde(borrow)]
    response: Response<'a>,
    #[serde(borrow)]
    stream: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

impl Recorder {
    /// Takes the next call.
    pub(crate) fn take(&mut self, raw: &RawValue) -> Result<(), RunError> {
        let call: Call<'_> = serde_json::from_str(raw.get())?;
        let mut sent = Vec::with_capacity(call.messages.len());
        let mut told = Sha256::new();
        let mut found = None;
        for raw in &call.messages {
            let message: Message<'_> = serde_json::from_str(raw.get())?;
            let text = json::compact(raw)?;
            if message.kind == "AssistantMessage" {
                let state = digest(told.clone(), &compact(message.content)?);
                found = self
                    .expected
                    .contains_key(&state)
                    .then_some(state)
                    .or(found);
            }
            absorb(&mut told, &text);
            sent.push(text);
        }
        let answer = compact(call.answer())?;
        let output = call.answer().map(json::text).transpose()?.flatten();
        let talk = found.and_then(|state| self.expected.remove(&state));
        let talk = talk.unwrap_or_else(|| self.begin());
        self.talks[talk].take(call.mode, sent, &answer, output)?;
        self.expected.insert(digest(told, &answer), talk);
        self.calls += 1;
        Ok(())
    }

    /// The conversations, in the order of their first calls.
    pub(crate) fn runs(self) -> Vec<Content> {
        self.talks.into_iter().map(Talk::content).collect()
    }

    fn begin(&mut self) -> usize {
        self.talks.push(Talk {
            key: self.calls.to_string(),
            sent: Vec::new(),
            steps: Vec::new(),
            answer: String::new(),
        });
        self.talks.len() - 1
    }
}

impl<'a> Call<'a> {
    /// The content of the response; of a stream, that of its last element.
    fn answer(&self) -> Option<&'a RawValue> {
        let streamed = || {
            let last = self.stream.as_ref()?.last()?;
            serde_json::from_str::<Response<'a>>(last.get())
                .ok()?
                .content
        };
        self.response.content.or_else(streamed)
    }
}

impl Talk {
    fn take(
        &mut self,
        mode: String,
        sent: Vec<String>,
        answer: &str,
        output: Option<String>,
    ) -> Result<(), RunError> {
        self.steps.push(Step {
            tool: checked_tool(mode, &self.steps)?,
            call: None,
            arguments: String::new(),
            output,
            last_message: sent.len(),
            state: None,
        });
        self.sent = sent;
        self.answer = format!(r#"{{"content":{answer},"type":"AssistantMessage"}}"#);
        Ok(())
    }

    fn content(mut self) -> Content {
        self.sent.push(self.answer);
        let mut conversation = Conversation::default();
        conversation.restate(None, self.sent);
        Content {
            messages: conversation.into_messages(),
            steps: self.steps,
            ..Content::new(self.key)
        }
    }
}

fn compact(content: Option<&RawValue>) -> Result<String, RunError> {
    let content = content.map(json::compact).transpose()?;
    Ok(content.unwrap_or_else(|| "null".to_owned()))
}

fn absorb(told: &mut Sha256, text: &str) {
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    told.update(length.to_be_bytes());
    told.update(text);
}

fn digest(mut told: Sha256, answer: &str) -> [u8; 32] {
    absorb(&mut told, answer);
    told.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    fn call(messages: &[String], response: &str) -> String {
        format!(
            r#"{{"mode": "create", "messages": [{}], "response": {{"finish_reason": "stop", "content": {response}}}, "stream": []}}"#,
            messages.join(",")
        )
    }

    fn user(content: &str) -> String {
        format!(r#"{{"content": {content}, "source": "User", "type": "UserMessage"}}"#)
    }

    fn assistant(content: &str) -> String {
        format!(
            r#"{{"content": "{content}", "thought": null, "source": "Assistant", "type": "AssistantMessage"}}"#
        )
    }

    fn read(calls: &[String]) -> Result<Vec<Content>, RunError> {
        let mut recorder = Recorder::default();
        for call in calls {
            recorder.take(&RawValue::from_string(call.clone()).unwrap())?;
        }
        Ok(recorder.runs())
    }

    #[test]
    fn calls_of_interleaved_conversations_find_their_own() {
        let question = user("\"which way\"");
        let list = user("[\"which\", \"way\"]");
        let calls = [
            call(from_ref(&question), "\"left\""),
            call(from_ref(&question), "\"right\""),
            call(&[list], "\"left\""),
            call(
                &[question.clone(), assistant("right"), user("\"and then\"")],
                "\"stop\"",
            ),
            call(
                &[question, assistant("left"), user("\"and then\"")],
                "\"go on\"",
            ),
        ];
        let runs = read(&calls).unwrap();
        let found: Vec<_> = runs
            .iter()
            .map(|run| (run.key.as_str(), run.steps.len(), run.messages.len()))
            .collect();
        assert_eq!(found, [("0", 2, 4), ("1", 2, 4), ("2", 1, 2)]);
        let ends: Vec<_> = runs[1].steps.iter().map(|step| step.last_message).collect();
        assert_eq!(ends, [1, 3]);
        assert_eq!(runs[1].steps[1].output.as_deref(), Some("stop"));
        assert_eq!(
            runs[1].messages[3].text,
            r#"{"content":"stop","type":"AssistantMessage"}"#
        );
        assert_eq!(runs[1].steps[0].tool.as_str(), "create");
    }

    #[test]
    fn the_same_question_asked_twice_is_two_conversations() {
        let question = user("\"which way\"");
        let runs = read(&[
            call(from_ref(&question), "\"left\""),
            call(&[question], "\"left\""),
        ])
        .unwrap();
        assert_eq!(runs.len(), 2);
    }

    #[test]
    fn a_call_that_goes_on_from_an_earlier_state_is_a_conversation_of_its_own() {
        let begun = [user("\"which way\""), assistant("left")];
        let on = |more: &str| call(&[&begun[..], &[user(more)]].concat(), "\"on\"");
        let runs = read(&[call(&begun[..1], "\"left\""), on("\"a\""), on("\"b\"")]).unwrap();
        let found: Vec<_> = runs
            .iter()
            .map(|run| (run.key.as_str(), run.steps.len()))
            .collect();
        assert_eq!(found, [("0", 2), ("2", 1)]);
    }

    #[test]
    fn a_stream_answers_with_its_last_element() {
        let text = r#"{"mode": "create_stream", "messages": [], "response": {}, "stream": ["le", "ft", {"content": "left"}]}"#;
        let runs = read(&[text.to_owned()]).unwrap();
        let step = &runs[0].steps[0];
        assert_eq!(
            (step.tool.as_str(), step.output.as_deref()),
            ("create_stream", Some("left"))
        );
    }

    #[test]
    fn a_response_of_function_calls_is_told_as_it_is() {
        let runs = read(&[call(&[user("\"q\"")], r#"[{"id": "1", "name": "look"}]"#)]).unwrap();
        assert_eq!(
            runs[0].steps[0].output.as_deref(),
            Some(r#"[{"id":"1","name":"look"}]"#)
        );
    }
}
