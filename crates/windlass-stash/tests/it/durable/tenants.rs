//! What a tenant's stashes hold together.

use std::sync::Arc;

use windlass_stash::Put;
use windlass_stash::durable::{Stashes, TenantUsage};
use windlass_store_testing::{Counting, Faulty};

use super::crashes::Dying;
use super::world::{World, strict};
use crate::support::{HOUR, SECOND, code, key, sized};

async fn usage(stashes: &Stashes, tenant: &str) -> TenantUsage {
    let tenant = tenant.parse().expect("an identifier");
    let usage = stashes.tenant_usage(&tenant).await;
    usage.expect("a store that works")
}

const fn of(stashes: u64, value_bytes: u64) -> TenantUsage {
    TenantUsage {
        stashes,
        value_bytes,
    }
}

async fn put(world: &World, (tenant, session): (&str, &str), name: &str, size: usize) {
    let tenant = tenant.parse().expect("an identifier");
    let stash = world
        .stashes
        .stash(&tenant, &session.parse().expect("an identifier"));
    let put = Put::new(key(name), sized(size)).ttl_ms(HOUR);
    stash.execution(None).store(put).await.expect("room");
}

/// Sessions whose ids begin alike, with values within and apart.
async fn populated() -> World {
    let world = World::new(|_| {});
    for (place, session) in ["s", "s-1", "s.1", "s~"].into_iter().enumerate() {
        for number in 0..=place {
            put(&world, ("acme", session), &format!("k{number}"), 2_000).await;
        }
        put(&world, ("acme", session), "short", 10).await;
    }
    put(&world, ("acme-2", "s"), "k", 7).await;
    world
}

#[tokio::test]
async fn all_stashes_of_a_tenant_add_up() {
    let world = populated().await;
    let plain = world.over(Arc::clone(&world.ground) as _);
    for stashes in [&world.stashes, &plain] {
        assert_eq!(usage(stashes, "acme").await, of(4, 10 * 2_000 + 40));
        assert_eq!(usage(stashes, "acme-2").await, of(1, 7));
        assert_eq!(usage(stashes, "acm").await, of(0, 0));
    }
}

#[tokio::test]
async fn what_expired_counts_until_its_space_is_taken_back() {
    let world = populated().await;
    world.env.advance_ms(HOUR + SECOND);
    assert_eq!(usage(&world.stashes, "acme-2").await, of(1, 7));
    world
        .stashes
        .reap_due(1_000)
        .await
        .expect("a store that works");
    for tenant in ["acme", "acme-2"] {
        assert_eq!(usage(&world.stashes, tenant).await, of(0, 0));
    }
}

#[tokio::test]
async fn pieces_without_an_entry_are_no_stash() {
    let world = World::new(|_| {});
    let dying = Dying::after(Faulty::new(Arc::clone(&world.ground)), 2);
    let dead = super::world::execution(&world.over(dying), None);
    let cut = dead.store(Put::new(key("cut"), sized(2_000_000))).await;
    assert_eq!(code(cut), "store_unavailable");
    assert_eq!(world.keys("/piece/").await.len(), 1);
    assert_eq!(usage(&world.stashes, "acme").await, of(0, 0));
}

#[tokio::test]
async fn adding_up_costs_a_read_a_stash_whatever_it_holds() {
    let world = populated().await;
    let counting = Arc::new(Counting::new(strict(&world.ground)));
    let stashes = world.over(Arc::clone(&counting) as _);
    assert_eq!(usage(&stashes, "acme").await, of(4, 20_040));
    assert_eq!(counting.counts().reads, 5);
}

#[tokio::test]
async fn a_lost_or_damaged_head_is_no_smaller_figure() {
    let world = populated().await;
    let tenant = "acme".parse().expect("an identifier");
    world.put("acme/stash/s-1/head", "no record").await;
    let damaged = world.stashes.tenant_usage(&tenant).await;
    assert_eq!(code(damaged), "corrupt_record");
    world.remove("acme/stash/s-1/head").await;
    let lost = world.stashes.tenant_usage(&tenant).await;
    assert_eq!(code(lost), "corrupt_record");
    assert_eq!(usage(&world.stashes, "acme-2").await, of(1, 7));
}
