//! From the text of a file to its runs.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::value::RawValue;
use windlass::core::{AgentId, SessionId};

use crate::Format;
use crate::document::{Document, Object};
use crate::error::{ReadError, RunError};
use crate::formats::{
    Content, autogen, cassette, intercode, openhands, reflexion, rows, swe_agent, tau_bench, tau2,
    toolbench,
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
        if let Some(format) = self.output_format(options) {
            return self.outputs(format, options);
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

    /// The format of a file that holds outputs and no calls; `None` for any
    /// other. Only cassettes can be told.
    fn output_format(&self, options: &ReadOptions) -> Option<Format> {
        match options.format {
            None => cassette::is_one(self.text).then_some(Format::Cassette),
            format => format.filter(|format| format.is_output()),
        }
    }

    fn outputs(self, format: Format, options: &ReadOptions) -> Result<Vec<Run>, ReadError> {
        let reader = Reader {
            path: self.path,
            source: Arc::new(Source {
                name: self.name,
                format,
                digest: self.digest,
            }),
            options,
        };
        let contents = match format {
            Format::Cassette => cassette::read(self.text).map_err(|line| ReadError::NotYaml {
                path: self.path.to_owned(),
                line,
            })?,
            _ => vec![rows::read(self.text).map_err(|source| reader.wrong(0, source))?],
        };
        let filled = contents.into_iter().filter(|run| !run.rows.is_empty());
        reader.runs(filled.collect())
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
        let records = document.records();
        let format = self.source.format;
        if !records.is_empty() && format.is_record() && format != Format::Tau2 {
            return self.runs(self.records(format, records)?);
        }
        let contents = match document {
            Document::Array(elements) => self.array(format, elements)?,
            Document::Object(object) => self.object(format, object)?,
            Document::Lines(_) => return Err(self.misshapen()),
        };
        let contents = (0..)
            .zip(contents)
            .map(|(index, content)| checked(content).map_err(|source| self.wrong(index, source)));
        self.runs(contents.collect::<Result<_, _>>()?)
    }

    fn array(&self, format: Format, elements: &[&RawValue]) -> Result<Vec<Content>, ReadError> {
        match format {
            Format::TauBench => self.each(elements, tau_bench::read),
            Format::OpenHands => {
                openhands::read_array(elements).map_err(|source| self.wrong(0, source))
            }
            Format::Reflexion => {
                let environments = self.each(elements, reflexion::environment)?;
                let run = reflexion::run(environments);
                Ok(vec![run.map_err(|source| self.wrong(0, source))?])
            }
            Format::AutoGen => {
                let mut recorder = autogen::Recorder::default();
                self.each(elements, |raw| recorder.take(raw))?;
                Ok(recorder.runs())
            }
            _ => Err(self.misshapen()),
        }
    }

    fn object(&self, format: Format, object: &Object<'_>) -> Result<Vec<Content>, ReadError> {
        match format {
            Format::Tau2 => self.evaluation(object.whole),
            Format::InterCode => numbered(&object.members)
                .map(|(place, (key, raw))| {
                    let read = intercode::read(key, raw);
                    read.map_err(|source| self.failed(place, raw, source))
                })
                .collect(),
            _ => Err(self.misshapen()),
        }
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
            let read = read.and_then(|runs| runs.into_iter().map(checked).collect());
            let read: Vec<_> = read.map_err(|source| self.failed(place, raw, source))?;
            contents.extend(read);
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
            whole: content.whole,
            rows: content.rows,
        }
    }

    fn misshapen(&self) -> ReadError {
        ReadError::WrongShape {
            path: self.path.to_owned(),
            format: self.source.format,
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
