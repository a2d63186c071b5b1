//! The protocol's headers.

use std::str::FromStr;
use std::sync::Arc;

use axum::http::HeaderMap;
use jiff::Timestamp;
use windlass::core::Millis;
use windlass::stream::{ContentType, Expiry, PRODUCER_NUMBER_MAX, Producer};

use super::invalid;
use crate::problem::Refused;

/// A header's one value.
pub(super) fn text<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, Refused> {
    let mut values = headers.get_all(name).iter();
    let refuse = || invalid(name, "the header has to be there once, as text");
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(value.to_str().map_err(|_| refuse())?)),
        _ => Err(refuse()),
    }
}

/// Whether the stream is to be closed: any other value counts as none.
pub(super) fn closes(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all("stream-closed").iter();
    values.any(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

pub(super) fn content_type(headers: &HeaderMap) -> Result<Option<ContentType>, Refused> {
    let text = text(headers, "content-type")?;
    Ok(text.map(ContentType::from_str).transpose()?)
}

/// A number in decimal digits without more of them than it needs.
pub(super) fn number(headers: &HeaderMap, name: &'static str) -> Result<Option<u64>, Refused> {
    let Some(text) = text(headers, name)? else {
        return Ok(None);
    };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    let number = text.parse().ok().filter(|_| plain);
    let refuse = || invalid(name, "the header is not a number in plain decimal digits");
    Ok(Some(number.ok_or_else(refuse)?))
}

/// When the stream goes: at most one of the two ways to say so.
pub(super) fn expiry(headers: &HeaderMap) -> Result<Expiry, Refused> {
    let (ttl, at) = ("stream-ttl", "stream-expires-at");
    let seconds = number(headers, ttl)?;
    let Some(time) = text(headers, at)? else {
        return Ok(match seconds {
            Some(seconds) => Expiry::SlidingMs(seconds.saturating_mul(1_000)),
            None => Expiry::Never,
        });
    };
    if seconds.is_some() {
        return Err(invalid(at, "a stream has one way to expire"));
    }
    let parsed = time.parse::<Timestamp>().ok();
    let ms = parsed.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    let ms = ms.ok_or_else(|| invalid(at, "the header is no time as of RFC 3339"));
    Ok(Expiry::At(Millis::new(ms?)))
}

/// The headers that say when a stream goes.
pub(super) fn of_expiry(expiry: Expiry) -> Vec<(&'static str, String)> {
    match expiry {
        Expiry::SlidingMs(ms) | Expiry::IdleMs(ms) => {
            vec![("stream-ttl", ms.div_ceil(1_000).to_string())]
        }
        Expiry::At(time) => {
            let ms = i64::try_from(time.get()).ok();
            let time = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
            let at = |time: Timestamp| ("stream-expires-at", time.to_string());
            time.map(at).into_iter().collect()
        }
        Expiry::Never => Vec::new(),
    }
}

/// Who appends: all three headers, or none.
pub(super) fn producer(headers: &HeaderMap) -> Result<Option<Producer>, Refused> {
    let (id, epoch, seq) = ("producer-id", "producer-epoch", "producer-seq");
    let name = text(headers, id)?;
    let (epoch, number) = (exact(headers, epoch)?, exact(headers, seq)?);
    match (name, epoch, number) {
        (None, None, None) => Ok(None),
        (Some(name), Some(epoch), Some(number)) => Ok(Some(Producer {
            id: name.into(),
            epoch,
            number,
        })),
        _ => Err(invalid(id, "a producer gives its id, epoch and sequence")),
    }
}

/// A number that all clients can hold.
fn exact(headers: &HeaderMap, name: &'static str) -> Result<Option<u64>, Refused> {
    match number(headers, name)? {
        Some(number) if number > PRODUCER_NUMBER_MAX => {
            Err(invalid(name, "the number is greater than 2^53 - 1"))
        }
        number => Ok(number),
    }
}

pub(super) fn sequence(headers: &HeaderMap) -> Result<Option<Arc<str>>, Refused> {
    Ok(text(headers, "stream-seq")?.map(Arc::from))
}
