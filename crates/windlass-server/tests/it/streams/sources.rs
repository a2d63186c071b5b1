//! Sources over HTTP: what a session has anyway, cut anywhere, and for whom
//! it is.

use std::sync::Arc;

use windlass::SystemEnv;
use windlass::stream::{CloseReason, Settings};

use super::{EVENTS, Place, Said, data_of};
use crate::support::{Answer, Request, get, post};

const SOURCES: [&str; 3] = ["usage", "commits", "graph"];

/// A session `u` with some uses, commits and nodes, read three rows at a time.
async fn place() -> Place {
    let settings = Settings {
        chunk_rows: 3,
        ..Settings::default()
    };
    let place = Place::with(settings, Arc::new(SystemEnv::new())).await;
    let session = r#"{"id":"u","agent":"researcher","intent":"use","tools":{"only":["search"]}}"#;
    let ask = async |path: &str, body: &str, status| {
        place.server.ask(post(path, body)).await.expect(status);
    };
    ask("/v1/sessions", session, 201).await;
    let uses = r#"{"agent":"researcher","items":[{"tool":"search"},{"tool":"search"}]}"#;
    for node in 0..7 {
        ask("/v1/sessions/u/uses", uses, 200).await;
        let commit = format!(r#"{{"nodes":[{{"kind":"message","json":{node}}}]}}"#);
        ask("/v1/sessions/u/state/commits", &commit, 201).await;
    }
    place
}

async fn lines(place: &Place, source: &str, query: &str) -> Answer {
    let path = format!("/v1/sessions/u/sources/{source}{query}");
    place.server.ask(get(&path)).await
}

async fn events(place: &Place, source: &str, last: Option<&str>) -> Answer {
    let path = format!("/v1/sessions/u/sources/{source}?order=newest_first");
    let mut headers = EVENTS.to_vec();
    headers.extend(last.map(|last| ("Last-Event-ID", last)));
    let request = Request {
        headers: &headers,
        ..get(&path)
    };
    place.server.ask(request).await
}

/// The lines behind the first one, without the last.
fn inner(lines: &[u8]) -> Vec<String> {
    let text = str::from_utf8(lines).expect("lines are text");
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[1..lines.len() - 1].to_vec()
}

#[tokio::test]
async fn lines_of_a_source_cut_anywhere_are_read_on_from_the_last_mark() {
    let place = place().await;
    for source in SOURCES {
        let whole = lines(&place, source, "?order=newest_first")
            .await
            .expect(200);
        let (said, whole) = (Said::of(&whole.body), inner(&whole.body));
        assert!(said.rows.len() >= 7, "{said:?}");
        assert_eq!(said.open["resumable"], true);
        let (mut mark, mut received) = (String::new(), 0);
        for (place_of, line) in whole.iter().enumerate() {
            // Cut anywhere within this line: those before it were received.
            let query = format!("?cursor={}{mark}", said.cursor());
            let rest = lines(&place, source, &query).await.expect(200);
            assert_eq!(inner(&rest.body), whole[received..], "{source}: {query}");
            if let Some(rest) = line.strip_prefix("{\"mark\":{\"offset\":\"") {
                let (offset, digest) = (&rest[..16], &rest[28..92]);
                mark = format!("&from={offset}&digest={digest}");
                received = place_of + 1;
            }
        }
        let (tail, _) = said.mark.as_ref().expect("a mark");
        let digest = "0".repeat(64);
        let wrong = format!("?cursor={}&from={tail}&digest={digest}", said.cursor());
        let refused = lines(&place, source, &wrong).await.expect(409);
        assert_eq!(refused.code(), "prefix_hash_mismatch");
    }
    place.quiet().await;
}

#[tokio::test]
async fn events_of_a_source_are_read_on_from_the_last_id_each_row_once() {
    let place = place().await;
    for source in SOURCES {
        let whole = data_of(&events(&place, source, None).await.expect(200).body);
        for (received, (id, _)) in whole.iter().enumerate() {
            let Some(id) = id else { continue };
            if id.ends_with("-end") {
                events(&place, source, Some(id)).await.expect(204);
                continue;
            }
            let rest = events(&place, source, Some(id)).await.expect(200);
            let rest = data_of(&rest.body);
            // A mark has the id of the row before it, and comes again.
            let of_row = whole[received].1.starts_with("{\"row\"");
            let next = received + 1;
            let is_mark = whole[next].1.starts_with("{\"mark\"");
            let left = &whole[next + usize::from(of_row && is_mark)..whole.len() - 1];
            assert_eq!(&rest[1..rest.len() - 1], left, "{source}: {id}");
        }
    }
    for bad in ["7", "0000000000000001", "x.y"] {
        let bad = events(&place, "usage", Some(bad)).await.expect(400);
        assert_eq!(bad.code(), "invalid_request");
    }
}

#[tokio::test]
async fn a_cursor_is_of_one_source_and_what_is_asked_with_it_is_checked() {
    let place = place().await;
    let said = Said::of(
        &lines(&place, "usage", "?kind=use&limit=5")
            .await
            .expect(200)
            .body,
    );
    assert_eq!(
        (said.rows.len(), said.open["tail"].as_str()),
        (5, Some("0000000000000005"))
    );
    let cursor = said.cursor();
    let own = format!("?cursor={cursor}");
    let unknown = lines(&place, "usage", &format!("?cursor={}", "0".repeat(48))).await;
    let unknown = unknown.expect(404).body;
    for source in ["commits", "graph"] {
        let other = lines(&place, source, &own).await.expect(404);
        assert_eq!(other.body, unknown, "{source}");
    }
    let elsewhere = get("/v1/streams/o/rows");
    let path = format!("{}{own}", elsewhere.path);
    assert_eq!(place.server.ask(get(&path)).await.expect(404).body, unknown);
    for (query, code) in [
        (format!("{own}&order=newest_first"), "invalid_request"),
        (format!("{own}&limit=5"), "invalid_request"),
        (
            format!("{own}&digest={}", "0".repeat(64)),
            "invalid_request",
        ),
        ("?from=0000000000000001".to_owned(), "invalid_request"),
        ("?kind=message".to_owned(), "invalid_request"),
        ("?limit=0".to_owned(), "invalid_request"),
        ("?order=up".to_owned(), "invalid_query"),
        ("?follow=true".to_owned(), "invalid_query"),
        (format!("{own}&from=0000000000000006"), "offset_beyond_tail"),
    ] {
        let refused = lines(&place, "usage", &query).await.expect(400);
        assert_eq!(refused.code(), code, "{query}");
    }
    let path = |source: &str| format!("/v1/sessions/u/sources/{source}/reads/{cursor}");
    let cancel = async |path: &str| {
        let request = Request {
            method: "DELETE",
            ..get(path)
        };
        place.server.ask(request).await
    };
    assert_eq!(cancel(&path("graph")).await.expect(404).body, unknown);
    for _ in 0..2 {
        cancel(&path("usage")).await.expect(204);
    }
    let over = lines(&place, "usage", &own).await.expect(410);
    assert_eq!(over.code(), "cancelled");
}

#[tokio::test]
async fn who_goes_away_from_a_source_frees_its_slot_and_can_come_back() {
    let place = place().await;
    let content = "x".repeat(16 * 1_024);
    let node = format!(r#"{{"kind":"message","json":"{content}"}}"#);
    let commit = format!(r#"{{"nodes":[{}]}}"#, vec![node; 10].join(","));
    // More than fits between the two ends of a connection.
    for _ in 0..70 {
        let commit = post("/v1/sessions/u/state/commits", &commit);
        place.server.ask(commit).await.expect(201);
    }
    let mut cursors = Vec::new();
    for headers in [&[][..], &EVENTS] {
        let mut connection = place.server.connect().await;
        let request = get("/v1/sessions/u/sources/graph").with(headers);
        connection.send(&request.bytes()).await;
        let begun = connection.until("\"resumable\"").await;
        let (_, cursor) = begun.split_once("\"cursor\":\"").expect("it has one");
        cursors.push(cursor[..48].to_owned());
        assert_eq!(place.reading(), 1, "{begun}");
        drop(connection);
        place.quiet().await;
    }
    let (opened, closed) = place.ears.heard();
    assert_eq!((opened, closed), (2, vec![CloseReason::Disconnected; 2]));
    let query = format!("?cursor={}", cursors[0]);
    let all = lines(&place, "graph", &query).await.expect(200);
    assert_eq!(Said::of(&all.body).rows.len(), 707);
}
