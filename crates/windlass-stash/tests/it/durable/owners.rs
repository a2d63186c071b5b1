//! Whose an entry is stays with it: in every process, after a restart, and
//! wherever its value lies.

use windlass_stash::durable::{Execution, Stashes};
use windlass_stash::{Increment, KeyQuery, Operation, Put, StashError};

use super::world::{World, execution};
use crate::support::{code, key, sized};

/// A short, a longer and a long value, each stored in a way of its own.
const ENTRIES: [(&str, usize); 3] = [("short", 100), ("longer", 30_000), ("long", 400_000)];

/// A world in which group `g` has its entries, and a process that knows none
/// of them yet.
async fn world() -> (World, Stashes) {
    let world = World::new(|_| {});
    let owner = execution(&world.stashes, Some("g"));
    for (name, size) in ENTRIES {
        let stored = owner.store(Put::new(key(name), sized(size))).await;
        stored.expect("room");
    }
    let other = world.reopen();
    (world, other)
}

/// What an outsider is told of an entry, whatever is asked.
async fn told(outsider: &Execution, name: &str) -> Vec<&'static str> {
    let name = key(name);
    let refused = |error: Option<StashError>| code(Err::<(), _>(error.expect("a refusal")));
    let step = |operation: Operation| async move {
        let refused = outsider.step(&[operation]).await;
        code(refused)
    };
    vec![
        refused(outsider.get(&name).await.err()),
        refused(outsider.put(&name, &1, None).await.err()),
        refused(outsider.delete(&name).await.err()),
        refused(outsider.touch(&name, None).await.err()),
        refused(outsider.increment(&name, 1, None).await.err()),
        refused(
            outsider
                .store(Put::new(name.clone(), sized(500_000)))
                .await
                .err(),
        ),
        step(Operation::Get(name.clone())).await,
        step(Operation::Increment(Increment {
            key: name.clone(),
            by: 1,
            ttl_ms: None,
        }))
        .await,
    ]
}

#[tokio::test]
async fn a_groups_entries_are_its_own_in_every_process() {
    for group in [None, Some("h")] {
        let (world, there) = world().await;
        let before = world.rows().await;
        for stashes in [&there, &world.stashes] {
            let outsider = execution(stashes, group);
            for (name, _) in ENTRIES {
                let told = told(&outsider, name).await;
                assert_eq!(told, ["cross_group_access"; 8], "{name}, {group:?}");
            }
            let page = outsider.keys(&KeyQuery::default()).await.expect("a page");
            assert_eq!(page.keys, []);
            assert_eq!(outsider.clear().await.expect("a store").removed, 0);
        }
        assert_eq!(world.rows().await, before, "{group:?}");
    }
}

#[tokio::test]
async fn a_group_has_its_entries_in_every_process() {
    let (world, there) = world().await;
    let owner = execution(&there, Some("g"));
    for (name, size) in ENTRIES {
        let seen = owner.get(&key(name)).await.expect("its own");
        assert_eq!(seen, Some(sized(size)), "{name}");
    }
    let page = owner.keys(&KeyQuery::default()).await.expect("a page");
    let names: Vec<_> = page.keys.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["long", "longer", "short"]);
    assert!(owner.delete(&key("long")).await.expect("its own"), "there");
    assert_eq!(owner.clear().await.expect("a store").removed, 2);
    assert_eq!(world.recount().await.rows, 0);
}
