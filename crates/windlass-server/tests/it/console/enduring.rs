//! What a console shows where the store is slow, fails or is damaged, and where
//! much has ended.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;
use windlass::store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};
use windlass::{Options, SystemEnv, Windlass};

use super::looking::{Console, OVERVIEW, create, overview, running, token, use_tool};
use crate::support::{Running, post};

/// How reads of agents end, which every look begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Well,
    Never,
    Failed,
}

/// A store in which these are hindered.
#[derive(Debug)]
struct Hindered {
    ground: Arc<dyn Store>,
    way: watch::Sender<Way>,
}

#[async_trait]
impl Store for Hindered {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        let is_of_agents = |scan: &Scan| scan.range.start.starts_with(b"acme/agent/");
        if scans.iter().any(is_of_agents) {
            let mut way = self.way.subscribe();
            let way = *way
                .wait_for(|way| *way != Way::Never)
                .await
                .expect("it lasts");
            if way == Way::Failed {
                let kind = StoreErrorKind::Unavailable;
                return Err(StoreError::new(kind, "read", "hindered"));
            }
        }
        self.ground.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.ground.commit(batch).await
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.ground.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.ground.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.ground.close().await
    }
}

/// A server, and how reads of agents end in it.
async fn hindered() -> (Running, Arc<Hindered>) {
    let location = "memory:".parse().expect("a location");
    let ground = Windlass::open(&location, Options::default()).await;
    let store = Arc::new(Hindered {
        ground: Arc::clone(ground.expect("a store").store()),
        way: watch::Sender::new(Way::Well),
    });
    let env = Arc::new(SystemEnv::default());
    let options = Options::default();
    let engine = Windlass::over(Arc::clone(&store) as _, &options, env);
    let server = Running::over(engine.expect("settings"), |_| ()).await;
    (server, store)
}

/// Changes what no overview shows.
async fn commit_state(server: &Running, token: &str) {
    let body = json!({"parts": {"plan": {"json": 1}}}).to_string();
    let path = "/v1/sessions/s1/state/commits";
    let made = server.ask(post(path, &body).by(token)).await;
    made.expect(201);
}

/// Replaces a stored value behind everybody's back.
async fn put(server: &Running, key: &str) {
    let batch = Batch::new().put(key.to_owned(), "damaged");
    let put = server.engine.store().commit(batch).await;
    assert!(matches!(put, Ok(Commit::Applied(_))), "{put:?}");
}

fn time(event: &Value, name: &str) -> u64 {
    let time = event[name].as_u64();
    time.unwrap_or_else(|| panic!("no `{name}`: {event}"))
}

#[tokio::test]
async fn what_runs_is_shown_however_much_has_ended_since_it_was_used() {
    let server = Running::start().await;
    let token = token(&server, "acme").await;
    create(&server, &token, "long", 10).await;
    assert_eq!(use_tool(&server, &token, "long", "search").await, 200);
    for number in 0..70 {
        let body = json!({
            "id": format!("s{number}"), "agent": "brief", "intent": "something short",
            "tools": "all", "budget": {"calls": 1},
        });
        let body = body.to_string();
        let made = server.ask(post("/v1/sessions", &body).by(&token));
        made.await.expect(201);
        if number % 10 == 9 {
            // They end without a word about each.
            let close = post("/v1/agents/brief/close", "").bodiless();
            server.ask(close.by(&token)).await.expect(200);
        }
    }
    assert_eq!(running(&overview(&server, &token).await), ["long"]);
}

#[tokio::test]
async fn a_damaged_record_hides_nothing_but_itself() {
    let server = Running::start().await;
    let token = token(&server, "acme").await;
    for id in ["s1", "s2"] {
        create(&server, &token, id, 10).await;
        let work = r#"{"work":[{"payloads":[{"kind":"task","json":1}]}]}"#;
        let path = format!("/v1/sessions/{id}/work");
        server.ask(post(&path, work).by(&token)).await.expect(201);
    }
    put(&server, "acme/agent/researcher/head").await;
    let seen = overview(&server, &token).await;
    assert_eq!(running(&seen).len(), 2, "{seen}");
    let sessions = json!({"active": 2, "stored": 0, "at_least": true, "unreadable": 1});
    assert_eq!(seen["sessions"], sessions);
    assert_eq!(seen["work"]["ready"], 2, "{seen}");
    assert_eq!(seen["work"]["at_least"], false, "{seen}");
    put(&server, "acme/queue/s1/head").await;
    let mut console = Console::open(&server, OVERVIEW, &token).await;
    for seen in [
        overview(&server, &token).await,
        console.next("overview").await,
    ] {
        let work = &seen["work"];
        assert_eq!(
            (&work["ready"], &work["unreadable"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(
            (&work["at_least"], &seen["failed"]),
            (&json!(true), &Value::Null)
        );
    }
}

#[tokio::test]
async fn changes_are_told_while_a_look_takes_its_time() {
    let (server, store) = hindered().await;
    let token = token(&server, "acme").await;
    create(&server, &token, "s1", 10).await;
    let mut console = Console::open(&server, OVERVIEW, &token).await;
    let before = console.next("overview").await;
    store.way.send_replace(Way::Never);
    commit_state(&server, &token).await;
    // Seen long before it is sent: the page's clock is not set from that.
    let is_old = |seen: &Value| time(seen, "now") > time(seen, "at") + 400;
    let told = console.until(is_old).await;
    assert_eq!(told["running"], before["running"], "{told}");
    assert_eq!(use_tool(&server, &token, "s1", "email").await, 403);
    let told = console.until(|seen| seen["counted"]["refused"] == 1).await;
    assert_eq!(told["refused"][0]["code"], "tool_not_allowed");
    store.way.send_replace(Way::Well);
    create(&server, &token, "s2", 10).await;
    console.until(|seen| running(seen).len() == 2).await;
}

#[tokio::test]
async fn a_console_is_told_why_nothing_new_can_be_seen() {
    let (server, store) = hindered().await;
    let token = token(&server, "acme").await;
    create(&server, &token, "s1", 10).await;
    store.way.send_replace(Way::Failed);
    let mut early = Console::open(&server, OVERVIEW, &token).await;
    let seen = early.next("overview").await;
    assert_eq!(seen["failed"], "store_unavailable", "{seen}");
    assert_eq!(seen["sessions"]["at_least"], true, "{seen}");
    store.way.send_replace(Way::Well);
    commit_state(&server, &token).await;
    let seen = early.until(|seen| seen["failed"] == Value::Null).await;
    assert_eq!(running(&seen), ["s1"]);
    store.way.send_replace(Way::Failed);
    commit_state(&server, &token).await;
    let failed = early.until(|seen| seen["failed"] != Value::Null).await;
    assert_eq!(failed["failed"], "store_unavailable");
    assert_eq!(running(&failed), ["s1"], "what was seen last stays");
    // And of each change it is told again.
    let before = time(&failed, "now");
    commit_state(&server, &token).await;
    let again = early.next("overview").await;
    assert!(time(&again, "now") > before, "{again}");
    assert_eq!(again["failed"], "store_unavailable");
}
