//! The Rust client and a real server: what is asked is understood, and what is
//! answered is as the wire types say.

use serde_json::value::RawValue;
use windlass_client::access::{CredentialKind, Groups, Reach, Scope};
use windlass_client::session::{Allow, CreateSession, EndReason, UseTools, What};
use windlass_client::stash::{
    Answer, Condition, IncrementStep, KeyOf, Operation, PutEntry, PutStep, Steps, TouchStep,
};
use windlass_client::store::DueQuery;
use windlass_client::{Client, Token};

use crate::bench::Bench;
use crate::remote::{Serving, key};

/// A server on the store of `bench`, and clients of it: a tenant's and an
/// operator's.
fn serve(bench: &Bench) -> (Serving, Client, Client) {
    let tenant = key(
        bench,
        "--verb session.* --verb stash.* --verb tenant.read --group mail",
    );
    let operator = key(bench, "--operator --verb tenant.* --verb store.*");
    let serving = Serving::start(bench);
    let client = |key: &str| Client::new(&serving.url, Token::new(key).unwrap()).unwrap();
    let clients = (client(&tenant), client(&operator));
    (serving, clients.0, clients.1)
}

/// The session `s1` of agent `scout`, which may call everything.
async fn session(client: &Client) {
    let mut request = CreateSession::new("scout", "errands");
    request.id = Some("s1".to_owned());
    request.tools = Some(Allow::All);
    client.create_session(&request).await.unwrap();
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_says_what_it_allows() {
    let bench = Bench::new();
    let (_serving, client, operator) = serve(&bench);
    let me = client.whoami().await.unwrap();
    assert_eq!(
        (me.credential, me.scope, me.reach),
        (CredentialKind::ApiKey, Scope::Tenant, Reach::Own)
    );
    assert_eq!(
        (me.tenant.as_deref(), me.principal.as_deref()),
        (Some("default"), Some("cli"))
    );
    assert_eq!(me.groups, Groups::Only(vec!["mail".to_owned()]));
    let me = operator.whoami().await.unwrap();
    assert_eq!(
        (me.scope, me.tenant, me.principal),
        (Scope::Operator, None, None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_the_store_and_tenants_what_they_have() {
    let bench = Bench::new();
    let (_serving, client, operator) = serve(&bench);
    session(&client).await;
    let health = operator.health().await.unwrap();
    assert!(
        health.database.starts_with("SQLite") && health.settled,
        "{health:?}"
    );
    let due = operator.due(&DueQuery { limit: Some(5) }).await.unwrap();
    assert_eq!((due.entries, due.more), (0, false));
    let own = client.own_tenant().await.unwrap();
    assert_eq!(own.usage.map(|usage| usage.sessions), Some(1));
    assert_eq!(operator.tenant("default").await.unwrap().tenant, "default");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_a_server_is_a_file_that_can_be_imported() {
    let bench = Bench::new();
    let (_serving, client, operator) = serve(&bench);
    session(&client).await;
    let mut export = operator.export().await.unwrap();
    let mut file = Vec::new();
    while let Some(piece) = export.piece().await.unwrap() {
        file.extend_from_slice(&piece);
    }
    std::fs::write(bench.path("all.export"), file).unwrap();
    bench
        .run("import all.export --store sqlite:copy.db")
        .assert_code(0);
    let copied = bench.run("--json session show s1 --store sqlite:copy.db");
    assert_eq!(copied.assert_code(0).objects()[0]["agent"], "scout");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_followed_until_the_session_is_closed() {
    let bench = Bench::new();
    let (_serving, client, _) = serve(&bench);
    session(&client).await;
    let search = UseTools::one("scout", "search");
    client.use_tools("s1", &search).await.unwrap();
    let mut events = client.events("s1", 0);
    let first = events.next().await.unwrap().expect("it was used");
    assert!(
        matches!(&first.what, What::Use { call: 1, tool, .. } if tool == "search"),
        "{first:?}"
    );
    client.use_tools("s1", &search).await.unwrap();
    let second = events.next().await.unwrap().expect("it was used again");
    assert_eq!(second.number, 2);
    client.close("s1").await.unwrap();
    let third = events.next().await.unwrap().expect("it was closed");
    assert_eq!(third.what, What::Close);
    assert_eq!(
        (events.next().await.unwrap(), events.end()),
        (None, Some(EndReason::Closed))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_have_changed_is_not_answered_again() {
    let bench = Bench::new();
    let (_serving, client, _) = serve(&bench);
    session(&client).await;
    let first = client.session("s1").await.unwrap();
    let closed = client.close("s1").await.unwrap();
    let changed = client.session_if_changed(&first).await.unwrap();
    assert_eq!(changed.as_ref(), Some(&closed));
    let same = client.session_if_changed(&closed).await.unwrap();
    assert_eq!(same, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_has_not_changed_is_not_answered_again() {
    let bench = Bench::new();
    let (_serving, client, _) = serve(&bench);
    session(&client).await;
    let stash = client.stash("s1");
    let put = PutEntry {
        value: raw("1.50"),
        ttl_ms: None,
    };
    let stored = stash.put("page", &put, Condition::Absent).await.unwrap();
    let same = stash.get_if_changed("page", stored.version).await.unwrap();
    assert!(same.is_none(), "{same:?}");
    assert_eq!(stash.get("page").await.unwrap().value.get(), "1.50");
    let refused = stash
        .put("page", &put, Condition::Absent)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "version_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_a_stash_answers_each_of_its_operations() {
    let bench = Bench::new();
    let (_serving, client, _) = serve(&bench);
    session(&client).await;
    let key = || "k".to_owned();
    let operations = vec![
        Operation::Get(KeyOf { key: key() }),
        Operation::Put(PutStep {
            key: key(),
            value: raw("41"),
            ttl_ms: Some(60_000),
            condition: Some(Condition::Absent),
        }),
        Operation::Increment(IncrementStep {
            key: key(),
            by: 1,
            ttl_ms: None,
        }),
        Operation::Touch(TouchStep {
            key: key(),
            ttl_ms: None,
        }),
        Operation::Get(KeyOf { key: key() }),
        Operation::Delete(KeyOf { key: key() }),
    ];
    let done = client
        .stash("s1")
        .step(&Steps { operations })
        .await
        .unwrap();
    let said: Vec<String> = done.answers.iter().map(said).collect();
    let expected = ["nothing", "stored 2", "42", "touched", "42", "true"];
    assert_eq!(said, expected);
}

fn said(answer: &Answer) -> String {
    match answer {
        Answer::Entry(None) => "nothing".to_owned(),
        Answer::Entry(Some(entry)) => entry.value.get().to_owned(),
        Answer::Stored(stored) => format!("stored {}", stored.size),
        Answer::Deleted(deleted) => deleted.to_string(),
        Answer::Touched(touched) => touched.as_ref().map_or("absent", |_| "touched").to_owned(),
        Answer::Number(number) => number.value.to_string(),
    }
}
