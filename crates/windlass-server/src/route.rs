//! What a route is: the one description from which the router, the OpenAPI
//! document, the checks before a handler and the tests of authorisation are
//! made.

use std::fmt;

use axum::http::Method;
use futures_util::future::BoxFuture;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use windlass::access::Verb;

use crate::call::{Call, Reply};
use crate::problem::Refused;

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody.
    Open,
    /// Whoever has a credential.
    Anyone,
    /// A credential of a tenant that holds the verb.
    Tenant(Verb),
    /// An operator's credential that holds the verb.
    Operator(Verb),
    /// Either, if it holds the verb.
    Either(Verb),
    /// Whoever has the token of a wake, which the handler looks at.
    Wake,
}

impl Access {
    pub(crate) const fn verb(self) -> Option<Verb> {
        match self {
            Self::Open | Self::Anyone | Self::Wake => None,
            Self::Tenant(verb) | Self::Operator(verb) | Self::Either(verb) => Some(verb),
        }
    }

    /// Its name in the OpenAPI document.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Anyone => "anyone",
            Self::Tenant(_) => "tenant",
            Self::Operator(_) => "operator",
            Self::Either(_) => "either",
            Self::Wake => "wake",
        }
    }
}

/// Which preconditions a route honours. Others it refuses: one that is passed
/// over silently is worse than none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preconditions {
    /// `If-Match` with a version.
    pub(crate) if_match: bool,
    /// `If-None-Match: *` on a change.
    pub(crate) if_absent: bool,
    /// `If-None-Match` with what is known already, on reading.
    pub(crate) if_changed: bool,
}

/// A body that a route takes.
#[derive(Clone)]
pub(crate) struct BodySpec {
    pub(crate) media: &'static str,
    pub(crate) bytes_max: usize,
    /// Whether the handler takes it as it comes.
    pub(crate) streamed: bool,
    /// Whether it may be left out.
    pub(crate) optional: bool,
    pub(crate) schema: RefOr<Schema>,
}

/// A good answer that a route gives.
#[derive(Clone)]
pub(crate) struct AnswerSpec {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    /// Its media types, with the form of each that is JSON.
    pub(crate) content: Vec<(&'static str, Option<RefOr<Schema>>)>,
    pub(crate) has_etag: bool,
    pub(crate) has_location: bool,
}

/// Answers one request.
pub(crate) type Handler = fn(Call) -> BoxFuture<'static, Result<Reply, Refused>>;

/// One method of one path.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    /// With its parameters in braces.
    pub(crate) path: &'static str,
    /// Its name in the OpenAPI document, in metrics and in traces.
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) access: Access,
    /// What of the facade it makes reachable, as `Type::method`.
    pub(crate) serves: &'static [&'static str],
    pub(crate) query: Vec<Parameter>,
    pub(crate) body: Option<BodySpec>,
    pub(crate) answers: Vec<AnswerSpec>,
    /// Codes that it answers under another status than they have elsewhere.
    pub(crate) also: Vec<(u16, &'static str)>,
    /// The codes of its own refusals, beside those that every route has.
    pub(crate) fails: Vec<&'static str>,
    pub(crate) preconditions: Preconditions,
    /// Whether it takes an `Idempotency-Key`.
    pub(crate) operation: bool,
    /// Whether it may go on as long as it likes.
    pub(crate) endless: bool,
    pub(crate) run: Handler,
    /// The forms that are named in its own, for the document.
    pub(crate) schemas: Vec<(String, RefOr<Schema>)>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Bytes of a body that nothing else is said about.
const BODY_BYTES_MAX: usize = 256 * 1024;

impl Route {
    pub(crate) fn new(
        method: Method,
        path: &'static str,
        name: &'static str,
        run: Handler,
    ) -> Self {
        Self {
            method,
            path,
            name,
            summary: "",
            tag: "",
            access: Access::Open,
            serves: &[],
            query: Vec::new(),
            body: None,
            answers: Vec::new(),
            also: Vec::new(),
            fails: Vec::new(),
            preconditions: Preconditions::default(),
            operation: false,
            endless: false,
            run,
            schemas: Vec::new(),
        }
    }

    pub(crate) fn get(path: &'static str, name: &'static str, run: Handler) -> Self {
        Self::new(Method::GET, path, name, run)
    }

    /// A change, which may be asked for under an operation id.
    pub(crate) fn post(path: &'static str, name: &'static str, run: Handler) -> Self {
        let route = Self::new(Method::POST, path, name, run);
        Self {
            operation: true,
            ..route
        }
    }

    pub(crate) const fn about(mut self, tag: &'static str, summary: &'static str) -> Self {
        self.tag = tag;
        self.summary = summary;
        self
    }

    pub(crate) const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    pub(crate) const fn serves(mut self, operations: &'static [&'static str]) -> Self {
        self.serves = operations;
        self
    }

    pub(crate) fn query<Q: IntoParams>(mut self) -> Self {
        let place = || Some(utoipa::openapi::path::ParameterIn::Query);
        self.query.extend(Q::into_params(place));
        self
    }

    fn name<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        let name = T::name().into_owned();
        self.schemas.push((name.clone(), T::schema()));
        RefOr::Ref(utoipa::openapi::Ref::from_schema_name(name))
    }

    pub(crate) fn takes<B: ToSchema>(mut self) -> Self {
        let schema = self.name::<B>();
        self.body = Some(BodySpec {
            media: "application/json",
            bytes_max: BODY_BYTES_MAX,
            streamed: false,
            optional: false,
            schema,
        });
        self
    }

    /// A body that is kept as it is.
    pub(crate) fn takes_bytes(mut self, media: &'static str, bytes_max: usize) -> Self {
        self.body = Some(BodySpec {
            media,
            bytes_max,
            streamed: false,
            optional: true,
            schema: String::schema(),
        });
        self
    }

    /// A body of lines, each of which is a `B`, taken as they come.
    pub(crate) fn takes_lines<B: ToSchema>(mut self, media: &'static str) -> Self {
        let schema = self.name::<B>();
        self.body = Some(BodySpec {
            media,
            bytes_max: usize::MAX,
            streamed: true,
            optional: true,
            schema,
        });
        self
    }

    pub(crate) fn optionally(mut self) -> Self {
        if let Some(body) = &mut self.body {
            body.optional = true;
        }
        self
    }

    pub(crate) fn body_bytes_max(mut self, bytes: usize) -> Self {
        if let Some(body) = &mut self.body {
            body.bytes_max = bytes;
        }
        self
    }

    pub(crate) fn answers<B: ToSchema>(mut self, status: u16, about: &'static str) -> Self {
        let schema = self.name::<B>();
        self.answers.push(AnswerSpec {
            status,
            about,
            content: vec![("application/json", Some(schema))],
            has_etag: false,
            has_location: false,
        });
        self
    }

    /// A good answer that is no JSON.
    pub(crate) fn sends(
        mut self,
        status: u16,
        media: Option<&'static str>,
        about: &'static str,
    ) -> Self {
        if let (Some(media), Some(same)) = (
            media,
            self.answers
                .iter_mut()
                .find(|answer| answer.status == status),
        ) {
            same.content.push((media, None));
            return self;
        }
        self.answers.push(AnswerSpec {
            status,
            about,
            content: media.map(|media| (media, None)).into_iter().collect(),
            has_etag: false,
            has_location: false,
        });
        self
    }

    /// The last answer carries an `ETag`.
    pub(crate) fn tagged(mut self) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.has_etag = true;
        }
        self
    }

    /// The last answer says where what was made is.
    pub(crate) fn located(mut self) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.has_location = true;
        }
        self
    }

    pub(crate) fn also(mut self, status: u16, code: &'static str) -> Self {
        self.also.push((status, code));
        self
    }

    pub(crate) fn fails(mut self, codes: &[&'static str]) -> Self {
        self.fails.extend(codes);
        self
    }

    pub(crate) const fn honours(mut self, preconditions: Preconditions) -> Self {
        self.preconditions = preconditions;
        self
    }

    pub(crate) const fn with_operation(mut self) -> Self {
        self.operation = true;
        self
    }

    pub(crate) const fn without_operation(mut self) -> Self {
        self.operation = false;
        self
    }

    pub(crate) const fn endless(mut self) -> Self {
        self.endless = true;
        self
    }

    /// The names of the parameters in its path.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        let pieces = self.path.split('/');
        let names = pieces.filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}'));
        // One that takes the rest of the path has a star.
        names.map(|name| name.trim_start_matches('*'))
    }
}
