//! Reads runs as OpenHands records them: logs of events.
//!
//! A file has an object a line, each one task with its `history`; or it is
//! the array of one task's events. A run is one task, under its `instance_id`
//! or else its place in the file. A step is an action of the agent that calls
//! something; its tool is the function the model named, or the action where
//! the log does not keep that. Speaking, and the housekeeping of OpenHands,
//! are no steps. The observation that names the action as its cause answers
//! it. Every event is a message. The budget is `max_iterations`, the agent
//! the `agent_class`; times are the events' own if a session could have lived
//! through them.
//!
//! An agent may delegate: it takes the action `delegate`, and all events up
//! to the observation `delegate` are those of the agent named there, which
//! may delegate in turn. These are runs of their own, with the delegating
//! step as their parent. Their key is that of the parent, a dot and the
//! step's number.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use windlass::core::Millis;
use windlass::session::limits::DEPTH_MAX;

use crate::conversation::Conversation;
use crate::error::RunError;
use crate::formats::{Content, checked_agent, checked_tool};
use crate::json;
use crate::limits::STEPS_MAX;
use crate::model::{Parent, Step};
use crate::times::{self, Times};

/// Actions of the agent that call nothing.
const NO_CALLS: [&str; 7] = [
    "change_agent_state",
    "condensation",
    "condensation_request",
    "message",
    "null",
    "recall",
    "system",
];
const DELEGATE: &str = "delegate";

/// Reads one object; `place` is its place in the file.
pub(crate) fn read(place: u64, raw: &RawValue) -> Result<Vec<Content>, RunError> {
    let record: Record<'_> = serde_json::from_str(raw.get())?;
    let key = record.instance_id.unwrap_or_else(|| place.to_string());
    let metadata = record.metadata.unwrap_or_default();
    let task = Content {
        agent: checked_agent(metadata.agent_class)?,
        calls_budget: metadata.max_iterations,
        ..Content::new(key)
    };
    read_events(task, &record.history)
}

/// Reads an array of events.
pub(crate) fn read_array(events: &[&RawValue]) -> Result<Vec<Content>, RunError> {
    read_events(Content::new("0".to_owned()), events)
}

fn read_events(task: Content, events: &[&RawValue]) -> Result<Vec<Content>, RunError> {
    let mut log = Log::new(task);
    for (event, raw) in events.iter().enumerate() {
        log.take(raw).map_err(|source| RunError::Event {
            event,
            source: Box::new(source),
        })?;
    }
    log.runs()
}

#[derive(Deserialize)]
struct Record<'a> {
    instance_id: Option<String>,
    metadata: Option<Metadata>,
    #[serde(borrow)]
    history: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    agent_class: Option<String>,
    max_iterations: Option<u64>,
}

#[derive(Deserialize)]
struct Event<'a> {
    id: Option<i64>,
    timestamp: Option<String>,
    source: Option<String>,
    action: Option<String>,
    observation: Option<String>,
    cause: Option<i64>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    tool_call_metadata: Option<Call>,
}

#[derive(Deserialize)]
struct Call {
    function_name: Option<String>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct Task {
    agent: Option<String>,
}

impl Event<'_> {
    /// The function that the model named, else the action.
    fn tool(&self) -> Option<String> {
        let call = self.tool_call_metadata.as_ref();
        let function = call.and_then(|call| call.function_name.clone());
        function.or_else(|| self.action.clone())
    }

    fn is_call(&self) -> bool {
        let calls = |action: &str| !NO_CALLS.contains(&action);
        self.source.as_deref() == Some("agent") && self.action.as_deref().is_some_and(calls)
    }

    fn is_delegation(&self) -> bool {
        self.is_call() && self.action.as_deref() == Some(DELEGATE)
    }

    fn ends_delegation(&self) -> bool {
        self.observation.as_deref() == Some(DELEGATE)
    }
}

/// One run as far as its events have been read.
struct Open {
    content: Content,
    conversation: Conversation,
    began: Option<Millis>,
    /// When each step was taken; `None` once one has no time.
    taken: Option<Vec<Millis>>,
}

impl Open {
    fn new(content: Content) -> Self {
        Self {
            content,
            conversation: Conversation::default(),
            began: None,
            taken: Some(Vec::new()),
        }
    }

    fn times(&self) -> Option<Times> {
        Times::recorded(self.began?, self.taken.clone()?)
    }
}

/// The log of a task and of all that was delegated in it.
struct Log {
    /// The runs in the order in which they began; the first is the task.
    runs: Vec<Open>,
    /// The places of the runs that have not ended: each delegated to the
    /// next.
    open: Vec<usize>,
    /// The run and the step of each action.
    steps: HashMap<i64, (usize, usize)>,
}

impl Log {
    fn new(task: Content) -> Self {
        Self {
            runs: vec![Open::new(task)],
            open: vec![0],
            steps: HashMap::new(),
        }
    }

    fn take(&mut self, raw: &RawValue) -> Result<(), RunError> {
        let event: Event<'_> = serde_json::from_str(raw.get())?;
        if event.action.is_none() && event.observation.is_none() {
            return Err(RunError::NoEvent);
        }
        let delegated = event.ends_delegation() && self.open.len() > 1;
        let ended = if delegated { self.open.pop() } else { None };
        let at = event.timestamp.as_deref().and_then(times::parse);
        let place = self.current();
        let run = &mut self.runs[place];
        if run.conversation.is_empty() {
            run.began = run.began.or(at);
        }
        let message = run.conversation.push(json::compact(raw)?);
        if event.is_call() {
            self.call(&event, at, message)?;
        }
        if event.observation.is_some() {
            self.answer(&event, ended, message)?;
        }
        if event.is_delegation() {
            self.delegate(&event, at)?;
        }
        Ok(())
    }

    fn current(&self) -> usize {
        *self.open.last().expect("the task itself never ends")
    }

    fn call(
        &mut self,
        event: &Event<'_>,
        at: Option<Millis>,
        message: usize,
    ) -> Result<(), RunError> {
        let place = self.current();
        let run = &mut self.runs[place];
        let steps = &mut run.content.steps;
        let arguments = event.args.map(json::text).transpose()?.flatten();
        let call = event.tool_call_metadata.as_ref();
        steps.push(Step {
            tool: checked_tool(event.tool().unwrap_or_default(), steps)?,
            call: call.and_then(|call| call.tool_call_id.clone()),
            arguments: arguments.unwrap_or_default(),
            output: None,
            last_message: message,
            state: None,
        });
        if let Some(id) = event.id {
            self.steps.insert(id, (place, steps.len() - 1));
        }
        run.taken = run.taken.take().zip(at).map(|(mut taken, at)| {
            taken.push(at);
            taken
        });
        Ok(())
    }

    /// Takes the answer to a call. The end of what was delegated answers the
    /// step that delegated it, whatever cause it names.
    fn answer(
        &mut self,
        event: &Event<'_>,
        ended: Option<usize>,
        message: usize,
    ) -> Result<(), RunError> {
        let place = self.current();
        let parent = ended.and_then(|ended| self.runs[ended].content.parent.as_ref());
        let caused = event
            .cause
            .and_then(|cause| self.steps.get(&cause).copied());
        let step = match (parent, caused) {
            (Some(parent), _) => parent.step - 1,
            (None, Some((run, step))) if run == place => step,
            _ => return Ok(()),
        };
        let output = event.content.map(json::text).transpose()?.flatten();
        let step = &mut self.runs[place].content.steps[step];
        step.output = Some(output.unwrap_or_default());
        step.last_message = message;
        Ok(())
    }

    fn delegate(&mut self, event: &Event<'_>, at: Option<Millis>) -> Result<(), RunError> {
        if self.open.len() > DEPTH_MAX {
            return Err(RunError::TooDeep);
        }
        let parent = &self.runs[self.current()].content;
        let step = parent.steps.len();
        let task = event
            .args
            .map(|args| serde_json::from_str::<Task>(args.get()));
        let agent = task.transpose()?.and_then(|task| task.agent);
        let mut run = Open::new(Content {
            agent: checked_agent(agent)?,
            parent: Some(Parent {
                key: parent.key.clone(),
                step,
            }),
            ..Content::new(format!("{}.{step}", parent.key))
        });
        run.began = at;
        self.open.push(self.runs.len());
        self.runs.push(run);
        Ok(())
    }

    /// All runs, if no session of theirs would outlive that of the task.
    fn runs(self) -> Result<Vec<Content>, RunError> {
        let steps = self.runs.iter().map(|run| run.content.steps.len()).sum();
        if steps > STEPS_MAX {
            return Err(RunError::TooManySteps { steps });
        }
        let mut times = self.times().map(Vec::into_iter);
        let runs = self.runs.into_iter();
        Ok(runs
            .map(|run| Content {
                messages: run.conversation.into_messages(),
                times: times.as_mut().and_then(Iterator::next),
                ..run.content
            })
            .collect())
    }

    /// Recorded times for all runs, or for none.
    fn times(&self) -> Option<Vec<Times>> {
        let began = self.runs[0].began?;
        let times = self.runs.iter().map(|run| {
            // The sessions of a tree begin and expire together.
            Times::recorded(began, run.taken.clone()?)?;
            run.times()
        });
        times.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(events: &[String]) -> Result<Vec<Content>, RunError> {
        let text = format!(
            r#"{{"instance_id": "island-7", "metadata": {{"agent_class": "Keeper", "max_iterations": 9}}, "history": [{}]}}"#,
            events.join(",")
        );
        read(4, &RawValue::from_string(text).unwrap())
    }

    fn action(id: i64, action: &str, args: &str) -> String {
        format!(
            r#"{{"id": {id}, "timestamp": "2031-05-09T12:00:{id:02}.5", "source": "agent", "action": "{action}", "args": {args}}}"#
        )
    }

    fn call(id: i64, function: &str) -> String {
        let metadata = format!(r#"{{"function_name": "{function}", "tool_call_id": "c{id}"}}"#);
        action(id, "run", "{\"command\": \"ls\"}").replace(
            "\"args\"",
            &format!("\"tool_call_metadata\": {metadata}, \"args\""),
        )
    }

    fn observation(id: i64, observation: &str, cause: &str, content: &str) -> String {
        format!(
            r#"{{"id": {id}, "timestamp": "2031-05-09T12:00:{id:02}", "source": "agent", "observation": "{observation}", "cause": {cause}, "content": {content}}}"#
        )
    }

    type Told<'a> = (&'a str, Option<&'a str>, Option<&'a str>, usize);

    fn told(content: &Content) -> Vec<Told<'_>> {
        let steps = content.steps.iter();
        steps
            .map(|step| {
                let (call, output) = (step.call.as_deref(), step.output.as_deref());
                (step.tool.as_str(), call, output, step.last_message)
            })
            .collect()
    }

    #[test]
    fn an_action_that_calls_is_a_step_under_the_function_or_its_own_name() {
        let events = [
            action(1, "system", "{}"),
            call(2, "execute_bash"),
            observation(3, "run", "2", "\"a\\r\\n\""),
            action(4, "browse", "{\"url\": \"x\"}"),
            observation(5, "error", "null", "\"no cause\""),
            action(6, "finish", "{}"),
        ];
        let runs = run(&events).unwrap();
        let expected = [
            ("execute_bash", Some("c2"), Some("a\r\n"), 2),
            ("browse", None, None, 3),
            ("finish", None, None, 5),
        ];
        assert_eq!(told(&runs[0]), expected);
        assert_eq!((runs.len(), runs[0].messages.len()), (1, 6));
        assert_eq!(
            (runs[0].key.as_str(), runs[0].calls_budget),
            ("island-7", Some(9))
        );
        assert_eq!(runs[0].agent.as_ref().unwrap().as_str(), "Keeper");
    }

    #[test]
    fn what_is_delegated_is_a_run_of_its_own_up_to_its_end() {
        let events = [
            call(1, "execute_bash"),
            action(2, "delegate", "{\"agent\": \"Diver\"}"),
            call(3, "dive"),
            observation(4, "run", "3", "\"a wreck\""),
            action(5, "delegate", "{\"agent\": \"Smith\"}"),
            call(6, "forge"),
            observation(7, "delegate", "null", "\"a hook\""),
            action(8, "finish", "{}"),
            observation(9, "delegate", "2", "\"found\""),
            call(10, "execute_bash"),
        ];
        let runs = run(&events).unwrap();
        let found: Vec<_> = runs
            .iter()
            .map(|run| {
                let parent = run.parent.as_ref();
                let parent = parent.map(|parent| (parent.key.as_str(), parent.step));
                (run.key.as_str(), run.steps.len(), parent)
            })
            .collect();
        let expected = [
            ("island-7", 3, None),
            ("island-7.2", 3, Some(("island-7", 2))),
            ("island-7.2.2", 1, Some(("island-7.2", 2))),
        ];
        assert_eq!(found, expected);
        assert_eq!(told(&runs[0])[1], ("delegate", None, Some("found"), 2));
        assert_eq!(told(&runs[1])[1], ("delegate", None, Some("a hook"), 3));
        assert_eq!(runs[2].agent.as_ref().unwrap().as_str(), "Smith");
        assert_eq!(runs[2].messages.len(), 1);
    }

    #[test]
    fn delegation_goes_as_deep_as_sessions_do_and_no_deeper() {
        let down = |levels: usize| {
            let event = |level| action(level, "delegate", "{\"agent\": \"Diver\"}");
            let events: Vec<String> = (0..).take(levels).map(event).collect();
            run(&events).map(|runs| runs.len())
        };
        assert_eq!(down(DEPTH_MAX).unwrap(), DEPTH_MAX + 1);
        let error = down(DEPTH_MAX + 1).unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(
            source.to_string(),
            "more than 5 agents delegate one to the next"
        );
    }

    #[test]
    fn times_are_those_of_the_events_for_all_runs_or_for_none() {
        let events = [
            action(1, "delegate", "{\"agent\": \"Diver\"}"),
            call(2, "dive"),
        ];
        let began = |runs: &[Content]| -> Vec<_> {
            let times = runs.iter().map(|run| run.times.as_ref());
            times
                .map(|times| times.map(|times| times.at(1).get()))
                .collect()
        };
        let noon = 1_936_094_400_000;
        assert_eq!(
            began(&run(&events).unwrap()),
            [Some(noon + 1_500), Some(noon + 2_500)]
        );
        let torn = [events[0].clone(), events[1].replace("2031-05-09", "once")];
        assert_eq!(began(&run(&torn).unwrap()), [None, None]);
    }

    #[test]
    fn an_array_of_events_is_one_run() {
        let text = [call(1, "execute_bash")].map(|text| RawValue::from_string(text).unwrap());
        let runs = read_array(&[&text[0]]).unwrap();
        assert_eq!(
            (runs.len(), runs[0].key.as_str(), runs[0].steps.len()),
            (1, "0", 1)
        );
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_place() {
        let error = run(&[call(1, "execute_bash"), "{\"id\": 2}".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read event 1");
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(
            source.to_string(),
            "it is neither an action nor an observation"
        );
    }
}
