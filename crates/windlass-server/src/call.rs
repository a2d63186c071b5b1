//! What a handler is given, and what it gives back.

use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::RawPathParams;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass::core::{GroupId, IdError, OperationId};
use windlass::session::Caller;

use crate::app::App;
use crate::auth::{Identity, Standing};
use crate::body::json_error;
use crate::connection::{Flights, Lasting};
use crate::problem::{Problem, Refused};

/// A condition that a request carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Precondition {
    #[default]
    None,
    /// What is there has this version.
    Version(u64),
    /// Nothing is there.
    Absent,
}

/// One request, checked as far as its route says.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) parameters: RawPathParams,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// A body that is taken as it comes.
    pub(crate) incoming: Option<Incoming>,
    pub(crate) operation: Option<OperationId>,
    pub(crate) precondition: Precondition,
    /// What the asker has already, by its tag.
    pub(crate) known: Option<String>,
}

/// A body that is taken as it comes, for as long as more comes. Nobody ever
/// waits for its lock: it is there so that requests can be shared.
#[derive(Debug)]
pub(crate) struct Incoming(Mutex<Body>);

impl Incoming {
    /// From now on the connection waits for each piece of the body, not for
    /// the whole.
    pub(crate) fn new(body: Body, flights: Option<Flights>) -> Self {
        if let Some(flights) = flights {
            flights.wait_for_pieces();
        }
        Self(Mutex::new(body))
    }

    /// The next piece; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// If the body ended early.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Refused> {
        loop {
            let body = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
            let Some(frame) = body.frame().await else {
                return Ok(None);
            };
            let cut = |_| {
                let detail = "the body ended early";
                Box::new(Problem::new(400, "malformed_request", detail))
            };
            if let Ok(data) = frame.map_err(cut)?.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

impl Call {
    /// For whom it is made; an operator has no data of its own.
    pub(crate) fn caller(&self) -> Result<Caller, Refused> {
        let none = || {
            let detail = "this needs the credential of a tenant";
            Box::new(Problem::new(403, "scope_not_allowed", detail))
        };
        self.identity.caller().ok_or_else(none)
    }

    /// An identifier from the path.
    pub(crate) fn id<T>(&self, name: &'static str) -> Result<T, Refused>
    where
        T: std::str::FromStr<Err = IdError>,
    {
        parse_id(name, self.text(name))
    }

    /// A parameter of the path, as it was sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn query<Q: DeserializeOwned>(&self) -> Result<Q, Refused> {
        serde_urlencoded::from_str(&self.query).map_err(|error| {
            let detail = format!(
                "the query cannot be read: {}",
                json_error(&error.to_string())
            );
            Box::new(Problem::new(400, "invalid_query", &detail))
        })
    }

    pub(crate) fn json<B: DeserializeOwned>(&self) -> Result<B, Refused> {
        crate::body::parse(&self.body)
    }

    /// The body, or the default of one that may be left out.
    pub(crate) fn json_or_default<B: DeserializeOwned + Default>(&self) -> Result<B, Refused> {
        if self.body.is_empty() {
            return Ok(B::default());
        }
        self.json()
    }

    /// Refuses to go on with what was begun under a credential that was
    /// revoked since.
    pub(crate) async fn still_allowed(&self) -> Result<(), Refused> {
        match self.app.auth.standing(&self.headers, &self.identity).await {
            Standing::Holds | Standing::Expired => Ok(()),
            Standing::Revoked => Err(Box::new(Problem::unauthenticated())),
        }
    }

    pub(crate) fn group(&self, asked: Option<&str>) -> Result<Option<GroupId>, Refused> {
        let asked = asked.map(|group| parse_id("group", group)).transpose()?;
        self.identity.group(asked)
    }
}

/// An identifier of a request.
pub(crate) fn parse_id<T>(field: &'static str, text: &str) -> Result<T, Refused>
where
    T: std::str::FromStr<Err = IdError>,
{
    text.parse().map_err(|error: IdError| {
        let problem = Problem::new(400, "invalid_id", &error.to_string());
        Box::new(problem.with("field", field))
    })
}

/// Room for most bodies, so that they do not have to grow while they are
/// written: the allocator's threads meet where blocks grow.
const BODY_BYTES_USUAL: usize = 1_024;

/// A good answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) media: &'static str,
    pub(crate) body: Body,
    pub(crate) tag: Option<String>,
    pub(crate) location: Option<String>,
    /// Headers beside those.
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// Whether the answer has no body and no media type.
    pub(crate) is_bare: bool,
    /// Whether the body waits for what has not happened yet.
    pub(crate) lasts: bool,
}

impl Reply {
    pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        let mut text = Vec::with_capacity(BODY_BYTES_USUAL);
        serde_json::to_writer(&mut text, value).expect("answers have a form in JSON");
        Self::of("application/json", Body::from(text))
    }

    pub(crate) const fn of(media: &'static str, body: Body) -> Self {
        Self {
            status: StatusCode::OK,
            media,
            body,
            tag: None,
            location: None,
            headers: Vec::new(),
            is_bare: false,
            lasts: false,
        }
    }

    pub(crate) fn not_modified(tag: impl Display) -> Self {
        Self {
            status: StatusCode::NOT_MODIFIED,
            tag: Some(tag_text(tag)),
            is_bare: true,
            ..Self::of("", Body::empty())
        }
    }

    /// An answer without a body.
    pub(crate) fn nothing(status: StatusCode) -> Self {
        Self {
            status,
            is_bare: true,
            ..Self::of("", Body::empty())
        }
    }

    pub(crate) fn with_body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers
            .push((HeaderName::from_static(name), value.into()));
        self
    }

    pub(crate) const fn lasting(mut self, lasts: bool) -> Self {
        self.lasts = lasts;
        self
    }

    pub(crate) const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn tag(mut self, tag: impl Display) -> Self {
        self.tag = Some(tag_text(tag));
        self
    }

    pub(crate) fn location(mut self, path: String) -> Self {
        self.location = Some(path);
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        if self.lasts {
            response.extensions_mut().insert(Lasting);
        }
        let headers = response.headers_mut();
        if !self.is_bare {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media));
        }
        if let Some(tag) = self.tag {
            insert(headers, header::ETAG, tag);
        }
        if let Some(path) = self.location {
            insert(headers, header::LOCATION, path);
        }
        for (name, value) in self.headers {
            insert(headers, name, value);
        }
        response
    }
}

/// Room for most tags.
const TAG_BYTES_USUAL: usize = 64;

/// A strong entity tag.
pub(crate) fn tag_text(tag: impl Display) -> String {
    let mut text = String::with_capacity(TAG_BYTES_USUAL);
    write!(text, "\"{tag}\"").expect("text takes whatever is written");
    text
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    // Numbers and checked identifiers are always header values.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}
