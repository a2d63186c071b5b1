//! What is forgotten, and that nothing grows for ever.

use windlass_queue::{State, Under, Work};

use crate::support::{
    DAY, TTL, World, acquire, caller, claim_of, code, job, names, session, try_push, under,
};

async fn sweep(world: &World) -> windlass_queue::SweepReport {
    world.queue.sweep(1_000).await.expect("a store that works")
}

#[tokio::test]
async fn a_queue_that_was_idle_for_a_day_leaves_nothing_behind() {
    let world = World::new();
    let work = Work {
        source_key: Some("k".into()),
        ..job("a")
    };
    let pushed = try_push(&world.queue, "s1", vec![work], under("push")).await;
    pushed.expect("new");
    let claim = world.take(1).await;
    world.complete(&claim).await.expect("held");
    acquire(&world.queue, "s1", "w", TTL).await.expect("free");
    assert_eq!(sweep(&world).await.scanned, 0, "nothing is due yet");
    world.env.advance_ms(DAY);
    let report = sweep(&world).await;
    assert_eq!((report.operations_removed, report.sources_removed), (1, 1));
    assert_eq!((report.queues_removed, report.leases_removed), (1, 0));
    world.env.advance_ms(TTL);
    assert_eq!(sweep(&world).await.leases_removed, 1);
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_in_use_is_not_forgotten() {
    let world = World::new();
    world.push(job("a")).await;
    let claim = world.take(1).await;
    world.env.advance_ms(10 * DAY);
    let report = sweep(&world).await;
    assert_eq!((report.scanned, report.queues_removed), (1, 0));
    let again = world.take(1).await;
    assert_eq!((again.ids(), again.token), (claim.ids(), claim.token + 1));
    let failed = windlass_queue::Settle {
        fail: vec![windlass_queue::Failure {
            fatal: true,
            ..windlass_queue::Failure::new(again.work[0].id)
        }],
        ..windlass_queue::Settle::nothing(again.token)
    };
    crate::support::settle(&world.queue, &session("s1"), failed)
        .await
        .expect("held");
    for _ in 0..3 {
        world.env.advance_ms(DAY);
        assert_eq!(sweep(&world).await.queues_removed, 0);
    }
    assert_eq!(world.list(State::Dead).await.len(), 1);
}

#[tokio::test]
async fn a_sweep_stops_at_its_limit_and_says_so() {
    let world = World::new();
    for number in 0..5 {
        crate::support::push_to(&world.queue, &format!("s{number}"), job("a")).await;
    }
    world.env.advance_ms(DAY);
    let report = world.queue.sweep(2).await.expect("a store that works");
    assert_eq!((report.scanned, report.truncated), (2, true));
    let report = world.queue.sweep(3).await.expect("a store that works");
    assert_eq!((report.scanned, report.truncated), (3, false));
}

#[tokio::test]
async fn rows_of_other_parts_are_theirs_to_see_to() {
    let world = World::new();
    let foreign = "due/00000000000000000001/stash/acme/s1";
    world.put(foreign, "").await;
    world.push(job("a")).await;
    world.env.advance_ms(DAY);
    assert_eq!(sweep(&world).await.scanned, 1);
    assert!(world.keys().await.contains(&foreign.to_owned()), "it stays");
}

#[tokio::test]
async fn removing_a_queue_takes_everything_with_it_and_nothing_else() {
    let world = World::new();
    crate::support::push_to(&world.queue, "s2", job("other")).await;
    let before = world.keys().await;
    for round in 0..20 {
        let work = (0..30).map(|number| Work {
            source_key: Some(format!("{round}/{number}").into()),
            ..job("x")
        });
        let operation = under(&format!("push-{round}"));
        let pushed = try_push(&world.queue, "s1", work.collect(), operation).await;
        pushed.expect("new");
    }
    let claim = world.take(20).await;
    world.complete(&claim).await.expect("held");
    let claim = world.take(3).await;
    crate::support::settle(&world.queue, &session("s1"), claim.failed("x"))
        .await
        .expect("held");
    acquire(&world.queue, "s1", "w", TTL).await.expect("free");
    let tenant = caller().tenant;
    let removed = world
        .queue
        .remove(&tenant, &session("s1"))
        .await
        .expect("removed");
    assert!(removed > 600, "{removed}");
    assert_eq!(world.keys().await, before);
    assert_eq!(
        world
            .queue
            .remove(&tenant, &session("s1"))
            .await
            .expect("again"),
        0
    );
    assert_eq!(claim_of(&world.queue, "s1", 1).await, None);
    world.push(job("new")).await;
    assert_eq!(names(&world.take(5).await), ["new"]);
}

#[tokio::test]
async fn lost_rows_are_damage_and_no_shorter_line() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.push(job(name)).await;
    }
    let keys = world.keys().await;
    let items: Vec<_> = keys.iter().filter(|key| key.contains("/item/")).collect();
    world.delete(items[1]).await;
    let queue = world.reopen();
    let claim = crate::support::try_claim(&queue, "s1", &crate::support::ask(5)).await;
    assert_eq!(code(claim), "corrupt_record");
    let any = crate::support::try_claim_any(&queue, &crate::support::ask(5)).await;
    assert_eq!(code(any), "corrupt_record");
    crate::support::push_to(&queue, "s2", job("fine")).await;
    let any = crate::support::try_claim_any(&queue, &crate::support::ask(5)).await;
    let any = any.expect("one damaged queue stops nobody").expect("work");
    assert_eq!(names(&any), ["fine"]);
    let head = "acme/queue/s2/head";
    world.edit(head, |head| head["v"] = 2.into()).await;
    let other = try_push(&world.reopen(), "s2", vec![job("x")], Under::NOTHING).await;
    let why = other.expect_err("another format").to_string();
    assert!(why.contains("format 2; this version reads 1"), "{why}");
}

#[tokio::test]
async fn a_head_stays_small_however_long_the_line_is() {
    let world = World::new();
    for number in 0..150 {
        // Each in a row of its own: the worst there is.
        world.env.advance_ms(1);
        world.push(job(&number.to_string())).await;
    }
    let owner = "o".repeat(128);
    let ask = windlass_queue::Ask {
        owner: crate::support::owner(&owner),
        ..crate::support::ask(100)
    };
    let claim = crate::support::try_claim(&world.queue, "s1", &ask).await;
    assert_eq!(claim.expect("a claim").expect("work").work.len(), 100);
    let rows = world.rows().await;
    let head = rows
        .iter()
        .find(|row| row.key.ends_with(b"/head"))
        .expect("a head");
    assert!(head.value.len() <= 8 * 1_024, "{} bytes", head.value.len());
}
