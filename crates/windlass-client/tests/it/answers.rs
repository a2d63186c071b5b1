//! What is taken for an answer, and what is not.

use windlass_client::page::PageQuery;
use windlass_client::session::UseTools;
use windlass_client::stash::{Condition, PutEntry};
use windlass_client::{BrokenAnswer, Client, ClientError};

use crate::server::{Act, Server, answer, change, known, quick};

const JSON: (&str, &str) = ("content-type", "application/json");

/// What is wrong with the answer to a read.
async fn broken(client: &Client) -> BrokenAnswer {
    match client.count_active("a").await.expect_err("a broken answer") {
        ClientError::Protocol { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let body = format!(r#"{{"agent":"{}","active":1}}"#, "x".repeat(2_000));
    let announced = answer(200, &[JSON], &body);
    let unannounced = Act::Say(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{body}"
    ));
    let huge = Act::SayAndHold(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{"
            .to_owned(),
    );
    for act in [announced, unannounced, huge] {
        let server = Server::start([act]).await;
        let why = broken(&server.client_with(quick().answer_bytes_max(1_000))).await;
        assert!(
            matches!(why, BrokenAnswer::TooLarge { max: 1_000 }),
            "{why:?}"
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_of_the_largest_size_is_read() {
    let body = format!(r#"{{"agent":"{}","active":7}}"#, "x".repeat(1_000));
    let server = Server::start([answer(200, &[JSON], &body)]).await;
    let client = server.client_with(quick().answer_bytes_max(body.len()));
    assert_eq!(client.count_active("a").await.unwrap().active, 7);
}

#[tokio::test]
async fn only_json_of_the_right_form_is_an_answer() {
    let html = answer(
        200,
        &[("content-type", "text/html")],
        r#"{"agent":"a","active":1}"#,
    );
    let none = answer(200, &[], r#"{"agent":"a","active":1}"#);
    for act in [html, none] {
        let server = Server::start([act]).await;
        let why = broken(&server.client()).await;
        assert!(matches!(why, BrokenAnswer::MediaType), "{why:?}");
    }
    for body in [
        "",
        "{",
        "[]",
        r#"{"agent":"a"}"#,
        r#"{"agent":"a","active":-1}"#,
    ] {
        let server = Server::start([answer(200, &[JSON], body)]).await;
        let why = broken(&server.client()).await;
        assert!(
            matches!(why, BrokenAnswer::Body { line: 0 | 1, .. }),
            "{body}: {why:?}"
        );
    }
}

#[tokio::test]
async fn a_broken_answer_to_a_change_leaves_it_open_what_happened() {
    let server = Server::start([answer(200, &[JSON], "{")]).await;
    let failed = change(&server.client()).await.unwrap_err();
    assert_eq!(
        (failed.code(), failed.is_outcome_unknown()),
        ("unexpected_answer", true)
    );
}

#[tokio::test]
async fn an_answer_with_more_than_is_known_is_understood() {
    let kind = ("content-type", "Application/JSON; charset=utf-8");
    let body = r#"{"agent":"a","active":2,"resting":{"since":1}}"#;
    let server = Server::start([answer(200, &[kind], body)]).await;
    assert_eq!(server.client().count_active("a").await.unwrap().active, 2);
}

#[tokio::test]
async fn a_problem_has_its_figures() {
    let body = r#"{"status":403,"code":"budget_exceeded","detail":"no more","meter":"calls","limit":3,"used":3}"#;
    let kind = ("content-type", "application/problem+json");
    let server = Server::start([answer(403, &[kind], body)]).await;
    let use_tools = UseTools::one("a", "search");
    let failed = server
        .client()
        .use_tools("s", &use_tools)
        .await
        .unwrap_err();
    let problem = failed.problem().expect("a server's own words");
    assert_eq!(
        (problem.text("meter"), problem.number("limit")),
        (Some("calls"), Some(3))
    );
    assert_eq!(
        (failed.to_string(), problem.kind.as_str()),
        ("no more".to_owned(), "about:blank")
    );
    assert!(
        !failed.is_retryable() && !failed.is_outcome_unknown(),
        "{failed:?}"
    );
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let server = Server::start([answer(304, &[], "")]).await;
    assert_eq!(
        server.client().session_if_changed(&known()).await.unwrap(),
        None
    );
    let requests = server.requests();
    assert_eq!(requests[0].headers["if-none-match"], "\"12-1700000000000\"");
    assert_eq!(requests[0].line, "GET /v1/sessions/s HTTP/1.1");
}

#[tokio::test]
async fn conditions_and_groups_go_where_the_server_looks_for_them() {
    let metadata = r#"{"group":"g","size":1,"created":1,"updated":1,"expires":2,"version":9}"#;
    let server = Server::start(vec![answer(200, &[JSON], metadata); 3]).await;
    let stash = server.client().stash("s").group("g");
    let request = PutEntry {
        value: serde_json::value::RawValue::from_string("1.50".to_owned()).unwrap(),
        ttl_ms: None,
    };
    for condition in [Condition::Any, Condition::Absent, Condition::Version(8)] {
        assert_eq!(
            stash.put("k", &request, condition).await.unwrap().version,
            9
        );
    }
    let requests = server.requests();
    let headers = requests.iter().map(|request| {
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        (header("if-match"), header("if-none-match"))
    });
    let expected = [(None, None), (None, Some("*")), (Some("\"8\""), None)];
    assert_eq!(headers.collect::<Vec<_>>(), expected);
    assert_eq!(
        requests[0].line,
        "PUT /v1/sessions/s/stash/entries/k?group=g HTTP/1.1"
    );
    assert_eq!(requests[0].body, r#"{"value":1.50}"#);
}

#[tokio::test]
async fn a_path_below_the_servers_address_is_kept() {
    let server = Server::start([]).await;
    let url = format!("{}/windlass/", server.url());
    let client = quick().connect(&url, None).unwrap();
    client.count_active("a").await.unwrap();
    assert_eq!(
        server.requests()[0].line,
        "GET /windlass/v1/agents/a HTTP/1.1"
    );
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_not_sent() {
    let server = Server::start([]).await;
    for id in ["", ".", ".."] {
        let refused = server
            .client()
            .tree(id, &PageQuery::default())
            .await
            .unwrap_err();
        assert!(
            matches!(refused, ClientError::Invalid { field: "id" }),
            "{refused:?}"
        );
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn an_export_comes_in_pieces_and_one_that_is_cut_says_so() {
    let whole =
        "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 6\r\n\r\n";
    let server = Server::start([
        Act::Say(format!("{whole}abcdef")),
        Act::Say(format!(
            "{}abc",
            whole
                .replace("length: 6", "length: 7")
                .replace("content-l", "Content-L")
        )),
    ])
    .await;
    let read = async |client: &Client| {
        let mut export = client.export().await.unwrap();
        let mut all = Vec::new();
        loop {
            match export.piece().await {
                Ok(Some(piece)) => all.extend_from_slice(&piece),
                Ok(None) => return (all, None),
                Err(failed) => return (all, Some(failed.code().to_owned())),
            }
        }
    };
    let client = server.client();
    assert_eq!(read(&client).await, (b"abcdef".to_vec(), None));
    assert_eq!(
        read(&client).await,
        (b"abc".to_vec(), Some("connection_lost".to_owned()))
    );
}
