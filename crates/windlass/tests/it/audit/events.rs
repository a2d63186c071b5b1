//! What is told, of whom, and what never is.

use windlass::access::{Grant, Groups, NewKey, Quota, Reach, Rotate, Scope, Verbs};
use windlass::audit::{AuditOutcome, Chain, Who, on_behalf};
use windlass::checkpoint::{self, Changes};
use windlass::core::{AgentId, SessionId};
use windlass::queue;
use windlass::session::{Agent, Delegate, TopUp, Use};

use super::{Stage, acme, caller, full, request};

async fn spend(stage: &Stage, id: &SessionId, tool: &str) -> bool {
    let asked = Use::one(Agent::Unchecked, tool.parse().unwrap());
    let caller = caller();
    let used = stage.engine.sessions().use_tools(&caller, id, asked);
    used.await.is_ok()
}

#[tokio::test]
async fn the_life_of_a_session_is_told_and_what_it_was_refused() {
    let stage = Stage::new();
    let sessions = stage.engine.sessions().clone();
    let id = stage.create(1).await.remove(0);
    let granted = [
        spend(&stage, &id, "search").await,
        spend(&stage, &id, "send_email").await,
        spend(&stage, &id, "search").await,
        spend(&stage, &id, "search").await,
    ];
    assert_eq!(granted, [true, false, true, false]);
    let more = TopUp {
        calls: 5,
        ..TopUp::default()
    };
    sessions.top_up(&caller(), &id, more).await.unwrap();
    let child = sessions
        .delegate(&caller(), &id, Delegate::new(Agent::Unchecked, request()))
        .await;
    child.unwrap();
    sessions.close(&caller(), &id, None).await.unwrap();
    sessions.close(&caller(), &id, None).await.unwrap_err();
    let agent: AgentId = "scout".parse().unwrap();
    assert_eq!(sessions.close_agent(&caller(), &agent).await.unwrap(), 1);
    assert_eq!(
        stage.told().await,
        [
            "session.created done",
            "session.used tool_not_allowed",
            "session.used budget_exceeded",
            "session.topped_up done",
            "session.delegated done",
            "session.closed done",
            "session.closed already_closed",
            "agent.closed done",
        ]
    );
}

#[tokio::test]
async fn an_event_says_who_did_what_to_what_and_on_whose_behalf() {
    let stage = Stage::new();
    let id = stage.create(1).await.remove(0);
    let who = Who {
        principal: Some("somebody".parse().unwrap()),
        key: Some("0123456789abcdef".to_owned()),
        request: Some("r1".to_owned()),
    };
    assert!(!on_behalf(who, spend(&stage, &id, "send_email")).await);
    stage.engine.audit().flush().await;
    let chained = stage.events(&acme()).await.remove(1);
    assert_eq!(chained.seq, 2);
    let event = chained.event;
    assert_eq!(
        event.principal.as_deref(),
        Some("runtime"),
        "the part knows"
    );
    assert_eq!(event.key.as_deref(), Some("0123456789abcdef"));
    assert_eq!(event.request.as_deref(), Some("r1"));
    assert_eq!(event.outcome, AuditOutcome::Refused);
    let on = [("session", id.as_str()), ("tool", "send_email")];
    let on = on.map(|(role, what)| (role.into(), what.to_owned()));
    assert_eq!(event.on, on);
    assert_eq!(event.figures, [("calls".into(), 1)]);
}

#[tokio::test]
async fn at_full_detail_every_change_is_told() {
    let stage = Stage::with(full());
    let id = stage.create(1).await.remove(0);
    assert!(spend(&stage, &id, "search").await);
    let tenant = caller().tenant;
    let stash = stage.engine.stashes().stash(&tenant, &id);
    let execution = stash.execution(None);
    let put = windlass::stash::Put::new(
        "k".parse().unwrap(),
        windlass::stash::Value::of("very secret").unwrap(),
    );
    execution.store(put).await.unwrap();
    execution.clear().await.unwrap();
    let state = checkpoint::Caller::new(tenant.clone(), caller().principal);
    let changes = Changes::default();
    let checkpoints = stage.engine.checkpoints();
    checkpoints.commit(&state, &id, changes).await.unwrap();
    let work = queue::Work::new(vec![queue::Payload::json("job", &1).unwrap()]);
    let at = queue::Caller::new(tenant.clone(), caller().principal);
    let queue = stage.engine.queue();
    let under = queue::Under::default;
    let added = queue.enqueue(&at, &id, vec![work], under()).await.unwrap();
    queue.cancel(&at, &id, added[0].id, under()).await.unwrap();
    let of = caller();
    let turn = stage.engine.turn(&of, &id).state(Changes::default());
    turn.commit().await.unwrap();
    checkpoints.remove(&tenant, &id).await.unwrap();
    assert_eq!(
        stage.told().await,
        [
            "session.created done",
            "session.used done",
            "stash.put done",
            "stash.cleared done",
            "state.committed done",
            "queue.enqueued done",
            "queue.cancelled done",
            "turn.committed done",
            "state.removed done",
        ]
    );
}

#[tokio::test]
async fn keys_are_told_in_the_chain_of_their_tenant_and_their_secrets_nowhere() {
    let stage = Stage::new();
    let scope = Scope::Tenant {
        tenant: caller().tenant,
        principal: caller().principal,
    };
    let grant = |scope| Grant {
        scope,
        reach: Reach::Own,
        groups: Groups::None,
        verbs: Verbs::all(),
    };
    let keys = stage.engine.keys();
    let (key, secret) = keys.create(NewKey::new("ci", grant(scope))).await.unwrap();
    let (_, second) = keys.rotate(&key.id, Rotate::default()).await.unwrap();
    keys.revoke(&key.id).await.unwrap();
    let operator = NewKey::new("op", grant(Scope::Operator));
    let (_, third) = keys.create(operator).await.unwrap();
    let quota = Quota::default();
    stage
        .engine
        .tenants()
        .set_quota(&caller().tenant, quota)
        .await
        .unwrap();
    let expected = [
        "key.created",
        "key.rotated",
        "key.revoked",
        "tenant.quota_set",
    ];
    let expected = expected.map(|action| format!("{action} done"));
    assert_eq!(stage.told().await, expected);
    let system = stage.events(&Chain::System).await;
    assert_eq!(system.len(), 1);
    assert_eq!(system[0].event.action, "key.created");
    let all = format!("{:?}{:?}", stage.events(&acme()).await, system);
    for secret in [secret, second, third] {
        let secret = secret.reveal().to_owned();
        let proof = secret.rsplit(['_', '.']).next().unwrap();
        assert!(!all.contains(proof), "a secret is in the audit");
    }
}

#[tokio::test]
async fn what_changes_nothing_is_not_told() {
    let stage = Stage::with(full());
    let id = stage.create(1).await.remove(0);
    let sessions = stage.engine.sessions();
    sessions.get(&caller(), &id).await.unwrap();
    sessions.history(&caller(), &id, 0, 10).await.unwrap();
    assert_eq!(stage.told().await, ["session.created done"]);
}
