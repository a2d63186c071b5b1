//! Sending: attempts, waits between them, and the deadline over all.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::Channel;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, RequestBuilder, Response, Url};
use tokio::time::Instant;

use super::answer::{Answer, Failure, outcome_of, whole};
use super::call::Call;
use super::limits::LONG;
use super::retry::{Failed, Repeat, again};
use super::{ClientError, Settings, Token, operation};
use crate::stream::ROWS_MEDIA_TYPE;

/// The longest idempotency key.
const OPERATION_BYTES_MAX: usize = 128;

/// What all clones of a client share.
pub(super) struct Inner {
    pub(super) http: reqwest::Client,
    pub(super) base: Url,
    pub(super) token: Option<Token>,
    pub(super) settings: Settings,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("base", &self.base.as_str())
            .field("token", &self.token)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn base(&self) -> &str {
        self.base.as_str()
    }

    /// Sends a call as often as is safe, allowed and of use, and reads its
    /// answer.
    pub(super) async fn send(
        &self,
        call: Call,
        operation: Option<&str>,
    ) -> Result<Answer, ClientError> {
        let key = idempotency_key(&call, operation)?;
        let deadline = if call.is_long {
            LONG
        } else {
            self.settings.deadline
        };
        let deadline = Instant::now() + deadline;
        let (mut retry, mut doubt) = (0, false);
        loop {
            let (error, failed) = match self.attempt(&call, key.as_ref(), deadline).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            // A later attempt that did nothing says nothing of an earlier one.
            doubt |= error.is_outcome_unknown();
            let error = if doubt { error.doubted() } else { error };
            let least = again(failed, self.settings.retry_after_max);
            let Some(least) = least.filter(|_| retry < self.settings.retries) else {
                return Err(error);
            };
            // Without randomness what is known of the call is still to be told.
            let Ok(luck) = luck() else {
                return Err(error);
            };
            let due = Instant::now() + self.settings.backoff.wait(retry, least, luck);
            if due >= deadline {
                return Err(error);
            }
            tokio::time::sleep_until(due).await;
            retry += 1;
        }
    }

    /// One attempt, for as long as it may take and the deadline allows.
    async fn attempt(
        &self,
        call: &Call,
        key: Option<&HeaderValue>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = if call.is_long {
            LONG
        } else {
            self.settings.attempt
        };
        let limit = limit.min(left);
        let request = self
            .request(call, key)
            .map_err(|error| (error, Failed::Final))?;
        let max = self.settings.answer_bytes_max;
        let once = async {
            let response = sent(request, call.repeat).await?;
            whole(response, call.repeat, max).await
        };
        let done = tokio::time::timeout(limit, once).await;
        done.unwrap_or_else(|_| Err(late(call.repeat, limit)))
    }

    /// Sends a call whose answer is a stream, once: when its headers are there
    /// it has been accepted.
    pub(super) async fn open(
        &self,
        call: &Call,
        accept: &'static str,
        more: Option<(&'static str, HeaderValue)>,
    ) -> Result<Response, Failure> {
        let limit = self.settings.attempt;
        let mut request = self
            .request(call, None)
            .map_err(|error| (error, Failed::Final))?
            .header(ACCEPT, HeaderValue::from_static(accept));
        if let Some((name, value)) = more {
            request = request.header(name, value);
        }
        let opened = async {
            let response = sent(request, call.repeat).await?;
            if response.status().is_success() {
                return Ok(response);
            }
            let max = self.settings.answer_bytes_max;
            let read = whole(response, call.repeat, max).await;
            Err(read.map_or_else(|failure| failure, |_| unasked()))
        };
        let done = tokio::time::timeout(limit, opened).await;
        done.unwrap_or_else(|_| Err(late(call.repeat, limit)))
    }

    /// Sends a call whose body comes as it comes, once, and reads its answer.
    pub(super) async fn send_live(
        &self,
        call: &Call,
        body: Channel<Bytes, Infallible>,
    ) -> Result<Answer, ClientError> {
        let request = self.request(call, None)?;
        let media = HeaderValue::from_static(ROWS_MEDIA_TYPE);
        let request = request.header(CONTENT_TYPE, media).body(Body::wrap(body));
        let max = self.settings.answer_bytes_max;
        let once = async {
            let response = sent(request, call.repeat).await?;
            whole(response, call.repeat, max).await
        };
        once.await.map_err(|(error, _)| error)
    }

    fn request(
        &self,
        call: &Call,
        key: Option<&HeaderValue>,
    ) -> Result<RequestBuilder, ClientError> {
        let url = call.url(&self.base)?;
        let mut request = self.http.request(call.method.clone(), url);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.header());
        }
        if let Some((name, value)) = call.header()? {
            request = request.header(name, value);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = &call.body {
            let media = HeaderValue::from_static(call.media);
            request = request.header(CONTENT_TYPE, media).body(body.clone());
        }
        Ok(request)
    }
}

/// The key a change is made under: the caller's, or a fresh one that all
/// attempts of this call share.
fn idempotency_key(
    call: &Call,
    operation: Option<&str>,
) -> Result<Option<HeaderValue>, ClientError> {
    let key = match (call.repeat, operation) {
        (Repeat::Reads | Repeat::Rest, _) => return Ok(None),
        (_, Some(operation)) => operation.to_owned(),
        (_, None) => operation::draw()?,
    };
    let refused = || ClientError::Invalid { field: "operation" };
    if key.is_empty() || key.len() > OPERATION_BYTES_MAX {
        return Err(refused());
    }
    HeaderValue::from_str(&key).map(Some).map_err(|_| refused())
}

/// Sends one request; a failure says whether anything can have happened.
async fn sent(request: RequestBuilder, repeat: Repeat) -> Result<Response, Failure> {
    let sent = request.send().await;
    sent.map_err(|source| {
        let (sent, source) = (!source.is_connect(), source.without_url());
        let (outcome, failed) = if sent {
            (outcome_of(repeat), Failed::Unknown)
        } else {
            (None, Failed::Unsent)
        };
        let error = ClientError::Transport {
            sent,
            outcome,
            source,
        };
        (error, failed)
    })
}

/// What a wait that was too long means.
fn late(repeat: Repeat, after: Duration) -> Failure {
    let outcome = outcome_of(repeat);
    (ClientError::Timeout { outcome, after }, Failed::Unknown)
}

/// An answer that nothing had asked for.
const fn unasked() -> Failure {
    let why = super::BrokenAnswer::MediaType;
    (ClientError::Protocol { outcome: None, why }, Failed::Final)
}

/// A random number for a wait.
pub(super) fn luck() -> Result<u16, ClientError> {
    let mut random = [0; 2];
    getrandom::fill(&mut random).map_err(ClientError::Random)?;
    Ok(u16::from_be_bytes(random))
}
