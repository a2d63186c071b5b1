//! Reads over HTTP, each to one end.

use tokio::io::AsyncReadExt;
use windlass::stream::Streams;

use super::End::{Cancelled, Expired, Left};
use super::ground::{Ground, stream, wait_ms};
use super::{End, Way};
use crate::support::{Connection, Request, get};

/// What is asked for, and in which form.
fn asked(way: Way, end: End) -> (String, &'static str) {
    let name = stream(end);
    let stays = matches!(end, Left | Cancelled);
    let waits_only = stays || end == Expired;
    let rows = format!("/v1/streams/{name}/rows");
    let path = format!("/durable/v1/stream/{name}");
    let wait = wait_ms(end);
    match way {
        Way::Library | Way::Lines if stays => (format!("{rows}?follow=true"), LINES),
        Way::Library | Way::Lines => (rows, LINES),
        Way::Events if stays => (format!("{rows}?follow=true"), EVENTS),
        Way::Events => (rows, EVENTS),
        Way::Wait if waits_only => (format!("{rows}?wait_ms={wait}&from=tail"), LINES),
        Way::Wait => (format!("{rows}?wait_ms={wait}"), LINES),
        Way::Path => (format!("{path}?offset=-1"), ANY),
        Way::PathWait if waits_only => (format!("{path}?offset=now&live=long-poll"), ANY),
        Way::PathWait => (format!("{path}?offset=-1&live=long-poll"), ANY),
        Way::PathEvents => (format!("{path}?offset=-1&live=sse"), ANY),
    }
}

const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";
const ANY: &str = "*/*";

/// One read; whether it was let in.
pub(super) async fn read(ground: &Ground, way: Way, end: End) -> bool {
    let (path, form) = asked(way, end);
    let accept = [("Accept", form)];
    let address = ground.place.server.address;
    let mut connection = match end {
        Expired => Connection::narrow(address).await,
        _ => Connection::to(address).await,
    };
    connection.send(&get(&path).with(&accept).bytes()).await;
    let waits = matches!(way, Way::Wait | Way::PathWait);
    match end {
        Left if waits => left_waiting(&mut connection).await,
        Cancelled if waits => {
            let head = until_stopped(ground.streams(), connection.head()).await;
            was_let_in(&head.expect("an answer"))
        }
        _ => {
            let Some(head) = connection.head().await else {
                // The connection went down with what panicked.
                assert_eq!(end, End::Panicked);
                return true;
            };
            let let_in = was_let_in(&head);
            let is_endless = head.contains("chunked");
            if let_in && is_endless {
                to_the_end(ground, &mut connection, way, end).await;
            }
            let_in
        }
    }
}

fn was_let_in(head: &str) -> bool {
    !head.starts_with("HTTP/1.1 503 ") && !head.starts_with("HTTP/1.1 429 ")
}

/// Goes away while it waits, if it waits: a refusal comes at once.
async fn left_waiting(connection: &mut Connection) -> bool {
    let moment = std::time::Duration::from_millis(5);
    let answered = tokio::time::timeout(moment, connection.head()).await;
    match answered {
        Ok(head) => was_let_in(&head.expect("an answer")),
        Err(_) => true,
    }
}

/// Ends every read there is for as long as `wanted` has not come.
async fn until_stopped<T>(streams: &Streams, wanted: impl Future<Output = T>) -> T {
    let stopping = async {
        loop {
            streams.end_leases(|_, _| true);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        came = wanted => came,
        () = stopping => unreachable!("it goes on for ever"),
    }
}

/// Reads an answer that lasts to its end.
async fn to_the_end(ground: &Ground, connection: &mut Connection, way: Way, end: End) {
    match (end, way) {
        (Left, _) => {}
        (Cancelled, Way::PathEvents) => {
            until_stopped(ground.streams(), connection.until("0\r\n\r\n")).await;
        }
        (Cancelled, _) => {
            let open = connection.until("\"base\"").await;
            let cursor = open
                .split("\"cursor\":\"")
                .nth(1)
                .and_then(|it| it.split('"').next());
            let path = format!("/v1/streams/o/reads/{}", cursor.expect("a cursor"));
            let cancel = Request {
                method: "DELETE",
                ..get(&path)
            };
            ground.place.server.ask(cancel).await.expect(204);
            connection.until("0\r\n\r\n").await;
        }
        (Expired, _) => too_late(ground, connection, way).await,
        _ => {
            connection.until("0\r\n\r\n").await;
        }
    }
}

/// Takes the answer in pieces, and is away for too long before each.
async fn too_late(ground: &Ground, connection: &mut Connection, way: Way) {
    let mut came = connection.come();
    while !came.ends_with(b"0\r\n\r\n") {
        ground.env.skip();
        let piece = connection.stream.read_buf(&mut came).await;
        assert_ne!(piece.expect("a piece"), 0, "it ends well");
    }
    if way != Way::PathEvents {
        let text = String::from_utf8_lossy(&came);
        let end = &text[text.len().saturating_sub(300)..];
        assert!(end.contains("\"code\":\"expired\""), "{end}");
    }
}
