//! Every way in which a call can fail.

use std::time::Duration;

use crate::problem::{Outcome, Problem};
use crate::stream::StreamFailure;

/// Why a client cannot be made. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The address is no URL that a server can have.
    #[error("the server's address must be `http://` or `https://`, a host and at most a path")]
    Url,
    /// A credential would travel in the clear.
    #[error("plain `http` to another machine would show the credential to everybody on the way")]
    Plaintext,
    /// The token cannot be sent. Says nothing of it.
    #[error("the token is empty or no token")]
    Token,
    /// The user agent cannot be sent.
    #[error("the user agent has a character that a header cannot have")]
    UserAgent,
    /// A certificate to be trusted is none, or the system's cannot be read.
    #[error("tls cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP stack refused.
    #[error("the client cannot be set up")]
    Setup(#[source] reqwest::Error),
}

impl SettingsError {
    /// The stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url => "invalid_server_url",
            Self::Plaintext => "plaintext_refused",
            Self::Token => "invalid_token",
            Self::UserAgent => "invalid_user_agent",
            Self::Tls(_) => "tls_unavailable",
            Self::Setup(_) => "client_unavailable",
        }
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server refused, or failed and said so.
    #[error("{}", said(.0))]
    Problem(Box<Problem>),
    /// The server cannot be reached, or the connection broke.
    #[error("{}", if *.sent {
        "the connection broke before the answer was whole"
    } else {
        "the server cannot be reached"
    })]
    Transport {
        /// Whether anything was sent before.
        sent: bool,
        /// Whether the change may have been made.
        outcome: Option<Outcome>,
        /// What the HTTP stack says.
        #[source]
        source: reqwest::Error,
    },
    /// The answer did not come in time.
    #[error("the server did not answer within {} ms", .after.as_millis())]
    Timeout {
        /// Whether the change may have been made.
        outcome: Option<Outcome>,
        /// How long it was waited for.
        after: Duration,
    },
    /// Something answered, but not as a server of Windlass does.
    #[error("the answer is not one of a windlass server: {why}")]
    Protocol {
        /// Whether the change may have been made.
        outcome: Option<Outcome>,
        /// What is wrong with it.
        why: BrokenAnswer,
    },
    /// The call cannot be sent: a name of it cannot stand in a URL or a
    /// header.
    #[error("`{field}` cannot be sent: it is empty or has a character that is not allowed there")]
    Invalid {
        /// Which name.
        field: &'static str,
    },
    /// A read of a stream has ended early, and the server said why. It can be
    /// gone on with from where it says.
    #[error("{}", .0.message)]
    Read(Box<StreamFailure>),
    /// No random bytes for an idempotency key.
    #[error("no idempotency key could be drawn")]
    Random(#[source] getrandom::Error),
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenAnswer {
    /// It points elsewhere, and a credential is not taken there.
    #[error("it is a redirect, which is not followed")]
    Redirect,
    /// It failed, and says so in no words of ours: a proxy, perhaps.
    #[error("status {0} without a problem document")]
    Status(u16),
    /// It is of another media type than asked for.
    #[error("it is not of the media type that was asked for")]
    MediaType,
    /// It is larger than allowed.
    #[error("it has more than {max} bytes")]
    TooLarge {
        /// The most allowed.
        max: usize,
    },
    /// It ended before it was whole.
    #[error("it ended too early")]
    Ended,
    /// Events of a stream are missing.
    #[error("event {expected} is missing: {found} came in its place")]
    Gap {
        /// The number of the event that should have come.
        expected: u64,
        /// The number of the one that came.
        found: u64,
    },
    /// Rows of a stream are not those that were appended.
    #[error("the rows before `{offset}` are not those that were appended")]
    Digest {
        /// The place of the mark that does not fit them.
        offset: String,
    },
    /// It is not what the call answers.
    #[error("it cannot be understood at line {line}, column {column}")]
    Body {
        /// Where in it, counted from 1.
        line: usize,
        /// Where in the line.
        column: usize,
    },
}

fn said(problem: &Problem) -> &str {
    if problem.detail.is_empty() {
        &problem.code
    } else {
        &problem.detail
    }
}

impl ClientError {
    /// The stable name of this error: the server's where it said one.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.code,
            Self::Transport { sent: false, .. } => "server_unreachable",
            Self::Transport { .. } => "connection_lost",
            Self::Timeout { .. } => "timed_out",
            Self::Protocol { .. } => "unexpected_answer",
            Self::Read(failure) => &failure.code,
            Self::Invalid { .. } => "invalid_request",
            Self::Random(_) => "no_randomness",
        }
    }

    /// What the server said, where it said something.
    #[must_use]
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether the change may have been made, by this attempt or one before
    /// it: read before going on, or make it again under the same
    /// `Idempotency-Key`. Never of a call that only reads.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        let outcome = match self {
            Self::Problem(problem) => problem.outcome,
            Self::Transport { outcome, .. }
            | Self::Timeout { outcome, .. }
            | Self::Protocol { outcome, .. } => *outcome,
            Self::Read(_) | Self::Invalid { .. } | Self::Random(_) => None,
        };
        outcome.is_some()
    }

    /// The same after an attempt of unknown outcome.
    pub(super) fn doubted(mut self) -> Self {
        match &mut self {
            Self::Problem(problem) => problem.outcome = Some(Outcome::Unknown),
            Self::Transport { outcome, .. }
            | Self::Timeout { outcome, .. }
            | Self::Protocol { outcome, .. } => *outcome = Some(Outcome::Unknown),
            Self::Read(_) | Self::Invalid { .. } | Self::Random(_) => {}
        }
        self
    }

    /// Whether the same call under the same `Idempotency-Key` can succeed
    /// later without anybody changing something first. The client has tried
    /// that already, as often as its settings say.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Problem(problem) => {
                matches!(problem.status, 408 | 429 | 502..=504)
                    || problem.code == crate::problem::IN_FLIGHT
            }
            Self::Transport { .. } | Self::Timeout { .. } => true,
            Self::Protocol { why, .. } => {
                matches!(why, BrokenAnswer::Status(502..=504) | BrokenAnswer::Ended)
            }
            Self::Read(failure) => failure.retry_after_ms.is_some(),
            Self::Invalid { .. } | Self::Random(_) => false,
        }
    }
}
