//! Reads runs as SWE-agent records them.
//!
//! A file is one run. A step is one action of its `trajectory`, or, where a
//! file has only the `history`, one assistant's message there that acts. An
//! action is a line for a shell, and its tool the first word of it (`edit`,
//! `python`): SWE-agent's own commands are told apart from programs nowhere
//! else in all of its versions. A turn that does nothing is no step. The
//! agent is the one of the first message that acts; no file names several, so
//! there are no sub-agents. The budget is `per_instance_call_limit` of the
//! configuration, where there is one and it is not 0, which is no limit.
//!
//! The messages are those of `history`. A turn that carries its own
//! `messages` is taken by its word: the agent may have shortened old answers
//! since; it then counts as one that writes its whole conversation every time.
//! The state of a step is the turn's `state`. Where history and trajectory do not have the same number of
//! actions, each turn is told by its response and its observation. There are
//! no times: `execution_time` says how long, not when.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::conversation::Conversation;
use crate::error::RunError;
use crate::formats::{Content, checked_agent, checked_tool, message};
use crate::json;
use crate::model::Step;

/// Reads one object.
pub(crate) fn read(key: String, raw: &RawValue) -> Result<Content, RunError> {
    let record: Record<'_> = serde_json::from_str(raw.get())?;
    let calls_budget = record.replay_config.and_then(call_limit);
    let history = History::read(&record.history.unwrap_or_default())?;
    let agent = history.agent.clone();
    let snapshots = |turns: &Vec<Turn<'_>>| turns.iter().any(|turn| turn.messages.is_some());
    let whole = record.trajectory.as_ref().is_some_and(snapshots);
    let (conversation, steps) = match record.trajectory {
        Some(turns) => Turns::new(history).read(&turns)?,
        None => history.alone()?,
    };
    Ok(Content {
        agent: checked_agent(agent)?,
        calls_budget,
        messages: conversation.into_messages(),
        steps,
        whole: whole.then_some("messages"),
        ..Content::new(key)
    })
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    trajectory: Option<Vec<Turn<'a>>>,
    #[serde(borrow)]
    history: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    replay_config: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Turn<'a> {
    action: Option<String>,
    #[serde(borrow)]
    observation: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    state: Option<&'a RawValue>,
}

impl Turn<'_> {
    /// What was done, if anything was.
    fn action(&self) -> Option<&str> {
        self.action.as_deref().filter(|action| acts(action))
    }
}

#[derive(Deserialize)]
struct Entry<'a> {
    role: String,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    agent: Option<String>,
    action: Option<String>,
    tool_calls: Option<Vec<Call>>,
    #[serde(default)]
    is_demo: bool,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
}

fn acts(action: &str) -> bool {
    !action.trim().is_empty()
}

fn command(action: &str) -> String {
    let mut words = action.split_whitespace();
    words.next().unwrap_or_default().to_owned()
}

fn text(raw: Option<&RawValue>) -> Result<Option<String>, RunError> {
    Ok(raw.map(json::text).transpose()?.flatten())
}

/// What a turn says of its surroundings: an object, or the text of one.
fn state(raw: &RawValue) -> Result<Option<String>, RunError> {
    let Some(text) = json::text(raw)? else {
        return Ok(None);
    };
    let inner = serde_json::from_str::<&RawValue>(&text);
    Ok(Some(
        inner.map_or_else(|_| json::compact(raw), json::compact)?,
    ))
}

/// The configuration is an object, or the text of one.
fn call_limit(config: &RawValue) -> Option<u64> {
    #[derive(Deserialize)]
    struct Config {
        agent: Option<Agent>,
    }
    #[derive(Deserialize)]
    struct Agent {
        model: Option<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        per_instance_call_limit: Option<u64>,
    }
    let config = json::text(config).ok()??;
    let config: Config = serde_json::from_str(&config).ok()?;
    let limit = config.agent?.model?.per_instance_call_limit?;
    (limit > 0).then_some(limit)
}

/// What was said, and where in it something was done.
#[derive(Default)]
struct History {
    agent: Option<String>,
    conversation: Conversation,
    acts: Vec<Act>,
}

/// A message that acts.
struct Act {
    action: String,
    call: Option<String>,
    place: usize,
    /// The place and the text of the message that answers it.
    answer: Option<(usize, String)>,
}

impl History {
    fn read(entries: &[&RawValue]) -> Result<Self, RunError> {
        let mut history = Self::default();
        for raw in entries {
            let place = history.conversation.push(json::compact(raw)?);
            history.note(place, serde_json::from_str(raw.get())?)?;
        }
        Ok(history)
    }

    fn note(&mut self, place: usize, entry: Entry<'_>) -> Result<(), RunError> {
        // Demonstrations show the agent what others did.
        if entry.is_demo {
            return Ok(());
        }
        if entry.role != "assistant" {
            let waiting = self.acts.last_mut().filter(|act| act.place + 1 == place);
            if let Some(act) = waiting {
                act.answer = Some((place, text(entry.content)?.unwrap_or_default()));
            }
            return Ok(());
        }
        let Some(action) = entry.action.filter(|action| acts(action)) else {
            return Ok(());
        };
        if self.agent.is_none() {
            self.agent = entry.agent;
        }
        let mut calls = entry.tool_calls.into_iter().flatten();
        self.acts.push(Act {
            action,
            call: calls.next().and_then(|call| call.id),
            place,
            answer: None,
        });
        Ok(())
    }

    /// The steps of a file that has nothing else.
    fn alone(self) -> Result<(Conversation, Vec<Step>), RunError> {
        let mut steps = Vec::with_capacity(self.acts.len());
        for act in self.acts {
            steps.push(Step {
                tool: checked_tool(command(&act.action), &steps)?,
                call: act.call.clone(),
                last_message: act.last_message(),
                arguments: act.action,
                output: act.answer.map(|(_, text)| text),
                state: None,
            });
        }
        Ok((self.conversation, steps))
    }
}

impl Act {
    fn last_message(&self) -> usize {
        self.answer.as_ref().map_or(self.place, |(place, _)| *place)
    }
}

/// The turns of a trajectory, told with the help of a history.
struct Turns {
    history: History,
    steps: Vec<Step>,
}

impl Turns {
    const fn new(history: History) -> Self {
        let steps = Vec::new();
        Self { history, steps }
    }

    fn read(mut self, turns: &[Turn<'_>]) -> Result<(Conversation, Vec<Step>), RunError> {
        let actions = turns.iter().filter_map(Turn::action).count();
        if actions != self.history.acts.len() {
            self.history.acts.clear();
        }
        for turn in turns {
            if let Some(action) = turn.action() {
                self.take(turn, action)?;
            }
        }
        Ok((self.history.conversation, self.steps))
    }

    fn take(&mut self, turn: &Turn<'_>, action: &str) -> Result<(), RunError> {
        let act = self.history.acts.get(self.steps.len());
        let call = act.and_then(|act| act.call.clone());
        let place = act.map(Act::last_message);
        let last_message = match (&turn.messages, place) {
            (Some(messages), _) => self.told(turn, action, messages)?,
            (None, Some(place)) => place,
            (None, None) => {
                let [response, observation] = own_words(turn)?;
                self.history.conversation.push(response);
                self.history.conversation.push(observation)
            }
        };
        self.steps.push(Step {
            tool: checked_tool(command(action), &self.steps)?,
            call,
            arguments: action.to_owned(),
            output: text(turn.observation)?,
            last_message,
            state: turn.state.map(state).transpose()?.flatten(),
        });
        Ok(())
    }

    /// The conversation as the turn itself tells it. Some versions tell it
    /// with the turn's own messages already in it.
    fn told(
        &mut self,
        turn: &Turn<'_>,
        action: &str,
        messages: &[&RawValue],
    ) -> Result<usize, RunError> {
        let mut texts = Vec::with_capacity(messages.len() + 2);
        let mut last_action = None;
        for raw in messages {
            let entry: Entry<'_> = serde_json::from_str(raw.get())?;
            last_action = entry.action.or(last_action);
            texts.push(json::compact(raw)?);
        }
        if last_action.as_deref() != Some(action) {
            texts.extend(own_words(turn)?);
        }
        let before = self.steps.last().map(|step| step.last_message);
        let last = self.history.conversation.restate(before, texts);
        Ok(last.expect("a conversation with an action in it has a message"))
    }
}

/// Two messages for what a turn said and what came of it.
fn own_words(turn: &Turn<'_>) -> Result<[String; 2], RunError> {
    let response = text(turn.response)?.unwrap_or_default();
    let observation = text(turn.observation)?.unwrap_or_default();
    Ok([
        message("assistant", &response),
        message("user", &observation),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<Content, RunError> {
        read(
            "0".to_owned(),
            &RawValue::from_string(text.to_owned()).unwrap(),
        )
    }

    fn told(content: &Content) -> Vec<(&str, Option<&str>, Option<&str>, usize)> {
        let steps = content.steps.iter();
        steps
            .map(|step| {
                let (call, output) = (step.call.as_deref(), step.output.as_deref());
                (step.tool.as_str(), call, output, step.last_message)
            })
            .collect()
    }

    const HISTORY: &str = r#"[
        {"role": "system", "content": "fix it", "agent": "main"},
        {"role": "assistant", "content": "shown", "action": "demo", "agent": "other", "is_demo": true},
        {"role": "assistant", "content": "I look", "action": "ls -F\n", "agent": "main", "tool_calls": [{"id": "c1", "function": {}}]},
        {"role": "tool", "content": "a.py\r\n", "agent": "main", "tool_call_ids": ["c1"]},
        {"role": "assistant", "content": "done", "action": "submit", "agent": "main", "tool_calls": null}]"#;

    #[test]
    fn a_history_alone_has_a_step_for_every_message_that_acts() {
        let content = run(&format!(r#"{{"history": {HISTORY}}}"#)).unwrap();
        let expected = [
            ("ls", Some("c1"), Some("a.py\r\n"), 3),
            ("submit", None, None, 4),
        ];
        assert_eq!(told(&content), expected);
        assert_eq!(content.steps[0].arguments, "ls -F\n");
        assert_eq!(content.agent.unwrap().as_str(), "main");
    }

    #[test]
    fn a_trajectory_has_the_steps_and_the_history_the_messages() {
        let turns = r#"[
            {"action": "ls -F\n", "observation": "a.py\r\n", "response": "I look", "state": "{}"},
            {"action": "", "observation": "", "response": "hm", "state": {"open_file": "n/a"}},
            {"action": "submit", "observation": null, "response": "done"}]"#;
        let content = run(&format!(
            r#"{{"trajectory": {turns}, "history": {HISTORY}}}"#
        ))
        .unwrap();
        let expected = [
            ("ls", Some("c1"), Some("a.py\r\n"), 3),
            ("submit", None, None, 4),
        ];
        assert_eq!(told(&content), expected);
        assert_eq!(content.messages.len(), 5);
    }

    #[test]
    fn a_history_of_other_actions_is_not_matched_with_the_trajectory() {
        let turns = r#"[{"action": "pwd", "observation": "/", "response": "where"}]"#;
        let content = run(&format!(
            r#"{{"trajectory": {turns}, "history": {HISTORY}}}"#
        ))
        .unwrap();
        assert_eq!(told(&content), [("pwd", None, Some("/"), 6)]);
        assert_eq!(content.messages[6].text, r#"{"role":"user","content":"/"}"#);
    }

    #[test]
    fn messages_of_a_turn_are_its_conversation_even_if_shortened_since() {
        let turns = r#"[
            {"action": "cat a", "observation": "long", "response": "r", "messages": [
                {"role": "system", "content": "s"}]},
            {"action": "cat b", "observation": "short", "response": "r", "messages": [
                {"role": "system", "content": "s"},
                {"role": "assistant", "content": "r", "action": "cat a"},
                {"role": "user", "content": "left out"},
                {"role": "assistant", "content": "r", "action": "cat b"},
                {"role": "user", "content": "short"}]}]"#;
        let content = run(&format!(r#"{{"trajectory": {turns}}}"#)).unwrap();
        let lengths: Vec<_> = content
            .steps
            .iter()
            .map(|step| {
                let before = |place: &usize| content.messages[*place].after;
                std::iter::successors(Some(step.last_message), before).count()
            })
            .collect();
        assert_eq!(lengths, [3, 5]);
        assert_eq!(
            content.messages.len(),
            7,
            "only the first message is shared"
        );
    }

    #[test]
    fn a_call_limit_is_found_in_a_configuration_of_either_form() {
        let limit = |config: &str| {
            let content = run(&format!(r#"{{"history": [], "replay_config": {config}}}"#));
            content.unwrap().calls_budget
        };
        let config = |limit: u64| {
            format!(r#"{{"agent": {{"model": {{"per_instance_call_limit": {limit}}}}}}}"#)
        };
        assert_eq!(limit(&config(40)), Some(40));
        assert_eq!(
            limit(&serde_json::to_string(&config(40)).unwrap()),
            Some(40)
        );
        assert_eq!(limit(&config(0)), None);
        assert_eq!(limit("\"no object\""), None);
    }

    #[test]
    fn an_action_whose_first_word_is_no_name_is_refused_with_its_place() {
        let turns = r#"[{"action": "ls"}, {"action": "*/run"}]"#;
        let error = run(&format!(r#"{{"trajectory": {turns}}}"#)).unwrap_err();
        assert_eq!(error.to_string(), "the tool of call 2 cannot be used");
    }
}
