//! Reading answers: bounded, and of the type that was asked for.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;

use super::error::{BrokenAnswer, ClientError};
use super::retry::{Failed, Repeat};
use crate::problem::{self, Outcome, Problem};

/// An answer that is no failure.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    is_json: bool,
    body: Bytes,
    outcome: Option<Outcome>,
}

impl Answer {
    /// What it says.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        if !self.is_json {
            return Err(self.broken(BrokenAnswer::MediaType));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            // The parser's own words would repeat the answer.
            self.broken(BrokenAnswer::Body {
                line: error.line(),
                column: error.column(),
            })
        })
    }

    /// What it says; `None` if nothing has changed.
    pub(super) fn read_if_changed<T: DeserializeOwned>(&self) -> Result<Option<T>, ClientError> {
        if self.status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        self.read().map(Some)
    }

    /// Whether it is JSON, and its bytes, whatever they are.
    pub(super) fn into_content(self) -> (bool, Bytes) {
        (self.is_json, self.body)
    }

    const fn broken(&self, why: BrokenAnswer) -> ClientError {
        let outcome = self.outcome;
        ClientError::Protocol { outcome, why }
    }
}

/// Why an attempt failed: for the caller, and for the decision to try again.
pub(super) type Failure = (ClientError, Failed);

/// What is known of a change whose answer is not.
pub(super) fn outcome_of(repeat: Repeat) -> Option<Outcome> {
    (repeat != Repeat::Reads).then_some(Outcome::Unknown)
}

/// Reads the whole of a response: an answer, or why it is none.
pub(super) async fn whole(
    mut response: Response,
    repeat: Repeat,
    max: usize,
) -> Result<Answer, Failure> {
    let status = response.status();
    let outcome = outcome_of(repeat);
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        // Whoever redirects has done nothing.
        let why = BrokenAnswer::Redirect;
        let error = ClientError::Protocol { outcome: None, why };
        return Err((error, Failed::Final));
    }
    let kind = media_type(response.headers());
    let asked = retry_after(response.headers());
    let body = match bounded(&mut response, max).await {
        Ok(body) => body,
        Err(Unread::Cut(source)) => {
            let source = source.without_url();
            let error = ClientError::Transport {
                sent: true,
                outcome,
                source,
            };
            return Err((error, Failed::Unknown));
        }
        Err(Unread::TooLarge) => {
            let why = BrokenAnswer::TooLarge { max };
            return Err((ClientError::Protocol { outcome, why }, Failed::Final));
        }
    };
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(Answer {
            status,
            is_json: kind.as_deref() == Some("application/json"),
            body,
            outcome,
        });
    }
    let is_problem = kind.as_deref() == Some(problem::MEDIA_TYPE);
    let said = is_problem.then(|| serde_json::from_slice::<Problem>(&body).ok());
    Err(match said.flatten() {
        Some(said) => refused(said, asked),
        None => unspoken(status, outcome, asked),
    })
}

/// What a problem of ours means. Its own word on the outcome counts.
fn refused(problem: Problem, asked: Option<Duration>) -> Failure {
    let failed = match problem.status {
        409 if problem.code == problem::IN_FLIGHT => Failed::InFlight(asked),
        408 | 502..=504 if problem.outcome.is_some() => Failed::Unknown,
        502 | 504 => Failed::Unknown,
        408 | 503 => Failed::Later(asked),
        429 if asked.is_some() => Failed::Later(asked),
        _ => Failed::Final,
    };
    (ClientError::Problem(Box::new(problem)), failed)
}

/// What a failure means that somebody between us and the server made.
fn unspoken(status: StatusCode, outcome: Option<Outcome>, asked: Option<Duration>) -> Failure {
    let (outcome, failed) = match status.as_u16() {
        502..=504 => (outcome, Failed::Unknown),
        429 if asked.is_some() => (None, Failed::Later(asked)),
        500..=599 => (outcome, Failed::Final),
        _ => (None, Failed::Final),
    };
    let why = BrokenAnswer::Status(status.as_u16());
    (ClientError::Protocol { outcome, why }, failed)
}

enum Unread {
    Cut(reqwest::Error),
    TooLarge,
}

/// The body, as long as it is no longer than `max`.
async fn bounded(response: &mut Response, max: usize) -> Result<Bytes, Unread> {
    let announced = response.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > max {
        return Err(Unread::TooLarge);
    }
    let mut body = BytesMut::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(Unread::Cut)? {
        if body.len() + chunk.len() > max {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The media type without its parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}

/// The wait that the server asks for. Dates, which RFC 9110 allows too, count
/// as none: they would need two clocks that agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse();
    seconds.ok().map(Duration::from_secs)
}
