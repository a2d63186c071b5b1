//! Cross-origin requests: off unless origins are configured, then alike on all
//! routes, and never with a browser's own credentials.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// What pages may send and see beside what every page may: these are ours, and
/// those of the protocols that are spoken.
const SENT: &str = "authorization, content-type, if-match, if-none-match, idempotency-key, \
    last-event-id, accept, producer-id, producer-epoch, producer-seq, stream-seq, stream-ttl, \
    stream-expires-at, stream-closed, stream-forked-from, stream-fork-offset, \
    stream-fork-sub-offset, traceparent, tracestate";
const SHOWN: &str = "etag, location, retry-after, x-request-id, producer-epoch, producer-seq, \
    producer-expected-seq, producer-received-seq, stream-next-offset, stream-cursor, \
    stream-up-to-date, stream-closed, stream-ttl, stream-expires-at, stream-sse-data-encoding";

/// How long a browser may remember what it was told: two hours.
const AGE_S: &str = "7200";

/// The origin of a request, if its pages may ask.
pub(crate) fn allowed(origins: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(header::ORIGIN).iter();
    let origin = values.next().filter(|_| values.next().is_none())?;
    let is_known = origins
        .iter()
        .any(|known| known.as_bytes() == origin.as_bytes());
    is_known.then(|| origin.clone())
}

/// The answer to a page that asks whether it may ask.
pub(crate) fn preflight(request: &Request<Body>) -> Option<Response<Body>> {
    let asks = request
        .headers()
        .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || !asks {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, SENT),
        (header::ACCESS_CONTROL_MAX_AGE, AGE_S),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}

/// Lets pages of this origin see the answer.
pub(crate) fn allow(headers: &mut HeaderMap, origin: &HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    let shown = HeaderValue::from_static(SHOWN);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shown);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let resource = header::HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(resource, HeaderValue::from_static("cross-origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_origin_that_is_configured_is_allowed_and_only_one_at_a_time() {
        let origins = ["https://a.example".to_owned()];
        let ask = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::ORIGIN, value.parse().expect("a header"));
            }
            allowed(&origins, &headers).is_some()
        };
        assert!(ask(&["https://a.example"]));
        for others in [
            &[][..],
            &["https://b.example"],
            &["http://a.example"],
            &["null"],
            &["https://a.example", "https://b.example"],
        ] {
            assert!(!ask(others), "{others:?}");
        }
    }
}
