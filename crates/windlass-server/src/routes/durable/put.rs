//! Making streams.

use axum::http::{HeaderMap, StatusCode, header};
use windlass::core::Coded;
use windlass::stream::{ForkFrom, Offset, StreamError, Wanted};

use super::headers::{closes, content_type, expiry, number, text};
use super::{ROOT, caller, invalid, named, offset, path, refused, standing, streams};
use crate::call::{Call, Reply};
use crate::problem::{Problem, Refused};

pub(super) async fn put(call: Call) -> Result<Reply, Refused> {
    let (caller, path) = (caller(&call)?, path(&call)?);
    let wanted = Wanted {
        content_type: content_type(&call.headers)?,
        expiry: expiry(&call.headers)?,
        closed: closes(&call.headers),
        body: call.body.clone(),
        fork: fork(&call.headers)?,
    };
    let put = streams(&call).put(&caller, &path, &wanted).await;
    let put = put.map_err(conflict)?;
    call.app.hooks.appended(&caller, path.as_str());
    let status = match put.created {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let reply = standing(status, put.view.tail, put.view.closed);
    let reply = reply.header("content-type", put.view.content_type.as_str());
    Ok(match put.created {
        true => reply.location(location(&call.headers, path.as_str())),
        false => reply,
    })
}

/// A path that is taken by what is gone is a conflict here.
fn conflict(error: StreamError) -> Refused {
    let gone = error.code() == "stream_deleted";
    let problem = refused(error);
    if gone {
        return Box::new(problem.under(409));
    }
    problem
}

/// What the stream is to be a fork of.
fn fork(headers: &HeaderMap) -> Result<Option<ForkFrom>, Refused> {
    let at = text(headers, "stream-fork-offset")?;
    let part = number(headers, "stream-fork-sub-offset")?;
    let Some(source) = text(headers, "stream-forked-from")? else {
        if at.is_some() || part.is_some() {
            let detail = "only a fork has a fork offset";
            return Err(invalid("stream-forked-from", detail));
        }
        return Ok(None);
    };
    let missing = || Box::new(Problem::not_found());
    let source = source_path(source).ok_or_else(missing)?;
    let at = match at {
        None => None,
        Some("-1") => Some(Offset::START),
        Some(text) => Some(offset(text).ok_or_else(|| {
            let detail = "the offset is none that was given";
            invalid("stream-fork-offset", detail)
        })?),
    };
    Ok(Some(ForkFrom {
        path: named(&source)?,
        offset: at,
        part: part.unwrap_or(0),
    }))
}

/// The stream of a URL's path, which may leave out what comes before the
/// protocol's own part.
fn source_path(text: &str) -> Option<String> {
    let root = ROOT.strip_prefix("/durable")?;
    let text = text.strip_prefix("/durable").unwrap_or(text);
    decoded(text.strip_prefix(root)?)
}

/// Text of which some bytes are escaped by `%`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Where the stream is: the protocol wants the whole URL.
fn location(headers: &HeaderMap, path: &str) -> String {
    let value = |name| {
        headers
            .get(name)
            .and_then(|value: &header::HeaderValue| value.to_str().ok())
    };
    let scheme = match value(header::HeaderName::from_static("x-forwarded-proto")) {
        Some("https") => "https",
        _ => "http",
    };
    let host = value(header::HOST).unwrap_or("localhost");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,;=".contains(&byte);
    let path: String = path
        .bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    format!("{scheme}://{host}{ROOT}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_named_by_its_path_with_or_without_our_prefix() {
        for (text, expected) in [
            ("/durable/v1/stream/a/b", Some("a/b")),
            ("/v1/stream/a%2Fb%20c", Some("a/b c")),
            ("/v1/streams/a", None),
            ("a", None),
            ("/v1/stream/%F", None),
            ("/v1/stream/%FF", None),
        ] {
            assert_eq!(source_path(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_location_is_a_whole_url() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "here:1".parse().expect("a header"));
        assert_eq!(
            location(&headers, "a/b ü?"),
            "http://here:1/durable/v1/stream/a/b%20%C3%BC%3F"
        );
        headers.insert("x-forwarded-proto", "https".parse().expect("a header"));
        assert_eq!(
            location(&headers, "a"),
            "https://here:1/durable/v1/stream/a"
        );
    }
}
