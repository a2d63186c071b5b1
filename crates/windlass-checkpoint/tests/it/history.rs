//! History: rolling back, forks, the log, retention, differences.

use windlass_checkpoint::{At, Changes, Config, Expected, Payload, Retention, Sweep};
use windlass_core::Coded;

use crate::support::{DAY, World, caller, id, message, text_of};

fn part(name: &str) -> windlass_checkpoint::PartName {
    name.parse().expect("a part name")
}

#[tokio::test]
async fn a_rollback_is_a_commit_and_can_be_rolled_back() {
    let world = World::new();
    world
        .commit("s", message(Changes::default().json(part("n"), "1"), "one"))
        .await
        .expect("1");
    world
        .commit("s", message(Changes::default().json(part("n"), "2"), "two"))
        .await
        .expect("2");
    let back = world
        .states
        .rollback(&caller(), &id("s"), 1, Expected::Revision(2), None)
        .await;
    let back = back.expect("an earlier revision");
    assert_eq!((back.revision, back.leaf, back.nodes), (3, Some(1), 2));
    world.say("s", "three").await;
    assert_eq!(world.texts("s", &At::Head).await, ["one", "three"]);
    assert_eq!(
        world
            .states
            .node(&caller(), &id("s"), 2)
            .await
            .expect("a read"),
        None
    );
    let again = world
        .states
        .rollback(&caller(), &id("s"), 2, Expected::Any, None)
        .await;
    assert_eq!(again.expect("the one rolled back").revision, 5);
    assert_eq!(world.texts("s", &At::Head).await, ["one", "two"]);
    let n = world
        .states
        .part(&caller(), &id("s"), &At::Head, &part("n"))
        .await;
    assert_eq!(
        n.expect("a read").expect("a part").1,
        Payload::Json("2".into())
    );
    for to in [0, 6, 99] {
        let refused = world
            .states
            .rollback(&caller(), &id("s"), to, Expected::Any, None)
            .await;
        assert_eq!(
            refused.expect_err("no revision").code(),
            "revision_not_found"
        );
    }
}

#[tokio::test]
async fn a_fork_goes_its_own_way_and_so_does_where_it_came_from() {
    let world = World::new();
    for number in 1..=70 {
        world.say("s", &format!("m{number}")).await;
    }
    let forked = world
        .states
        .fork(&caller(), &id("s"), Some(66), &id("f"), None)
        .await;
    let forked = forked.expect("a fork");
    assert_eq!(
        (forked.revision, forked.leaf, forked.nodes),
        (66, Some(66), 66)
    );
    world.say("f", "own").await;
    world.say("s", "other").await;
    let texts = world.texts("f", &At::Head).await;
    assert_eq!(
        (texts.len(), texts[65].as_str(), texts[66].as_str()),
        (67, "m66", "own")
    );
    assert_eq!(world.texts("s", &At::Head).await.len(), 71);
    let second = world
        .states
        .fork(&caller(), &id("f"), Some(10), &id("g"), None)
        .await;
    assert_eq!(second.expect("a fork of what it was forked from").nodes, 10);
    assert_eq!(
        world.texts("g", &At::Head).await.last().map(String::as_str),
        Some("m10")
    );
    let log = world.states.log(&caller(), &id("f"), None, 1_000).await;
    let log = log.expect("a read").expect("a state");
    assert_eq!(log.commits.first().map(|it| it.revision), Some(67));
    let taken = world
        .states
        .fork(&caller(), &id("s"), None, &id("f"), None)
        .await;
    assert_eq!(taken.expect_err("it has a state").code(), "state_exists");
}

#[tokio::test]
async fn the_log_is_whole_however_it_is_paged_and_packed() {
    let world = World::new();
    for number in 1..=150 {
        world.say("s", &format!("m{number}")).await;
        if number % 40 == 0 {
            world
                .states
                .pack(&caller().tenant, &id("s"))
                .await
                .expect("packing");
        }
    }
    world
        .states
        .fork(&caller(), &id("s"), None, &id("f"), None)
        .await
        .expect("a fork");
    world.say("f", "own").await;
    for session in ["s", "f"] {
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = world.states.log(&caller(), &id(session), before, 7).await;
            let page = page.expect("a read").expect("a state");
            assert!(page.commits.len() <= 7);
            seen.extend(page.commits.iter().map(|it| it.revision));
            before = page.before;
            if before.is_none() {
                break;
            }
        }
        let last = if session == "s" { 150 } else { 151 };
        assert_eq!(seen, (1..=last).rev().collect::<Vec<u64>>(), "{session}");
    }
}

#[tokio::test]
async fn retention_keeps_the_young_the_last_and_the_tagged() {
    let retention = Retention {
        keep_ms: DAY,
        keep_last: 3,
    };
    let world = World::with_config(Config {
        retention,
        ..Config::default()
    });
    for number in 1..=10 {
        world.say("s", &format!("m{number}")).await;
    }
    let tag = "release".parse().expect("a tag");
    world
        .states
        .tag(&caller(), &id("s"), &tag, 4, None)
        .await
        .expect("a revision");
    world.env.advance_ms(DAY - 1);
    let report = world
        .states
        .sweep(Sweep::All, 1_000)
        .await
        .expect("a sweep");
    assert_eq!((report.dropped, report.packed), (0, 10), "{report:?}");
    world.env.advance_ms(1);
    let report = world
        .states
        .sweep(Sweep::All, 1_000)
        .await
        .expect("a sweep");
    assert_eq!(report.dropped, 6, "{report:?}");
    for (revision, kept) in [
        (1, false),
        (3, false),
        (4, true),
        (5, false),
        (7, false),
        (8, true),
        (10, true),
    ] {
        let shown = world
            .states
            .show(&caller(), &id("s"), &At::Revision(revision))
            .await;
        assert_eq!(
            shown.expect("a read").is_some(),
            kept,
            "revision {revision}"
        );
    }
    let shown = world.states.show(&caller(), &id("s"), &At::Tag(tag)).await;
    assert_eq!(shown.expect("a read").expect("a tag").commit.revision, 4);
    assert_eq!(world.texts("s", &At::Head).await.len(), 10);
}

#[tokio::test]
async fn a_difference_names_the_parts_and_the_messages() {
    let world = World::new();
    let first = Changes::default()
        .json(part("kept"), "1")
        .json(part("changed"), "1");
    world.commit("s", message(first, "one")).await.expect("1");
    let second = Changes::default()
        .json(part("changed"), "2")
        .json(part("new"), "3");
    world.commit("s", message(second, "two")).await.expect("2");
    world
        .states
        .rollback(&caller(), &id("s"), 1, Expected::Any, None)
        .await
        .expect("3");
    world.say("s", "instead").await;
    let diff = world
        .states
        .diff(&caller(), &id("s"), &At::Revision(2), &At::Head)
        .await;
    let diff = diff.expect("a read").expect("two states");
    let names: Vec<&str> = diff.parts.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["changed", "new"]);
    let texts = |nodes: &[windlass_checkpoint::Node]| nodes.iter().map(text_of).collect::<Vec<_>>();
    assert_eq!(
        (texts(&diff.left), texts(&diff.entered)),
        (vec!["two".to_owned()], vec!["instead".to_owned()])
    );
    assert!(!diff.truncated);
}
