//! Pages of nodes hold no more than they may, and lose nothing.

use windlass_checkpoint::limits::PAGE_BYTES_MAX;
use windlass_checkpoint::{At, Changes, Payload};

use crate::support::{World, caller, id};

/// A third of a page, so that three fit and a fourth does not.
const THIRD: usize = PAGE_BYTES_MAX / 3;

/// A session with nodes of these sizes.
async fn world(sizes: &[usize]) -> World {
    let world = World::new();
    for size in sizes {
        let payload = Payload::Bytes(vec![7; *size].into());
        let node = Changes::default().append("blob", payload);
        world.commit("s", node).await.expect("a commit");
    }
    world
}

/// The numbers of the nodes of each page, from the leaf upwards.
async fn ways(world: &World) -> Vec<Vec<u64>> {
    let (caller, session) = (caller(), id("s"));
    let (mut pages, mut leaf) = (Vec::new(), None);
    loop {
        let page = world.states.path(&caller, &session, &At::Head, leaf, 1_000);
        let page = page.await.expect("a read").expect("a state");
        pages.push(page.nodes.iter().map(|node| node.number).collect());
        leaf = page.above;
        if leaf.is_none() {
            return pages;
        }
    }
}

/// The same in the order they were appended.
async fn graphs(world: &World) -> Vec<Vec<u64>> {
    let (caller, session) = (caller(), id("s"));
    let (mut pages, mut after) = (Vec::new(), 0);
    loop {
        let page = world
            .states
            .graph(&caller, &session, &At::Head, after, 1_000);
        let page = page.await.expect("a read").expect("a state");
        pages.push(page.nodes.iter().map(|node| node.number).collect());
        match page.after {
            Some(last) => after = last,
            None => return pages,
        }
    }
}

#[tokio::test]
async fn a_page_ends_before_its_contents_are_too_much() {
    let world = world(&[THIRD, THIRD, THIRD, THIRD, 1, 1]).await;
    assert_eq!(ways(&world).await, [vec![3, 4, 5, 6], vec![1, 2]]);
    assert_eq!(graphs(&world).await, [vec![1, 2, 3], vec![4, 5, 6]]);
}

#[tokio::test]
async fn a_node_larger_than_a_page_comes_alone() {
    let world = world(&[1, PAGE_BYTES_MAX + 1, 1]).await;
    assert_eq!(ways(&world).await, [[3], [2], [1]]);
    assert_eq!(graphs(&world).await, [[1], [2], [3]]);
}
