//! Two tenants, a third one that was erased, and credentials of every kind.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use windlass::SystemEnv;
use windlass::access::{Grant, Groups, Keys, NewKey, Reach, Scope, Verb, Verbs};
use windlass::core::{Env, Millis, RandomError};
use windlass::store::{Entry, KeyRange};

use crate::support::{Request, Running, get, post};

/// Words that only the first tenant's data has.
pub(crate) const CANARY: &str = "canary_acme";

/// Words that only the second tenant's data has.
pub(crate) const CANARY_OF_OTHERS: &str = "canary_globex";

/// A token as it could be, which was never given out.
pub(crate) const UNKNOWN: &str = "wl_0123456789abcdef_\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A clock that is two hours late: what ends an hour from now by this one has
/// ended by every other.
#[derive(Debug)]
struct Late(SystemEnv);

impl Env for Late {
    fn now(&self) -> Millis {
        Millis::new(self.0.now().get() - 7_200_000)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.0.random(bytes)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep_until(deadline)
    }
}

pub(crate) fn grant(tenant: &str, principal: &str, reach: Reach, verbs: Verbs) -> Grant {
    Grant {
        scope: Scope::Tenant {
            tenant: tenant.parse().expect("an id"),
            principal: principal.parse().expect("an id"),
        },
        reach,
        groups: Groups::All,
        verbs,
    }
}

pub(crate) fn operator(verbs: Verbs) -> Grant {
    Grant {
        scope: Scope::Operator,
        reach: Reach::Own,
        groups: Groups::None,
        verbs,
    }
}

/// The same grant, with every verb it can hold but one.
pub(crate) fn without(verb: &str, mut grant: Grant) -> Grant {
    let others = Verb::ALL.iter().filter(|known| known.as_str() != verb);
    let others = others.filter(|known| grant.scope.can_hold(**known));
    grant.verbs = Verbs::of(others.map(|verb| verb.as_str())).expect("verbs");
    grant
}

/// The credentials that a request can come with.
pub(crate) struct Tokens {
    pub(crate) revoked: String,
    pub(crate) expired: String,
    pub(crate) erased: String,
    /// May do everything, for another tenant.
    pub(crate) foreign: String,
    /// May do everything, for another principal of the tenant.
    pub(crate) colleague: String,
    /// May do everything that is its principal's.
    pub(crate) owner: String,
    /// May do everything in the whole of its tenant.
    pub(crate) reaching: String,
    pub(crate) operator: String,
}

/// What is in the queue of the first tenant's session.
pub(crate) struct InQueue {
    /// Work that nobody holds.
    pub(crate) pending: String,
    /// Work that is held.
    pub(crate) claimed: String,
    /// By which claim.
    pub(crate) token: u64,
    /// Work that is not tried any more.
    pub(crate) dead: String,
    /// The generation of the session's lease, which `w` holds.
    pub(crate) generation: u64,
}

/// A server with the first tenant's session `s-acme` in it, its child, its
/// stash, its state, and the others'.
pub(crate) struct World {
    pub(crate) server: Running,
    pub(crate) tokens: Tokens,
    /// The id of a key of the first tenant.
    pub(crate) key: String,
    /// The names of a part's content and of a manifest of its session.
    pub(crate) blob: String,
    pub(crate) manifest: String,
    /// The id of an attachment of the same session.
    pub(crate) attachment: String,
    pub(crate) work: InQueue,
    /// The cursors of reads of its session's stream, and of its sources.
    reads: [String; 4],
    /// An input that is not finished.
    pub(crate) input: String,
}

/// The cursor of a read that has ended.
async fn cursor(server: &Running, path: &str, token: &str) -> String {
    let read = server.ask(get(path).by(token)).await.expect(200);
    let read = String::from_utf8(read.body).expect("text");
    let opened: Value =
        serde_json::from_str(read.lines().next().expect("a line")).expect("an object");
    let cursor = opened["open"]["cursor"].as_str();
    cursor.expect("a cursor").to_owned()
}

impl World {
    pub(crate) async fn new() -> Self {
        let server = Running::start().await;
        let tokens = tokens(&server).await;
        let spare = grant("acme", "alice", Reach::Own, Verbs::all());
        let mut spare = NewKey::new(CANARY, spare);
        spare.ttl_ms = Some(3_600_000);
        let key = server.engine.keys().create(spare).await.expect("a key").0;
        fill(&server, &tokens.owner, ["acme", "researcher", CANARY]).await;
        fill(
            &server,
            &tokens.foreign,
            ["globex", "analyst", CANARY_OF_OTHERS],
        )
        .await;
        let work = fill_queue(&server, &tokens.owner, "s-acme", CANARY).await;
        fill_queue(&server, &tokens.foreign, "s-globex", CANARY_OF_OTHERS).await;
        let shown = get("/v1/sessions/s-acme/state/commits/head").by(&tokens.owner);
        let shown = server.ask(shown).await.expect(200).json();
        let attached = get("/v1/sessions/s-acme/state/attachments").by(&tokens.owner);
        let attached = server.ask(attached).await.expect(200).json();
        let sources = "/v1/sessions/s-acme/sources";
        let [usage, commits, graph] =
            ["usage", "commits", "graph"].map(|source| format!("{sources}/{source}"));
        let owner = &tokens.owner;
        let reads = [
            cursor(&server, "/v1/streams/o-acme/rows", owner).await,
            cursor(&server, &usage, owner).await,
            cursor(&server, &commits, owner).await,
            cursor(&server, &graph, owner).await,
        ];
        let input = r#"{"target":"i-acme","content_type":"text/plain"}"#;
        let input = post("/v1/inputs", input).by(&tokens.owner);
        let input = server.ask(input).await.expect(201).json();
        let name = |value: &Value| value.as_str().expect("a name").to_owned();
        Self {
            key: key.id.to_string(),
            blob: name(&shown["parts"]["plan"]["blob"]),
            manifest: name(&shown["commit"]["manifest"]),
            attachment: name(&attached["attachments"][0]["id"]),
            work,
            reads,
            input: name(&input["id"]),
            server,
            tokens,
        }
    }

    /// The cursor that an operation can be asked with.
    pub(crate) fn read_of(&self, operation: &str) -> &str {
        let place = match operation {
            "cancel_usage_read" => 1,
            "cancel_commits_read" => 2,
            "cancel_graph_read" => 3,
            _ => 0,
        };
        &self.reads[place]
    }

    /// Everything that is stored, with the version of each row.
    pub(crate) async fn dump(&self) -> Vec<Entry> {
        let export = self.server.engine.store().export(KeyRange::all()).await;
        export.expect("an export").collect().await.expect("entries")
    }
}

async fn tokens(server: &Running) -> Tokens {
    let own = |tenant, principal| grant(tenant, principal, Reach::Own, Verbs::all());
    let revoked = NewKey::new("revoked", own("acme", "alice"));
    let keys = server.engine.keys();
    let (key, revoked) = keys.create(revoked).await.expect("a key");
    keys.revoke(&key.id).await.expect("revoked");
    let late: Arc<dyn Env> = Arc::new(Late(SystemEnv::new()));
    let late = Keys::new(Arc::clone(server.engine.store()), late);
    let mut expired = NewKey::new("expired", own("acme", "alice"));
    expired.ttl_ms = Some(3_600_000);
    let (_, expired) = late.create(expired).await.expect("a key");
    let erased = server.key_of(own("gone", "alice")).await;
    let gone = "gone".parse().expect("an id");
    let tenants = server.engine.tenants();
    tenants.erase(&gone, &mut |_| ()).await.expect("erased");
    Tokens {
        revoked: revoked.reveal().to_owned(),
        expired: expired.reveal().to_owned(),
        erased,
        foreign: {
            let all = grant("globex", "alice", Reach::Tenant, Verbs::all());
            server.key_of(all).await
        },
        colleague: server.key_of(own("acme", "bob")).await,
        owner: server.key_of(own("acme", "alice")).await,
        reaching: {
            let all = grant("acme", "alice", Reach::Tenant, Verbs::all());
            server.key_of(all).await
        },
        operator: server.key_of(operator(Verbs::all())).await,
    }
}

/// A session of a tenant's agent with a reserved call, a child, entries of a
/// group and of none, and a state with a part, a node, a tag and an
/// attachment, with a word in it that nobody else is to see.
async fn fill(server: &Running, token: &str, [tenant, agent, canary]: [&str; 3]) {
    let session = format!(
        r#"{{"id":"s-{tenant}","agent":"{agent}","intent":"{canary}","tools":{{"only":["search","{canary}"]}}}}"#
    );
    let child = format!(
        r#"{{"by":"{agent}","child":{{"id":"c-{tenant}","agent":"helper","intent":"{canary}","time_limit_ms":60000,"budget":{{"calls":1}},"tools":{{"only":["search"]}}}}}}"#
    );
    let value = format!(r#"{{"value":"{canary}"}}"#);
    let path = format!("/v1/sessions/s-{tenant}");
    let ask = async |method, path: &str, body: &str, status| {
        let request = Request {
            method,
            ..post(path, body)
        };
        server.ask(request.by(token)).await.expect(status);
    };
    ask("POST", "/v1/sessions", &session, 201).await;
    let reserved = format!(r#"{{"agent":"{agent}","items":[{{"tool":"search","reserve":true}}]}}"#);
    ask("POST", &format!("{path}/uses"), &reserved, 200).await;
    ask("POST", &format!("{path}/children"), &child, 201).await;
    let entries = format!("{path}/stash/entries");
    ask("PUT", &format!("{entries}/plain"), &value, 200).await;
    ask("PUT", &format!("{entries}/n"), r#"{"value":1}"#, 200).await;
    ask("PUT", &format!("{entries}/secret?group=blue"), &value, 200).await;
    let commit = format!(
        r#"{{"parts":{{"plan":{{"json":"{canary}","kind":"{canary}"}}}},"nodes":[{{"kind":"message","json":"{canary}"}}],"note":"{canary}"}}"#
    );
    ask("POST", &format!("{path}/state/commits"), &commit, 201).await;
    let tag = r#"{"revision":1}"#;
    ask("PUT", &format!("{path}/state/tags/first"), tag, 200).await;
    let attachment = format!(r#"{{"name":"{canary}"}}"#);
    let attachments = format!("{path}/state/attachments");
    ask("POST", &attachments, &attachment, 201).await;
    let path = format!("/durable/v1/stream/d-{tenant}");
    let durable = post(&path, canary).with(&[("Content-Type", "text/plain")]);
    let durable = Request {
        method: "PUT",
        ..durable
    };
    server.ask(durable.by(token)).await.expect(201);
    subscribe(server, token, tenant, canary).await;
    let stream = format!(r#"{{"session":"s-{tenant}","id":"o-{tenant}"}}"#);
    ask("POST", "/v1/streams", &stream, 201).await;
    let rows = format!("{{\"row\":\"{canary}\"}}\n");
    let path = format!("/v1/streams/o-{tenant}/rows");
    let rows = post(&path, &rows).with(&[("Content-Type", "application/x-ndjson")]);
    server.ask(rows.by(token)).await.expect(200);
}

/// A subscription that has been told of something: from then on nothing changes
/// by itself.
async fn subscribe(server: &Running, token: &str, tenant: &str, canary: &str) {
    let ask = async |method: &str, path: &str, body: &str, status| {
        let path = format!("/durable/v1/stream/{path}");
        let request = Request {
            method,
            ..post(&path, body)
        };
        server.ask(request.by(token)).await.expect(status);
    };
    let wakes = format!("w-{tenant}");
    ask("PUT", &wakes, "[]", 201).await;
    let subscription = format!(
        r#"{{"type":"pull-wake","streams":["w-{tenant}-in"],"wake_stream":"{wakes}","lease_ttl_ms":600000,"description":"{canary}"}}"#
    );
    let path = format!("__ds/subscriptions/u-{tenant}");
    ask("PUT", &path, &subscription, 201).await;
    ask("PUT", &format!("w-{tenant}-in"), "1", 201).await;
    let told = format!("/durable/v1/stream/{wakes}?offset=-1&live=long-poll");
    server.ask(get(&told).by(token)).await.expect(200);
}

/// Work of a session in every state, and its lease in the hands of `w`.
async fn fill_queue(server: &Running, token: &str, session: &str, canary: &str) -> InQueue {
    let ask = async |rest: &str, body: &str, status| {
        let path = format!("/v1/sessions/{session}/{rest}");
        let asked = server.ask(post(&path, body).by(token)).await;
        asked.expect(status).json()
    };
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    let one = format!(r#"{{"payloads":[{{"kind":"task","json":"{canary}"}}],"slot":"exclusive"}}"#);
    let all = format!(r#"{{"work":[{one},{one},{one}]}}"#);
    let all = ask("work", &all, 201).await;
    let [dead, claimed, pending] = [0, 1, 2].map(|place| text(&all["work"][place]["id"]));
    let claiming = r#"{"owner":"w","ttl_ms":3600000}"#;
    let first = ask("claims", claiming, 200).await;
    let settle = format!("claims/{}/settle", first["claim"]["token"]);
    let reason = format!(r#"{{"fail":[{{"id":"{dead}","reason":"{canary}","fatal":true}}]}}"#);
    ask(&settle, &reason, 200).await;
    let claim = ask("claims", claiming, 200).await;
    let lease = ask("lease", r#"{"owner":"w","ttl_ms":3600000}"#, 200).await;
    InQueue {
        pending,
        claimed,
        token: claim["claim"]["token"].as_u64().expect("a token"),
        dead,
        generation: lease["generation"].as_u64().expect("a generation"),
    }
}
