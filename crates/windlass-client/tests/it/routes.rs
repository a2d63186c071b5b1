//! Where each call goes, and which of them carry an idempotency key.

use serde_json::value::RawValue;
use windlass_client::access::{ApiKeysQuery, CreateKey, Rotate, SetQuota};
use windlass_client::cache::{FlushCache, InvalidateCache, ReclaimCache, SweepCache};
use windlass_client::console::HistoryQuery;
use windlass_client::maintenance::RunTask;
use windlass_client::page::PageQuery;
use windlass_client::queue::{
    AcquireLease, ClaimWork, CommitTurn, Enqueue, EnqueueAll, HeldLease, NewWork, RenewClaim,
    SessionWork, SettleClaim, WorkQuery,
};
use windlass_client::session::{
    CreateSession, Delegate, EventsQuery, ListSessions, Outcome, Settle, TopUp, UseTools,
};
use windlass_client::stash::{
    ClearAll, Condition, Increment, KeysQuery, PutEntry, Reap, Steps, Touch,
};
use windlass_client::state::{
    AppendBytes, AttachmentsQuery, Collect, CommitState, FinishAttachment, ForkState, ForksQuery,
    GraphQuery, LogQuery, NewAttachment, NewNode, PartChange, PathQuery, RangeQuery, RollBack,
};
use windlass_client::store::{DueQuery, Maintain};
use windlass_client::{Client, ClientError};

use crate::server::{Act, Server, known, problem, quick};

/// What a call failed with; all of these do.
fn told<T: std::fmt::Debug>(answer: Result<T, ClientError>) {
    let failed = answer.expect_err("the server refuses everything");
    assert_eq!(failed.code(), "not_found");
}

async fn ask_about_sessions(client: &Client) {
    let create = CreateSession::new("a", "b");
    told(client.create_session(&create).await);
    told(client.sessions(&ListSessions::default()).await);
    told(client.session("s").await);
    told(client.session_if_changed(&known()).await);
    told(client.tree("s", &PageQuery::default()).await);
    told(client.history("s", &EventsQuery::default()).await);
    told(client.events("s", 0).next().await);
    told(client.use_tools("s", &UseTools::one("a", "t")).await);
    let settle = Settle {
        agent: "a".to_owned(),
        outcome: Outcome::Refund,
    };
    told(client.settle("s", 7, &settle).await);
    told(client.top_up("s", &TopUp::default()).await);
    told(client.close("s").await);
    told(client.delegate("s", &Delegate::new("a", create)).await);
    told(client.count_active("a").await);
    told(client.close_agent("a").await);
}

async fn ask_about_stashes(client: &Client) {
    let stash = client.stash("s");
    let value = RawValue::from_string("1".to_owned()).expect("JSON");
    let ttl_ms = None;
    let put = PutEntry { value, ttl_ms };
    told(stash.usage().await);
    told(stash.keys(&KeysQuery::default()).await);
    told(stash.get("k").await);
    told(stash.get_if_changed("k", 1).await);
    told(stash.put("k", &put, Condition::Any).await);
    told(stash.delete("k").await);
    told(stash.touch("k", &Touch::default()).await);
    told(stash.increment("k", &Increment { by: 1, ttl_ms }).await);
    let operations = Vec::new();
    told(stash.step(&Steps { operations }).await);
    told(stash.clear().await);
    told(stash.clear_all(&ClearAll::default()).await);
    told(stash.reap(&Reap::default()).await);
}

async fn ask_about_states(client: &Client) {
    let state = client.state("s");
    let value = RawValue::from_string("1".to_owned()).expect("JSON");
    let mut commit = CommitState::default();
    let part = PartChange::json(value.clone());
    commit.parts.insert("p".to_owned(), Some(part));
    commit.nodes.push(NewNode::json("message", value));
    let expected = None;
    let fork = ForkState {
        to: "t".to_owned(),
        revision: None,
    };
    told(state.head().await);
    told(state.head_if_changed(3).await);
    told(state.commit(&commit).await);
    told(state.log(&LogQuery::default()).await);
    told(state.show("tag:good").await);
    told(state.part("p", None).await);
    told(state.part_meta("p", Some("3")).await);
    told(state.nodes_to(&PathQuery::default()).await);
    told(state.nodes(&GraphQuery::default()).await);
    told(state.node(7).await);
    told(state.diff("3", "head").await);
    told(state.blob("b").await);
    told(state.manifest("m").await);
    told(state.roll_back(&RollBack { to: 1, expected }).await);
    told(state.fork(&fork).await);
    told(state.forks(&ForksQuery::default()).await);
    told(state.tags().await);
    told(state.tag("good", 3).await);
    told(state.untag("good").await);
    told(state.remove().await);
    let bytes = AppendBytes::default();
    told(state.begin_attachment(&NewAttachment::default()).await);
    told(state.append_bytes("a", &bytes).await);
    let finish = FinishAttachment::default();
    told(state.finish_attachment("a", &finish).await);
    told(state.attachment("a").await);
    told(state.attachments(&AttachmentsQuery::default()).await);
    let range = RangeQuery {
        start: Some(1),
        end: None,
    };
    told(state.attached_bytes("a", &range).await);
    told(state.drop_attachment("a").await);
}

async fn ask_about_queues(client: &Client) {
    let queue = client.queue("s");
    let value = RawValue::from_string("1".to_owned()).expect("JSON");
    let work = NewWork::json("task", value);
    let enqueue = Enqueue {
        work: vec![work.clone()],
        lease: None,
    };
    let session = "t".to_owned();
    let all = EnqueueAll {
        work: vec![SessionWork { session, work }],
    };
    let lease = HeldLease {
        owner: "w".to_owned(),
        generation: 3,
    };
    let claim = ClaimWork::new("w", 5);
    let renew = RenewClaim {
        ttl_ms: 5,
        lease: None,
    };
    let settle = SettleClaim {
        complete: vec!["i".to_owned()],
        ..SettleClaim::default()
    };
    let acquire = AcquireLease {
        owner: "w".to_owned(),
        ttl_ms: None,
    };
    told(queue.enqueue(&enqueue).await);
    told(client.enqueue_all(&all).await);
    told(queue.list(&WorkQuery::default()).await);
    told(queue.show("i").await);
    told(queue.counts().await);
    told(client.queues(&PageQuery::default()).await);
    told(queue.claim(&claim).await);
    told(client.claim_any(&claim).await);
    told(queue.renew(7, &renew).await);
    told(queue.settle(7, &settle).await);
    told(queue.cancel("i").await);
    told(queue.retry("i").await);
    told(queue.drop_dead("i").await);
    told(queue.remove().await);
    told(queue.lease().await);
    told(queue.acquire_lease(&acquire).await);
    told(queue.renew_lease(&lease).await);
    told(queue.release_lease(&lease).await);
    told(client.turn("s", &CommitTurn::default()).await);
}

async fn ask_as_an_operator(client: &Client) {
    let key = CreateKey {
        label: "l".to_owned(),
        tenant: None,
        principal: None,
        reach: None,
        groups: None,
        verbs: vec!["*".to_owned()],
        expires_in_ms: None,
    };
    told(client.whoami().await);
    told(client.create_key(&key).await);
    told(client.keys(&ApiKeysQuery::default()).await);
    told(client.key("k").await);
    told(client.revoke_key("k").await);
    told(client.rotate_key("k", &Rotate::default()).await);
    told(client.own_tenant().await);
    told(client.tenants(&PageQuery::default()).await);
    told(client.tenant("t").await);
    told(client.set_quota("t", &SetQuota::default()).await);
    told(client.erase_tenant("t").await);
    told(client.erasure("t").await);
    told(client.health().await);
    told(client.due(&DueQuery::default()).await);
    told(client.backup_status().await);
    told(client.maintain(&Maintain::default()).await);
    told(client.collect(&Collect::default()).await);
    told(client.maintenance().await);
    told(client.run_task("keys", &RunTask::default()).await);
    told(client.export().await);
    told(client.cache().await);
    told(client.sweep_cache(&SweepCache::default()).await);
    told(client.reclaim_cache(&ReclaimCache::default()).await);
    let flush = FlushCache {
        namespace: "pages".to_owned(),
    };
    told(client.flush_cache(&flush).await);
    told(client.invalidate_cache(&InvalidateCache::default()).await);
    told(client.overview().await);
    told(client.service().await);
    let history = HistoryQuery {
        since: Some(7),
        series: Some("uses,requests".to_owned()),
    };
    told(client.metrics_history(&history).await);
}

#[tokio::test]
async fn each_call_has_its_route_and_a_key_if_it_could_happen_twice() {
    let refusals: Vec<Act> = vec![problem(404, "not_found", &[], ""); 120];
    let server = Server::start(refusals).await;
    let client = server.client_with(quick().retries(0));
    ask_about_sessions(&client).await;
    ask_about_stashes(&client).await;
    ask_about_states(&client).await;
    ask_about_queues(&client).await;
    ask_as_an_operator(&client).await;
    let lines = server.requests().into_iter().map(|request| {
        let line = request.line.trim_end_matches(" HTTP/1.1").to_owned();
        let body = if request.body.is_empty() {
            "-"
        } else {
            &request.body
        };
        let key = request.key().map_or("no key", |_| "key");
        format!("{line} | {key} | {body}")
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}
