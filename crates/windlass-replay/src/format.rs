//! The formats of recorded runs, and how they are told apart.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::document::Document;

/// A format of recorded runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// What tau-bench writes: runs with a conversation in the form of
    /// OpenAI's chat messages.
    TauBench,
    /// What tau2-bench writes: the simulations of one evaluation.
    Tau2,
    /// What InterCode writes: runs of actions and observations.
    InterCode,
    /// What SWE-agent writes: the trajectory of one run, and its history.
    SweAgent,
    /// What OpenHands writes: logs of events.
    OpenHands,
    /// What Reflexion writes: its whole state after a trial.
    Reflexion,
    /// What ToolBench writes: the tree of one search.
    ToolBench,
    /// What AutoGen's recorder of a model client writes: calls of several
    /// conversations.
    AutoGen,
    /// What VCR.py writes: exchanges with a model's service, whose streamed
    /// responses are outputs.
    Cassette,
    /// What a tool printed: JSON lines, one JSON document, or text. No content
    /// is judged to be this.
    Rows,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 10] = [
        Self::TauBench,
        Self::Tau2,
        Self::InterCode,
        Self::SweAgent,
        Self::OpenHands,
        Self::Reflexion,
        Self::ToolBench,
        Self::AutoGen,
        Self::Cassette,
        Self::Rows,
    ];

    /// How all of them are spelled, for errors.
    pub(crate) const LIST: &str = "`tau-bench`, `tau2`, `intercode`, `swe-agent`, `openhands`, \
                                   `reflexion`, `toolbench`, `autogen`, `cassette`, `rows`";

    /// The format as it is spelled on the command line and in ids.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TauBench => "tau-bench",
            Self::Tau2 => "tau2",
            Self::InterCode => "intercode",
            Self::SweAgent => "swe-agent",
            Self::OpenHands => "openhands",
            Self::Reflexion => "reflexion",
            Self::ToolBench => "toolbench",
            Self::AutoGen => "autogen",
            Self::Cassette => "cassette",
            Self::Rows => "rows",
        }
    }

    /// The agent of a run whose record does not name one.
    pub(crate) const fn agent(self) -> &'static str {
        match self {
            Self::TauBench => "tau-bench-agent",
            Self::Tau2 => "tau2-agent",
            Self::InterCode => "intercode-agent",
            Self::SweAgent => "swe-agent",
            Self::OpenHands => "openhands-agent",
            Self::Reflexion => "reflexion-agent",
            Self::ToolBench => "toolbench-agent",
            Self::AutoGen => "autogen-agent",
            Self::Cassette => "cassette-agent",
            Self::Rows => "rows-agent",
        }
    }

    /// How a file of the format looks.
    pub(crate) const fn shape(self) -> &'static str {
        match self {
            Self::TauBench => "an array of runs, each with `traj`",
            Self::Tau2 => "an object with `simulations`",
            Self::InterCode => "an object of runs, each with `turn_history`",
            Self::SweAgent => "an object, or several, with `trajectory` or a `history` of messages",
            Self::OpenHands => {
                "an object, or several, with a `history` of events, or an array of events"
            }
            Self::Reflexion => "an array of environments with `memory` and `is_success`",
            Self::ToolBench => "an object, or several, with `tree` and `answer_generation`",
            Self::AutoGen => "an array of calls with `mode`, `messages` and `response`",
            Self::Cassette => "a YAML mapping with `interactions`",
            Self::Rows => "JSON or text",
        }
    }

    /// What one part of a file is.
    pub(crate) const fn part(self) -> &'static str {
        match self {
            Self::Reflexion => "environment",
            Self::AutoGen => "call",
            _ => "run",
        }
    }

    /// Whether its runs are outputs, without calls.
    pub(crate) const fn is_output(self) -> bool {
        matches!(self, Self::Cassette | Self::Rows)
    }

    /// The format of a document, judged by its first part.
    pub(crate) fn of(document: &Document<'_>) -> Option<Self> {
        match document {
            Document::Array(elements) => Self::of_part(elements.first()?).filter(|format| {
                matches!(
                    format,
                    Self::TauBench | Self::OpenHands | Self::Reflexion | Self::AutoGen
                )
            }),
            Document::Object(object) => Self::of_part(object.whole)
                .filter(|format| format.is_record())
                .or_else(|| {
                    let (_, first) = object.members.first()?;
                    Self::of_part(first).filter(|format| *format == Self::InterCode)
                }),
            Document::Lines(lines) => Self::of_part(lines.first()?)
                .filter(|format| format.is_record() && *format != Self::Tau2),
        }
    }

    /// Whether a file of the format can be one object with the format's own
    /// fields.
    pub(crate) const fn is_record(self) -> bool {
        matches!(
            self,
            Self::Tau2 | Self::SweAgent | Self::OpenHands | Self::ToolBench
        )
    }

    /// The format that the fields of one part of a file belong to.
    pub(crate) fn of_part(part: &RawValue) -> Option<Self> {
        let fields: Fields<'_> = serde_json::from_str(part.get()).ok()?;
        let event = fields.action.is_some() || fields.observation.is_some();
        let marks = [
            (fields.traj.is_some(), Self::TauBench),
            (fields.simulations.is_some(), Self::Tau2),
            (fields.turn_history.is_some(), Self::InterCode),
            (fields.trajectory.is_some(), Self::SweAgent),
            (fields.source.is_some() && event, Self::OpenHands),
            (
                fields.memory.is_some() && fields.is_success.is_some(),
                Self::Reflexion,
            ),
            (fields.answer_generation.is_some(), Self::ToolBench),
            (
                fields.mode.is_some() && fields.response.is_some(),
                Self::AutoGen,
            ),
        ];
        let mut marked = marks.iter().filter(|(marked, _)| *marked);
        match (marked.next(), marked.next()) {
            (Some((_, format)), None) => Some(*format),
            (Some(_), Some(_)) => None,
            (None, _) => Self::of_history(&fields),
        }
    }

    /// Two formats keep a `history`: one of messages, one of events.
    fn of_history(fields: &Fields<'_>) -> Option<Self> {
        let Some(first) = fields.history.as_ref()?.first() else {
            return fields.instance_id.as_ref().map(|_| Self::OpenHands);
        };
        let first: Fields<'_> = serde_json::from_str(first.get()).ok()?;
        if first.role.is_some() {
            return Some(Self::SweAgent);
        }
        first.source.map(|_| Self::OpenHands)
    }
}

/// The fields that tell the formats apart.
#[derive(Deserialize)]
struct Fields<'a> {
    traj: Option<IgnoredAny>,
    simulations: Option<IgnoredAny>,
    turn_history: Option<IgnoredAny>,
    trajectory: Option<IgnoredAny>,
    #[serde(borrow)]
    history: Option<Vec<&'a RawValue>>,
    instance_id: Option<IgnoredAny>,
    role: Option<IgnoredAny>,
    source: Option<IgnoredAny>,
    action: Option<IgnoredAny>,
    observation: Option<IgnoredAny>,
    memory: Option<IgnoredAny>,
    is_success: Option<IgnoredAny>,
    answer_generation: Option<IgnoredAny>,
    mode: Option<IgnoredAny>,
    response: Option<IgnoredAny>,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormatName;

    fn from_str(text: &str) -> Result<Self, UnknownFormatName> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or(UnknownFormatName)
    }
}

/// A text names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a format is one of {}", Format::LIST)]
pub struct UnknownFormatName;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Format> {
        Format::of(&Document::parse(text).unwrap())
    }

    #[test]
    fn every_format_is_listed_as_it_is_spelled() {
        let spelled = Format::ALL.map(|format| format!("`{format}`"));
        assert_eq!(Format::LIST, spelled.join(", "));
        assert_eq!(
            Format::ALL.map(|format| format.as_str().parse()),
            Format::ALL.map(Ok)
        );
    }

    #[test]
    fn a_format_is_known_by_the_fields_of_its_first_part() {
        let table = [
            (r#"[{"traj": []}]"#, Format::TauBench),
            (r#"{"info": {}, "simulations": []}"#, Format::Tau2),
            (r#"{"0": {"turn_history": {}}}"#, Format::InterCode),
            (
                r#"{"environment": "main", "trajectory": [], "history": [], "info": {}}"#,
                Format::SweAgent,
            ),
            (r#"{"history": [{"role": "system"}]}"#, Format::SweAgent),
            (
                r#"{"instance_id": "a", "history": [{"id": 0, "source": "agent"}]}"#,
                Format::OpenHands,
            ),
            (r#"{"instance_id": "a", "history": []}"#, Format::OpenHands),
            (
                "{\"history\": [{\"source\": \"user\"}]}\n{\"history\": []}\n",
                Format::OpenHands,
            ),
            (
                r#"[{"id": 0, "source": "agent", "action": "system"}]"#,
                Format::OpenHands,
            ),
            (
                r#"[{"name": "a", "memory": [], "is_success": false}]"#,
                Format::Reflexion,
            ),
            (
                r#"{"win": true, "tree": {}, "answer_generation": {}}"#,
                Format::ToolBench,
            ),
            (
                r#"[{"mode": "create", "messages": [], "response": {}}]"#,
                Format::AutoGen,
            ),
        ];
        for (text, format) in table {
            assert_eq!(of(text), Some(format), "{text}");
        }
    }

    #[test]
    fn fields_of_no_format_of_two_or_in_the_wrong_place_are_no_format() {
        let table = [
            r#"[{"messages": []}]"#,
            r#"[{"traj": [], "turn_history": {}}]"#,
            r#"[{"turn_history": {}}]"#,
            r#"{"0": {"traj": []}}"#,
            r#"{"traj": []}"#,
            r#"{"history": []}"#,
            r#"{"history": [{"text": "hello"}]}"#,
            r#"{"history": "long ago"}"#,
            r#"[{"memory": []}]"#,
            r#"[{"trajectory": []}]"#,
            "{\"simulations\": []}\n{\"simulations\": []}",
            "[1, 2]",
        ];
        for text in table {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
