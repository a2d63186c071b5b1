//! One call, before it is sent.

use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use serde::Serialize;
use serde_json::Value;

use super::ClientError;
use super::retry::Repeat;
use crate::stream::ROWS_MEDIA_TYPE;

/// A call that can be sent any number of times.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    path: Vec<String>,
    query: Vec<(String, String)>,
    pub(super) body: Option<Bytes>,
    /// What the body is.
    pub(super) media: &'static str,
    /// A header on which the call depends, and its value.
    pub(super) condition: Option<(&'static str, String)>,
    pub(super) repeat: Repeat,
    /// Whether it takes as long as there is something to do.
    pub(super) is_long: bool,
}

impl Call {
    fn new(method: Method, path: &[&str], repeat: Repeat) -> Self {
        let path = path.iter().map(|part| (*part).to_owned());
        Self {
            method,
            path: path.collect(),
            query: Vec::new(),
            body: None,
            media: "application/json",
            condition: None,
            repeat,
            is_long: false,
        }
    }

    /// A call that reads.
    pub(super) fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path, Repeat::Reads)
    }

    /// A change under an idempotency key.
    pub(super) fn post<T: Serialize>(path: &[&str], body: &T) -> Self {
        Self::new(Method::POST, path, Repeat::Keyed).body(body)
    }

    /// The same for one that has nothing to say.
    pub(super) fn post_bare(path: &[&str]) -> Self {
        Self::new(Method::POST, path, Repeat::Keyed)
    }

    /// The same for rows, one a line.
    pub(super) fn post_lines(path: &[&str], lines: Bytes) -> Self {
        Self {
            body: Some(lines),
            media: ROWS_MEDIA_TYPE,
            ..Self::new(Method::POST, path, Repeat::Keyed)
        }
    }

    /// A change that puts something in the place of what was there.
    pub(super) fn put<T: Serialize>(path: &[&str], body: &T) -> Self {
        Self::new(Method::PUT, path, Repeat::Keyed).body(body)
    }

    /// A change that takes something away.
    pub(super) fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path, Repeat::Keyed)
    }

    /// The same for a change that asks for a state and takes no idempotency
    /// key.
    pub(super) const fn unkeyed(mut self) -> Self {
        self.repeat = Repeat::Rest;
        self
    }

    /// The same for one whose work has no bound.
    pub(super) const fn patiently(mut self) -> Self {
        self.is_long = true;
        self
    }

    fn body<T: Serialize>(mut self, body: &T) -> Self {
        let json = serde_json::to_vec(body).expect("wire types have text keys and finite numbers");
        self.body = Some(json.into());
        self
    }

    /// The same with the fields of `query`, all of them texts or numbers, in
    /// its URL.
    pub(super) fn query<T: Serialize>(mut self, query: &T) -> Self {
        let fields = serde_json::to_value(query).expect("queries are flat");
        let Value::Object(fields) = fields else {
            return self;
        };
        for (name, value) in fields {
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            self.query.push((name, text));
        }
        // In their own order, whatever map they came in.
        self.query.sort_unstable();
        self
    }

    /// The same on a condition.
    pub(super) fn on(mut self, header: &'static str, value: String) -> Self {
        self.condition = Some((header, value));
        self
    }

    /// Where it goes. A part of the path that would lead elsewhere is refused:
    /// `..` is no name of anything, and nothing else can leave its place, for
    /// the parts are escaped.
    pub(super) fn url(&self, base: &Url) -> Result<Url, ClientError> {
        let mut url = base.clone();
        if self
            .path
            .iter()
            .any(|part| matches!(part.as_str(), "" | "." | ".."))
        {
            return Err(ClientError::Invalid { field: "id" });
        }
        url.path_segments_mut()
            .map_err(|()| ClientError::Invalid { field: "url" })?
            .pop_if_empty()
            .extend(&self.path);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }

    /// The condition as a header.
    pub(super) fn header(&self) -> Result<Option<(&'static str, HeaderValue)>, ClientError> {
        let Some((name, value)) = &self.condition else {
            return Ok(None);
        };
        let value = HeaderValue::from_str(value);
        let value = value.map_err(|_| ClientError::Invalid { field: "condition" })?;
        Ok(Some((name, value)))
    }
}

/// The strong tag of a revision or a version.
pub(super) fn tag(what: impl std::fmt::Display) -> String {
    format!("\"{what}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::ListSessions;

    fn url(base: &str, call: &Call) -> String {
        let base = Url::parse(base).unwrap();
        call.url(&base).unwrap().to_string()
    }

    #[test]
    fn names_stay_in_their_place_whatever_is_in_them() {
        let call = Call::get(&["v1", "sessions", "a/../b?c#d%2e"]);
        let expected = "http://h/v1/sessions/a%2F..%2Fb%3Fc%23d%252e";
        assert_eq!(url("http://h/", &call), expected);
        assert_eq!(
            url("http://h/below/", &Call::get(&["v1"])),
            "http://h/below/v1"
        );
        for part in ["", ".", ".."] {
            let refused = Call::get(&["v1", part]).url(&Url::parse("http://h").unwrap());
            assert_eq!(refused.unwrap_err().code(), "invalid_request", "{part:?}");
        }
    }

    #[test]
    fn a_query_has_what_was_said_and_nothing_else() {
        let query = ListSessions {
            agent: Some("a&b".to_owned()),
            limit: Some(5),
            ..ListSessions::default()
        };
        let call = Call::get(&["v1"]).query(&query);
        assert_eq!(url("http://h", &call), "http://h/v1?agent=a%26b&limit=5");
        assert_eq!(
            url(
                "http://h",
                &Call::get(&["v1"]).query(&ListSessions::default())
            ),
            "http://h/v1"
        );
    }
}
