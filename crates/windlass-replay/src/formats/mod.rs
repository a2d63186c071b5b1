//! The readers of the formats: from JSON to what a run did, one format a
//! file. Each file begins with what its format's runs and calls are taken to
//! be.

pub(crate) mod autogen;
mod calls;
pub(crate) mod cassette;
pub(crate) mod intercode;
pub(crate) mod openhands;
pub(crate) mod reflexion;
pub(crate) mod rows;
pub(crate) mod swe_agent;
pub(crate) mod tau2;
pub(crate) mod tau_bench;
pub(crate) mod toolbench;

use serde_json::json;
use windlass::core::AgentId;
use windlass::session::Name;

use crate::error::RunError;
use crate::model::{Message, Parent, Step};
use crate::times::Times;

/// What a format's reader finds in one run.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) key: String,
    pub(crate) agent: Option<AgentId>,
    pub(crate) parent: Option<Parent>,
    pub(crate) calls_budget: Option<u64>,
    /// Only where the record has real ones.
    pub(crate) times: Option<Times>,
    pub(crate) messages: Vec<Message>,
    pub(crate) steps: Vec<Step>,
    /// See [`Run::whole`](crate::Run::whole).
    pub(crate) whole: Option<&'static str>,
    /// See [`Run::rows`](crate::Run::rows).
    pub(crate) rows: Vec<String>,
}

impl Content {
    /// A run of which nothing is known but its name.
    fn new(key: String) -> Self {
        Self {
            key,
            agent: None,
            parent: None,
            calls_budget: None,
            times: None,
            messages: Vec::new(),
            steps: Vec::new(),
            whole: None,
            rows: Vec::new(),
        }
    }
}

fn checked_agent(name: Option<String>) -> Result<Option<AgentId>, RunError> {
    Ok(name.map(AgentId::try_from).transpose()?)
}

/// The tool of the call behind `steps`.
fn checked_tool(name: String, steps: &[Step]) -> Result<Name, RunError> {
    let call = steps.len() + 1;
    Name::try_from(name).map_err(|source| RunError::Tool { call, source })
}

/// A message where the record has only its words.
fn message(role: &str, content: &str) -> String {
    json!({ "role": role, "content": content }).to_string()
}
