//! Forks share rows, and go on by themselves.

use std::sync::Arc;

use windlass_core::Coded;
use windlass_store_testing::{Slow, Strict, StrictOptions};
use windlass_stream::{From, Offset, Post, Settings, Wanted};

use super::{Desk, fork, of, path, post, text};
use crate::support::{World, caller};

#[tokio::test]
async fn a_fork_has_the_rows_of_its_source_up_to_where_it_was_made() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("src", &["a", "b", "c"]).await;
    for (name, offset, part, expected) in [
        ("f0", Some(0), 0, ""),
        ("f1", Some(1), 0, "a"),
        ("f3", Some(3), 0, "abc"),
        ("tail", None, 0, "abc"),
        ("whole", Some(1), 1, "ab"),
    ] {
        desk.put(name, &fork("src", offset, part))
            .await
            .expect("a fork");
        assert_eq!(desk.body(name).await, expected, "{name}");
    }
    let piece = desk.piece("tail", From::Start).await.expect("there");
    assert_eq!((piece.rows.len(), piece.is_up_to_date()), (3, true));
    desk.post("src", &post("d")).await.expect("open");
    desk.post("f1", &post("X")).await.expect("open");
    assert_eq!(desk.body("f1").await, "aX");
    let piece = desk.piece("f1", From::Start).await.expect("there");
    assert_eq!(piece.rows.len(), 2, "rows of both are one answer");
    assert_eq!(desk.body("tail").await, "abc");
    assert_eq!(desk.body("src").await, "abcd");
    let beyond = desk.put("no", &fork("src", Some(5), 0)).await;
    assert_eq!(beyond.expect_err("beyond").code(), "offset_beyond_tail");
    let absent = desk.put("no", &fork("nowhere", None, 0)).await;
    assert_eq!(absent.expect_err("absent").code(), "not_found");
    let mixed = Wanted {
        fork: fork("src", None, 0).fork,
        ..of("application/json")
    };
    let mixed = desk.put("no", &mixed).await.expect_err("of text");
    assert_eq!(mixed.code(), "content_type_mismatch");
}

#[tokio::test]
async fn a_part_of_a_row_becomes_the_fork_s_own_row() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("src", &["first", "second"]).await;
    let wanted = Wanted {
        body: "!".into(),
        content_type: text().content_type,
        ..fork("src", Some(1), 3)
    };
    assert!(desk.put("f", &wanted).await.expect("a fork").created);
    assert!(!desk.put("f", &wanted).await.expect("the same").created);
    let other = desk.put("f", &fork("src", Some(1), 2)).await;
    assert_eq!(other.expect_err("another part").code(), "stream_differs");
    assert_eq!(desk.body("f").await, "firstsec!");
    let deeper = fork("f", Some(1), 2);
    desk.put("g", &deeper).await.expect("a fork of a fork");
    assert_eq!(desk.body("g").await, "firstse");
    for (offset, part) in [(Some(1), 7), (Some(2), 1), (None, 1)] {
        let refused = desk.put("no", &fork("src", offset, part)).await;
        assert_eq!(refused.expect_err("too far").code(), "invalid_request");
    }
    let json = Wanted {
        body: "[1,2,3]".into(),
        ..of("application/json")
    };
    desk.put("j", &json).await.expect("free");
    desk.put("k", &fork("j", Some(1), 1)).await.expect("a fork");
    assert_eq!(desk.body("k").await, "12");
    let refused = desk.put("no", &fork("j", Some(1), 3)).await;
    assert_eq!(refused.expect_err("too far").code(), "invalid_request");
}

#[tokio::test]
async fn forks_of_forks_read_through_all_of_them_and_chain_their_digests() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("s0", &["a", "b"]).await;
    for level in 1..6 {
        let (source, name) = (format!("s{}", level - 1), format!("s{level}"));
        desk.put(&name, &fork(&source, None, 0))
            .await
            .expect("a fork");
        desk.post(&name, &post(&level.to_string()))
            .await
            .expect("open");
    }
    assert_eq!(desk.body("s5").await, "ab12345");
    desk.put("mid", &fork("s5", Some(3), 0))
        .await
        .expect("a fork");
    desk.post("mid", &post("!")).await.expect("open");
    assert_eq!(desk.body("mid").await, "ab1!");
    // Rows as chunks of their own have the digest of the same rows elsewhere.
    desk.made("flat", &["a", "b", "1", "!"]).await;
    let mut digests = Vec::new();
    for name in ["mid", "flat"] {
        let view = desk
            .streams
            .show(&caller(), &path(name))
            .await
            .expect("there");
        let view = world.streams.show(&caller(), &view.stream).await;
        digests.push(view.expect("there").digest);
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_fork_knows_no_producer_and_no_end_of_its_source() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("src", &[]).await;
    let last = Post {
        close: true,
        sequence: Some("9".into()),
        ..super::by(4, 0, "x")
    };
    desk.post("src", &last).await.expect("open");
    desk.put("f", &fork("src", None, 0)).await.expect("a fork");
    let first = Post {
        sequence: Some("1".into()),
        ..super::by(0, 0, "y")
    };
    let posted = desk.post("f", &first).await.expect("open, and new to it");
    assert!(!posted.repeated, "{posted:?}");
    assert_eq!(desk.body("f").await, "xy");
}

#[tokio::test]
async fn what_forks_need_is_not_trimmed() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("src", &["a", "b", "c"]).await;
    desk.put("f", &fork("src", Some(2), 0))
        .await
        .expect("a fork");
    let source = desk
        .streams
        .show(&caller(), &path("src"))
        .await
        .expect("there");
    let trimmed = world
        .streams
        .trim(&caller(), &source.stream, Offset::new(3))
        .await;
    let trimmed = trimmed.expect("within the stream");
    assert_eq!((trimmed.earliest.number(), trimmed.kept.number()), (3, 0));
    assert_eq!(desk.body("f").await, "ab");
    assert_eq!(desk.body("src").await, "");
    desk.remove("f").await.expect("there");
    let trimmed = world
        .streams
        .trim(&caller(), &source.stream, Offset::new(3))
        .await;
    assert_eq!(trimmed.expect("within the stream").kept.number(), 3);
}

#[tokio::test]
async fn whoever_forks_and_whoever_removes_never_miss_each_other() {
    let mut forked = 0;
    for seed in 0..100 {
        let world = World::over(&Settings::default(), |ground| {
            Arc::new(Slow::new(ground, seed))
        });
        let desk = Desk::new(&world);
        desk.made("src", &["a"]).await;
        let wanted = fork("src", None, 0);
        let (made, removed) = tokio::join!(desk.put("f", &wanted), desk.remove("src"));
        assert_eq!(removed, Ok(()), "seed {seed}");
        match made {
            Ok(_) => {
                forked += 1;
                assert_eq!(desk.body("f").await, "a", "seed {seed}");
                assert_eq!(
                    desk.shown("src").await,
                    Err("stream_deleted"),
                    "seed {seed}"
                );
                desk.remove("f").await.expect("there");
            }
            Err(error) => assert_eq!(error.code(), "not_found", "seed {seed}"),
        }
        let left = world.keys().await;
        let left: Vec<_> = left.iter().filter(|key| !key.starts_with("due/")).collect();
        assert_eq!(left, Vec::<&String>::new(), "seed {seed}");
    }
    assert!(
        (1..100).contains(&forked),
        "both come first sometimes: {forked}"
    );
}

#[tokio::test]
async fn a_fork_is_made_once_whatever_the_store_answers() {
    let world = World::over(&Settings::default(), |ground| {
        Arc::new(Strict::new(ground, StrictOptions::ALL))
    });
    let calm = world.calm();
    let (rough, desk) = (Desk::new(&world), Desk::new(&calm));
    desk.made("src", &["a"]).await;
    for number in 0..30 {
        let name = format!("f{number}");
        while rough.put(&name, &fork("src", None, 0)).await.is_err() {}
        assert_eq!(desk.body(&name).await, "a");
        while !matches!(desk.shown(&name).await, Err("not_found")) {
            let _ = rough.remove(&name).await;
        }
    }
    desk.remove("src").await.expect("there");
    calm.streams.sweep(1_000).await.expect("a store that works");
    assert_eq!(calm.keys().await, Vec::<String>::new());
}
