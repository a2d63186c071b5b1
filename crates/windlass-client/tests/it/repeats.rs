//! What is tried again, and that a change happens once however often it is.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;
use windlass_client::{BrokenAnswer, ClientError};

use crate::server::{Act, Server, answer, change, problem, quick};

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_made_again_under_the_same_key_and_happens_once() {
    for act in [Act::CutBefore, Act::CutAfter, Act::CutWithin] {
        let server = Server::start([act.clone()]).await;
        let closed = change(&server.client()).await.unwrap();
        assert_eq!((closed, server.effects()), (1, 1), "{act:?}");
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "{act:?}");
        assert_eq!(requests[0].key(), requests[1].key(), "{act:?}");
        assert_eq!(requests[0].key().map(str::len), Some(32), "{act:?}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_asked_again_and_the_change_happens_once() {
    for act in [Act::Mute, Act::MuteAfter] {
        let server = Server::start([act.clone()]).await;
        let client = server.client_with(quick().attempt_timeout(Duration::from_millis(100)));
        let closed = change(&client).await.unwrap();
        assert_eq!((closed, server.effects()), (1, 1), "{act:?}");
    }
}

#[tokio::test]
async fn each_change_has_a_key_of_its_own_and_a_read_has_none() {
    let server = Server::start([Act::CutBefore]).await;
    let client = server.client();
    assert_eq!(client.count_active("a").await.unwrap().active, 3);
    change(&client).await.unwrap();
    change(&client).await.unwrap();
    assert_eq!(server.effects(), 2);
    let requests = server.requests();
    let keys: BTreeSet<_> = requests.iter().map(|request| request.key()).collect();
    assert_eq!((requests.len(), keys.len()), (4, 3), "{keys:?}");
    assert!(keys.contains(&None), "{keys:?}");
}

#[tokio::test]
async fn a_key_of_the_callers_makes_two_calls_one_change() {
    let server = Server::start([]).await;
    let client = server.client().under("night-close:1");
    let first = change(&client).await.unwrap();
    let second = change(&client.clone()).await.unwrap();
    assert_eq!((first, server.effects()), (second, 1));
    let requests = server.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.key() == Some("night-close:1")),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_key_that_cannot_be_sent_is_refused_before_anything_is() {
    let server = Server::start([]).await;
    for key in ["", "line\nbreak", &"x".repeat(129)] {
        let refused = change(&server.client().under(key)).await.unwrap_err();
        assert!(
            matches!(refused, ClientError::Invalid { field: "operation" }),
            "{refused:?}"
        );
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn what_can_come_later_is_asked_for_later() {
    let acts = [
        problem(503, "unavailable", &[("retry-after", "0")], ""),
        problem(503, "draining", &[], ""),
        problem(503, "indeterminate", &[], r#","outcome":"unknown""#),
        problem(
            429,
            "rate_limited",
            &[("retry-after", "0")],
            r#","retry_after_ms":3"#,
        ),
        problem(409, "operation_in_flight", &[], ""),
        problem(408, "timed_out", &[], ""),
        answer(
            502,
            &[("content-type", "text/html")],
            "<h1>Bad Gateway</h1>",
        ),
        answer(503, &[], ""),
        answer(504, &[], ""),
        answer(429, &[("retry-after", "0")], ""),
    ];
    for act in acts {
        let server = Server::start([act.clone()]).await;
        let closed = change(&server.client()).await;
        assert_eq!(closed.ok(), Some(1), "{act:?}");
        let keys: BTreeSet<_> = server
            .requests()
            .iter()
            .map(|asked| asked.key().map(str::to_owned))
            .collect();
        assert_eq!((keys.len(), server.effects()), (1, 1), "{act:?}");
    }
}

#[tokio::test]
async fn what_cannot_change_is_asked_for_once() {
    let acts = [
        (problem(400, "invalid_request", &[], ""), "invalid_request"),
        (problem(401, "unauthenticated", &[], ""), "unauthenticated"),
        (problem(403, "budget_exceeded", &[], ""), "budget_exceeded"),
        (
            problem(404, "not_found", &[("retry-after", "0")], ""),
            "not_found",
        ),
        (problem(409, "already_closed", &[], ""), "already_closed"),
        (
            problem(412, "version_mismatch", &[], ""),
            "version_mismatch",
        ),
        (
            problem(422, "operation_conflict", &[], ""),
            "operation_conflict",
        ),
        (
            problem(429, "too_many_sessions", &[], ""),
            "too_many_sessions",
        ),
        (problem(500, "corrupt_record", &[], ""), "corrupt_record"),
        (answer(500, &[], "oops"), "unexpected_answer"),
        (
            answer(403, &[("content-type", "text/html")], "a proxy's"),
            "unexpected_answer",
        ),
    ];
    for (act, code) in acts {
        let server = Server::start([act]).await;
        let failed = change(&server.client()).await.unwrap_err();
        assert_eq!((failed.code(), server.requests().len()), (code, 1));
        assert_eq!(server.effects(), 0, "{code}");
    }
}

#[tokio::test]
async fn the_wait_that_a_server_asks_for_is_waited() {
    let server = Server::start([problem(503, "unavailable", &[("retry-after", "1")], "")]).await;
    let started = Instant::now();
    change(&server.client()).await.unwrap();
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn a_longer_wait_than_allowed_fails_at_once_and_says_so() {
    let act = problem(
        429,
        "rate_limited",
        &[("retry-after", "2")],
        r#","retry_after_ms":1500"#,
    );
    let server = Server::start([act]).await;
    let client = server.client_with(quick().retry_after_max(Duration::from_secs(1)));
    let failed = change(&client).await.unwrap_err();
    let problem = failed.problem().expect("a server's own words");
    assert_eq!(problem.number("retry_after_ms"), Some(1_500));
    assert_eq!((failed.is_retryable(), server.requests().len()), (true, 1));
}

#[tokio::test]
async fn attempts_are_counted_and_the_last_failure_is_told() {
    let acts = vec![answer(502, &[], ""); 10];
    let server = Server::start(acts).await;
    let failed = change(&server.client_with(quick().retries(3)))
        .await
        .unwrap_err();
    let why = match &failed {
        ClientError::Protocol {
            why: BrokenAnswer::Status(status),
            ..
        } => *status,
        other => panic!("{other:?}"),
    };
    assert_eq!((why, server.requests().len()), (502, 4));
    assert!(
        failed.is_retryable() && failed.is_outcome_unknown(),
        "{failed:?}"
    );
}

#[tokio::test]
async fn nobody_is_waited_for_beyond_the_deadline() {
    let server = Server::start(vec![Act::Mute; 10]).await;
    let settings = quick()
        .attempt_timeout(Duration::from_secs(60))
        .deadline(Duration::from_millis(150))
        .retries(100);
    let failed = change(&server.client_with(settings)).await.unwrap_err();
    assert_eq!(
        (failed.code(), failed.is_outcome_unknown()),
        ("timed_out", true)
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_so_and_nothing_has_happened() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let client = quick().connect(&gone, None).unwrap();
    let failed = change(&client).await.unwrap_err();
    assert_eq!(failed.code(), "server_unreachable");
    assert!(
        failed.is_retryable() && !failed.is_outcome_unknown(),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_read_that_fails_leaves_nothing_unknown() {
    let server = Server::start(vec![Act::CutBefore; 5]).await;
    let failed = server.client().count_active("a").await.unwrap_err();
    assert_eq!(
        (failed.code(), failed.is_outcome_unknown()),
        ("connection_lost", false)
    );
}

#[tokio::test]
async fn a_refusal_does_not_hide_that_an_attempt_before_it_may_have_been_heard() {
    let server = Server::start([Act::CutAfter, problem(503, "draining", &[], "")]).await;
    let failed = change(&server.client_with(quick().retries(1)))
        .await
        .unwrap_err();
    assert_eq!(
        (failed.code(), failed.is_outcome_unknown()),
        ("draining", true)
    );
    assert_eq!(server.effects(), 1);
}

/// Anything a server can do to a request.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::CutBefore),
        Just(Act::CutAfter),
        Just(Act::CutWithin),
        Just(answer(502, &[], "")),
        Just(answer(503, &[("retry-after", "0")], "")),
        Just(problem(
            503,
            "indeterminate",
            &[],
            r#","outcome":"unknown""#
        )),
        Just(problem(
            409,
            "operation_in_flight",
            &[("retry-after", "0")],
            ""
        )),
        Just(problem(403, "budget_exceeded", &[], "")),
        Just(Act::Do),
    ];
    proptest::collection::vec(act, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn whatever_a_server_does_a_change_happens_at_most_once_and_once_if_it_was_answered(
        script in acts(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answer, effects) = runtime.block_on(async {
            let server = Server::start(script).await;
            let answer = change(&server.client()).await;
            (answer, server.effects())
        });
        match answer {
            Ok(_) => prop_assert_eq!(effects, 1),
            Err(failed) if failed.is_outcome_unknown() => prop_assert!(effects <= 1),
            Err(failed) => prop_assert_eq!(effects, 0, "{:?}", failed),
        }
    }
}
