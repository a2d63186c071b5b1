//! The open door: a server without any key serves its own machine only, and
//! no page that a browser on that machine happens to show.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, Uri, header};

use crate::cors::allowed;
use crate::problem::{Problem, Refused};

/// Whether the door was found open, for a short time.
#[derive(Debug, Default)]
pub(super) struct Door(Mutex<Option<(bool, Duration, u64)>>);

impl Door {
    pub(super) fn known(&self, now: Duration, age: u64) -> Option<bool> {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, until, at) = seen?;
        (now < until && at == age).then_some(open)
    }

    pub(super) fn learn(&self, open: bool, until: Duration, age: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((open, until, age));
    }
}

/// Refuses what a page of another site could make a browser send: a name that
/// was made to lead here, and requests that say they come from elsewhere.
pub(super) fn check_origin(headers: &HeaderMap, origins: &[String]) -> Result<(), Refused> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host_is_local = host.and_then(host_of).is_some_and(is_local);
    let origin_is_local = headers.get_all(header::ORIGIN).iter().all(|origin| {
        let uri: Option<Uri> = origin.to_str().ok().and_then(|text| text.parse().ok());
        uri.as_ref().and_then(Uri::host).is_some_and(is_local)
    });
    // Pages of configured origins may ask wherever they are.
    let origin_is_local = origin_is_local || allowed(origins, headers).is_some();
    if host_is_local && origin_is_local {
        return Ok(());
    }
    let detail = "a server without keys answers its own machine only; make a key first";
    Err(Box::new(Problem::new(403, "origin_not_allowed", detail)))
}

/// The host of a `Host` header, without its port.
fn host_of(value: &str) -> Option<&str> {
    if value.starts_with('[') {
        let end = value.find(']')?;
        return value.get(..=end);
    }
    value.split(':').next()
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(host: &str, origin: Option<&str>) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("a header"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().expect("a header"));
        }
        check_origin(&headers, &[]).map_err(|problem| problem.code().to_owned())
    }

    #[test]
    fn only_this_machine_by_its_own_names_gets_in() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:7411",
            "127.8.8.8",
            "[::1]:7411",
            "[::1]",
        ] {
            assert_eq!(checked(host, None), Ok(()), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "10.0.0.1",
            "[::2]",
            "127.0.0.1.example.com",
            "[",
        ] {
            assert_eq!(
                checked(host, None),
                Err("origin_not_allowed".to_owned()),
                "{host}"
            );
        }
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:1",
        ] {
            assert_eq!(checked("localhost", Some(origin)), Ok(()), "{origin}");
        }
        for origin in [
            "https://example.com",
            "null",
            "http://localhost.example.com",
            "file://",
        ] {
            let refused = Err("origin_not_allowed".to_owned());
            assert_eq!(checked("localhost", Some(origin)), refused, "{origin}");
        }
    }
}
