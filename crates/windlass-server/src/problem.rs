//! What an error looks like on the wire: `application/problem+json`
//! (RFC 9457) with a stable `code` and the error's figures as members.

use std::error::Error;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use windlass::core::{Coded, ErrorKind};

use crate::codes;

/// Where the codes are explained.
const CODES: &str = "https://github.com/windlass-rs/windlass/blob/main/docs/errors.md#";

/// An error as its receiver sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    status: u16,
    code: String,
    detail: String,
    figures: Map<String, Value>,
    retry_after_ms: Option<u64>,
    headers: Vec<(HeaderName, String)>,
}

impl Problem {
    pub(crate) fn new(status: u16, code: &str, detail: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            detail: detail.to_owned(),
            figures: Map::new(),
            retry_after_ms: None,
            headers: Vec::new(),
        }
    }

    /// The one answer to every credential that is not good.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "a valid credential is required: `Authorization: Bearer …`";
        Self::new(401, "unauthenticated", detail)
    }

    /// The one answer to what does not exist, or not for this caller.
    pub(crate) fn not_found() -> Self {
        Self::new(404, "not_found", "there is no such thing")
    }

    /// What a part answered, with its figures.
    pub(crate) fn of<E: Coded + 'static>(error: &E, figures: Map<String, Value>) -> Self {
        let status = status_of(error);
        let detail = match error.kind() {
            // What is wrong inside is for the log.
            ErrorKind::Unavailable => "nothing happened; try again".to_owned(),
            ErrorKind::Indeterminate => "the outcome is unknown; ask again under the same \
                 Idempotency-Key, or read first"
                .to_owned(),
            ErrorKind::Environment => "nothing happened; an operator must act first".to_owned(),
            ErrorKind::Closed => "the server is closing".to_owned(),
            ErrorKind::Corrupt => "stored data is damaged".to_owned(),
            _ => error.to_string(),
        };
        if status >= 500 {
            let causes = causes(error);
            tracing::error!(code = error.code(), status, error = %causes, "a request failed");
        }
        let mut problem = Self::new(status, error.code(), &detail);
        problem.retry_after_ms = figures.get("retry_after_ms").and_then(Value::as_u64);
        if status == 503 && error.kind() == ErrorKind::Unavailable {
            problem.retry_after_ms = Some(1_000);
        }
        problem.figures = figures;
        if error.kind() == ErrorKind::Indeterminate {
            problem = problem.with("outcome", "unknown");
        }
        problem
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let name = HeaderName::from_static(name);
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub(crate) const fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// The same under another status than its code has by itself.
    #[must_use]
    pub(crate) const fn under(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) const fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let title = StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("Error");
        let mut members = self.figures.clone();
        members.insert("type".to_owned(), json!(format!("{CODES}{}", self.code)));
        members.insert("title".to_owned(), json!(title));
        members.insert("status".to_owned(), json!(self.status));
        members.insert("code".to_owned(), json!(self.code));
        members.insert("detail".to_owned(), json!(self.detail));
        Value::Object(members).to_string().into_bytes()
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        if self.status == 401 {
            let scheme = HeaderValue::from_static("Bearer realm=\"windlass\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(ms) = self.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        }
        response
    }
}

/// The status of its code; one that is not known here gets that of its kind.
fn status_of<E: Coded>(error: &E) -> u16 {
    let by_kind = || match error.kind() {
        ErrorKind::Invalid => 400,
        ErrorKind::NotFound => 404,
        ErrorKind::Conflict => 409,
        ErrorKind::Refused => 403,
        ErrorKind::Corrupt => 500,
        _ => 503,
    };
    codes::status(error.code()).unwrap_or_else(by_kind)
}

/// An error and what is below it, in one line.
fn causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        below = cause.source();
    }
    line
}

/// How a request ends that is not answered.
pub(crate) type Refused = Box<Problem>;

impl From<Problem> for Response<Body> {
    fn from(problem: Problem) -> Self {
        problem.into_response()
    }
}
