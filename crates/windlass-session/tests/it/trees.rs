//! Trees as wholes: what closing one costs, who sees it, what is left of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use windlass_session::{Config, Funding, Sessions, Status, TreeNode, TreeQuery, What};
use windlass_store::{Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError};

use crate::support::{
    DAY, HOUR, SECOND, World, call, caller, close, code, session_id, strict, use_tools,
};

/// Counts commits.
#[derive(Debug)]
struct Counting {
    commits: AtomicUsize,
    inner: Arc<dyn Store>,
}

#[async_trait]
impl Store for Counting {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.inner.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.inner.commit(batch).await
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.inner.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

/// A root with 1,000 sessions below it, on three levels.
async fn thousand(world: &World) -> Vec<String> {
    let budget = 1_000_000;
    world.create(|it| it.budget.calls = budget).await;
    let mut names = Vec::new();
    for outer in 0..10 {
        let name = format!("c{outer}");
        world
            .delegate("s1", &name, |it| it.child.budget.calls = 1_000)
            .await;
        for inner in 0..9 {
            let below = format!("{name}.{inner}");
            world
                .delegate(&name, &below, |it| it.child.budget.calls = 100)
                .await;
            for leaf in 0..10 {
                let lowest = format!("{below}.{leaf}");
                world
                    .delegate(&below, &lowest, |it| it.child.budget.calls = 2)
                    .await;
                names.push(lowest);
            }
            names.push(below);
        }
        names.push(name);
    }
    names
}

#[tokio::test]
async fn closing_a_root_of_a_thousand_is_one_commit_and_ends_them_all() {
    let world = World::new();
    let names = thousand(&world).await;
    assert_eq!(names.len(), 1_000);
    for name in &names {
        world
            .call(name, "search")
            .await
            .expect("in use, and cached");
    }
    let store = Arc::new(Counting {
        commits: AtomicUsize::new(0),
        inner: strict(&world.ground),
    });
    let elsewhere = world.over(Arc::clone(&store) as Arc<dyn Store>);
    close(&elsewhere, "s1").await.expect("closed");
    assert_eq!(store.commits.load(Ordering::SeqCst), 1);
    for name in &names {
        assert_eq!(code(world.call(name, "search").await), "already_closed");
    }
    let head = world
        .keys()
        .await
        .into_iter()
        .find(|key| key.ends_with("/c0/head"));
    let size = world.rows().await.iter().map(|row| row.value.len()).max();
    assert!(head.is_some() && size < Some(8_192), "{size:?}");
}

#[tokio::test]
async fn after_retention_nothing_is_left_of_a_tree_of_a_thousand() {
    let world = World::new();
    thousand(&world).await;
    close(&world.sessions, "s1").await.expect("closed");
    world.env.advance_ms(SECOND);
    let mut closed = 0;
    for _ in 0..10 {
        closed += world.sessions.sweep(10_000).await.expect("swept").closed;
    }
    assert_eq!(closed, 1_000);
    let keys = world.keys().await;
    let active = keys.iter().filter(|key| key.contains("/active/")).count();
    assert_eq!(active, 0, "their agents have none");
    world.env.advance_ms(8 * DAY);
    let mut removed = 0;
    for _ in 0..10 {
        removed += world.sessions.sweep(10_000).await.expect("swept").removed;
    }
    assert_eq!((removed, world.keys().await), (1_001, Vec::new()));
}

#[tokio::test]
async fn a_thousand_expired_children_give_back_all_they_left() {
    let world = World::new();
    world.create(|it| it.budget.calls = 2_000).await;
    for number in 0..1_000 {
        world.delegate("s1", &format!("c{number}"), |_| {}).await;
    }
    let head = world.keys().await.len();
    assert!(head > 1_000, "{head}");
    world.call("c7", "search").await.expect("granted");
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
    world.env.advance_ms(60 * SECOND);
    let receipt = world.call("s1", "search").await.expect("all is back");
    assert_eq!(receipt.left.calls, 1_998);
    let rows = world.rows().await;
    let largest = rows.iter().map(|row| row.value.len()).max();
    assert!(largest < Some(8_192), "{largest:?}");
}

#[tokio::test]
async fn what_one_process_closed_the_next_use_of_a_grandchild_elsewhere_sees() {
    let world = World::new();
    world.line(3).await;
    let elsewhere = world.reopen();
    use_tools(&elsewhere, "s3", call("search"))
        .await
        .expect("cached");
    for _ in 0..7 {
        use_tools(&elsewhere, "s3", call("search"))
            .await
            .expect("cached");
    }
    // Refused from the cache for another reason than the one that now holds.
    let refused = use_tools(&elsewhere, "s3", call("search")).await;
    assert_eq!(code(refused), "budget_exceeded");
    close(&world.sessions, "s1").await.expect("closed");
    let refused = use_tools(&elsewhere, "s3", call("search")).await;
    assert_eq!(code(refused), "already_closed");
}

#[tokio::test]
async fn alone_on_its_store_a_process_sees_that_it_closed_a_parent() {
    let world = World::with_config(Config {
        sharing: windlass_core::Sharing::Exclusive,
        ..Config::default()
    });
    world.line(3).await;
    for _ in 0..8 {
        world.call("s3", "search").await.expect("granted");
    }
    assert_eq!(code(world.call("s3", "search").await), "budget_exceeded");
    close(&world.sessions, "s1").await.expect("closed");
    assert_eq!(code(world.call("s3", "search").await), "already_closed");
}

async fn spend(sessions: &Sessions, id: &str, times: usize) -> usize {
    let mut granted = 0;
    for _ in 0..times {
        match use_tools(sessions, id, call("search")).await {
            Ok(_) => granted += 1,
            Err(error) => assert_eq!(code::<()>(Err(error)), "budget_exceeded"),
        }
    }
    granted
}

#[tokio::test]
async fn concurrent_shared_children_of_two_processes_lose_no_count() {
    let world = World::new();
    world.create(|it| it.budget.calls = 150).await;
    let names: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
    for name in &names {
        world
            .delegate("s1", name, |it| {
                it.funding = Funding::Shared;
                it.child.budget.calls = 100;
            })
            .await;
    }
    let processes: Vec<Sessions> = (0..2)
        .map(|seed| world.over(crate::support::slow(&world.ground, seed)))
        .collect();
    let spending = names.iter().enumerate().map(|(place, name)| {
        let sessions = &processes[place % 2];
        spend(sessions, name, 25)
    });
    let granted: usize = join_all(spending).await.into_iter().sum();
    assert_eq!(granted, 150, "of 200 asked for");
    assert_eq!(world.get("s1").await.budget.calls.used, 150);
    let mut made = 0;
    for name in &names {
        let history = world.history(name).await;
        made += history
            .iter()
            .filter(|event| matches!(event.what, What::Use { .. }))
            .count();
    }
    assert_eq!(made, 150);
}

#[tokio::test]
async fn a_tree_is_shown_in_order_page_by_page() {
    let world = World::new();
    world.create(|_| {}).await;
    for (parent, child) in [
        ("s1", "b"),
        ("s1", "a"),
        ("b", "bb"),
        ("a", "ab"),
        ("a", "aa"),
    ] {
        world
            .delegate(parent, child, |it| {
                it.funding = Funding::Shared;
                it.child.budget.calls = 5;
            })
            .await;
    }
    close(&world.sessions, "a").await.expect("closed");
    for limit in 1..=7 {
        let mut query = TreeQuery { limit, after: None };
        let mut nodes: Vec<TreeNode> = Vec::new();
        loop {
            let page = world
                .sessions
                .tree(&caller(), &session_id("s1"), &query)
                .await;
            let page = page.expect("readable").expect("a session");
            assert!(page.nodes.len() <= limit, "{limit}");
            nodes.extend(page.nodes);
            let Some(next) = page.next else { break };
            query.after = Some(next.to_string().parse().expect("a cursor"));
        }
        let shown: Vec<(usize, &str, Status)> = nodes
            .iter()
            .map(|node| (node.depth, node.session.id.as_str(), node.session.status))
            .collect();
        let expected = [
            (0, "s1", Status::Active),
            (1, "a", Status::Closed),
            (2, "aa", Status::Closed),
            (2, "ab", Status::Closed),
            (1, "b", Status::Active),
            (2, "bb", Status::Active),
        ];
        assert_eq!(shown, expected, "limit {limit}");
    }
    let (nobody, query) = (session_id("s0"), TreeQuery::default());
    let none = world.sessions.tree(&caller(), &nobody, &query).await;
    assert_eq!(none.expect("readable"), None);
}

#[tokio::test]
async fn an_id_taken_again_brings_no_former_child_back() {
    let world = World::with_config(Config {
        retention_ms: HOUR,
        ..Config::default()
    });
    world.line(2).await;
    close(&world.sessions, "s1").await.expect("closed");
    world.env.advance_ms(HOUR);
    for _ in 0..4 {
        world.sessions.sweep(1_000).await.expect("swept");
    }
    world.create(|_| {}).await;
    assert_eq!(code(world.call("s2", "search").await), "not_found");
}
