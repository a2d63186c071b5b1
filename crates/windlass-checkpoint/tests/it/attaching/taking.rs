//! Commits that take attachments, forks that inherit them, and what nobody
//! takes.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use windlass_checkpoint::{At, AttachmentReport, Changes, CheckpointError, Removal, Sweep};
use windlass_store_testing::Slow;

use super::noise;
use crate::support::{HOUR, World, caller, id, message, over};

fn taking(attachments: &[&str]) -> Changes {
    let mut changes = message(Changes::default(), "see the attachment");
    changes.attachments = attachments.iter().map(|it| (*it).to_owned()).collect();
    changes
}

#[tokio::test]
async fn a_commit_takes_a_whole_attachment_and_says_so() {
    let world = World::new();
    let bytes = noise(1, 3_000);
    let whole = world.whole("a", &bytes).await;
    let done = world
        .commit("a", taking(&[&whole.id, &whole.id]))
        .await
        .expect("a commit");
    let found = world
        .states
        .attachment(&caller(), &id("a"), &whole.id)
        .await;
    let found = found.expect("readable").expect("an attachment");
    assert_eq!(found.revision, Some(done.revision));
    let shown = world.states.show(&caller(), &id("a"), &At::Head).await;
    let shown = shown.expect("readable").expect("a state");
    assert_eq!(
        shown.commit.attachments.first().map(String::as_str),
        Some(&*whole.id)
    );
    world
        .commit("a", taking(&[&whole.id]))
        .await
        .expect("a commit");
    let later = world
        .states
        .attachment(&caller(), &id("a"), &whole.id)
        .await;
    assert_eq!(
        later.expect("readable"),
        Some(found),
        "it stays the first one's"
    );
}

#[tokio::test]
async fn what_is_not_whole_or_not_there_is_not_taken_and_nothing_is_committed() {
    let world = World::new();
    let begun = world.begin("a").await;
    let foreign = world.whole("b", &noise(2, 10)).await;
    for attachment in ["no such", &begun.id, &foreign.id] {
        let refused = world
            .commit("a", taking(&[attachment]))
            .await
            .expect_err("not whole");
        assert!(
            matches!(refused, CheckpointError::AttachmentNotFound),
            "{refused:?}"
        );
    }
    let head = world.states.head(&caller(), &id("a")).await;
    assert_eq!(head.expect("readable").map(|head| head.revision), None);
}

#[tokio::test]
async fn forks_read_what_their_base_had_taken_by_then() {
    let world = World::new();
    let (early, late) = (noise(3, 2_000), noise(4, 2_000));
    let early_one = world.whole("a", &early).await;
    world
        .commit("a", taking(&[&early_one.id]))
        .await
        .expect("a commit");
    let (who, base, fork) = (caller(), id("a"), id("b"));
    world
        .states
        .fork(&who, &base, None, &fork, None)
        .await
        .expect("a fork");
    let late_one = world.whole("a", &late).await;
    world
        .commit("a", taking(&[&late_one.id]))
        .await
        .expect("a commit");
    let whole = 0..u64::MAX;
    let found = world
        .bytes_of("b", &early_one.id, whole.clone())
        .await
        .expect("readable");
    assert!(found.as_deref() == Some(&early[..]));
    let found = world
        .bytes_of("b", &late_one.id, whole.clone())
        .await
        .expect("readable");
    assert_eq!(found, None);
    let removed = world.states.remove(&who.tenant, &base).await;
    assert_eq!(removed.expect("a removal"), Removal::KeptForForks);
    let found = world
        .bytes_of("b", &early_one.id, whole)
        .await
        .expect("readable");
    assert!(found.as_deref() == Some(&early[..]));
    let removed = world.states.remove(&who.tenant, &fork).await;
    assert_eq!(removed.expect("a removal"), Removal::Removed);
    world.env.advance_ms(HOUR);
    world
        .states
        .sweep_attachments(Sweep::All, 100)
        .await
        .expect("a sweep");
    assert_eq!(world.attachment_keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_nobody_takes_goes_when_its_grace_period_is_over() {
    let world = World::new();
    let forsaken = world.whole("a", &noise(5, 4_000)).await;
    let taken = world.whole("a", &noise(6, 100)).await;
    world
        .commit("a", taking(&[&taken.id]))
        .await
        .expect("a commit");
    world.env.advance_ms(HOUR - 1);
    let report = world.states.sweep_attachments(Sweep::All, 100).await;
    let report = report.expect("a sweep");
    assert_eq!((report.scanned, report.removed), (2, 0));
    world.env.advance_ms(1);
    let report = world.states.sweep_attachments(Sweep::Due, 100).await;
    let expected = AttachmentReport {
        scanned: 1,
        removed: 1,
        bytes: 4_000,
        truncated: false,
        unreadable: Vec::new(),
    };
    assert_eq!(report.expect("a sweep"), expected);
    let found = world
        .states
        .attachment(&caller(), &id("a"), &forsaken.id)
        .await;
    assert_eq!(found.expect("readable"), None);
    let kept = world.attachment_keys().await;
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.iter().all(|key| key.contains(&*taken.id)), "{kept:?}");
}

#[tokio::test]
async fn bytes_that_still_come_put_the_end_off() {
    let world = World::new();
    let begun = world.begin("a").await;
    for start in 0..4_u64 {
        world.env.advance_ms(HOUR - 1);
        let report = world.states.sweep_attachments(Sweep::Due, 100).await;
        assert_eq!(report.expect("a sweep").removed, 0);
        let piece = Bytes::from_static(b"x");
        world
            .append("a", &begun.id, start, &piece)
            .await
            .expect("it is there still");
    }
    world.env.advance_ms(HOUR);
    let report = world.states.sweep_attachments(Sweep::Due, 100).await;
    assert_eq!(report.expect("a sweep").removed, 1);
    assert_eq!(world.attachment_keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_sweep_stops_at_its_limit_and_the_next_goes_on() {
    let world = World::new();
    for seed in 0..5 {
        world.whole("a", &noise(seed, 10)).await;
    }
    world.env.advance_ms(HOUR);
    let mut removed = 0;
    for truncated in [true, true, false] {
        let report = world.states.sweep_attachments(Sweep::Due, 2).await;
        let report = report.expect("a sweep");
        assert_eq!(report.truncated, truncated, "{report:?}");
        removed += report.removed;
    }
    assert_eq!(removed, 5);
    let nothing = world.states.sweep_attachments(Sweep::Due, 0).await;
    assert_eq!(nothing.expect("a sweep"), AttachmentReport::default());
}

#[tokio::test]
async fn an_attachment_can_be_dropped_whatever_it_is() {
    let world = World::new();
    let taken = world.whole("a", &noise(7, 5_000)).await;
    world
        .commit("a", taking(&[&taken.id]))
        .await
        .expect("a commit");
    let open = world.begin("a").await;
    for attachment in [&taken, &open] {
        let (who, session) = (caller(), id("a"));
        let dropped = world
            .states
            .drop_attachment(&who, &session, &attachment.id)
            .await;
        assert!(dropped.expect("a drop"));
        let again = world
            .states
            .drop_attachment(&who, &session, &attachment.id)
            .await;
        assert!(!again.expect("a drop"));
    }
    world
        .states
        .sweep_attachments(Sweep::All, 100)
        .await
        .expect("a sweep");
    assert_eq!(world.attachment_keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn attachments_are_listed_in_the_order_they_were_announced() {
    let world = World::new();
    let mut announced = Vec::new();
    for seed in 0..5 {
        world.env.advance_ms(1);
        announced.push(world.whole("a", &noise(seed, 10)).await);
    }
    let (who, session) = (caller(), id("a"));
    let all = world
        .states
        .attachments(&who, &session, None, 100)
        .await
        .expect("a page");
    assert_eq!((all.attachments, all.after), (announced.clone(), None));
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = world
            .states
            .attachments(&who, &session, after.as_deref(), 2)
            .await;
        let page = page.expect("a page");
        paged.extend(page.attachments);
        after = page.after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged, announced);
}

#[tokio::test]
async fn commits_that_take_the_same_attachment_at_once_are_all_made() {
    let world = World::new();
    let whole = world.whole("a", &noise(8, 10)).await;
    let slow = Arc::new(Slow::new(Arc::clone(&world.ground), 1));
    let states = over(slow, &world.env, &world.config);
    let (who, session) = (caller(), id("a"));
    let commits = (0..6).map(|_| states.commit(&who, &session, taking(&[&whole.id])));
    let done = join_all(commits).await.into_iter();
    let revisions: Vec<u64> = done.map(|it| it.expect("a commit").revision).collect();
    assert_eq!(revisions, [1, 2, 3, 4, 5, 6]);
}
