//! What is traced of a request: its route, never what it carries.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderValue};
use tracing::Span;
use windlass::core::Env;

use crate::route::Route;

/// Where requests get their names: from a number that was drawn once, as a
/// name protects nothing and has only to be one request's.
#[derive(Debug)]
pub(crate) struct RequestIds(AtomicU64);

impl RequestIds {
    pub(crate) fn draw(env: &dyn Env) -> Self {
        let mut bytes = [0; 8];
        // Without randomness the names of two runs are alike.
        let _ = env.random(&mut bytes);
        Self(AtomicU64::new(u64::from_be_bytes(bytes)))
    }

    pub(crate) fn next(&self) -> RequestId {
        let number = mixed(self.0.fetch_add(STEP, Ordering::Relaxed));
        let mut digits = [0; 16];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
            let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        RequestId(digits)
    }
}

/// What two neighbouring names differ by before they are mixed. Odd, so that
/// no name comes again before all have come.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014): different numbers stay different.
const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A name for one request, for logs and for whoever asks about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestId([u8; 16]);

impl RequestId {
    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("hexadecimal digits are a header's value")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.0).map_err(|_| fmt::Error)?)
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
        id = %id,
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
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_requests_have_the_same_name() {
        let ids = RequestIds(AtomicU64::new(u64::MAX - 5));
        let names: HashSet<String> = (0..10_000).map(|_| ids.next().to_string()).collect();
        assert_eq!(names.len(), 10_000);
        assert!(names.iter().all(|name| name.len() == 16), "{names:?}");
        // Neighbours look nothing alike, so that a part of a name still helps.
        let starts: HashSet<&str> = names.iter().map(|name| &name[..8]).collect();
        assert!(starts.len() > 9_990, "{}", starts.len());
    }

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
