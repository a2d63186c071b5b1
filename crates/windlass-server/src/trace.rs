//! What is traced of a request: its route, never what it carries.

use axum::http::{HeaderMap, HeaderValue};
use tracing::Span;
use windlass::core::Env;

use crate::route::Route;

/// A name for one request, for logs and for whoever asks about it.
#[derive(Debug)]
pub(crate) struct RequestId(String);

impl RequestId {
    pub(crate) fn draw(env: &dyn Env) -> Self {
        let mut bytes = [0; 8];
        // It names, it protects nothing: without randomness it is zero.
        let _ = env.random(&mut bytes);
        Self(format!("{:016x}", u64::from_be_bytes(bytes)))
    }

    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("0"))
    }
}

/// The span of a request, below the caller's if it names one (W3C Trace
/// Context, `traceparent`).
pub(crate) fn span(route: &Route, headers: &HeaderMap, id: &RequestId) -> Span {
    let parent = headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    let (trace, parent) = parent.and_then(ids_of).unwrap_or_default();
    tracing::info_span!(
        "request",
        route = route.name,
        method = %route.method,
        id = %id.0,
        trace_id = trace,
        parent_id = parent,
    )
}

/// The trace and the caller's span in a `traceparent` of version 00.
fn ids_of(text: &str) -> Option<(&str, &str)> {
    let mut pieces = text.split('-');
    let (version, trace, parent, flags) = (
        pieces.next()?,
        pieces.next()?,
        pieces.next()?,
        pieces.next()?,
    );
    let is_hex = |text: &str, length: usize| {
        text.len() == length
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let fits = version == "00" && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    let is_null = trace.bytes().all(|byte| byte == b'0') || parent.bytes().all(|byte| byte == b'0');
    (fits && !is_null && pieces.next().is_none()).then_some((trace, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_traceparent_is_taken() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let whole = format!("00-{trace}-00f067aa0ba902b7-01");
        assert_eq!(ids_of(&whole), Some((trace, "00f067aa0ba902b7")));
        let zero = "0".repeat(32);
        for bad in [
            String::new(),
            format!("01-{trace}-00f067aa0ba902b7-01"),
            format!("00-{zero}-00f067aa0ba902b7-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{trace}-00F067AA0BA902B7-01"),
            format!("00-{trace}-00f067aa0ba902b7"),
            format!("00-{trace}-00f067aa0ba902b7-01-x"),
            format!("00-{trace}\n-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(ids_of(&bad), None, "{bad}");
        }
    }
}
