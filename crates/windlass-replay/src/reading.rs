//! From the text of a file to its runs.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::value::RawValue;
use windlass::core::{AgentId, SessionId};

use crate::Format;
use crate::document::Document;
use crate::error::{ReadError, RunError};
use crate::formats::{
    Content, autogen, intercode, openhands, reflexion, swe_agent, tau_bench, tau2, toolbench,
};
use crate::limits::{RUN_KEY_BYTES_MAX, STEPS_MAX};
use crate::model::{Run, Source};
use crate::times::Times;

/// How files are read where their content does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format of every file; judged by the content of each if `None`.
    pub format: Option<Format>,
    /// The agent of runs whose record names none; one named after the format
    /// if `None`.
    pub agent: Option<AgentId>,
}

/// A file's text and what is known of it.
pub(crate) struct File<'a> {
    pub(crate) path: &'a Path,
    pub(crate) name: String,
    pub(crate) text: &'a str,
    pub(crate) digest: String,
}

impl File<'_> {
    /// Reads every run of the file.
    pub(crate) fn runs(self, options: &ReadOptions) -> Result<Vec<Run>, ReadError> {
        let path = self.path.to_owned();
        if self.text.trim_ascii().is_empty() {
            return Err(ReadError::Empty { path });
        }
        let document = Document::parse(self.text);
        let document = document.map_err(|source| ReadError::NotJson {
            path: path.clone(),
            source,
        })?;
        let format = self.format(&document, options)?;
        let source = Arc::new(Source {
            name: self.name,
            format,
            digest: self.digest,
        });
        let runs = Reader {
            path: self.path,
            source,
            options,
        }
        .read(&document)?;
        refuse_duplicates(self.path, &runs)?;
        Ok(runs)
    }

    fn format(&self, document: &Document<'_>, options: &ReadOptions) -> Result<Format, ReadError> {
        if document.is_empty() {
            return Err(ReadError::NoRuns {
                path: self.path.to_owned(),
            });
        }
        let found = options.format.or_else(|| Format::of(document));
        found.ok_or_else(|| ReadError::UnknownFormat {
            path: self.path.to_owned(),
        })
    }
}

fn refuse_duplicates(path: &Path, runs: &[Run]) -> Result<(), ReadError> {
    let mut keys = HashSet::with_capacity(runs.len());
    match runs.iter().find(|run| !keys.insert(&run.key)) {
        None => Ok(()),
        Some(run) => Err(ReadError::DuplicateRun {
            path: path.to_owned(),
            key: run.key.clone(),
        }),
    }
}

struct Reader<'a> {
    path: &'a Path,
    source: Arc<Source>,
    options: &'a ReadOptions,
}

impl Reader<'_> {
    fn read(&self, document: &Document<'_>) -> Result<Vec<Run>, ReadError> {
        let contents = match (self.source.format, document) {
            (Format::TauBench, Document::Array(runs)) => self.each(runs, tau_bench::read)?,
            (Format::InterCode, Document::Object(object)) => {
                let members = numbered(&object.members);
                let read = members.map(|(place, (key, raw))| {
                    let read = intercode::read(key, raw);
                    read.map_err(|source| self.failed(place, raw, source))
                });
                read.collect::<Result<_, _>>()?
            }
            (Format::Tau2, Document::Object(object)) => self.evaluation(object.whole)?,
            (Format::Reflexion, Document::Array(parts)) => {
                let environments = self.each(parts, reflexion::environment)?;
                vec![reflexion::run(environments).map_err(|source| self.wrong(0, source))?]
            }
            (Format::AutoGen, Document::Array(calls)) => {
                let mut recorder = autogen::Recorder::default();
                self.each(calls, |raw| recorder.take(raw))?;
                recorder.runs()
            }
            (Format::OpenHands, Document::Array(events)) => {
                openhands::read_array(events).map_err(|source| self.wrong(0, source))?
            }
            (format @ (Format::SweAgent | Format::OpenHands | Format::ToolBench), document)
                if !document.records().is_empty() =>
            {
                self.records(format, document.records())?
            }
            (format, _) => {
                let path = self.path.to_owned();
                return Err(ReadError::WrongShape { path, format });
            }
        };
        self.runs(contents)
    }

    /// Reads every part of the file for itself.
    fn each<T>(
        &self,
        parts: &[&RawValue],
        mut read: impl FnMut(&RawValue) -> Result<T, RunError>,
    ) -> Result<Vec<T>, ReadError> {
        numbered(parts)
            .map(|(place, raw)| read(raw).map_err(|source| self.failed(place, raw, source)))
            .collect()
    }

    fn evaluation(&self, whole: &RawValue) -> Result<Vec<Content>, ReadError> {
        let evaluation = serde_json::from_str::<tau2::Evaluation<'_>>(whole.get());
        let evaluation = evaluation.map_err(|source| ReadError::Form {
            path: self.path.to_owned(),
            format: self.source.format,
            source,
        })?;
        self.each(&evaluation.simulations, |raw| evaluation.read(raw))
    }

    /// Reads objects that are each a file's worth.
    fn records(&self, format: Format, records: &[&RawValue]) -> Result<Vec<Content>, ReadError> {
        let mut contents = Vec::new();
        for (place, raw) in numbered(records) {
            let read = match format {
                Format::OpenHands => openhands::read(place, raw),
                Format::SweAgent => swe_agent::read(place.to_string(), raw).map(|run| vec![run]),
                _ => toolbench::read(place.to_string(), raw).map(|run| vec![run]),
            };
            contents.extend(read.map_err(|source| self.failed(place, raw, source))?);
        }
        Ok(contents)
    }

    fn runs(&self, contents: Vec<Content>) -> Result<Vec<Run>, ReadError> {
        if contents.is_empty() {
            let path = self.path.to_owned();
            return Err(ReadError::NoRuns { path });
        }
        let mut runs: Vec<Run> = Vec::with_capacity(contents.len());
        for (index, content) in (0..).zip(contents) {
            let content = checked(content).map_err(|source| self.wrong(index, source))?;
            let times = times(index, &content, &runs);
            runs.push(self.run(index, content, times));
        }
        Ok(runs)
    }

    fn run(&self, index: u64, content: Content, times: Times) -> Run {
        let format = self.source.format;
        let agent = content.agent.or_else(|| self.options.agent.clone());
        Run {
            source: Arc::clone(&self.source),
            index,
            key: content.key,
            agent: agent
                .unwrap_or_else(|| format.agent().parse().expect("a format's agent is an id")),
            parent: content.parent,
            calls_budget: content.calls_budget,
            times,
            messages: content.messages,
            steps: content.steps,
        }
    }

    /// A part of another format is told apart from one that is damaged.
    fn failed(&self, index: u64, raw: &RawValue, source: RunError) -> ReadError {
        let expected = self.source.format;
        match Format::of_part(raw) {
            Some(found) if found != expected => ReadError::Mixed {
                path: self.path.to_owned(),
                index,
                expected,
                found,
            },
            _ => self.wrong(index, source),
        }
    }

    fn wrong(&self, index: u64, source: RunError) -> ReadError {
        ReadError::Run {
            path: self.path.to_owned(),
            format: self.source.format,
            index,
            source,
        }
    }
}

fn numbered<T>(parts: &[T]) -> impl Iterator<Item = (u64, &T)> {
    (0..).zip(parts)
}

/// When a run took place: as recorded, else at its own place in the file, or
/// from the step on that delegated to it.
fn times(index: u64, content: &Content, before: &[Run]) -> Times {
    if let Some(times) = &content.times {
        return times.clone();
    }
    let parent = content.parent.as_ref().and_then(|parent| {
        let run = before.iter().rev().find(|run| run.key == parent.key)?;
        Some(run.times.within(parent.step))
    });
    parent.unwrap_or_else(|| Times::derived(index))
}

/// Refuses what no session could be made for.
fn checked(content: Content) -> Result<Content, RunError> {
    let (key, steps) = (&content.key, content.steps.len());
    if key.len() > RUN_KEY_BYTES_MAX {
        let length = key.len();
        return Err(RunError::KeyTooLong { length });
    }
    key.parse::<SessionId>().map_err(RunError::Key)?;
    if steps > STEPS_MAX {
        return Err(RunError::TooManySteps { steps });
    }
    if content.calls_budget == Some(0) {
        return Err(RunError::NoBudget);
    }
    Ok(content)
}
