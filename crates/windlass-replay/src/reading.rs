//! From the text of a file to its runs.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::value::RawValue;
use windlass::core::AgentId;
use windlass::session::Name;

use crate::document::Document;
use crate::error::{ReadError, RunError};
use crate::limits::{RUN_KEY_BYTES_MAX, STEPS_MAX};
use crate::model::{Run, Source, Step};
use crate::{Format, intercode, tau_bench};

/// How files are read where their content does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format of every file; judged by the content of each if `None`.
    pub format: Option<Format>,
    /// The agent of runs whose record names none; one named after the format
    /// if `None`.
    pub agent: Option<AgentId>,
}

/// What a format's reader finds in one run.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) key: String,
    pub(crate) agent: Option<AgentId>,
    pub(crate) calls_budget: Option<u64>,
    pub(crate) messages: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

pub(crate) fn checked_agent(name: Option<String>) -> Result<Option<AgentId>, RunError> {
    Ok(name.map(AgentId::try_from).transpose()?)
}

pub(crate) fn checked_tool(name: String) -> Result<Name, RunError> {
    Name::try_from(name).map_err(RunError::Tool)
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
        let document = serde_json::from_str(self.text);
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
        match (self.source.format, document) {
            (Format::TauBench, Document::Array(runs)) => {
                let numbered = (0..).zip(runs);
                numbered
                    .map(|(index, raw)| self.run(index, raw, tau_bench::read(raw)))
                    .collect()
            }
            (Format::InterCode, Document::Object(runs)) => {
                let numbered = (0..).zip(runs);
                numbered
                    .map(|(index, (key, raw))| self.run(index, raw, intercode::read(key, raw)))
                    .collect()
            }
            (format, _) => Err(ReadError::WrongShape {
                path: self.path.to_owned(),
                format,
            }),
        }
    }

    fn run(
        &self,
        index: u64,
        raw: &RawValue,
        read: Result<Content, RunError>,
    ) -> Result<Run, ReadError> {
        let content = read
            .and_then(checked)
            .map_err(|source| self.failed(index, raw, source))?;
        let format = self.source.format;
        let agent = content.agent.or_else(|| self.options.agent.clone());
        Ok(Run {
            source: Arc::clone(&self.source),
            index,
            key: content.key,
            agent: agent
                .unwrap_or_else(|| format.agent().parse().expect("a format's agent is an id")),
            calls_budget: content.calls_budget,
            messages: content.messages,
            steps: content.steps,
        })
    }

    /// A run of another format is told apart from one that is damaged.
    fn failed(&self, index: u64, raw: &RawValue, source: RunError) -> ReadError {
        let (path, expected) = (self.path.to_owned(), self.source.format);
        match Format::of_run(raw) {
            Some(found) if found != expected => ReadError::Mixed {
                path,
                index,
                expected,
                found,
            },
            _ => ReadError::Run {
                path,
                index,
                source,
            },
        }
    }
}

/// Refuses what no session could be made for.
fn checked(content: Content) -> Result<Content, RunError> {
    if content.key.len() > RUN_KEY_BYTES_MAX {
        return Err(RunError::KeyTooLong {
            length: content.key.len(),
        });
    }
    content
        .key
        .parse::<windlass::core::SessionId>()
        .map_err(RunError::Key)?;
    if content.steps.len() > STEPS_MAX {
        return Err(RunError::TooManySteps {
            steps: content.steps.len(),
        });
    }
    if content.calls_budget == Some(0) {
        return Err(RunError::NoBudget);
    }
    Ok(content)
}
