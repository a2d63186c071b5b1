//! Who was forked from whom, and collecting all that a tenant has.

use windlass_checkpoint::{Changes, Collect, ForkView, Payload};
use windlass_core::SessionId;

use crate::support::{World, caller, id};

/// The forks of a session with their revisions, page by page.
async fn forks(world: &World, session: &str, limit: usize) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    let mut after: Option<SessionId> = None;
    let (caller, session) = (caller(), id(session));
    loop {
        let page = world.states.forks(&caller, &session, after.as_ref(), limit);
        let page = page.await.expect("a page");
        let rows = page.forks.into_iter();
        all.extend(rows.map(|ForkView { session, revision }| (session.to_string(), revision)));
        after = page.after;
        if after.is_none() {
            return all;
        }
    }
}

async fn fork(world: &World, from: &str, revision: Option<u64>, to: &str) {
    let (caller, from, to) = (caller(), id(from), id(to));
    let forked = world.states.fork(&caller, &from, revision, &to, None);
    forked.await.expect("a fork");
}

#[tokio::test]
async fn forks_are_listed_where_they_begin_and_removed_ones_are_not() {
    let world = World::new();
    assert_eq!(forks(&world, "s", 10).await, []);
    for text in ["one", "two", "three"] {
        world.say("s", text).await;
    }
    assert_eq!(forks(&world, "s", 10).await, []);
    for (revision, to) in [(Some(1), "a"), (Some(3), "b"), (None, "c"), (Some(2), "d")] {
        fork(&world, "s", revision, to).await;
    }
    // Its own commits are its own; those before it are of whoever made them.
    world.say("d", "four").await;
    fork(&world, "d", Some(3), "below").await;
    fork(&world, "d", Some(1), "beside").await;
    let removed = world.states.remove(&caller().tenant, &id("b")).await;
    removed.expect("removed");
    let expected = [("a", 1), ("beside", 1), ("c", 3), ("d", 2)];
    let expected = expected.map(|(name, revision)| (name.to_owned(), revision));
    for limit in [1, 2, 10] {
        assert_eq!(forks(&world, "s", limit).await, expected, "{limit}");
    }
    assert_eq!(forks(&world, "d", 10).await, [("below".to_owned(), 3)]);
}

#[tokio::test]
async fn everything_of_a_tenant_is_collected_and_nothing_of_another() {
    let world = World::new();
    let other =
        windlass_checkpoint::Caller::new("globex".parse().expect("an id"), caller().principal);
    let part: windlass_checkpoint::PartName = "p".parse().expect("a name");
    // Large enough to be a blob whose bytes are seen in the report.
    let content = |fill: u8| Payload::Bytes(vec![fill; 20_000].into());
    for (owner, session) in [(&caller(), "s"), (&caller(), "t"), (&other, "s")] {
        let put = Changes::at(0).put(part.clone(), content(1));
        let done = world.states.commit(owner, &id(session), put).await;
        done.expect("a commit");
        let removed = world.states.remove(&owner.tenant, &id(session)).await;
        removed.expect("removed");
    }
    let at_once = |dry_run| Collect {
        grace_ms: Some(0),
        dry_run,
    };
    let tenant = caller().tenant;
    let collect = async |options, limit| {
        let done = world.states.collect_tenant(&tenant, options, limit).await;
        done.expect("collected")
    };
    assert_eq!(collect(at_once(false), 0).await.lineages, 0);
    let tried = collect(at_once(true), u64::MAX).await;
    assert_eq!((tried.lineages, tried.collected.truncated), (2, false));
    assert!(tried.collected.deleted >= 2, "{tried:?}");
    let done = collect(at_once(false), u64::MAX).await;
    assert_eq!(done.collected.deleted, tried.collected.deleted);
    let again = collect(at_once(false), u64::MAX).await;
    assert_eq!(again.collected.deleted, 0);
    let lineages = world.states.lineages(&other.tenant, None, 10).await;
    assert_eq!(lineages.expect("a list").len(), 1);
}
