//! However a read ends, its slot is free afterwards and it was closed once.

use std::sync::Arc;

use windlass::SystemEnv;
use windlass::access::{Reach, Verbs};
use windlass::stream::{CloseReason, Settings};

use super::{Place, numbers};
use crate::matrix::world::grant;
use crate::support::{Connection, Request, get, post};

async fn follow(place: &Place, token: Option<&str>, accept: &str) -> Connection {
    let mut connection = place.server.connect().await;
    let wants = [("Accept", accept)];
    let mut request = get("/v1/streams/o/rows?follow=true").with(&wants);
    request.token = token;
    connection.send(&request.bytes()).await;
    let begun = connection.until("\"resumable\"").await;
    assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
    connection
}

const FORMS: [&str; 2] = ["application/x-ndjson", "text/event-stream"];

#[tokio::test]
async fn who_goes_away_frees_its_slot_and_can_come_back() {
    let place = Place::new().await;
    for form in FORMS {
        drop(follow(&place, None, form).await);
    }
    let mut waiting = place.server.connect().await;
    waiting
        .send(&get("/v1/streams/o/rows?wait_ms=30000").bytes())
        .await;
    while place.ears.heard().0 < 3 {
        tokio::task::yield_now().await;
    }
    drop(waiting);
    place.quiet().await;
    let (opened, closed) = place.ears.heard();
    assert_eq!((opened, closed), (3, vec![CloseReason::Disconnected; 3]));
}

#[tokio::test]
async fn without_a_slot_the_global_figures_stay_with_the_operator() {
    let settings = Settings {
        streams_max: 2,
        principal_streams_max: 2,
        ..Settings::default()
    };
    let place = Place::with(settings, Arc::new(SystemEnv::new())).await;
    let followers = [
        follow(&place, None, FORMS[0]).await,
        follow(&place, None, FORMS[1]).await,
    ];
    let counts = place
        .server
        .ask(get("/v1/store/streams"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&counts["current"], &counts["limit"]),
        (&2.into(), &2.into())
    );
    assert_eq!(counts["principals"][0]["principal"], "local");
    for query in ["", "?wait_ms=10"] {
        let refused = place.read(query).await.expect(503);
        assert_eq!(refused.header("retry-after"), Some("1"));
        let said = refused.json();
        assert_eq!(said["code"], "server_stream_capacity_exhausted");
        assert_eq!((&said["limit"], said.get("current")), (&2.into(), None));
    }
    let streams = place.server.engine.streams();
    let wider = Settings {
        streams_max: 3,
        principal_streams_max: 2,
        ..Settings::default()
    };
    streams.configure(&wider).expect("in range");
    let said = place.read("").await.expect(429).json();
    assert_eq!(said["code"], "principal_stream_quota_exhausted");
    assert_eq!((&said["limit"], &said["current"]), (&2.into(), &2.into()));
    drop(followers);
    place.quiet().await;
    place.read("").await.expect(200);
    let (opened, closed) = place.ears.heard();
    let refused = closed
        .iter()
        .filter(|one| **one == CloseReason::CapacityRefused);
    assert_eq!((opened, closed.len(), refused.count()), (3, 6, 3));
}

#[tokio::test]
async fn cancelling_ends_the_read_that_is_under_way() {
    let place = Place::new().await;
    for form in FORMS {
        let mut connection = place.server.connect().await;
        let wants = [("Accept", form)];
        connection
            .send(&get("/v1/streams/o/rows?follow=true").with(&wants).bytes())
            .await;
        let open = connection.until("\"start\"").await;
        let cursor = open
            .split("\"cursor\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let path = format!("/v1/streams/o/reads/{}", cursor.expect("a cursor"));
        let cancel = Request {
            method: "DELETE",
            ..get(&path)
        };
        place.server.ask(cancel).await.expect(204);
        let end = connection.until("\"code\":\"cancelled\"").await;
        assert!(end.contains("{\"error\":{"), "{end}");
    }
    place.quiet().await;
    assert_eq!(place.ears.heard(), (2, vec![CloseReason::Cancelled; 2]));
}

#[tokio::test]
async fn a_stopping_server_says_where_to_read_on() {
    let place = Place::new().await;
    place.append(&numbers(0, 2)).await.expect(200);
    let mut followers = Vec::new();
    for form in FORMS {
        followers.push(follow(&place, None, form).await);
    }
    let Place { server, ears } = place;
    let stopped = server.stop();
    for mut follower in followers {
        let end = follower.rest().await;
        assert!(end.contains("\"code\":\"draining\""), "{end}");
        assert!(end.contains("\"resume\":\"0000000000000002\""), "{end}");
        assert!(end.contains("\"retry_after_ms\":1000"), "{end}");
    }
    assert_eq!(stopped.await.expect("it stops").cut, 0);
    assert_eq!(ears.heard(), (2, vec![CloseReason::Disconnected; 2]));
}

#[tokio::test]
async fn a_revoked_key_ends_what_was_opened_with_it_and_nothing_else() {
    let place = Place::new().await;
    let all = || grant("default", "local", Reach::Tenant, Verbs::all());
    let (ends, stays) = (
        place.server.key_of(all()).await,
        place.server.key_of(all()).await,
    );
    let mut ending = Vec::new();
    for form in FORMS {
        ending.push(follow(&place, Some(&ends), form).await);
    }
    let mut staying = follow(&place, Some(&stays), FORMS[0]).await;
    let who = place
        .server
        .ask(get("/v1/whoami").by(&ends))
        .await
        .expect(200)
        .json();
    let path = format!("/v1/keys/{}/revoke", who["key"].as_str().expect("an id"));
    place
        .server
        .ask(post(&path, "").bodiless().by(&stays))
        .await
        .expect(200);
    for mut connection in ending {
        let end = connection.until("\"code\":\"lease_revoked\"").await;
        assert!(end.contains("{\"error\":{"), "{end}");
    }
    let close = post("/v1/streams/o/close", "{}");
    place.server.ask(close.by(&stays)).await.expect(200);
    let end = staying.until("\"closed\":true").await;
    assert!(end.contains("{\"end\":{"), "{end}");
    place.quiet().await;
    let (opened, mut closed) = place.ears.heard();
    closed.sort_unstable_by_key(|reason| reason.name());
    let expected = vec![
        CloseReason::Cancelled,
        CloseReason::Cancelled,
        CloseReason::Ok,
    ];
    assert_eq!((opened, closed), (3, expected));
}

#[tokio::test]
async fn a_reader_that_was_away_for_longer_than_a_lease_is_told_and_goes_on_with_its_cursor() {
    let env = Arc::new(windlass::core::ManualEnv::new(
        1,
        windlass::core::Millis::new(1),
    ));
    let place = Place::with(Settings::default(), env.clone()).await;
    // More than the system takes for a reader that takes nothing.
    let row = format!("{{\"row\":\"{}\"}}\n", "x".repeat(500_000));
    for _ in 0..24 {
        place.append(&row).await.expect(200);
    }
    let mut connection = place.server.connect().await;
    connection.send(&get("/v1/streams/o/rows").bytes()).await;
    let head = connection.head().await.expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    while place.ears.heard().0 == 0 {
        tokio::task::yield_now().await;
    }
    // It cannot have sent all, so it asks for more after this.
    env.advance_ms(61_000);
    let rest = connection.until("\"code\":\"expired\"").await;
    assert!(
        rest.contains("{\"error\":{"),
        "the end of {} bytes",
        rest.len()
    );
    place.quiet().await;
    assert_eq!(place.ears.heard(), (1, vec![CloseReason::SnapshotExpired]));
}
