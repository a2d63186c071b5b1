//! Appending: what is taken, what is refused, and what is left of a body that
//! breaks off.

use windlass::stream::Row;

use super::{LINES, Place, Said, numbers};
use crate::support::{get, post};

#[tokio::test]
async fn rows_come_back_as_they_were_sent_with_marks_that_prove_them() {
    let place = Place::new().await;
    let lines = "{\"row\":{\"b\":1, \"a\":2.0}}\n\n{\"bytes\": \"aGk=\"}\n{ \"row\": null }";
    let appended = place.append(lines).await.expect(200).json();
    assert_eq!(appended["rows"], 3);
    assert_eq!(appended["tail"], "0000000000000003");
    place.close().await;

    let answer = place.read("").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let said = Said::of(&answer.body);
    let rows = [
        Row::Json("{\"b\":1, \"a\":2.0}".into()),
        Row::Bytes("hi".into()),
        Row::Json("null".into()),
    ];
    assert_eq!(said.rows, rows);
    let (offset, digest) = said.mark.clone().expect("a mark");
    assert_eq!(appended["digest"], digest);
    let end = &said.end.as_ref().expect("an end")["end"];
    assert_eq!(
        (&end["row_count"], &end["closed"]),
        (&"3".into(), &true.into())
    );
    assert_eq!(
        (end["offset"].as_str(), end["digest"].as_str()),
        (Some(&*offset), Some(&*digest))
    );

    let shown = place
        .server
        .ask(get("/v1/streams/o"))
        .await
        .expect(200)
        .json();
    assert_eq!(shown["closed"]["how"], "finished");
    assert_eq!(shown["digest"], digest);
    let refused = place.append(&numbers(0, 1)).await.expect(409);
    assert_eq!(refused.code(), "stream_closed");
}

#[tokio::test]
async fn a_line_that_is_no_row_is_named_and_says_what_was_stored_before_it() {
    let place = Place::new().await;
    for bad in [
        "1",
        "{\"row\":}",
        "{\"row\":1,\"x\":2}",
        "{\"mark\":{}}",
        "{\"row\":\"a\nb\"}",
    ] {
        let lines = format!("{}{bad}\n", numbers(0, 2));
        let refused = place.append(&lines).await.expect(400);
        assert_eq!(refused.code(), "invalid_row", "{bad}");
        let said = refused.json();
        assert_eq!(
            (&said["line"], &said["tail"]),
            (&3.into(), &"0000000000000000".into()),
            "{bad}"
        );
    }
    let wrong = post("/v1/streams/o/rows", "{\"row\":1}\n");
    let refused = place.server.ask(wrong).await.expect(415);
    assert_eq!(refused.code(), "media_type_not_supported");
}

#[tokio::test]
async fn rows_leave_while_the_body_is_still_coming_and_a_broken_one_leaves_whole_chunks() {
    let place = Place::new().await;
    let mut reader = place.server.connect().await;
    reader
        .send(&get("/v1/streams/o/rows?follow=true").bytes())
        .await;
    let mut writer = place.server.connect().await;
    let head = "POST /v1/streams/o/rows HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    writer.send(head.as_bytes()).await;
    let rows = numbers(0, 3);
    writer
        .send(format!("{:x}\r\n{rows}\r\n", rows.len()).as_bytes())
        .await;
    // The writer has not ended; the latency of a chunk has.
    let came = reader.until("{\"mark\"").await;
    assert!(came.contains("{\"row\":{\"n\":2}}"), "{came}");
    // Half a row, and then nothing more.
    writer.send(b"8\r\n{\"row\":1\r\n").await;
    drop(writer);
    place.close().await;
    let said = Said::of(&place.read("").await.expect(200).body);
    assert_eq!(said.numbers(), [0, 1, 2]);
}

#[tokio::test]
async fn under_a_key_all_rows_are_stored_once_or_none() {
    let place = Place::new().await;
    let headers = [LINES[0], ("Idempotency-Key", "once")];
    let rows = numbers(0, 2_000);
    let request = post("/v1/streams/o/rows", &rows).with(&headers);
    let first = place.server.ask(request).await.expect(200).json();
    assert_eq!(
        (&first["rows"], &first["repeated"]),
        (&2_000.into(), &false.into())
    );
    let again = place.server.ask(request).await.expect(200).json();
    assert_eq!(
        (&again["tail"], &again["repeated"]),
        (&first["tail"], &true.into())
    );
    let others = numbers(5, 1);
    let other = post("/v1/streams/o/rows", &others).with(&headers);
    let refused = place.server.ask(other).await.expect(422);
    assert_eq!(refused.code(), "operation_conflict");

    let broken = format!("{}nonsense\n", numbers(0, 2_000));
    let headers = [LINES[0], ("Idempotency-Key", "twice")];
    let broken = post("/v1/streams/o/rows", &broken).with(&headers);
    place.server.ask(broken).await.expect(400);
    let said = Said::of(&place.read("").await.expect(200).body);
    assert_eq!(said.numbers(), (0..2_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn streams_are_made_listed_trimmed_and_removed() {
    let place = Place::new().await;
    let second = r#"{"session":"s","expiry":{"idle_ms":60000}}"#;
    let key = [("Idempotency-Key", "make")];
    let make = post("/v1/streams", second).with(&key);
    let made = place.server.ask(make).await.expect(201);
    let id = made.json()["id"].as_str().expect("a name").to_owned();
    let location = format!("/v1/streams/{id}");
    assert_eq!(made.header("location"), Some(&*location));
    let again = place.server.ask(make).await.expect(201).json();
    assert_eq!(again["id"], id);
    let exists = post("/v1/streams", r#"{"session":"s","id":"o"}"#);
    assert_eq!(
        place.server.ask(exists).await.expect(409).code(),
        "stream_exists"
    );
    let nowhere = post("/v1/streams", r#"{"session":"none"}"#);
    place.server.ask(nowhere).await.expect(404);

    let mut names = Vec::new();
    let mut path = "/v1/sessions/s/streams?limit=1".to_owned();
    loop {
        let page = place.server.ask(get(&path)).await.expect(200).json();
        let listed = page["streams"].as_array().expect("a list").iter();
        names.extend(listed.map(|one| one["id"].as_str().expect("a name").to_owned()));
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/sessions/s/streams?limit=1&cursor={next}");
    }
    names.sort_unstable();
    let mut expected = [id, "o".to_owned()];
    expected.sort_unstable();
    assert_eq!(names, expected);

    place.append(&numbers(0, 1_500)).await.expect(200);
    let trim = post("/v1/streams/o/trim", r#"{"before":"00000000000003e8"}"#);
    let trimmed = place.server.ask(trim).await.expect(200).json();
    assert_eq!(trimmed["earliest"], "00000000000003e8");
    let gap = place
        .read("?from=0000000000000001")
        .await
        .expect(409)
        .json();
    assert_eq!(
        (&gap["code"], &gap["earliest"]),
        (&"gap".into(), &trimmed["earliest"])
    );
    let remove = crate::support::Request {
        method: "DELETE",
        ..get("/v1/streams/o")
    };
    place.server.ask(remove).await.expect(200);
    place.read("").await.expect(404);
    place.server.ask(remove).await.expect(404);
}
