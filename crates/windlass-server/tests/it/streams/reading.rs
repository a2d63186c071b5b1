//! Reading: from anywhere, as lines, as events, in turns of waiting, and on
//! after any cut.

use super::{Place, Said, data_of, numbers};
use crate::support::{Request, get};

#[tokio::test]
async fn events_are_the_lines_with_the_place_behind_each_row_as_their_id() {
    let place = Place::new().await;
    place.append(&numbers(0, 3)).await.expect(200);
    place.close().await;
    let lines = place.read("").await.expect(200);
    let events = place.events("", None).await.expect(200);
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    let data = data_of(&events.body);
    let ids: Vec<_> = data.iter().map(|(id, _)| id.as_deref()).collect();
    let place_of = |number: u64| format!("{number:016x}");
    let (one, two, three) = (place_of(1), place_of(2), place_of(3));
    let end = format!("{three}-end");
    let expected = [
        None,
        Some(&*one),
        Some(&*two),
        Some(&*three),
        Some(&*three),
        Some(&*end),
    ];
    assert_eq!(ids, expected);
    let joined: String = data.iter().map(|(_, line)| format!("{line}\n")).collect();
    let said = (Said::of(joined.as_bytes()), Said::of(&lines.body));
    assert_eq!((&said.0.rows, &said.0.mark), (&said.1.rows, &said.1.mark));

    let rest = place.events("", Some(&two)).await.expect(200);
    let rest: Vec<_> = data_of(&rest.body)
        .into_iter()
        .map(|(_, line)| line)
        .collect();
    assert_eq!(rest[1..3], [data[3].1.clone(), data[4].1.clone()]);
    let over = place.events("", Some(&end)).await.expect(204);
    assert!(over.body.is_empty(), "{}", over.head);
    let bad = place.events("", Some("7")).await.expect(400);
    assert_eq!(bad.code(), "invalid_request");
}

#[tokio::test]
async fn a_read_that_was_cut_goes_on_by_its_cursor_and_what_was_received_is_checked() {
    let place = Place::new().await;
    for first in [0, 2, 4] {
        place.append(&numbers(first, 2)).await.expect(200);
    }
    let all = Said::of(&place.read("").await.expect(200).body);
    let cursor = all.cursor();
    let upto = place.read("?from=0000000000000002").await.expect(200);
    let digest = Said::of(&upto.body).open["digest"]
        .as_str()
        .expect("text")
        .to_owned();
    // What comes after the tail that a read is pinned to is not part of it.
    place.append(&numbers(6, 1)).await.expect(200);
    let query = format!("?cursor={cursor}&from=0000000000000002&digest={digest}");
    let rest = Said::of(&place.read(&query).await.expect(200).body);
    assert_eq!(rest.numbers(), [2, 3, 4, 5]);
    assert_eq!((rest.cursor(), &rest.mark), (cursor, &all.mark));
    let whole = Said::of(
        &place
            .read(&format!("?cursor={cursor}"))
            .await
            .expect(200)
            .body,
    );
    assert_eq!(whole.numbers(), all.numbers()[2..]);

    let wrong = format!("?from=0000000000000002&digest={}", "0".repeat(64));
    let refused = place.read(&wrong).await.expect(409);
    assert_eq!(refused.code(), "prefix_hash_mismatch");
    let beyond = place
        .read("?from=0000000000000008")
        .await
        .expect(400)
        .json();
    assert_eq!(
        (&beyond["code"], &beyond["tail"]),
        (&"offset_beyond_tail".into(), &"0000000000000007".into())
    );
    for (query, code) in [
        ("?from=7", "invalid_request"),
        ("?digest=00", "invalid_request"),
        ("?wait_ms=30001", "invalid_request"),
        ("?unknown=1", "invalid_query"),
    ] {
        assert_eq!(place.read(query).await.expect(400).code(), code, "{query}");
    }
}

fn remove(path: &str) -> Request<'_> {
    Request {
        method: "DELETE",
        ..get(path)
    }
}

#[tokio::test]
async fn a_cursor_is_shown_and_cancelled_and_is_of_one_stream_alone() {
    let place = Place::new().await;
    place.append(&numbers(0, 2)).await.expect(200);
    let said = Said::of(&place.read("").await.expect(200).body);
    let of = |stream: &str, cursor: &str| format!("/v1/streams/{stream}/reads/{cursor}");
    let path = of("o", said.cursor());
    let shown = place.server.ask(get(&path)).await.expect(200).json();
    assert_eq!(
        (&shown["tail"], &shown["follow"]),
        (&"0000000000000002".into(), &false.into())
    );
    let unknown = place
        .server
        .ask(get(&of("o", &"0".repeat(48))))
        .await
        .expect(404);
    for (stream, cursor) in [("other", said.cursor()), ("o", "nonsense")] {
        let path = &of(stream, cursor);
        for request in [get(path), remove(path)] {
            let refused = place.server.ask(request).await.expect(404);
            assert_eq!(refused.body, unknown.body, "{path}");
        }
    }
    for _ in 0..2 {
        place.server.ask(remove(&path)).await.expect(204);
    }
    let query = format!("?cursor={}", said.cursor());
    assert_eq!(place.read(&query).await.expect(410).code(), "cancelled");
    assert_eq!(
        place.server.ask(get(&path)).await.expect(410).code(),
        "cancelled"
    );
}

#[tokio::test]
async fn a_wait_ends_with_the_first_rows_and_says_where_to_go_on() {
    let place = Place::new().await;
    let nothing = place.read("?wait_ms=1").await.expect(204);
    assert_eq!(
        nothing.header("stream-next-offset"),
        Some("0000000000000000")
    );
    let cursor = nothing
        .header("stream-cursor")
        .expect("a cursor")
        .to_owned();
    let mut waiting = place.server.connect().await;
    let path = format!("/v1/streams/o/rows?wait_ms=30000&cursor={cursor}");
    waiting.send(&get(&path).bytes()).await;
    while place.reading() == 0 {
        tokio::task::yield_now().await;
    }
    place.append(&numbers(0, 2)).await.expect(200);
    let came = waiting.answer().await.expect("an answer").expect(200);
    assert_eq!(came.header("stream-next-offset"), Some("0000000000000002"));
    assert_eq!(came.header("stream-closed"), None);
    let said = Said::of(&came.body);
    assert_eq!((said.numbers(), said.cursor()), (vec![0, 1], &*cursor));
    place.close().await;
    let (offset, digest) = said.mark.expect("a mark");
    let query = format!("?wait_ms=30000&cursor={cursor}&from={offset}&digest={digest}");
    let last = place.read(&query).await.expect(200);
    assert_eq!(last.header("stream-closed"), Some("true"));
    assert_eq!(
        Said::of(&last.body).end.expect("an end")["end"]["closed"],
        true
    );
    place.quiet().await;
    let (opened, closed) = place.ears.heard();
    assert_eq!((opened, closed.len()), (3, 3), "{closed:?}");
    assert!(
        closed.iter().all(|reason| reason.name() == "ok"),
        "{closed:?}"
    );
}

#[tokio::test]
async fn a_wait_gives_a_long_stream_piece_by_piece() {
    let place = Place::new().await;
    let text = "text ".repeat(2_000);
    let row = |number: u64| format!("{{\"row\":{{\"n\":{number},\"text\":\"{text}\"}}}}\n");
    let rows: String = (0..400).map(row).collect();
    place.append(&rows).await.expect(200);
    place.close().await;
    let (mut numbers, mut query) = (Vec::new(), "?wait_ms=30000".to_owned());
    let mut answers = 0;
    while numbers.len() < 400 {
        let came = place.read(&query).await.expect(200);
        assert!(came.body.len() < 1_200_000, "{}", came.body.len());
        let next = came.header("stream-next-offset").expect("an offset");
        query = format!("?wait_ms=30000&from={next}");
        numbers.extend(Said::of(&came.body).numbers());
        answers += 1;
    }
    assert_eq!(numbers, (0..400).collect::<Vec<_>>());
    assert!(answers >= 4, "{answers}");
}

#[tokio::test]
async fn a_row_longer_than_a_chunk_is_one_line_in_every_form() {
    let place = Place::new().await;
    let row = format!("{{\"row\":\"{}\"}}\n", "long ".repeat(600_000));
    place
        .append(&format!("{}{row}", numbers(0, 1)))
        .await
        .expect(200);
    let waited = place.read("?wait_ms=30000").await.expect(200);
    place.close().await;
    let lines = place.read("").await.expect(200);
    let events = place.events("", None).await.expect(200);
    let events = data_of(&events.body);
    let joined: String = events.iter().map(|(_, line)| format!("{line}\n")).collect();
    for lines in [&waited.body, &lines.body, &joined.into_bytes()] {
        let said = Said::of(lines);
        assert_eq!(
            (said.rows.len(), said.rows[1].content().len()),
            (2, 3_000_002)
        );
        let (offset, _) = said.mark.expect("a mark");
        assert_eq!(offset, "0000000000000002");
    }
    let ids: Vec<_> = events.iter().filter_map(|(id, _)| id.as_deref()).collect();
    let [one, two] = ["0000000000000001", "0000000000000002"];
    assert_eq!(ids, [one, one, two, two, "0000000000000002-end"]);
}

#[tokio::test]
async fn a_follower_hears_that_the_server_is_there_and_then_of_rows_and_of_the_end() {
    let place = Place::new().await;
    let mut lines = place.server.connect().await;
    lines
        .send(&get("/v1/streams/o/rows?follow=true").bytes())
        .await;
    let mut events = place.server.connect().await;
    let wants = [("Accept", "text/event-stream")];
    let follow = get("/v1/streams/o/rows?follow=true&from=tail").with(&wants);
    events.send(&follow.bytes()).await;
    let open = events.until(": still here").await;
    assert!(open.contains("retry: 1000\nevent: open\n"), "{open}");
    let open = lines.until("\r\n1\r\n\n\r\n").await;
    assert!(open.contains("{\"open\":{"), "{open}");
    place.append(&numbers(0, 1)).await.expect(200);
    for follower in [&mut lines, &mut events] {
        let row = follower.until("{\"mark\":").await;
        assert!(row.contains("{\"row\":{\"n\":0}}"), "{row}");
    }
    place.close().await;
    for follower in [&mut lines, &mut events] {
        let end = follower.until("\"closed\":true").await;
        assert!(end.contains("{\"end\":{"), "{end}");
    }
}
