//! Live events across broken connections.

use std::time::Duration;

use windlass_client::session::EndReason;
use windlass_client::{BrokenAnswer, ClientError, Events};

use crate::server::{Act, Server, problem, quick};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n";

fn close(number: u64) -> String {
    format!(
        "id: {number}\nevent: event\ndata: {{\"number\":{number},\"at\":1,\"kind\":\"close\"}}\n\n"
    )
}

fn end(reason: &str) -> String {
    format!("event: end\ndata: {{\"reason\":\"{reason}\"}}\n\n")
}

/// A connection that brings `text` and is closed.
fn brings(text: &str) -> Act {
    Act::Say(format!("{HEAD}{text}"))
}

/// The numbers of all events until the end or a failure.
async fn numbers(events: &mut Events) -> (Vec<u64>, Option<ClientError>) {
    let mut numbers = Vec::new();
    loop {
        match events.next().await {
            Ok(Some(event)) => numbers.push(event.number),
            Ok(None) => return (numbers, None),
            Err(failed) => return (numbers, Some(failed)),
        }
    }
}

#[tokio::test]
async fn events_come_once_each_and_in_order_however_often_the_line_is_cut() {
    let (one, two, three, four) = (close(1), close(2), close(3), close(4));
    let half = &three[..three.len() - 9];
    let server = Server::start([
        brings(&format!("{one}{two}{half}")),
        Act::CutBefore,
        problem(503, "draining", &[], ""),
        // A server that says again what was said before.
        brings(&format!("{two}{three}{}", end("draining"))),
        brings(&format!("{four}{}", end("closed"))),
    ])
    .await;
    let mut events = server.client().events("s", 0);
    let (came, failed) = numbers(&mut events).await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(
        (came, events.end(), events.after()),
        (vec![1, 2, 3, 4], Some(EndReason::Closed), 4)
    );
    let requests = server.requests();
    let places = requests.iter().map(|request| {
        let resumed = request.headers.get("last-event-id").map(String::as_str);
        (request.line.as_str(), resumed)
    });
    let first = "GET /v1/sessions/s/events?after=0 HTTP/1.1";
    let again = "GET /v1/sessions/s/events HTTP/1.1";
    let expected = [
        (first, None),
        (again, Some("2")),
        (again, Some("2")),
        (again, Some("2")),
        (again, Some("3")),
    ];
    assert_eq!(places.collect::<Vec<_>>(), expected);
    assert!(
        requests
            .iter()
            .all(|asked| asked.headers["accept"] == "text/event-stream"),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_stream_that_is_over_stays_over_and_says_why() {
    let reasons = [
        ("closed", EndReason::Closed),
        ("expired", EndReason::Expired),
        ("revoked", EndReason::Revoked),
        ("removed", EndReason::Removed),
    ];
    for (word, reason) in reasons {
        let server = Server::start([brings(&end(word))]).await;
        let mut events = server.client().events("s", 7);
        for _ in 0..2 {
            assert_eq!(events.next().await.unwrap(), None, "{word}");
        }
        assert_eq!(
            (events.end(), server.requests().len()),
            (Some(reason), 1),
            "{word}"
        );
    }
}

#[tokio::test]
async fn a_missing_event_is_told_and_not_passed_over() {
    let server = Server::start([brings(&format!("{}{}", close(1), close(3)))]).await;
    let (came, failed) = numbers(&mut server.client().events("s", 0)).await;
    let gap = match failed {
        Some(ClientError::Protocol {
            why: BrokenAnswer::Gap { expected, found },
            ..
        }) => (expected, found),
        other => panic!("{other:?}"),
    };
    assert_eq!((came, gap), (vec![1], (2, 3)));
}

#[tokio::test]
async fn a_line_that_is_quiet_for_too_long_is_made_anew() {
    let server = Server::start([
        Act::SayAndHold(format!("{HEAD}{}", close(1))),
        brings(&format!("{}{}", close(2), end("expired"))),
    ])
    .await;
    let client = server.client_with(quick().quiet_timeout(Duration::from_millis(100)));
    let (came, failed) = numbers(&mut client.events("s", 0)).await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!((came, server.requests().len()), (vec![1, 2], 2));
}

#[tokio::test]
async fn a_refusal_ends_the_attempts_at_once_and_failures_do_after_some() {
    let server = Server::start([problem(404, "not_found", &[], "")]).await;
    let (_, failed) = numbers(&mut server.client().events("s", 0)).await;
    assert_eq!(
        failed.map(|failed| failed.code().to_owned()).as_deref(),
        Some("not_found")
    );
    assert_eq!(server.requests().len(), 1);

    let server = Server::start(vec![Act::CutBefore; 9]).await;
    let client = server.client_with(quick().retries(3));
    let mut events = client.events("s", 0);
    for asked in [4, 8] {
        let failed = events.next().await.unwrap_err();
        assert_eq!(
            (failed.code(), server.requests().len()),
            ("connection_lost", asked)
        );
    }
}

#[tokio::test]
async fn what_is_no_stream_of_events_is_not_read_as_one() {
    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    let acts = [
        Act::Say(format!("{json}{}", close(1))),
        brings("event: event\ndata: {}\n\n"),
        brings("event: end\ndata: {\"reason\":\"bored\"}\n\n"),
    ];
    for act in acts {
        let server = Server::start([act.clone()]).await;
        let (came, failed) = numbers(&mut server.client().events("s", 0)).await;
        let code = failed.map(|failed| failed.code().to_owned());
        assert_eq!(
            (came, code.as_deref()),
            (vec![], Some("unexpected_answer")),
            "{act:?}"
        );
    }
}
