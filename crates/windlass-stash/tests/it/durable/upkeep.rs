//! Upkeep: what expired goes, what was left behind goes, and nothing stays of
//! a stash that is empty.

use windlass_stash::durable::ReapReport;
use windlass_stash::durable::limits::LOOSE_MS;
use windlass_stash::{Operation, Put};
use windlass_store_testing::{Fault, Faulty, Moment, Verb};

use super::world::World;
use crate::support::{HOUR, SECOND, START, key, sized};

async fn reap(world: &World, limit: usize) -> ReapReport {
    world
        .stashes
        .reap_due(limit)
        .await
        .expect("a store that works")
}

#[tokio::test]
async fn upkeep_removes_what_expired_and_then_the_stash_itself() {
    let world = World::new(|_| {});
    let execution = world.outside();
    execution
        .put(&key("a"), &1, Some(SECOND))
        .await
        .expect("room");
    execution
        .put(&key("b"), &"22", Some(HOUR))
        .await
        .expect("room");
    world.env.advance_ms(SECOND - 1);
    assert_eq!(reap(&world, 100).await, ReapReport::default());
    world.env.advance_ms(1);
    let report = reap(&world, 100).await;
    assert_eq!(
        (report.removed, report.bytes, report.truncated),
        (1, 1, false)
    );
    assert_eq!(
        reap(&world, 100).await,
        ReapReport::default(),
        "listed anew"
    );
    world.recount().await;
    world.env.advance_ms(HOUR);
    let report = reap(&world, 100).await;
    assert_eq!((report.removed, report.bytes), (1, 4));
    assert_eq!(world.rows().await, [], "nothing is left of an empty stash");
}

#[tokio::test]
async fn a_stash_that_came_back_gives_no_version_twice() {
    let world = World::new(|_| {});
    let mut versions = Vec::new();
    for _ in 0..20 {
        // A process that does not remember what was there before.
        let execution = super::world::execution(&world.reopen(), None);
        for _ in 0..5 {
            let put = execution.put(&key("k"), &1, Some(1)).await.expect("room");
            versions.push(put.version);
        }
        world.env.advance_ms(3);
        reap(&world, 100).await;
    }
    let count = versions.len();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), count);
}

#[tokio::test]
async fn a_bounded_round_stops_says_so_and_can_be_repeated() {
    let world = World::new(|config| config.keys_max = 1_000);
    let execution = world.outside();
    for first in (0..1_000).step_by(250) {
        let puts = (first..first + 250).map(|number| {
            let put = Put::new(key(&format!("k{number}")), sized(10));
            Operation::Put(put.ttl_ms(SECOND))
        });
        execution
            .step(&puts.collect::<Vec<_>>())
            .await
            .expect("room");
    }
    world.env.advance_ms(SECOND);
    let first = reap(&world, 1).await;
    assert_eq!(
        (first.scanned, first.removed, first.truncated),
        (1, 256, true)
    );
    world.recount().await;
    let rest = reap(&world, 100).await;
    assert_eq!((rest.removed, rest.truncated), (744, false));
    assert_eq!(world.rows().await, []);
}

#[tokio::test]
async fn a_round_ends_among_rows_of_other_parts_and_the_next_goes_on_from_there() {
    let world = World::new(|_| {});
    for number in 0..4_100 {
        let key = format!("due/{START:020}/session/acme/s{number}");
        world.put(&key, "").await;
    }
    let execution = world.outside();
    let put = execution.put(&key("k"), &1, Some(SECOND)).await;
    put.expect("room");
    world.env.advance_ms(SECOND);
    let passed = ReapReport {
        truncated: true,
        ..ReapReport::default()
    };
    assert_eq!(reap(&world, 10).await, passed, "4,096 and no more");
    let report = reap(&world, 10).await;
    let counts = (report.scanned, report.removed, report.truncated);
    assert_eq!(counts, (1, 1, false));
    assert_eq!(reap(&world, 10).await, passed, "all over again");
    let other = world.reopen().reap_due(5_000).await.expect("a store");
    assert_eq!(other, ReapReport::default(), "as many as it is asked for");
    assert_eq!(world.keys("/session/").await.len(), 4_100);
}

#[tokio::test]
async fn pieces_whose_put_was_cut_off_are_taken_back_after_the_grace_period() {
    let world = World::new(|_| {});
    let whole = sized(5_000_000);
    // Note, five pieces, the change itself: cut off before each.
    for cut in 2..=6 {
        let faulty = Faulty::new(world.ground.clone());
        faulty.plan(Fault {
            verb: Some(Verb::Commit),
            number: cut,
            moment: Moment::Before,
            kind: windlass_store::StoreErrorKind::Unavailable,
        });
        // From the fault on the process is as good as dead.
        let stashes = world.over(super::crashes::Dying::after(faulty, cut));
        let put = Put::new(key("k"), whole.clone());
        let error = super::world::execution(&stashes, None).store(put).await;
        assert_eq!(crate::support::code(error), "store_unavailable", "{cut}");
        let found = world.outside().get(&key("k")).await.expect("readable");
        assert_eq!(found, None, "{cut}");
        world.recount().await;
    }
    assert_ne!(world.keys("/piece/").await, Vec::<String>::new());
    world.env.advance_ms(LOOSE_MS - 1);
    assert_eq!(reap(&world, 100).await, ReapReport::default());
    world.env.advance_ms(1);
    let report = reap(&world, 100).await;
    assert_eq!(report.pieces_removed, 1 + 2 + 3 + 4);
    assert_eq!(world.rows().await, []);
}

#[tokio::test]
async fn one_damaged_stash_is_reported_and_stops_no_other() {
    let world = World::new(|_| {});
    world
        .outside()
        .put(&key("k"), &1, Some(SECOND))
        .await
        .expect("room");
    let tenant = "acme".parse().expect("an identifier");
    let other = world
        .stashes
        .stash(&tenant, &"s2".parse().expect("an identifier"));
    let other = other.execution(None);
    other.put(&key("k"), &1, Some(SECOND)).await.expect("room");
    world.remove("acme/stash/s1/entry/k").await;
    world.env.advance_ms(SECOND);
    let stashes = world.reopen();
    let report = stashes.reap_due(100).await.expect("a store that works");
    assert_eq!(report.removed, 1);
    let [damaged] = report.unreadable.as_slice() else {
        panic!("{report:?}")
    };
    assert_eq!(damaged.session.as_str(), "s1");
    assert_eq!(world.keys("/stash/s2").await, Vec::<String>::new());
}
