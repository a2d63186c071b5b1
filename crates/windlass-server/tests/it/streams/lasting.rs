//! Answers that last are an answer like others: what is before and behind them
//! on a connection comes whole and in its place.

use tokio::io::AsyncReadExt;
use windlass::stream::CloseReason;

use super::{EVENTS, Place, Said, numbers};
use crate::support::{Answer, Connection, Request, get, unchunked};

const FOLLOW: &str = "/v1/streams/o/rows?follow=true";

/// Begins to follow, and says what came.
async fn follow(connection: &mut Connection, headers: &[(&str, &str)]) -> Answer {
    let request = get(FOLLOW).with(headers);
    connection.send(&request.bytes()).await;
    let head = connection.head().await.expect("a head");
    Answer::of_head(head).expect("a status").expect(200)
}

#[tokio::test]
async fn a_connection_serves_on_when_what_it_followed_has_ended() {
    let place = Place::new().await;
    let mut connection = place.server.connect().await;
    for headers in [&[][..], &EVENTS] {
        let answer = follow(&mut connection, headers).await;
        for name in ["date", "x-request-id", "cache-control", "content-type"] {
            assert!(answer.header(name).is_some(), "{name}: {}", answer.head);
        }
        assert_eq!(answer.header("content-length"), None);
        place.append(&numbers(0, 3)).await.expect(200);
        let rows = connection.until("\"mark\"").await;
        assert!(rows.contains("{\"n\":2}"), "{rows}");
        let cursor = rows.split("\"cursor\":\"").nth(1).expect("a cursor");
        let path = format!("/v1/streams/o/reads/{}", &cursor[..48]);
        let cancel = Request {
            method: "DELETE",
            ..get(&path)
        };
        place.server.ask(cancel).await.expect(204);
        let end = connection.until("0\r\n\r\n").await;
        assert!(end.contains("\"code\":\"cancelled\""), "{end}");
        let next = connection.ask(get("/v1/streams/o")).await.expect(200);
        assert_eq!(next.json()["id"], "o");
    }
}

#[tokio::test]
async fn what_was_asked_while_it_lasted_is_answered_behind_it() {
    let place = Place::new().await;
    place.append(&numbers(0, 2)).await.expect(200);
    let mut connection = place.server.connect().await;
    follow(&mut connection, &[]).await;
    connection.until("\"mark\"").await;
    // More than is looked at while an answer lasts.
    let long = format!("/v1/streams/o?x={}", "y".repeat(2_000));
    for path in ["/v1/streams/o", &long, "/v1/whoami"] {
        connection.send(&get(path).bytes()).await;
    }
    place.close().await;
    let end = connection.until("0\r\n\r\n").await;
    assert!(end.contains("\"closed\":true"), "{end}");
    let behind = end.split("0\r\n\r\n").nth(1).expect("an end");
    let mut heads = behind.matches("HTTP/1.1 ").count();
    while heads < 3 {
        let head = connection.head().await.expect("an answer");
        heads += head.matches("HTTP/1.1 ").count();
    }
    assert_eq!(heads, 3);
}

#[tokio::test]
async fn an_answer_that_is_still_being_sent_is_whole_before_one_that_lasts() {
    let place = Place::new().await;
    let row = format!("{{\"row\":\"{}\"}}\n", "x".repeat(100_000));
    for _ in 0..20 {
        place.append(&row).await.expect(200);
    }
    let mut connection = place.server.connect().await;
    let all = get("/v1/streams/o/rows").bytes();
    let behind = get(FOLLOW).bytes();
    connection.send(&[all, behind].concat()).await;
    let head = connection.head().await.expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let marks = |bytes: &[u8]| bytes.windows(6).filter(|it| it == b"\"mark\"").count();
    let mut both = connection.until("\"mark\"").await.into_bytes();
    while marks(&both) < 40 {
        let more = connection.stream.read_buf(&mut both).await.expect("more");
        assert_ne!(more, 0, "{} marks", marks(&both));
    }
    let text = String::from_utf8(both).expect("text");
    let (first, second) = text.split_once("HTTP/1.1 200 ").expect("two answers");
    let (_, second) = second.split_once("\r\n\r\n").expect("a head");
    for (answer, ends) in [(first, true), (second, false)] {
        let lines = unchunked(answer.as_bytes());
        let whole = lines
            .iter()
            .rposition(|byte| *byte == b'\n')
            .expect("lines");
        let said = Said::of(&lines[..=whole]);
        assert_eq!((said.rows.len(), said.end.is_some()), (20, ends));
    }
}

#[tokio::test]
async fn who_says_that_nothing_follows_is_left_behind_the_end() {
    let place = Place::new().await;
    let mut connection = place.server.connect().await;
    let answer = follow(&mut connection, &[("Connection", "close")]).await;
    assert_eq!(answer.header("connection"), Some("close"));
    place.close().await;
    let rest = connection.rest().await;
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
}

#[tokio::test]
async fn who_knows_no_chunks_gets_lines_up_to_the_end_of_the_connection() {
    let place = Place::new().await;
    place.append(&numbers(0, 1)).await.expect(200);
    let mut connection = place.server.connect().await;
    let old = format!("GET {FOLLOW} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    connection.send(old.as_bytes()).await;
    let head = connection.head().await.expect("a head");
    assert!(!head.contains("chunked"), "{head}");
    place.close().await;
    let rest = connection.rest().await;
    assert!(rest.starts_with("{\"open\":"), "{rest}");
    assert!(rest.ends_with("}}\n"), "{rest}");
}

#[tokio::test]
async fn who_goes_away_while_it_lasts_is_noticed_without_a_row() {
    let place = Place::new().await;
    for headers in [&[][..], &EVENTS] {
        let mut connection = place.server.connect().await;
        follow(&mut connection, headers).await;
        connection.until("\"resumable\"").await;
        drop(connection);
        place.quiet().await;
    }
    let (opened, closed) = place.ears.heard();
    assert_eq!((opened, closed), (2, vec![CloseReason::Disconnected; 2]));
}
