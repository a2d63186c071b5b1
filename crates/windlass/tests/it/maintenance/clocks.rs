//! A clock that cannot be right.

use windlass::core::{Coded, ErrorKind};

use super::*;
use crate::place::Place;

const HOUR_MS: u64 = 3_600_000;

async fn open(place: &Place, now: Millis, any_clock: bool) -> Result<Engine, windlass::OpenError> {
    let env = Arc::new(ManualEnv::new(now.get(), now));
    let options = Options {
        any_clock,
        ..options()
    };
    let windlass = Windlass::with_env(&place.location(), options, env.clone()).await?;
    Ok(Engine { windlass, env })
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_refused_until_it_is_accepted() {
    let place = Place::new("sqlite");
    let one = open(&place, START, false).await.unwrap();
    round(one.keeper().turn().await.unwrap());
    one.windlass.close().await.unwrap();

    let back = Millis::new(START.get() - HOUR_MS - 1);
    let error = open(&place, back, false).await.map(|_| ()).unwrap_err();
    assert_eq!(
        (error.code(), error.kind()),
        ("clock_refused", ErrorKind::Environment)
    );
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("3600001 ms before"), "{source}");
    assert!(source.contains("check --accept-clock"), "{source}");

    let other = open(&place, back, true).await.unwrap();
    let status = other.windlass.maintenance().status().await.unwrap();
    assert!(status.clock_refused.is_some(), "{status:?}");
    let refused = other.keeper().turn().await.unwrap_err();
    assert_eq!(refused.code(), "clock_refused");
    let by_hand = other.by_hand("keys").await.unwrap_err();
    assert_eq!(by_hand.code(), "clock_refused");
    let before = other.windlass.maintenance();
    let before = before.accept_clock().await.unwrap();
    assert_eq!(before, Some(START));
    other.windlass.close().await.unwrap();

    let after = open(&place, back, false).await.unwrap();
    assert_eq!(
        after.windlass.maintenance().status().await.unwrap().mark,
        Some(back)
    );
    after.windlass.close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_was_left_alone_is_opened_and_one_that_saw_the_future_is_not() {
    let place = Place::new("sqlite");
    let one = open(&place, START, false).await.unwrap();
    round(one.keeper().turn().await.unwrap());
    one.windlass.close().await.unwrap();
    let later = START.plus_ms(300 * 24 * HOUR_MS);
    open(&place, later, false)
        .await
        .unwrap()
        .windlass
        .close()
        .await
        .unwrap();
    let much_later = START.plus_ms(400 * 24 * HOUR_MS);
    let error = open(&place, much_later, false)
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.code(), "clock_refused");
}

#[tokio::test]
async fn a_process_whose_clock_runs_ahead_of_the_holder_s_does_no_upkeep() {
    let one = Engine::new().await;
    let mut holder = one.keeper();
    round(holder.turn().await.unwrap());
    let ahead = START.plus_ms(2 * HOUR_MS);
    let store = Arc::clone(one.windlass.store());
    let other = one.over(2, ahead, store, &options());
    let mut keeper = other.keeper();
    // By its clock the lease is over.
    assert_eq!(keeper.turn().await.unwrap(), Turned::Elsewhere);
    one.env.advance_ms(10_000);
    other.env.advance_ms(10_000);
    holder.turn().await.unwrap();
    assert_eq!(keeper.turn().await.unwrap_err().code(), "clock_refused");
    // Nobody writes any more: then it is the one that is right.
    other.env.advance_ms(30_000);
    assert_eq!(keeper.turn().await.unwrap(), Turned::Elsewhere);
    other.env.advance_ms(30_000);
    round(keeper.turn().await.unwrap());
}

#[tokio::test]
async fn the_latest_time_is_written_down_every_ten_seconds() {
    let one = Engine::new().await;
    let mut keeper = one.keeper();
    for turn in 0..12 {
        keeper.turn().await.unwrap();
        let mark = one.windlass.maintenance().status().await.unwrap().mark;
        let behind = one.env.now().since(mark.unwrap());
        assert!(behind < 10_000, "turn {turn}: {behind} ms behind");
        let rest = keeper.next_turn().saturating_sub(one.env.monotonic());
        assert!(rest.as_millis() <= 10_000, "{rest:?}");
        one.env.sleep_until(keeper.next_turn()).await;
    }
}
