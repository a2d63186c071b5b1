//! How many sessions a tenant has stored.

use std::sync::Arc;

use windlass_session::Sessions;
use windlass_store_testing::Counting;

use crate::support::{
    DAY, HOUR, World, caller, caller_of, close, code, delegation, request, session_id, strict,
};

async fn stored(sessions: &Sessions, tenant: &str) -> u64 {
    let tenant = tenant.parse().expect("an identifier");
    sessions.stored(&tenant).await.expect("a store that works")
}

async fn create(world: &World, tenant: &str, agent: &str, id: &str) {
    let request = request(|request| {
        request.id = Some(session_id(id));
        request.agent = agent.parse().expect("an identifier");
    });
    let created = world
        .sessions
        .create(&caller_of(tenant, "p"), request)
        .await;
    created.expect("a session that may be created");
}

/// Agents whose names begin alike, with one to five sessions each.
const AGENTS: [&str; 5] = ["a", "a-b", "a.b", "a~", "b"];

async fn populated() -> World {
    let world = World::new();
    for (place, agent) in AGENTS.into_iter().enumerate() {
        for number in 0..=place {
            create(&world, "acme", agent, &format!("{agent}:{number}")).await;
        }
    }
    create(&world, "acme-2", "a", "s1").await;
    world
}

#[tokio::test]
async fn all_agents_of_a_tenant_add_up() {
    let world = populated().await;
    let plain = world.over(Arc::clone(&world.ground) as _);
    for sessions in [&world.sessions, &plain] {
        assert_eq!(stored(sessions, "acme").await, 15);
        assert_eq!(stored(sessions, "acme-2").await, 1);
        assert_eq!(stored(sessions, "acm").await, 0);
        assert_eq!(stored(sessions, "acme-").await, 0);
    }
}

#[tokio::test]
async fn a_session_counts_from_its_creation_to_its_removal() {
    let world = World::new();
    assert_eq!(stored(&world.sessions, "acme").await, 0);
    world.create(|_| {}).await;
    let child = delegation("s2", |request| {
        request.child.agent = "other".parse().expect("an identifier");
    });
    let made = world
        .sessions
        .delegate(&caller(), &session_id("s1"), child)
        .await;
    made.expect("within its parent");
    assert_eq!(stored(&world.sessions, "acme").await, 2);
    close(&world.sessions, "s2").await.expect("closed");
    world.env.advance_ms(2 * HOUR);
    world.sessions.sweep(100).await.expect("swept");
    assert_eq!(
        stored(&world.sessions, "acme").await,
        2,
        "closed and expired"
    );
    world.env.advance_ms(8 * DAY);
    while world.sessions.sweep(100).await.expect("swept").truncated {}
    assert_eq!(stored(&world.sessions, "acme").await, 0);
}

#[tokio::test]
async fn counting_costs_a_read_an_agent_however_many_sessions_it_has() {
    let world = populated().await;
    let counting = Arc::new(Counting::new(strict(&world.ground)));
    let sessions = world.over(Arc::clone(&counting) as _);
    assert_eq!(stored(&sessions, "acme").await, 15);
    assert_eq!(counting.counts().reads, 6);
}

#[tokio::test]
async fn a_lost_or_damaged_count_is_no_smaller_number() {
    let world = populated().await;
    let tenant = || "acme".parse().expect("an identifier");
    world.delete("acme/agent/a-b/head").await;
    assert_eq!(
        code(world.sessions.stored(&tenant()).await),
        "corrupt_record"
    );
    world.put("acme/agent/a-b/head", "no record").await;
    assert_eq!(
        code(world.sessions.stored(&tenant()).await),
        "corrupt_record"
    );
    assert_eq!(stored(&world.sessions, "acme-2").await, 1);
}
