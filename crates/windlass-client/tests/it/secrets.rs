//! Where the credential goes, and where it does not.

use std::error::Error;

use windlass_client::access::{ApiKey, CreatedKey, Groups, Reach, Scope};
use windlass_client::{BrokenAnswer, ClientError};

use crate::server::{Act, SECRET, Server, answer, change, problem, quick};

#[tokio::test]
async fn the_credential_is_sent_to_its_server() {
    let server = Server::start([]).await;
    server.client().count_active("a").await.unwrap();
    let expected = format!("Bearer {SECRET}");
    assert_eq!(server.requests()[0].headers["authorization"], expected);
    assert_eq!(
        server.requests()[0].headers["user-agent"],
        "windlass-client/0.1.0"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed_by_a_read_nor_by_a_change() {
    let elsewhere = Server::start([]).await;
    let target = format!("{}/v1/agents/a", elsewhere.url());
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start(vec![answer(status, &[("location", &target)], ""); 2]).await;
        let client = server.client();
        for failed in [
            client.count_active("a").await.map(|_| ()).unwrap_err(),
            change(&client).await.map(|_| ()).unwrap_err(),
        ] {
            let redirect = matches!(
                failed,
                ClientError::Protocol {
                    why: BrokenAnswer::Redirect,
                    outcome: None
                }
            );
            assert!(redirect, "{status}: {failed:?}");
        }
        assert_eq!(server.requests().len(), 2, "{status}");
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

/// An error with all that is below it, in both forms.
fn everything(error: &dyn Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(" {cause} {cause:?}"));
        next = cause.source();
    }
    text
}

#[tokio::test]
async fn no_failure_and_no_debug_form_shows_the_credential() {
    let server = Server::start([
        Act::CutBefore,
        answer(200, &[("content-type", "application/json")], SECRET),
        problem(401, "unauthenticated", &[], ""),
        answer(302, &[("location", "http://elsewhere.example")], ""),
    ])
    .await;
    let client = server.client_with(quick().retries(0));
    let mut said = format!("{client:?} {:?}", client.stash("s"));
    for _ in 0..4 {
        let failed = client.count_active("a").await.unwrap_err();
        said.push_str(&everything(&failed));
    }
    assert_eq!(server.requests().len(), 4);
    assert!(!said.contains("5ec2e7") && !said.contains(SECRET), "{said}");
}

#[test]
fn a_key_that_was_just_made_does_not_show_its_secret_in_logs() {
    let key = ApiKey {
        id: "0123456789abcdef".to_owned(),
        label: "ci".to_owned(),
        scope: Scope::Operator,
        tenant: None,
        principal: None,
        reach: Reach::Own,
        groups: Groups::None,
        verbs: vec!["store.*".to_owned()],
        created_at: 1,
        expires_at: None,
        revoked_at: None,
        rotated_at: None,
        overlap_until: None,
    };
    let secret = SECRET.to_owned();
    let shown = format!("{:?}", CreatedKey { key, secret });
    assert!(
        shown.contains("0123456789abcdef") && !shown.contains("5ec2e7"),
        "{shown}"
    );
}
