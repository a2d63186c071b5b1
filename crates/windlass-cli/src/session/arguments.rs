//! Arguments that several commands share, and how their words become values.

use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use windlass::core::{IdError, OperationId, SessionId};
use windlass::session::{Agent, Allow, Name, Problem, RateKind, Sensitivity, SessionError};
use windlass_client::session::Status;

use crate::failure::{CommandError, Failure};

/// On whose behalf a change is made.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct ActingAgent {
    /// The agent it is done for; refused if the session is another's
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// Do it whichever agent the session belongs to
    #[arg(long)]
    any_agent: bool,
}

impl ActingAgent {
    pub(crate) fn agent(&self) -> Result<Agent, Failure> {
        match &self.agent {
            Some(agent) => Ok(Agent::Is(id(agent)?)),
            None => Ok(Agent::Unchecked),
        }
    }
}

/// Makes a change safe to repeat.
#[derive(Args, Debug)]
pub(crate) struct Retry {
    /// A name for this change: repeated under the same name it takes effect
    /// once and answers the same
    #[arg(long, value_name = "ID")]
    operation: Option<String>,
}

impl Retry {
    pub(crate) fn operation(&self) -> Result<Option<OperationId>, Failure> {
        self.operation.as_deref().map(id).transpose()
    }
}

/// One session of the tenant.
#[derive(Args, Debug)]
pub(crate) struct OneSession {
    /// The session
    #[arg(value_name = "SESSION")]
    session: String,
}

impl OneSession {
    pub(crate) fn id(&self) -> Result<SessionId, Failure> {
        id(&self.session)
    }
}

/// Any identifier of the caller's.
pub(crate) fn id<T: FromStr<Err = IdError>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| CommandError::Id(error).into())
}

/// Names of tools or credentials.
pub(crate) fn names(field: &'static str, texts: &[String]) -> Result<Vec<Name>, SessionError> {
    let names = texts.iter().map(|text| text.parse());
    names
        .collect::<Result<_, Problem>>()
        .map_err(|problem| SessionError::Invalid { field, problem })
}

/// A list of allowed names.
pub(crate) fn only(field: &'static str, patterns: &[String]) -> Result<Allow, SessionError> {
    Allow::only(patterns.iter().map(String::as_str))
        .map_err(|problem| SessionError::Invalid { field, problem })
}

/// Understands the four levels, and lists them in the help.
pub(crate) fn sensitivity() -> impl TypedValueParser<Value = Sensitivity> {
    PossibleValuesParser::new(Sensitivity::ALL.map(Sensitivity::as_str))
        .map(|text| text.parse().expect("only spelled levels are let through"))
}

/// Understands both kinds of rate window, and lists them in the help.
pub(crate) fn rate_kind() -> impl TypedValueParser<Value = RateKind> {
    PossibleValuesParser::new(RateKind::ALL.map(RateKind::as_str)).map(|text| {
        let found = RateKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.expect("only spelled kinds are let through")
    })
}

/// Understands the three states, and lists them in the help.
pub(crate) fn status() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(Status::ALL.map(Status::as_str)).map(|text| {
        let found = Status::ALL
            .into_iter()
            .find(|status| status.as_str() == text);
        found.expect("only spelled states are let through")
    })
}
