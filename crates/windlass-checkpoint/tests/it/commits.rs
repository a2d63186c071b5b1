//! Commits: what they answer, what they leave, what they refuse.

use std::sync::Arc;

use bytes::Bytes;
use windlass_checkpoint::{
    At, Changes, CheckpointError, Form, Label, NewNode, Parent, PartChange, Payload, Removal,
    Sweep, Usage,
};
use windlass_core::Coded;
use windlass_store::{Store, StoreExt};
use windlass_store_testing::Slow;

use crate::support::{DAY, HOUR, World, caller, id, message, over, strict, text_of, turn};

fn part(name: &str) -> windlass_checkpoint::PartName {
    name.parse().expect("a part name")
}

#[tokio::test]
async fn the_first_commit_makes_revision_1_and_later_ones_follow() {
    let world = World::new();
    assert_eq!(
        world
            .states
            .head(&caller(), &id("s"))
            .await
            .expect("a read"),
        None
    );
    let first = world.commit("s", Changes::at(0)).await.expect("the first");
    let second = world.commit("s", Changes::at(1)).await.expect("the second");
    assert_eq!((first.revision, second.revision), (1, 2));
    assert_ne!(first.commit, second.commit);
    let head = world
        .reopen()
        .head(&caller(), &id("s"))
        .await
        .expect("a read");
    assert_eq!(head.expect("a head").commit, second.commit);
}

#[tokio::test]
async fn a_stale_revision_is_refused_with_the_actual_one_and_leaves_nothing() {
    let world = World::new();
    world.say("s", "one").await;
    world.say("s", "two").await;
    let before = rows(&world).await;
    let late = Changes::at(1).json(part("plan"), "[1,2,3]");
    let refused = world.commit("s", message(late, "late")).await;
    let Err(CheckpointError::HeadRevisionConflict {
        expected: 1,
        actual: 2,
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(rows(&world).await, before);
}

/// Everything stored, keys and values.
async fn rows(world: &World) -> Vec<(Bytes, Bytes)> {
    let entries = world.ground.scan_all(windlass_store::KeyRange::all()).await;
    let entries = entries.expect("a readable store");
    entries.into_iter().map(|it| (it.key, it.value)).collect()
}

#[tokio::test]
async fn of_many_writers_with_one_expected_revision_exactly_one_wins() {
    let world = World::new();
    world.say("s", "base").await;
    // Two processes, whose calls take a while: both have read before one of
    // them writes.
    let processes = [1, 2].map(|seed| {
        let slow = Arc::new(Slow::new(strict(&world.ground), seed));
        over(slow, &world.env, &world.config)
    });
    let commits = (0..16).map(|number| {
        let states = processes[number % 2].clone();
        let changes = message(Changes::at(1), &format!("writer {number}"));
        tokio::spawn(async move { states.commit(&caller(), &id("s"), changes).await })
    });
    let mut won = 0;
    for commit in commits.collect::<Vec<_>>() {
        match commit.await.expect("no panic") {
            Ok(done) => {
                assert_eq!(done.revision, 2);
                won += 1;
            }
            Err(CheckpointError::HeadRevisionConflict {
                expected: 1,
                actual: 2,
            }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(world.texts("s", &At::Head).await.len(), 2);
}

#[tokio::test]
async fn a_repeated_turn_gives_the_first_answer_and_another_one_under_its_id_is_refused() {
    let world = World::new();
    let asked = message(Changes::at(0), "hello").turn(turn("t1"));
    let first = world.commit("s", asked.clone()).await.expect("the first");
    world.say("s", "more").await;
    for states in [world.states.clone(), world.reopen()] {
        let again = states.commit(&caller(), &id("s"), asked.clone()).await;
        assert_eq!(again.expect("the first answer"), first);
        let other = message(Changes::at(0), "hullo").turn(turn("t1"));
        let refused = states.commit(&caller(), &id("s"), other).await;
        assert_eq!(refused.expect_err("another turn").code(), "turn_conflict");
    }
    assert_eq!(world.texts("s", &At::Head).await, ["hello", "more"]);
}

#[tokio::test]
async fn a_turn_is_forgotten_after_a_day_and_not_before() {
    let world = World::new();
    let asked = message(Changes::default(), "hello").turn(turn("t1"));
    let first = world.commit("s", asked.clone()).await.expect("the first");
    world.env.advance_ms(DAY - 1);
    world
        .states
        .sweep(Sweep::Due, 1_000)
        .await
        .expect("a sweep");
    let again = world.commit("s", asked.clone()).await;
    assert_eq!(again.expect("the first answer"), first);
    world.env.advance_ms(HOUR);
    let report = world
        .states
        .sweep(Sweep::Due, 1_000)
        .await
        .expect("a sweep");
    assert_eq!(report.turns_removed, 1, "{report:?}");
    let anew = world.commit("s", asked).await.expect("a commit of its own");
    assert_eq!(anew.revision, 2);
}

#[tokio::test]
async fn parts_come_back_byte_for_byte_with_what_was_said_about_them() {
    let world = World::new();
    let label = Label {
        kind: Some("text/plain".into()),
        number: Some(-7),
        compressible: Some(false),
        large: Some(true),
    };
    let blob: Bytes = (0..100_000_u32)
        .map(|it| (it % 251) as u8)
        .collect::<Vec<_>>()
        .into();
    let json = Bytes::from_static(b" { \"timestamp\": 1.50, \"a\":[] }\n");
    let mut changes = Changes::default().json(part("state"), json.clone());
    let put = PartChange::Put(Payload::Bytes(blob.clone()), label.clone());
    changes.parts.insert(part("file"), put);
    world.commit("s", changes).await.expect("two parts");

    let file = world
        .states
        .part(&caller(), &id("s"), &At::Head, &part("file"))
        .await;
    let (about, payload) = file.expect("a readable part").expect("a part");
    assert_eq!(
        (about.label, about.size, about.form),
        (label, 100_000, Form::Bytes)
    );
    assert_eq!(payload, Payload::Bytes(blob));
    let state = world
        .states
        .part(&caller(), &id("s"), &At::Head, &part("state"))
        .await;
    let (_, payload) = state.expect("a readable part").expect("a part");
    assert_eq!(payload, Payload::Json(json));
    let absent = world
        .states
        .part(&caller(), &id("s"), &At::Head, &part("other"))
        .await;
    assert_eq!(absent.expect("a read"), None);
}

#[tokio::test]
async fn a_part_can_refer_to_a_blob_of_the_lineage_and_to_no_other() {
    let world = World::new();
    let done = world
        .commit("s", Changes::default().json(part("a"), "[1,2,3]"))
        .await;
    done.expect("a part");
    let about = world
        .states
        .part(&caller(), &id("s"), &At::Head, &part("a"))
        .await;
    let blob = about.expect("a read").expect("a part").0.blob;
    let refer = |blob| {
        let mut changes = Changes::default();
        let change = PartChange::Refer(blob, Form::Json, Label::default());
        changes.parts.insert(part("b"), change);
        changes
    };
    world
        .commit("s", refer(blob))
        .await
        .expect("a blob of its own");
    let copy = world
        .states
        .part(&caller(), &id("s"), &At::Head, &part("b"))
        .await;
    let (about, payload) = copy.expect("a read").expect("a part");
    assert_eq!((about.size, payload), (7, Payload::Json("[1,2,3]".into())));

    let refused = world.commit("other", refer(blob)).await;
    assert_eq!(
        refused.expect_err("another lineage").code(),
        "blob_not_found"
    );
    world.say("other", "now it has a state").await;
    let refused = world.commit("other", refer(blob)).await;
    assert_eq!(
        refused.expect_err("another lineage").code(),
        "blob_not_found"
    );
}

#[tokio::test]
async fn nodes_branch_and_the_way_to_a_leaf_holds_its_ancestors_only() {
    let world = World::new();
    let done = world.say("s", "root").await;
    assert_eq!((done.leaf, done.nodes), (Some(1), 1));
    world.say("s", "left").await;
    let node = |parent, text: &'static str| NewNode {
        parent,
        kind: "message".into(),
        payload: Payload::Bytes(text.into()),
    };
    let changes = Changes {
        nodes: vec![
            node(Parent::Node(1), "right"),
            node(Parent::New(0), "right, below"),
            node(Parent::New(0), "right, beside"),
        ],
        leaf: Some(4),
        ..Changes::default()
    };
    world.commit("s", changes).await.expect("a branch");
    assert_eq!(
        world.texts("s", &At::Head).await,
        ["root", "right", "right, below"]
    );
    let left = world
        .states
        .path(&caller(), &id("s"), &At::Head, Some(2), 10)
        .await;
    let left = left.expect("a read").expect("a state");
    let texts: Vec<String> = left.nodes.iter().map(text_of).collect();
    assert_eq!(texts, ["root", "left"]);
    let short = world
        .states
        .path(&caller(), &id("s"), &At::Head, Some(4), 2)
        .await;
    let short = short.expect("a read").expect("a state");
    assert_eq!((short.nodes.len(), short.above), (2, Some(1)));
}

#[tokio::test]
async fn what_hangs_below_no_node_of_the_graph_is_refused() {
    let world = World::new();
    world.say("s", "one").await;
    let below = |parent| Changes {
        nodes: vec![NewNode {
            parent,
            kind: "message".into(),
            payload: Payload::Bytes("x".into()),
        }],
        ..Changes::default()
    };
    for parent in [Parent::Node(0), Parent::Node(2), Parent::Node(u64::MAX)] {
        let refused = world.commit("s", below(parent)).await;
        assert_eq!(refused.expect_err("no such node").code(), "node_not_found");
    }
    let refused = world.commit("s", below(Parent::New(0))).await;
    assert_eq!(
        refused.expect_err("its own parent").code(),
        "invalid_request"
    );
    let leaf = Changes {
        leaf: Some(9),
        ..Changes::default()
    };
    let refused = world.commit("s", leaf).await;
    assert_eq!(refused.expect_err("no such node").code(), "node_not_found");
}

#[tokio::test]
async fn tombstones_keep_their_place_and_show_no_content() {
    let world = World::new();
    for text in ["one", "secret", "three"] {
        world.say("s", text).await;
    }
    let changes = Changes {
        tombstones: vec![2],
        ..Changes::default()
    };
    world
        .commit("s", changes.clone())
        .await
        .expect("a node that is there");
    assert_eq!(
        world.texts("s", &At::Head).await,
        ["one", "(tombstone)", "three"]
    );
    assert_eq!(
        world.texts("s", &At::Revision(3)).await,
        ["one", "secret", "three"]
    );
    assert_eq!(
        world
            .states
            .node(&caller(), &id("s"), 2)
            .await
            .expect("a read"),
        None
    );
    let graph = world
        .states
        .graph(&caller(), &id("s"), &At::Head, 0, 10)
        .await;
    let numbers: Vec<u64> = graph
        .expect("a read")
        .expect("a state")
        .nodes
        .iter()
        .map(|it| it.number)
        .collect();
    assert_eq!(numbers, [1, 3]);
    let again = world.commit("s", changes).await;
    assert_eq!(again.expect_err("it is gone").code(), "node_not_found");
}

#[tokio::test]
async fn replacing_all_nodes_begins_a_new_graph_and_keeps_the_old_revisions() {
    let world = World::new();
    world.say("s", "one").await;
    world.say("s", "two").await;
    let changes = Changes {
        replace_nodes: true,
        ..Changes::default()
    };
    let done = world
        .commit("s", message(changes, "summary"))
        .await
        .expect("a new graph");
    assert_eq!((done.leaf, done.nodes), (Some(3), 3));
    assert_eq!(world.texts("s", &At::Head).await, ["summary"]);
    assert_eq!(world.texts("s", &At::Revision(2)).await, ["one", "two"]);
}

#[tokio::test]
async fn usage_adds_up_and_an_overflow_is_refused() {
    let world = World::new();
    let spent = |calls, tokens| Changes {
        usage: Usage {
            calls,
            tokens,
            cost_micros: 1,
        },
        ..Changes::default()
    };
    world.commit("s", spent(1, 10)).await.expect("usage");
    world.commit("s", spent(2, 20)).await.expect("usage");
    let head = world
        .states
        .head(&caller(), &id("s"))
        .await
        .expect("a read")
        .expect("a head");
    assert_eq!(
        head.usage,
        Usage {
            calls: 3,
            tokens: 30,
            cost_micros: 2
        }
    );
    let refused = world.commit("s", spent(0, u64::MAX)).await;
    assert_eq!(refused.expect_err("too much").code(), "usage_overflow");
}

#[tokio::test]
async fn a_removed_state_is_gone_but_for_its_forks() {
    let world = World::new();
    for number in 1..=5 {
        world.say("s", &format!("m{number}")).await;
    }
    let forked = world
        .states
        .fork(&caller(), &id("s"), Some(3), &id("f"), None)
        .await;
    forked.expect("a fork");
    let tenant = caller().tenant;
    assert_eq!(
        world
            .states
            .remove(&tenant, &id("none"))
            .await
            .expect("a removal"),
        Removal::Absent
    );
    assert_eq!(
        world
            .states
            .remove(&tenant, &id("s"))
            .await
            .expect("a removal"),
        Removal::KeptForForks
    );
    assert_eq!(
        world
            .states
            .head(&caller(), &id("s"))
            .await
            .expect("a read"),
        None
    );
    let refused = world.commit("s", Changes::default()).await;
    assert_eq!(refused.expect_err("removed").code(), "state_removed");
    assert_eq!(world.texts("f", &At::Head).await, ["m1", "m2", "m3"]);
    assert_eq!(
        world
            .states
            .remove(&tenant, &id("f"))
            .await
            .expect("a removal"),
        Removal::Removed
    );
    let left = rows(&world).await;
    let left: Vec<String> = left
        .iter()
        .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
        .collect();
    assert!(left.iter().all(|key| key.contains("/lineage/")), "{left:?}");
    let anew = world.say("s", "again").await;
    assert_eq!(anew.revision, 1);
}

#[tokio::test]
async fn a_missing_row_is_corrupt_and_named() {
    let world = World::new();
    for number in 1..=5 {
        world.say("s", &format!("m{number}")).await;
    }
    let key = Bytes::from_static(b"acme/checkpoint/s/log/00000000000000000003");
    let gone = world
        .ground
        .commit(windlass_store::Batch::new().delete(key))
        .await;
    assert!(
        matches!(gone, Ok(windlass_store::Commit::Applied(_))),
        "{gone:?}"
    );
    let path = world
        .states
        .path(&caller(), &id("s"), &At::Head, None, 100)
        .await;
    let error = path.expect_err("a node is missing");
    assert_eq!(
        (error.code(), error.to_string().contains("node 3")),
        ("corrupt_record", true),
        "{error}"
    );
    let shown = world
        .states
        .show(&caller(), &id("s"), &At::Revision(3))
        .await;
    let error = shown.expect_err("a commit is missing");
    assert!(error.to_string().contains("commit 3"), "{error}");
}

#[tokio::test]
async fn a_planned_commit_joins_others_and_a_lost_race_leaves_nothing() {
    let world = World::new();
    world.say("s", "one").await;
    let planned = world
        .states
        .plan(&caller(), &id("s"), &message(Changes::at(1), "two"), None)
        .await;
    let planned = planned.expect("a plan");
    let beside = Bytes::from_static(b"acme/other/row");
    world.say("s", "first").await;
    let store: Arc<dyn Store> = world.ground.clone();
    let lost = store.commit(planned.batch.put(beside.clone(), "x")).await;
    assert!(
        matches!(lost, Ok(windlass_store::Commit::Conflict { .. })),
        "{lost:?}"
    );
    assert_eq!(store.get(beside.clone()).await.expect("a read"), None);

    let changes = message(Changes::at(2), "two").turn(turn("t"));
    let planned = world
        .states
        .plan(&caller(), &id("s"), &changes, None)
        .await
        .expect("a plan");
    let done = store.commit(planned.batch.put(beside.clone(), "x")).await;
    assert!(
        matches!(done, Ok(windlass_store::Commit::Applied(_))),
        "{done:?}"
    );
    assert_eq!(world.texts("s", &At::Head).await, ["one", "first", "two"]);
    // What the cell remembers is older now, and nobody told it.
    let next = world.commit("s", message(Changes::at(3), "three")).await;
    assert_eq!(next.expect("the head's revision").revision, 4);
    let again = world
        .states
        .plan(&caller(), &id("s"), &changes, None)
        .await
        .expect("a plan");
    assert!(
        again.repeated && again.committed == planned.committed,
        "{again:?}"
    );
}

#[tokio::test]
async fn what_is_no_json_is_refused_as_such() {
    let world = World::new();
    let texts: [&[u8]; 6] = [b"", b"{", b"[1,]", b"1 2", b"\"\xff\"", b"nul"];
    for text in texts {
        let payload = Payload::Json(Bytes::from_static(text));
        for changes in [
            Changes::default().put(part("a"), payload.clone()),
            Changes::default().append("message", payload),
        ] {
            let refused = world.commit("s", changes).await;
            let error = refused.expect_err("no JSON");
            assert_eq!(error.code(), "invalid_request", "{text:?}");
        }
    }
}
