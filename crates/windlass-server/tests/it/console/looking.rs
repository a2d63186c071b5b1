//! What is going on, at a glance and as it changes.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::access::{Groups, Reach, Verbs};

use crate::matrix::world::{grant, operator, without};
use crate::support::{Connection, Request, Running, get, post};

pub(super) const OVERVIEW: &str = "/v1/console/overview";
const SERVICE: &str = "/v1/console/service";

/// Within which everything here has happened, on a machine that is busy too.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn token(server: &Running, tenant: &str) -> String {
    let all = grant(tenant, "alice", Reach::Tenant, Verbs::all());
    server.key_of(all).await
}

pub(super) async fn create(server: &Running, token: &str, id: &str, calls: u64) {
    let body = json!({
        "id": id, "agent": "researcher", "intent": format!("the task of {id}"),
        "tools": {"only": ["search"]}, "budget": {"calls": calls},
    });
    let body = body.to_string();
    let made = server.ask(post("/v1/sessions", &body).by(token)).await;
    made.expect(201);
}

/// Uses a tool; the status of the answer.
pub(super) async fn use_tool(server: &Running, token: &str, id: &str, tool: &str) -> u16 {
    let path = format!("/v1/sessions/{id}/uses");
    let body = json!({"agent": "researcher", "items": [{"tool": tool}]}).to_string();
    server.ask(post(&path, &body).by(token)).await.status
}

pub(super) async fn overview(server: &Running, token: &str) -> Value {
    server.ask(get(OVERVIEW).by(token)).await.expect(200).json()
}

pub(super) fn running(overview: &Value) -> Vec<&str> {
    let running = overview["running"].as_array().expect("a list");
    let ids = running.iter().map(|one| one["id"].as_str());
    ids.map(|id| id.expect("an id")).collect()
}

/// A console that stays open.
pub(super) struct Console {
    stream: Connection,
    come: String,
}

impl Console {
    pub(super) async fn open(server: &Running, path: &str, token: &str) -> Self {
        let mut stream = server.connect().await;
        let wants = [("Accept", "text/event-stream")];
        let request = get(path).with(&wants).by(token);
        stream.send(&request.bytes()).await;
        let come = stream.until("retry: ").await;
        assert!(come.starts_with("HTTP/1.1 200 "), "{come}");
        Self { stream, come }
    }

    /// The data of the next event of this kind, whatever comes before it.
    pub(super) async fn next(&mut self, kind: &str) -> Value {
        let wanted = format!("event: {kind}\ndata: ");
        let event = async {
            loop {
                if let Some(start) = self.come.find(&wanted) {
                    let from = start + wanted.len();
                    if let Some(length) = self.come[from..].find("\n\n") {
                        let data = self.come[from..from + length].to_owned();
                        self.come.drain(..from + length);
                        return data;
                    }
                }
                let more = self.stream.until("\n\n").await;
                assert!(!more.is_empty(), "it ended: {}", self.come);
                self.come.push_str(&more);
            }
        };
        let data = tokio::time::timeout(PATIENCE, event).await;
        let data = data.unwrap_or_else(|_| panic!("no `{kind}` came"));
        // A chunk may end within.
        let data: String = data.split("\r\n").step_by(2).collect();
        serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"))
    }

    /// The next overview that is as wanted.
    pub(super) async fn until(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let seen = self.next("overview").await;
            if is_wanted(&seen) {
                return seen;
            }
        }
    }
}

#[tokio::test]
async fn an_overview_shows_what_runs_and_what_was_refused_and_why() {
    let server = Running::start().await;
    let token = token(&server, "acme").await;
    for id in ["s1", "s2", "s3"] {
        create(&server, &token, id, 10).await;
    }
    assert_eq!(use_tool(&server, &token, "s2", "search").await, 200);
    assert_eq!(use_tool(&server, &token, "s2", "email").await, 403);
    let close = post("/v1/sessions/s3/close", "").bodiless();
    server.ask(close.by(&token)).await.expect(200);
    let seen = overview(&server, &token).await;
    assert_eq!(running(&seen), ["s2", "s1"], "{seen}");
    assert_eq!(
        seen["sessions"],
        json!({"active": 2, "stored": 3, "at_least": false, "unreadable": 0})
    );
    assert_eq!(seen["counted"], json!({"uses": 1, "refused": 1}));
    let first = &seen["running"][0];
    assert_eq!(first["uses"], 1);
    assert_eq!(first["intent"], "the task of s2");
    assert_eq!(first["left"]["calls"], 0.9);
    assert_eq!(first["left"]["tokens"], Value::Null);
    let refused = &seen["refused"][0];
    assert_eq!(refused["code"], "tool_not_allowed", "{seen}");
    assert_eq!(refused["action"], "session.used");
    assert_eq!(
        (&refused["session"], &refused["count"]),
        (&json!("s2"), &json!(1))
    );
    assert_eq!(refused["tool"], "email");
}

#[tokio::test]
async fn refusals_of_stashes_and_quotas_are_counted_as_others_are() {
    let server = Running::start().await;
    let token = token(&server, "acme").await;
    create(&server, &token, "s1", 10).await;
    let secret = "/v1/sessions/s1/stash/entries/secret";
    let put = format!("{secret}?group=red");
    let put = post(&put, r#"{"value": 1}"#);
    let method = "PUT";
    let put = Request { method, ..put };
    server.ask(put.by(&token)).await.expect(200);
    let mut narrow = grant("acme", "bob", Reach::Tenant, Verbs::all());
    narrow.groups = Groups::Only(["green".parse().expect("an id")].into());
    let narrow = server.key_of(narrow).await;
    for _ in 0..2 {
        let refused = server.ask(get(secret).by(&narrow)).await;
        assert_eq!(refused.expect(403).code(), "cross_group_access");
    }
    let quota = post("/v1/tenants/acme/quota", r#"{"sessions": 1}"#);
    let quota = Request { method, ..quota };
    let boss = server.key_of(operator(Verbs::all())).await;
    server.ask(quota.by(&boss)).await.expect(200);
    let body = json!({"id": "s2", "agent": "researcher", "intent": "one too many"}).to_string();
    let refused = server.ask(post("/v1/sessions", &body).by(&token)).await;
    assert_eq!(refused.expect(429).code(), "tenant_quota_exceeded");
    let seen = overview(&server, &token).await;
    let kinds = seen["refused"].as_array().expect("a list").iter();
    let kinds = kinds.map(|kind| (&kind["action"], &kind["code"], &kind["count"]));
    let expected = [
        (
            json!("create_session"),
            json!("tenant_quota_exceeded"),
            json!(1),
        ),
        (json!("get_entry"), json!("cross_group_access"), json!(2)),
    ];
    let expected = expected
        .iter()
        .map(|(action, code, count)| (action, code, count));
    assert_eq!(kinds.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert_eq!(seen["counted"]["refused"], 3);
}

#[tokio::test]
async fn what_is_stuck_is_named() {
    let server = Running::start().await;
    let token = token(&server, "acme").await;
    create(&server, &token, "s1", 10).await;
    for _ in 0..9 {
        assert_eq!(use_tool(&server, &token, "s1", "search").await, 200);
    }
    let work = r#"{"work":[{"payloads":[{"kind":"task","json":1}],"attempts_max":1}]}"#;
    let path = "/v1/sessions/s1/work";
    server.ask(post(path, work).by(&token)).await.expect(201);
    let claim = r#"{"owner":"w","ttl_ms":60000}"#;
    let claimed = server
        .ask(post("/v1/sessions/s1/claims", claim).by(&token))
        .await
        .expect(200);
    let claimed = claimed.json()["claim"].clone();
    let seen = overview(&server, &token).await;
    assert_eq!(seen["work"]["claimed"], 1, "{seen}");
    let number = claimed["token"].as_u64().expect("a token");
    let settle = json!({"fail": [{"id": claimed["work"][0]["id"], "reason": "no"}]});
    let path = format!("/v1/sessions/s1/claims/{number}/settle");
    let settled = server
        .ask(post(&path, &settle.to_string()).by(&token))
        .await;
    settled.expect(200);
    let seen = overview(&server, &token).await;
    assert_eq!(seen["work"]["dead"], 1, "{seen}");
    let stuck = seen["stuck"].as_array().expect("a list").iter();
    let kinds: Vec<_> = stuck.map(|one| (&one["kind"], &one["session"])).collect();
    let (dead, spent, of) = (
        json!("dead_work"),
        json!("budget_nearly_spent"),
        json!("s1"),
    );
    assert_eq!(kinds, [(&dead, &of), (&spent, &of)], "{seen}");
}

/// Two tenants whose sessions have the same names, and others.
#[tokio::test]
async fn nobody_sees_anything_of_another_tenant() {
    let server = Running::start().await;
    let (acme, globex) = (token(&server, "acme").await, token(&server, "globex").await);
    for id in ["same", "acmes"] {
        create(&server, &acme, id, 10).await;
    }
    for id in ["same", "globexs"] {
        create(&server, &globex, id, 10).await;
    }
    use_tool(&server, &globex, "globexs", "email").await;
    use_tool(&server, &globex, "globexs", "search").await;
    let mut others = Console::open(&server, OVERVIEW, &globex).await;
    assert_eq!(others.next("overview").await["counted"]["uses"], 1);
    let mut console = Console::open(&server, OVERVIEW, &acme).await;
    for seen in [
        overview(&server, &acme).await,
        console.next("overview").await,
    ] {
        let text = seen.to_string();
        assert!(!text.contains("globex"), "{text}");
        assert!(text.contains("acmes"), "{text}");
        assert_eq!(seen["counted"], json!({"uses": 0, "refused": 0}));
        assert_eq!(seen["sessions"]["active"], 2);
        assert_eq!(seen["refused"], json!([]));
    }
    drop(others);
}

#[tokio::test]
async fn a_console_sees_changes_without_asking_and_all_that_look_see_the_same() {
    let server = Running::start().await;
    let token = token(&server, "acme").await;
    create(&server, &token, "s1", 10).await;
    let mut first = Console::open(&server, OVERVIEW, &token).await;
    assert_eq!(running(&first.next("overview").await), ["s1"]);
    let mut second = Console::open(&server, OVERVIEW, &token).await;
    assert_eq!(running(&second.next("overview").await), ["s1"]);
    assert_eq!(use_tool(&server, &token, "s1", "search").await, 200);
    let is_used = |seen: &Value| seen["running"][0]["uses"] == 1;
    let (mut one, other) = (first.until(is_used).await, second.until(is_used).await);
    // Looked at once: when it was looked is in it, too. When it is sent is not.
    one["now"] = other["now"].clone();
    assert_eq!(one, other);
    // A refusal changes nothing that is stored.
    assert_eq!(use_tool(&server, &token, "s1", "email").await, 403);
    let seen = first.until(|seen| seen["counted"]["refused"] == 1).await;
    assert_eq!(seen["refused"][0]["code"], "tool_not_allowed");
}

#[tokio::test]
async fn a_console_is_told_of_changes_that_no_overview_shows() {
    let server = Running::start().await;
    let token = token(&server, "acme").await;
    create(&server, &token, "s1", 10).await;
    let mut console = Console::open(&server, OVERVIEW, &token).await;
    let mut before = console.next("overview").await;
    let path = "/v1/sessions/s1/state/commits";
    let body = json!({"parts": {"plan": {"json": 1}}}).to_string();
    let made = server.ask(post(path, &body).by(&token)).await;
    made.expect(201);
    let after = console.next("overview").await;
    assert!(before["at"].as_u64() < after["at"].as_u64(), "{after}");
    for time in ["at", "now"] {
        before[time] = after[time].clone();
    }
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_console_ends_with_the_key_it_was_opened_under() {
    // Looking again from time to time cannot be what ends it.
    let server = Running::with(|config| {
        config.credential_ms = 1_000;
        config.poll_ms = 600_000;
    });
    let server = server.await;
    let token = token(&server, "acme").await;
    create(&server, &token, "s1", 10).await;
    let mut console = Console::open(&server, OVERVIEW, &token).await;
    console.next("overview").await;
    let keys = server.engine.keys();
    let who = server.ask(get("/v1/whoami").by(&token)).await.json();
    let id = who["key"].as_str().expect("an id").parse().expect("an id");
    keys.revoke(&id).await.expect("revoked");
    assert_eq!(console.next("end").await["reason"], "revoked");
}

#[tokio::test]
async fn consoles_end_when_the_server_stops_and_are_no_more_than_streams_may_be() {
    let server = Running::with(|config| config.streams_max = 1).await;
    let token = token(&server, "acme").await;
    let mut console = Console::open(&server, OVERVIEW, &token).await;
    console.next("overview").await;
    let wants = [("Accept", "text/event-stream")];
    let second = server.ask(get(OVERVIEW).with(&wants).by(&token)).await;
    assert_eq!(second.expect(429).code(), "too_many_streams");
    let stopped = server.stop();
    assert_eq!(console.next("end").await["reason"], "draining");
    drop(console);
    assert_eq!(stopped.await.expect("stopped").cut, 0);
}

#[tokio::test]
async fn a_key_sees_no_more_than_its_verbs_and_its_reach_allow() {
    let server = Running::start().await;
    let all = || grant("acme", "alice", Reach::Tenant, Verbs::all());
    let narrow = server.key_of(without("queue.read", all())).await;
    let seen = overview(&server, &narrow).await;
    assert_eq!(seen["work"], Value::Null);
    assert!(seen["streams"].is_object(), "{seen}");
    let mut console = Console::open(&server, OVERVIEW, &narrow).await;
    assert_eq!(console.next("overview").await["work"], Value::Null);
    let narrow = server.key_of(without("stream.read", all())).await;
    let seen = overview(&server, &narrow).await;
    assert_eq!(seen["streams"], Value::Null);
    assert!(seen["work"].is_object(), "{seen}");
    let own = grant("acme", "alice", Reach::Own, Verbs::all());
    let own = server.key_of(own).await;
    let refused = server.ask(get(OVERVIEW).by(&own)).await.expect(403);
    assert_eq!(refused.code(), "reach_too_narrow");
    let refused = server.ask(get(SERVICE).by(&own)).await.expect(403);
    assert_eq!(refused.code(), "scope_not_allowed");
}

#[tokio::test]
async fn operators_see_the_process_and_the_store_and_figures_over_time() {
    let server = Running::with(|config| config.history_interval_ms = 1_000).await;
    let token = server.key_of(operator(Verbs::all())).await;
    let user = self::token(&server, "acme").await;
    create(&server, &user, "s1", 10).await;
    assert_eq!(use_tool(&server, &user, "s1", "search").await, 200);
    let seen = server.ask(get(SERVICE).by(&token)).await.expect(200).json();
    assert_eq!(seen["store"]["database"], "memory", "{seen}");
    assert_eq!(seen["counted"]["uses"], 1);
    assert!(seen["http"]["requests"].as_u64() >= Some(2), "{seen}");
    let mut console = Console::open(&server, SERVICE, &token).await;
    let seen = console.next("service").await;
    assert_eq!(seen["draining"], false);
    let sample = console.next("history").await;
    assert_eq!(sample["values"]["sessions_active"], 1.0, "{sample}");
    let path = "/v1/metrics/history?series=sessions_active,streams_open";
    let kept = server.ask(get(path).by(&token)).await.expect(200).json();
    assert_eq!(kept["interval_ms"], 1_000);
    let named: Vec<_> = ["sessions_active", "streams_open"].into();
    let series = kept["series"].as_array().expect("a list").iter();
    let series: Vec<_> = series.map(|one| one["name"].as_str()).collect();
    assert_eq!(series, named.into_iter().map(Some).collect::<Vec<_>>());
    let at = kept["at"].as_array().expect("times");
    let place = at.iter().position(|at| *at == sample["at"]);
    let place = place.unwrap_or_else(|| panic!("{kept} has no {sample}"));
    assert_eq!(kept["values"][0][place], 1.0);
    assert_eq!(kept["values"][1][place], sample["values"]["streams_open"]);
    let last = at.last().expect("a sample");
    let path = format!("/v1/metrics/history?since={last}");
    let later = server.ask(get(&path).by(&token)).await.expect(200).json();
    let is_later = |it: &Value| it.as_u64() > last.as_u64();
    let later = later["at"].as_array().expect("times").clone();
    assert!(later.iter().all(is_later), "{later:?}");
    let path = "/v1/metrics/history?series=uses_per_s,nonsense";
    let refused = server.ask(get(path).by(&token)).await.expect(400);
    assert_eq!(refused.code(), "invalid_request");
}

#[tokio::test]
async fn without_a_history_none_is_kept() {
    let server = Running::with(|config| config.history_ms = 0).await;
    let kept = server.ask(get("/v1/metrics/history")).await;
    let kept = kept.expect(200).json();
    assert_eq!(
        (&kept["retention_ms"], &kept["at"]),
        (&json!(0), &json!([]))
    );
}

#[test]
fn a_history_of_more_samples_than_there_is_room_for_is_refused() {
    let mut config = windlass_server::Config::default();
    config.history_interval_ms = 1_000;
    config.history_ms = 100_000_000;
    config.check().expect("a hundred thousand samples");
    config.history_ms += 1_000;
    let refused = config.check().expect_err("one more");
    assert_eq!((refused.setting, refused.max), ("history_ms", 100_000_000));
    config.history_interval_ms = 999;
    let refused = config.check().expect_err("too often");
    assert_eq!(refused.setting, "history_interval_ms");
}
