//! Receiving a body: its limits, and what is said of one that cannot be read.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde::de::DeserializeOwned;

use crate::problem::{Problem, Refused};
use crate::room::{Room, Taken};
use crate::route::BodySpec;

/// Characters of a reader's message that are passed on.
const MESSAGE_CHARS_MAX: usize = 300;

/// A body, and the room it takes until it is dropped.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    _taken: Option<Taken>,
}

/// Receives what `spec` allows.
pub(crate) async fn receive(
    body: Body,
    headers: &HeaderMap,
    spec: Option<&BodySpec>,
    room: &Room,
) -> Result<Received, Refused> {
    let hint = body.size_hint();
    let Some(spec) = spec else {
        return match body.is_end_stream() || hint.exact() == Some(0) {
            true => Ok(Received {
                bytes: Bytes::new(),
                _taken: None,
            }),
            false => Err(refused(
                400,
                "body_not_expected",
                "this request has no body",
            )),
        };
    };
    let too_large = || {
        let problem = Problem::new(413, "body_too_large", "the body is larger than it may be");
        Box::new(problem.with("max", u64::try_from(spec.bytes_max).unwrap_or(u64::MAX)))
    };
    let max = u64::try_from(spec.bytes_max).unwrap_or(u64::MAX);
    if hint.lower() > max {
        return Err(too_large());
    }
    let is_empty = body.is_end_stream();
    if !is_empty {
        check_media(headers, spec.media)?;
    }
    // What was only announced takes no room from others.
    let mut taken = room.take(0).ok_or_else(overloaded)?;
    let bytes = collect(body, spec.bytes_max, too_large, &mut taken).await?;
    if bytes.is_empty() && !spec.optional {
        return Err(refused(400, "invalid_body", "a body is required"));
    }
    Ok(Received {
        bytes,
        _taken: Some(taken),
    })
}

/// A body that its handler takes as it comes, if it is one that `spec` allows.
pub(crate) fn incoming(body: Body, headers: &HeaderMap, spec: &BodySpec) -> Result<Body, Refused> {
    if !body.is_end_stream() {
        check_media(headers, spec.media)?;
    }
    Ok(body)
}

async fn collect(
    mut body: Body,
    max: usize,
    too_large: impl Fn() -> Refused,
    taken: &mut Taken,
) -> Result<Bytes, Refused> {
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    while let Some(frame) = body.frame().await {
        let cut = |_| refused(400, "malformed_request", "the body ended early");
        let Ok(data) = frame.map_err(cut)?.into_data() else {
            continue;
        };
        if whole.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > max {
            return Err(too_large());
        }
        if !taken.grow(u64::try_from(data.len()).unwrap_or(u64::MAX)) {
            return Err(overloaded());
        }
        // Most bodies come in one piece, which needs no copy.
        match (first.take(), whole.is_empty()) {
            (None, true) => first = Some(data),
            (Some(before), _) => {
                whole.extend_from_slice(&before);
                whole.extend_from_slice(&data);
            }
            (None, false) => whole.extend_from_slice(&data),
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

pub(crate) fn overloaded() -> Refused {
    let detail = "too many large requests are being received; try again";
    Box::new(Problem::new(503, "overloaded", detail).retry_after_ms(1_000))
}

/// What a route takes that keeps whatever it is given.
const ANY_MEDIA: &str = "*/*";

/// Only what is expected, as it is: what is compressed could become anything.
fn check_media(headers: &HeaderMap, expected: &str) -> Result<(), Refused> {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &header::HeaderValue| value.to_str().ok())
    };
    let media = text(header::CONTENT_TYPE).flatten().unwrap_or_default();
    let kind = media.split(';').next().unwrap_or_default().trim();
    let is_plain = match text(header::CONTENT_ENCODING) {
        None => true,
        Some(coding) => coding.is_some_and(|coding| coding.eq_ignore_ascii_case("identity")),
    };
    if (expected == ANY_MEDIA || kind.eq_ignore_ascii_case(expected)) && is_plain {
        return Ok(());
    }
    let detail = format!("a body is `{expected}` here, without a content coding");
    Err(refused(415, "media_type_not_supported", &detail))
}

/// Reads a body as a `T`. Nothing of the body is repeated in the refusal.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(bytes).map_err(|error| {
        let detail = format!(
            "the body cannot be read: {}",
            json_error(&error.to_string())
        );
        refused(400, "invalid_body", &detail)
    })
}

/// A reader's message without what it quotes of the input, which may be long,
/// foreign or secret; names of ours and the place stay.
pub(crate) fn json_error(message: &str) -> String {
    let quoting = [
        ("unknown field", "a field is not known here"),
        ("unknown variant", "a value is none of those known here"),
        ("invalid type", "a value has the wrong type"),
        ("invalid value", "a value is not allowed"),
        ("invalid length", "a list has the wrong length"),
    ];
    let found = quoting.iter().find(|(start, _)| message.starts_with(start));
    let Some((_, said)) = found else {
        // What is left names only fields of ours, or the grammar of JSON.
        let known = [
            "missing field",
            "duplicate field",
            "expected",
            "EOF",
            "trailing",
            "key must",
            "control character",
            "invalid escape",
            "invalid number",
            "number out of range",
            "lone",
            "unexpected end",
            "recursion limit",
            "invalid unicode",
            "expected value",
        ];
        let is_known = known.iter().any(|start| message.starts_with(start));
        return if is_known {
            shortened(message)
        } else {
            "it is not what is expected".to_owned()
        };
    };
    // What was expected is ours; it is the last thing said before the place.
    let expected = message
        .rfind(", expected")
        .and_then(|start| message.get(start..));
    let place = message
        .rfind(" at line")
        .and_then(|start| message.get(start..));
    shortened(&format!("{said}{}", expected.or(place).unwrap_or_default()))
}

fn shortened(message: &str) -> String {
    message.chars().take(MESSAGE_CHARS_MAX).collect()
}

fn refused(status: u16, code: &str, detail: &str) -> Refused {
    Box::new(Problem::new(status, code, detail))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shape {
        #[serde(rename = "number")]
        _number: u8,
    }

    #[test]
    fn what_was_sent_is_never_repeated() {
        let table = [
            r#"{"secret-word":1}"#,
            r#"{"number":"secret-word"}"#,
            r#"{"number":1,"secret-word, expected secret-word":2}"#,
            r#""secret-word""#,
            "secret-word",
            r#"{"number":1} secret-word"#,
        ];
        for text in table {
            let problem = parse::<Shape>(text.as_bytes()).expect_err("no such shape");
            let answer = String::from_utf8(problem.to_json()).expect("text");
            assert!(
                !answer.contains("secret-word, expected secret-word"),
                "{answer}"
            );
            assert!(!answer.contains("`secret"), "{answer}");
            assert!(!answer.contains("\\\"secret"), "{answer}");
            assert_eq!(problem.code(), "invalid_body");
        }
    }
}
