//! The rate limit as callers meet it.

use windlass_core::Env;
use windlass_session::{Agent, RateLimit, SessionError, Use, UseItem};

use crate::support::{SECOND, World, call, use_tools};

/// Six calls in any minute.
async fn limited(limit: u64) -> World {
    let world = World::new();
    world
        .create(|request| {
            request.budget.calls = 1_000;
            request.rate = Some(RateLimit::sliding(limit, 60 * SECOND));
        })
        .await;
    world
}

fn batch(size: usize) -> Use {
    let item = UseItem::new("search".parse().expect("a name"));
    Use::batch(Agent::Unchecked, vec![item; size])
}

/// The limit and the wait that a refusal names.
fn wait(refused: SessionError) -> (u64, Option<u64>) {
    match refused {
        SessionError::RateLimited {
            limit,
            retry_after_ms,
        } => (limit, retry_after_ms),
        other => panic!("refused for another reason: {other:?}"),
    }
}

#[tokio::test]
async fn calls_beyond_the_limit_wait_as_long_as_they_are_told() {
    let world = limited(6).await;
    for _ in 0..6 {
        world.call("s1", "search").await.expect("within the limit");
        world.env.advance_ms(SECOND);
    }
    let refused = world.call("s1", "search").await.unwrap_err();
    let (limit, retry) = wait(refused);
    let retry = retry.expect("calls leave the window");
    assert_eq!(limit, 6);
    assert!((54 * SECOND..55 * SECOND + 63).contains(&retry), "{retry}");
    world.env.advance_ms(retry - 1);
    let early = world.call("s1", "search").await.unwrap_err();
    assert_eq!(wait(early), (6, Some(1)));
    world.env.advance_ms(1);
    world.call("s1", "search").await.expect("as it was told");
}

#[tokio::test]
async fn a_limit_of_zero_refuses_all_for_ever() {
    let world = limited(0).await;
    let refused = world.call("s1", "search").await.unwrap_err();
    assert_eq!(wait(refused), (0, None));
}

#[tokio::test]
async fn a_batch_larger_than_the_limit_is_refused_in_a_fresh_window() {
    let world = limited(6).await;
    let refused = use_tools(&world.sessions, "s1", batch(7)).await;
    assert_eq!(wait(refused.unwrap_err()), (6, None));
    use_tools(&world.sessions, "s1", batch(6))
        .await
        .expect("exactly the limit");
    let refused = use_tools(&world.sessions, "s1", batch(6))
        .await
        .unwrap_err();
    assert!(
        wait(refused).1.is_some_and(|ms| ms >= 60 * SECOND),
        "all six must leave"
    );
}

#[tokio::test]
async fn a_restart_opens_no_fresh_window() {
    let world = limited(6).await;
    use_tools(&world.sessions, "s1", batch(6))
        .await
        .expect("granted");
    world.env.advance_ms(30 * SECOND);
    let refused = use_tools(&world.reopen(), "s1", call("search")).await;
    let (_, retry) = wait(refused.unwrap_err());
    assert!(retry.is_some_and(|ms| ms >= 30 * SECOND), "{retry:?}");
}

#[tokio::test]
async fn refused_calls_do_not_lengthen_the_wait() {
    let world = limited(1).await;
    world.call("s1", "search").await.expect("granted");
    let first = wait(world.call("s1", "search").await.unwrap_err()).1;
    let mut left = first.expect("calls leave the window");
    for _ in 0..5 {
        world.env.advance_ms(10 * SECOND);
        left -= 10 * SECOND;
        let refused = world.call("s1", "search").await.unwrap_err();
        assert_eq!(wait(refused), (1, Some(left)));
    }
    let rows = world.rows().await.len();
    world.env.advance_ms(left);
    world.call("s1", "search").await.expect("granted");
    assert_eq!(world.rows().await.len(), rows + 1, "refusals left no row");
}

/// Three calls in each minute of the clock; the clock stands 20 s after the
/// beginning of one.
async fn fixed() -> World {
    let world = World::new();
    world
        .create(|request| {
            request.budget.calls = 1_000;
            request.rate = Some(RateLimit::fixed(3, 60 * SECOND));
        })
        .await;
    world
}

#[tokio::test]
async fn around_the_boundary_of_fixed_windows_twice_the_limit_passes_and_no_more() {
    let world = fixed().await;
    assert_eq!(world.env.now().get() % (60 * SECOND), 20 * SECOND);
    let three = || use_tools(&world.sessions, "s1", batch(3));
    three().await.expect("a fresh window");
    let told = wait(world.call("s1", "search").await.unwrap_err());
    assert_eq!(told, (3, Some(40 * SECOND)));
    world.env.advance_ms(40 * SECOND - 1);
    let told = wait(world.call("s1", "search").await.unwrap_err());
    assert_eq!(told, (3, Some(1)));
    world.env.advance_ms(1);
    three().await.expect("the next window");
    let told = wait(world.call("s1", "search").await.unwrap_err());
    assert_eq!(told, (3, Some(60 * SECOND)));
}

#[tokio::test]
async fn a_restart_opens_no_fresh_fixed_window() {
    let world = fixed().await;
    use_tools(&world.sessions, "s1", batch(2))
        .await
        .expect("granted");
    world.env.advance_ms(10 * SECOND);
    let reopened = world.reopen();
    let refused = use_tools(&reopened, "s1", batch(2)).await;
    assert_eq!(wait(refused.unwrap_err()), (3, Some(30 * SECOND)));
    use_tools(&reopened, "s1", call("search"))
        .await
        .expect("the third call");
}

#[tokio::test]
async fn a_batch_larger_than_a_fixed_limit_is_refused_for_ever() {
    let world = fixed().await;
    let refused = use_tools(&world.sessions, "s1", batch(4)).await;
    assert_eq!(wait(refused.unwrap_err()), (3, None));
}
