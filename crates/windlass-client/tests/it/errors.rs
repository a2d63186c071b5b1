//! What errors say, layer by layer.

use std::error::Error;
use std::time::Duration;

use windlass_client::ClientError;

use crate::server::{Act, Server, answer, problem, quick};

/// Code and message of an error and how many causes it has; what those say is
/// the operating system's.
fn chain(failed: &ClientError) -> String {
    let mut causes = 0;
    let mut next = failed.source();
    while let Some(cause) = next {
        causes += 1;
        next = cause.source();
    }
    let below = if causes > 0 { " (and causes)" } else { "" };
    format!("{}: {failed}{below}", failed.code())
}

#[tokio::test]
async fn each_failure_says_what_it_is_in_its_own_words() {
    let acts = [
        problem(403, "tool_not_allowed", &[], ""),
        Act::CutBefore,
        Act::Mute,
        answer(302, &[], ""),
        answer(502, &[], ""),
        answer(200, &[("content-type", "text/plain")], "hello"),
        answer(
            200,
            &[("content-type", "application/json")],
            &"1".repeat(2_000),
        ),
        answer(
            200,
            &[("content-type", "application/json")],
            "{\n  \"agent\": 1}",
        ),
    ];
    let settings = quick().retries(0).answer_bytes_max(1_000);
    let mut said = Vec::new();
    for act in acts {
        let server = Server::start([act]).await;
        let settings = settings.clone().attempt_timeout(Duration::from_millis(250));
        let failed = server
            .client_with(settings)
            .count_active("a")
            .await
            .unwrap_err();
        said.push(chain(&failed));
    }
    let gone = quick()
        .retries(0)
        .connect("http://127.0.0.1:1", None)
        .unwrap();
    said.push(chain(&gone.count_active("a").await.unwrap_err()));
    said.push(chain(&gone.count_active("..").await.unwrap_err()));
    insta::assert_snapshot!(said.join("\n"));
}
