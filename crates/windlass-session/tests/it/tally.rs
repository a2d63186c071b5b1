//! What a tenant has at a glance.

use windlass_session::Tally;

use crate::support::{
    HOUR, World, caller, caller_of, close, code, delegation, request, session_id,
};

async fn tally(world: &World, tenant: &str, rows: usize) -> Tally {
    let tenant = tenant.parse().expect("an identifier");
    let counted = world.sessions.tally(&tenant, rows).await;
    counted.expect("a store that works")
}

async fn create(world: &World, tenant: &str, agent: &str, id: &str) {
    let request = request(|request| {
        request.id = Some(session_id(id));
        request.agent = agent.parse().expect("an identifier");
    });
    let of = caller_of(tenant, "p");
    let created = world.sessions.create(&of, request).await;
    created.expect("a session that may be created");
}

fn names(tally: &Tally) -> Vec<&str> {
    let mut names: Vec<_> = tally.some.iter().map(|id| id.as_str()).collect();
    names.sort_unstable();
    names
}

async fn populated() -> World {
    let world = World::new();
    for (agent, id) in [("a", "s1"), ("a", "s2"), ("a", "s3"), ("b", "s4")] {
        create(&world, "acme", agent, id).await;
    }
    create(&world, "acme-2", "a", "other").await;
    world
}

#[tokio::test]
async fn all_agents_are_counted_and_nobody_elses_sessions() {
    let world = populated().await;
    let found = tally(&world, "acme", 1_000).await;
    assert_eq!((found.active, found.stored, found.more), (4, 4, false));
    assert_eq!(names(&found), ["s1", "s2", "s3", "s4"]);
    assert_eq!(tally(&world, "acm", 1_000).await, Tally::default());
    assert_eq!(names(&tally(&world, "acme-2", 1_000).await), ["other"]);
}

#[tokio::test]
async fn what_has_ended_is_stored_and_not_active() {
    let world = World::new();
    world.create(|_| {}).await;
    let child = delegation("s2", |_| {});
    let (of, parent) = (caller(), session_id("s1"));
    let made = world.sessions.delegate(&of, &parent, child).await;
    made.expect("within its parent");
    let tenant = caller().tenant.to_string();
    let found = tally(&world, &tenant, 1_000).await;
    assert_eq!((found.active, found.stored), (2, 2));
    // What was delegated ends with it, without a row of its own being told.
    close(&world.sessions, "s1").await.expect("closed");
    let found = tally(&world, &tenant, 1_000).await;
    assert_eq!((found.active, found.stored, found.some.len()), (0, 2, 0));
    let world = populated().await;
    world.env.advance_ms(25 * HOUR);
    let found = tally(&world, "acme", 1_000).await;
    assert_eq!((found.active, found.stored, found.more), (0, 4, false));
}

/// Each agent and each active session is a row.
#[tokio::test]
async fn a_tally_looks_at_no_more_than_it_may_and_says_so() {
    let world = populated().await;
    for rows in 1..=8 {
        let found = tally(&world, "acme", rows).await;
        let counted = usize::try_from(found.active).expect("few");
        assert!(counted <= rows, "{rows} rows: {found:?}");
        assert_eq!(found.more, rows < 6, "{rows} rows: {found:?}");
        assert_eq!(found.some.len(), counted, "{rows} rows: {found:?}");
    }
    let one = tally(&world, "acme", 1).await;
    assert_eq!((one.active, one.stored), (0, 3), "the agent alone");
}

/// Agents are many where active sessions may be few, and every one costs.
#[tokio::test]
async fn a_tally_tells_what_it_looked_at() {
    let world = populated().await;
    for (rows, wanted) in [(1, 1), (4, 4), (6, 6), (1_000, 6)] {
        let found = tally(&world, "acme", rows).await;
        assert_eq!(found.rows, wanted, "{rows} rows: {found:?}");
    }
    world.env.advance_ms(25 * HOUR);
    assert_eq!(tally(&world, "acme", 1_000).await.rows, 2, "the agents");
    let world = World::new();
    world.create(|_| {}).await;
    for id in ["s2", "s3"] {
        let child = delegation(id, |_| {});
        let parent = session_id("s1");
        let made = world.sessions.delegate(&caller(), &parent, child).await;
        made.expect("within its parent");
    }
    let tenant = caller().tenant.to_string();
    let found = tally(&world, &tenant, 1_000).await;
    assert_eq!(found.active, 3);
    assert_eq!(found.rows, 5, "an agent, three sessions, one above two");
}

#[tokio::test]
async fn what_cannot_be_read_is_left_out_and_told() {
    let world = populated().await;
    world.put("acme/agent/a/head", "no record").await;
    let found = tally(&world, "acme", 1_000).await;
    let of = |found: &Tally| (found.active, found.stored, found.unreadable);
    assert_eq!(of(&found), (4, 1, 1), "{found:?}");
    world.delete("acme/agent/b/head").await;
    assert_eq!(of(&tally(&world, "acme", 1_000).await), (4, 0, 2));
    let is_active = |key: &String| key.contains("/active/") && key.ends_with("/s2");
    let rows = world.keys().await;
    let row = rows.iter().find(|key| is_active(key)).expect("a row");
    world.put(row, "no row").await;
    let found = tally(&world, "acme", 1_000).await;
    assert_eq!(of(&found), (3, 0, 3));
    assert_eq!(names(&found), ["s1", "s3", "s4"]);
    // A key that names no agent, before all others.
    world.put("acme/agent/!/head", "nobody's").await;
    let found = tally(&world, "acme", 1_000).await;
    assert_eq!((of(&found), found.more), ((3, 0, 4), false));
}

#[tokio::test]
async fn a_number_of_rows_out_of_range_is_refused() {
    let world = World::new();
    let tenant = "acme".parse().expect("an identifier");
    for rows in [0, 100_001] {
        let refused = world.sessions.tally(&tenant, rows).await;
        assert_eq!(code(refused), "invalid_request", "{rows}");
    }
}
