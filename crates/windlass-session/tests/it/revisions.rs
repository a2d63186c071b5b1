//! The revision of a session: what tells one state of its record from
//! another.

use windlass_core::OperationId;
use windlass_session::{Agent, ListQuery, Outcome, Session, Settle, Status, TopUp, TreeQuery};

use crate::support::{
    HOUR, SECOND, World, call, caller, close, code, delegate, delegation, get, operation,
    session_id, top_up, use_tools,
};

async fn revision(world: &World, id: &str) -> u64 {
    world.get(id).await.revision
}

async fn raise(world: &World, operation: Option<OperationId>) -> Session {
    let request = TopUp {
        calls: 1,
        operation,
        ..TopUp::default()
    };
    let id = session_id("s1");
    let raised = world.sessions.top_up(&caller(), &id, request).await;
    raised.expect("raised")
}

#[tokio::test]
async fn every_change_of_the_record_raises_the_revision() {
    let world = World::new();
    let mut seen = vec![world.create(|_| {}).await.revision];
    let mut reserved = call("search");
    reserved.items[0].reserve = true;
    use_tools(&world.sessions, "s1", reserved)
        .await
        .expect("granted");
    seen.push(revision(&world, "s1").await);
    let request = Settle {
        agent: Agent::Unchecked,
        call: 1,
        outcome: Outcome::Refund,
        operation: None,
    };
    let id = session_id("s1");
    let settled = world.sessions.settle(&caller(), &id, request).await;
    settled.expect("settled");
    seen.push(revision(&world, "s1").await);
    seen.push(raise(&world, None).await.revision);
    world.delegate("s1", "s2", |_| {}).await;
    seen.push(revision(&world, "s1").await);
    let closed = close(&world.sessions, "s1").await.expect("closed");
    seen.push(closed.revision);
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        revision(&world, "s1").await,
        6,
        "what was answered is stored"
    );
}

#[tokio::test]
async fn all_views_of_one_record_show_one_revision() {
    let world = World::new();
    world.create(|_| {}).await;
    raise(&world, None).await;
    let mut seen = vec![revision(&world, "s1").await];
    let elsewhere = world.reopen();
    let found = get(&elsewhere, "s1").await.expect("readable");
    seen.extend(found.map(|session| session.revision));
    let page = elsewhere.list(&caller(), &ListQuery::default()).await;
    seen.extend(page.expect("a page").sessions.iter().map(|it| it.revision));
    let (root, query) = (session_id("s1"), TreeQuery::default());
    let tree = elsewhere.tree(&caller(), &root, &query).await;
    let tree = tree.expect("a page").expect("a session");
    seen.extend(tree.nodes.iter().map(|node| node.session.revision));
    assert_eq!(seen, [2; 4]);
    let raised = top_up(&elsewhere, "s1", 1).await.expect("raised");
    assert_eq!(raised.revision, 3);
    assert_eq!(
        raise(&world, None).await.revision,
        4,
        "after another's change"
    );
}

#[tokio::test]
async fn what_changes_nothing_leaves_the_revision() {
    let world = World::new();
    world.create(|request| request.budget.calls = 1).await;
    let first = raise(&world, Some(operation("more"))).await;
    raise(&world, None).await;
    assert_eq!(raise(&world, Some(operation("more"))).await, first);
    let mut many = call("search");
    many.items = vec![many.items[0].clone(); 4];
    let refused = use_tools(&world.sessions, "s1", many).await;
    assert_eq!(code(refused), "budget_exceeded");
    let wide = delegation("s2", |request| request.child.budget.calls = 4);
    let refused = delegate(&world.sessions, "s1", wide).await;
    assert_eq!(code(refused), "delegation_refused");
    assert_eq!((first.revision, revision(&world, "s1").await), (2, 3));
}

#[tokio::test]
async fn time_and_those_above_change_a_view_without_its_revision() {
    let world = World::new();
    world.line(2).await;
    let before = world.get("s2").await;
    close(&world.sessions, "s1").await.expect("closed");
    let through = world.get("s2").await;
    assert_eq!(
        (before.status, through.status),
        (Status::Active, Status::Closed)
    );
    assert_eq!((before.revision, through.revision), (1, 1));
    world
        .create(|request| request.id = Some(session_id("s3")))
        .await;
    world.env.advance_ms(HOUR + SECOND);
    let late = world.get("s3").await;
    assert_eq!((late.revision, late.status), (1, Status::Expired));
    world.sessions.sweep(100).await.expect("swept");
    let marked = world.get("s3").await;
    assert_eq!((marked.revision, marked.status), (2, Status::Expired));
}

#[tokio::test]
async fn what_comes_back_from_a_child_raises_the_revision() {
    let world = World::new();
    world.create(|_| {}).await;
    world.delegate("s1", "s2", |_| {}).await;
    let before = world.get("s1").await;
    close(&world.sessions, "s2").await.expect("closed");
    let mut all = call("search");
    all.items = vec![all.items[0].clone(); 10];
    use_tools(&world.sessions, "s1", all)
        .await
        .expect("granted");
    let after = world.get("s1").await;
    assert_eq!((before.budget.calls.lent, after.budget.calls.lent), (2, 0));
    assert_eq!((before.revision, after.revision), (2, 4));
}
