//! What a repetition is told, and what it changes.

use std::sync::Arc;

use futures_util::future::join_all;
use windlass_core::Sharing;
use windlass_stash::durable::{Execution, Options};
use windlass_stash::{Answer, Condition, Operation, Put};
use windlass_store::Store;
use windlass_store_testing::{Counting, Slow};

use super::super::world::{World, execution, stash, strict};
use super::{changes, count, id, of, told, under};
use crate::support::{HOUR, SECOND, code, group, key, sized};

async fn world(sharing: Sharing) -> World {
    let world = World::with_options(Options {
        sharing,
        ..Options::default()
    });
    for name in ["first", "n"] {
        let put = world.outside().put(&key(name), &40, None).await;
        put.expect("room");
    }
    world
}

/// What happens between a change and its repetition.
async fn meanwhile(world: &World, what: &str) {
    let outside = world.outside();
    match what {
        "nothing" => {}
        "others change it" => {
            outside.put(&key("late"), &1, None).await.expect("room");
            outside.put(&key("n"), &7, None).await.expect("room");
            let long = Put::new(key("long"), sized(5_000));
            outside.store(long).await.expect("room");
        }
        "it is deleted" => {
            outside.clear().await.expect("a store that works");
        }
        _ => {
            world.env.advance_ms(20 * HOUR);
            world.stashes.reap_due(100).await.expect("a store");
        }
    }
}

#[tokio::test]
async fn the_same_id_gives_the_first_answer_and_takes_effect_once() {
    for (name, change) in changes() {
        for what in ["nothing", "others change it", "it is deleted", "it expires"] {
            for sharing in [Sharing::Shared, Sharing::Exclusive] {
                let world = world(sharing).await;
                let first = change(&under(&world.stashes, id("once"))).await;
                assert!(first.starts_with("ok: "), "{name}: {first}");
                meanwhile(&world, what).await;
                let rows = world.rows().await;
                for stashes in [world.stashes.clone(), world.reopen()] {
                    let again = change(&under(&stashes, id("once"))).await;
                    assert_eq!(again, first, "{name}, {what}");
                }
                assert_eq!(world.rows().await, rows, "{name}, {what}");
                world.recount().await;
            }
        }
    }
}

#[tokio::test]
async fn an_id_is_for_one_request() {
    for (name, change) in changes() {
        let world = world(Sharing::Shared).await;
        let first = change(&under(&world.stashes, id("once"))).await;
        assert!(first.starts_with("ok: "), "{name}: {first}");
        let rows = world.rows().await;
        for (other, change) in changes().into_iter().filter(|(other, _)| *other != name) {
            let refused = change(&under(&world.stashes, id("once"))).await;
            assert_eq!(refused, "operation_conflict", "{other} after {name}");
        }
        let grouped = execution(&world.stashes, Some("g")).once(id("once"));
        assert_eq!(
            change(&grouped).await,
            "operation_conflict",
            "{name} in a group"
        );
        assert_eq!(world.rows().await, rows, "{name}");
    }
}

/// Puts that differ from one another in one thing each.
fn alike() -> Vec<Put> {
    let put = Put::new(key("k"), sized(3));
    vec![
        put.clone(),
        Put::new(key("k2"), sized(3)),
        Put::new(key("k"), sized(4)),
        put.clone().ttl_ms(HOUR),
        put.clone().ttl_ms(0),
        put.clone().condition(Condition::Absent),
        put.clone().condition(Condition::Version(0)),
        put.condition(Condition::Version(1)),
    ]
}

#[tokio::test]
async fn every_field_of_a_request_is_compared() {
    for (place, first) in alike().into_iter().enumerate() {
        let world = world(Sharing::Shared).await;
        if execution(&world.stashes, None)
            .once(id("once"))
            .store(first)
            .await
            .is_err()
        {
            // Refused, so that nothing is kept of it.
            continue;
        }
        for (other, put) in alike().into_iter().enumerate() {
            let again = under(&world.stashes, id("once")).store(put).await;
            let expected = if other == place {
                None
            } else {
                Some("operation_conflict")
            };
            let code = again.err().map(|error| windlass_core::Coded::code(&error));
            assert_eq!(code, expected, "{other} after {place}");
        }
    }
}

#[tokio::test]
async fn ids_of_other_principals_and_sessions_are_other_ids() {
    let world = World::new(|_| {});
    assert_eq!(count(&world.stashes, id("once")).await.ok(), Some(1));
    assert_eq!(
        count(&world.stashes, of("other", "once")).await.ok(),
        Some(2)
    );
    assert_eq!(count(&world.stashes, id("twice")).await.ok(), Some(3));
    for (tenant, session) in [("acme", "s2"), ("other", "s1")] {
        let tenant = tenant.parse().expect("an identifier");
        let stash = world
            .stashes
            .stash(&tenant, &session.parse().expect("an identifier"));
        let counted = stash.execution(None).once(id("once"));
        let counted = counted.increment(&key("n"), 1, None).await;
        assert_eq!(counted.expect("a number").value, 1, "{session}");
    }
    assert_eq!(count(&world.stashes, id("once")).await.ok(), Some(1));
}

#[tokio::test]
async fn what_was_refused_may_be_granted_later() {
    let world = World::new(|config| config.keys_max = 1);
    world
        .outside()
        .put(&key("a"), &1, None)
        .await
        .expect("room");
    let put = || async {
        let under = under(&world.stashes, id("once"));
        under.put(&key("b"), &2, None).await
    };
    assert_eq!(code(put().await), "key_limit_exceeded");
    assert_eq!(code(put().await), "key_limit_exceeded");
    assert_eq!(world.keys("/op/").await, Vec::<String>::new());
    world.outside().clear().await.expect("a store");
    let first = put().await.expect("room");
    world.outside().delete(&key("b")).await.expect("a store");
    world
        .outside()
        .put(&key("c"), &3, None)
        .await
        .expect("room");
    assert_eq!(put().await.expect("the first answer"), first);
}

#[tokio::test]
async fn many_callers_of_one_id_get_one_answer() {
    for seed in 0..6 {
        let world = World::new(|_| {});
        let processes: Vec<_> = (0..3)
            .map(|number| {
                let slow = Slow::new(strict(&world.ground), seed * 3 + number);
                world.over(Arc::new(slow))
            })
            .collect();
        let calls = (0..12).map(|number| count(&processes[number % 3], id("once")));
        let answers = join_all(calls).await;
        let told: Vec<String> = answers.into_iter().map(told).collect();
        assert_eq!(told, vec!["ok: 1"; 12], "{seed}");
        world.recount().await;
    }
}

#[tokio::test]
async fn many_ids_share_commits_and_each_takes_effect_once() {
    let world = World::new(|_| {});
    let counting = Arc::new(Counting::new(strict(&world.ground)));
    let slow = Slow::new(counting.clone() as Arc<dyn Store>, 1);
    let stashes = world.over(Arc::new(slow));
    for round in 0..2 {
        let before = counting.counts();
        let ids = (0..200).map(|number| id(&format!("{number}")));
        let calls = ids.map(|once| count(&stashes, once));
        let mut values: Vec<i64> = join_all(calls)
            .await
            .into_iter()
            .map(|counted| counted.expect("a number"))
            .collect();
        values.sort_unstable();
        assert_eq!(values, (1..=200).collect::<Vec<_>>(), "{round}");
        let counts = counting.counts() - before;
        assert!(counts.commits <= 100, "{counts:?} in round {round}");
        assert!(round == 0 || counts.applied == 0, "{counts:?}");
        world.recount().await;
    }
}

#[tokio::test]
async fn a_long_value_is_not_written_again_to_be_told_what_it_was() {
    let world = World::new(|_| {});
    let put = || Put::new(key("long"), sized(1_500_000));
    let first = under(&world.stashes, id("once")).store(put()).await;
    let first = first.expect("room");
    let counting = Arc::new(Counting::new(strict(&world.ground)));
    let stashes = world.over(counting.clone());
    let again = under(&stashes, id("once")).store(put()).await;
    assert_eq!(again.expect("the first answer"), first);
    let counts = counting.counts();
    assert_eq!((counts.reads, counts.commits), (1, 0));
    // Both at once: one of the two is written in vain, and taken back.
    let [one, other] =
        [1, 2].map(|seed| world.over(Arc::new(Slow::new(strict(&world.ground), seed))));
    let calls = [&one, &other].map(|stashes| {
        let under = under(stashes, id("twice"));
        async move { under.store(put()).await }
    });
    let answers = join_all(calls)
        .await
        .into_iter()
        .map(told)
        .collect::<Vec<_>>();
    assert_eq!(answers[0], answers[1]);
    let recount = world.recount().await;
    assert_eq!((recount.rows, recount.loose), (1, 0));
    assert_eq!(world.keys("/piece/").await.len(), 2);
}

#[tokio::test]
async fn what_a_step_read_is_kept_where_it_is_short_and_read_again_where_not() {
    let world = World::new(|_| {});
    let sizes = [("short", 4_000), ("long", 4_097), ("longer", 2_000_000)];
    for (name, size) in sizes {
        let put = Put::new(key(name), sized(size));
        world.outside().store(put).await.expect("room");
    }
    let step = sizes.map(|(name, _)| Operation::Get(key(name)));
    let first = under(&world.stashes, id("once")).step(&step).await;
    let first = first.expect("readable");
    let short = Put::new(key("short"), sized(5));
    world.outside().store(short).await.expect("room");
    for stashes in [world.stashes.clone(), world.reopen()] {
        let again = under(&stashes, id("once")).step(&step).await;
        assert_eq!(again.expect("the first answer"), first);
    }
    let Answer::Entry(Some(short)) = &first[0] else {
        panic!("{first:?}");
    };
    assert_eq!(short.value, sized(4_000), "as it was then");
    let longer = Put::new(key("longer"), sized(2_000_000));
    world.outside().store(longer).await.expect("room");
    let lost = under(&world.stashes, id("once")).step(&step).await;
    assert_eq!(code(lost), "operation_answer_lost");
}

#[tokio::test]
async fn a_null_that_a_step_read_is_kept_like_any_value() {
    let world = World::new(|_| {});
    world
        .outside()
        .put(&key("k"), &(), None)
        .await
        .expect("room");
    let step = [Operation::Get(key("k"))];
    let first = under(&world.stashes, id("once")).step(&step).await;
    let first = first.expect("readable");
    world
        .outside()
        .put(&key("k"), &1, None)
        .await
        .expect("room");
    let again = under(&world.reopen(), id("once")).step(&step).await;
    assert_eq!(again.expect("the first answer"), first);
}

#[tokio::test]
async fn reading_takes_no_id() {
    let world = world(Sharing::Shared).await;
    let under = under(&world.stashes, id("once"));
    let put = under.put(&key("n"), &1, None).await.expect("room");
    let entry = under.entry(&key("n")).await.expect("readable");
    assert_eq!(entry.map(|entry| entry.metadata), Some(put));
    world.env.advance_ms(SECOND);
    world.outside().delete(&key("n")).await.expect("a store");
    assert_eq!(under.get(&key("n")).await.expect("readable"), None);
    let other: &Execution = &under;
    assert_eq!(code(other.delete(&key("n")).await), "operation_conflict");
}

#[tokio::test]
async fn a_stash_is_cleared_once_whatever_its_size() {
    let world = World::new(|config| config.keys_max = 2_000);
    for chunk in 0..3 {
        let puts = (0..200).map(|number| {
            let name = key(&format!("k{chunk}-{number}"));
            Operation::Put(Put::new(name, sized(2)))
        });
        let step: Vec<Operation> = puts.collect();
        world.outside().step(&step).await.expect("room");
    }
    let mine = execution(&world.stashes, Some("g"));
    mine.put(&key("mine"), &1, None).await.expect("room");
    let stash = stash(&world.stashes);
    let first = stash.clear_once(None, id("once")).await.expect("a store");
    assert_eq!(
        (first.removed, first.bytes, first.truncated),
        (600, 1_200, false)
    );
    world
        .outside()
        .put(&key("new"), &1, None)
        .await
        .expect("room");
    for stashes in [world.stashes.clone(), world.reopen()] {
        let again = super::super::world::stash(&stashes)
            .clear_once(None, id("once"))
            .await;
        assert_eq!(again.expect("the first answer"), first);
        let again = under(&stashes, id("once")).clear().await;
        assert_eq!(again.expect("the first answer"), first);
    }
    let other = stash.clear_once(Some(&group("g")), id("once")).await;
    assert_eq!(code(other), "operation_conflict");
    assert_eq!(world.recount().await.rows, 2);
}
