//! Reading: what there is, and what comes while one waits for it.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use windlass::core::{Coded, ErrorKind};
use windlass::stream::{From, Live, Piece, StreamError};

use super::events::events;
use super::{PIECE_BYTES_MAX, caller, invalid, offset, path, refused, streams};
use crate::app::App;
use crate::call::{Call, Reply};
use crate::problem::{Problem, Refused};

/// Rows at a place never change, so that they may be kept for a while by who
/// may read them.
const KEPT: &str = "private, max-age=60, stale-while-revalidate=300";

/// Rows up to a tail, behind which there may be more at any time.
const ASKED_AGAIN: &str = "private, no-cache";

/// What is asked for.
#[derive(Debug, Default)]
struct Asked {
    from: Option<From>,
    live: Option<Mode>,
    cursor: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    LongPoll,
    Events,
}

pub(super) async fn get(call: Call) -> Result<Reply, Refused> {
    let (caller, path) = (caller(&call)?, path(&call)?);
    let asked = asked(&call.query)?;
    let from = asked.from.unwrap_or(From::Start);
    let Some(mode) = asked.live else {
        let streams = streams(&call);
        let read = streams.read(&caller, &path, from, PIECE_BYTES_MAX).await;
        let piece = read.map_err(unread)?;
        return Ok(caught_up(&call, from, &piece));
    };
    if asked.from.is_none() {
        return Err(invalid("offset", "a live read begins at an offset"));
    }
    let live = streams(&call).live(&caller, &path, from).await;
    let live = live.map_err(unread)?;
    match mode {
        Mode::LongPoll => long_poll(call, live, asked.cursor).await,
        Mode::Events => events(call, live, asked.cursor).await,
    }
}

fn asked(query: &str) -> Result<Asked, Refused> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(|_| {
        Box::new(Problem::new(
            400,
            "invalid_query",
            "the query cannot be read",
        ))
    })?;
    let mut asked = Asked::default();
    for (name, value) in &pairs {
        match name.as_str() {
            "offset" if asked.from.is_some() => {
                return Err(invalid("offset", "there is one offset"));
            }
            "offset" => asked.from = Some(from(value)?),
            "live" => {
                asked.live = Some(match value.as_str() {
                    "long-poll" => Mode::LongPoll,
                    "sse" => Mode::Events,
                    _ => return Err(invalid("live", "it is `long-poll` or `sse`")),
                });
            }
            "cursor" => asked.cursor = value.parse().ok(),
            // Those of later protocols are for later servers.
            _ => {}
        }
    }
    Ok(asked)
}

fn from(text: &str) -> Result<From, Refused> {
    match text {
        "-1" => Ok(From::Start),
        "now" => Ok(From::Now),
        _ => {
            let offset = offset(text);
            let refuse = || invalid("offset", "it is `-1`, `now`, or one that was given");
            Ok(From::At(offset.ok_or_else(refuse)?))
        }
    }
}

/// Rows that are gone are gone for who reads them.
pub(super) fn unread(error: StreamError) -> Refused {
    let gone = error.code() == "gap";
    let problem = refused(error);
    if gone {
        return Box::new(problem.under(410));
    }
    problem
}

/// The answer that has these rows.
fn with_rows(piece: &Piece) -> Reply {
    let body = joined(piece);
    let reply = Reply::nothing(StatusCode::OK).with_body(Body::from(body));
    let reply = reply.header("content-type", piece.content_type.as_str());
    told(reply, piece)
}

/// Where the stream stands, as far as the piece goes.
fn told(mut reply: Reply, piece: &Piece) -> Reply {
    reply = reply.header("stream-next-offset", piece.next.to_string());
    if piece.is_up_to_date() {
        reply = reply.header("stream-up-to-date", "true");
    }
    if piece.is_end() {
        reply = reply.header("stream-closed", "true");
    }
    reply
}

fn caught_up(call: &Call, from: From, piece: &Piece) -> Reply {
    if from == From::Now {
        return with_rows(piece).header("cache-control", "no-store");
    }
    let end = if piece.is_end() { ":c" } else { "" };
    let tag = format!("{}:{}:{}{end}", piece.stream, piece.start, piece.next);
    let kept = match piece.is_up_to_date() {
        true => ASKED_AGAIN,
        false => KEPT,
    };
    let known = call
        .known
        .as_deref()
        .is_some_and(|known| names(known, &tag));
    let reply = match known {
        true => told(Reply::not_modified(&tag), piece),
        false => with_rows(piece).tag(&tag),
    };
    reply.header("cache-control", kept)
}

/// Whether a list of tags names this one; a weak one does as well.
fn names(list: &str, tag: &str) -> bool {
    let mut tags = list.split(',').map(str::trim);
    tags.any(|one| {
        let one = one.strip_prefix("W/").unwrap_or(one);
        let bare = one.strip_prefix('"').and_then(|one| one.strip_suffix('"'));
        one == "*" || bare == Some(tag)
    })
}

/// The rows as they were given, one behind the other; those of JSON as an array.
pub(super) fn joined(piece: &Piece) -> Vec<u8> {
    let rows = piece.rows.iter().map(|row| &row.content()[..]);
    if !piece.content_type.is_json() {
        return rows.collect::<Vec<_>>().concat();
    }
    let mut body = vec![b'['];
    for (place, row) in rows.enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(row);
    }
    body.push(b']');
    body
}

async fn long_poll(call: Call, mut live: Live, cursor: Option<u64>) -> Result<Reply, Refused> {
    let wait = Duration::from_millis(call.app.config.long_poll_ms);
    let mut stage = call.app.stage.clone();
    let piece = tokio::select! {
        biased;
        piece = live.next(PIECE_BYTES_MAX, wait) => piece,
        // Whoever waits is told at once that nothing more comes from here.
        _ = stage.changed() => live.next(PIECE_BYTES_MAX, Duration::ZERO).await,
    };
    let piece = piece.map_err(unread)?;
    live.finish();
    call.still_allowed().await?;
    let reply = match piece.rows.is_empty() {
        true => told(Reply::nothing(StatusCode::NO_CONTENT), &piece),
        false => with_rows(&piece).header("cache-control", KEPT),
    };
    Ok(reply.header("stream-cursor", next_cursor(&call.app, cursor).to_string()))
}

/// When cursors began: October 9, 2024, in Unix seconds; and how long one is.
const CURSORS_BEGAN_S: u64 = 1_728_432_000;
const CURSOR_S: u64 = 20;

/// The cursor of an answer: the same for all who ask at the same time, so that
/// caches between can answer them alike, and always another than the one that
/// is given back.
pub(super) fn next_cursor(app: &App, given: Option<u64>) -> u64 {
    let now_s = app.env.now().get() / 1_000;
    let current = now_s.saturating_sub(CURSORS_BEGAN_S) / CURSOR_S;
    match given {
        Some(given) if given >= current => {
            let mut byte = [0];
            // Without randomness all are sent on alike.
            let _ = app.env.random(&mut byte);
            given.saturating_add(1 + u64::from(byte[0]) % 180)
        }
        _ => current,
    }
}

/// Whether the store is only away.
pub(super) fn is_passing(error: &StreamError) -> bool {
    error.kind() == ErrorKind::Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_without_their_strength() {
        for (list, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("a", false),
            ("\"b\"", false),
            ("", false),
        ] {
            assert_eq!(names(list, "a"), expected, "{list}");
        }
    }

    #[test]
    fn an_offset_is_one_that_was_given() {
        let at = |number| Ok(From::At(windlass::stream::Offset::new(number)));
        for (text, expected) in [
            ("-1", Ok(From::Start)),
            ("now", Ok(From::Now)),
            ("000000000000000a", at(10)),
            ("0000000000000000_0000000000000000", at(0)),
            ("0000000000000000_0000000000000001", Err("invalid_request")),
            ("", Err("invalid_request")),
            ("0,1", Err("invalid_request")),
            ("../x", Err("invalid_request")),
        ] {
            let parsed = from(text).map_err(|problem| problem.code().to_owned());
            assert_eq!(parsed, expected.map_err(str::to_owned), "{text}");
        }
    }
}
