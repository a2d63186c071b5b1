//! A clock that cannot be right.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures_util::FutureExt;
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

/// An engine on the store of `one` whose clock is two hours ahead.
fn ahead(one: &Engine) -> Engine {
    let now = one.env.now().plus_ms(2 * HOUR_MS);
    one.over(2, now, Arc::clone(one.windlass.store()), &options())
}

/// Lets so much time pass for both.
fn pass(one: &Engine, other: &Engine, ms: u64) {
    one.env.advance_ms(ms);
    other.env.advance_ms(ms);
}

fn code(turned: Result<Turned, MaintenanceError>) -> &'static str {
    turned.expect_err("its clock is wrong").code()
}

#[tokio::test]
async fn a_process_whose_clock_runs_ahead_of_the_holder_s_does_no_upkeep_until_it_is_set() {
    let one = Engine::new().await;
    let mut holder = one.keeper();
    round(holder.turn().await.unwrap());
    let other = ahead(&one);
    let mut keeper = other.keeper();
    // By its clock the lease is over.
    assert_eq!(keeper.turn().await.unwrap(), Turned::Elsewhere);
    pass(&one, &other, 10_000);
    holder.turn().await.unwrap();
    assert_eq!(code(keeper.turn().await), "clock_refused");
    let status = other.windlass.maintenance().status().await.unwrap();
    assert!(status.clock_refused.is_some(), "{status:?}");
    let by_hand = other.by_hand("keys").await.unwrap_err();
    assert_eq!(by_hand.code(), "clock_refused");
    // That nobody writes any more does not make it right.
    for _ in 0..10 {
        other.env.advance_ms(30_000);
        assert_eq!(code(keeper.turn().await), "clock_refused");
    }
    other.windlass.maintenance().accept_clock().await.unwrap();
    other.env.advance_ms(30_000);
    round(keeper.turn().await.unwrap());
}

#[tokio::test]
async fn a_holder_with_a_wrong_clock_does_not_take_back_what_was_accepted() {
    let right = Engine::new().await;
    let wrong = ahead(&right);
    let mut holder = wrong.keeper();
    round(holder.turn().await.unwrap());
    let mut heir = right.keeper();
    assert_eq!(code(heir.turn().await), "clock_refused");
    right.windlass.maintenance().accept_clock().await.unwrap();
    for _ in 0..6 {
        pass(&right, &wrong, 10_000);
        assert_eq!(code(holder.turn().await), "clock_refused");
        heir.turn().await.unwrap();
    }
    let status = right.windlass.maintenance().status().await.unwrap();
    assert!(right.env.now().since(status.mark.unwrap()) < 20_000);
    assert_eq!(status.holder.unwrap().generation, 2, "it has the lease now");
}

#[tokio::test]
async fn what_was_accepted_in_the_middle_of_a_round_stays_whoever_tells_of_the_round() {
    let right = Engine::new().await;
    right.due_rows("queue", 3).await;
    let heir = right.another(3, &options());
    let accepted = AtomicBool::new(false);
    let wrong = right.hooked(&options(), move |asked| {
        if asked.is_about("acme/queue/") && !accepted.swap(true, Ordering::Relaxed) {
            let maintenance = heir.windlass.maintenance();
            let done = maintenance.accept_clock().now_or_never();
            done.expect("a store in memory answers at once").unwrap();
        }
        Ok(())
    });
    wrong.env.advance_ms(2 * HOUR_MS);
    let mut holder = wrong.keeper();
    assert_eq!(round(holder.turn().await.unwrap()).scanned, 3);
    let status = right.windlass.maintenance().status().await.unwrap();
    assert_eq!(status.mark, Some(START));
    assert_eq!(code(holder.turn().await), "clock_refused");
}

#[tokio::test]
async fn what_was_accepted_while_a_holder_looked_away_stays_when_it_renews() {
    let right = Engine::new().await;
    let wrong = ahead(&right);
    let mut holder = wrong.keeper();
    round(holder.turn().await.unwrap());
    right.windlass.maintenance().accept_clock().await.unwrap();
    pass(&right, &wrong, 50_000);
    assert_eq!(code(holder.turn().await), "clock_refused");
    let status = right.windlass.maintenance().status().await.unwrap();
    assert_eq!(status.mark, Some(START));
}

#[tokio::test]
async fn a_holder_whose_clock_is_right_goes_on_after_it_was_accepted() {
    let one = Engine::new().await;
    let mut holder = one.keeper();
    round(holder.turn().await.unwrap());
    let other = one.another(2, &options());
    other.windlass.maintenance().accept_clock().await.unwrap();
    for _ in 0..4 {
        pass(&one, &other, 10_000);
        assert_ne!(holder.turn().await.unwrap(), Turned::Elsewhere);
    }
    let status = one.windlass.maintenance().status().await.unwrap();
    assert_eq!(status.holder.unwrap().generation, 1);
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_not_for_a_clock_that_is_far_off() {
    let one = Engine::new().await;
    let mut first = one.keeper();
    round(first.turn().await.unwrap());
    first.release().await.unwrap();
    let other = ahead(&one);
    let mut keeper = other.keeper();
    assert_eq!(keeper.turn().await.unwrap(), Turned::Elsewhere);
    pass(&one, &other, 20_000);
    assert_eq!(keeper.turn().await.unwrap(), Turned::Elsewhere);
    round(one.keeper().turn().await.unwrap());
    pass(&one, &other, 10_000);
    assert_eq!(code(keeper.turn().await), "clock_refused");
}

#[tokio::test]
async fn a_lease_that_was_given_back_and_left_alone_is_taken_in_time() {
    let one = Engine::new().await;
    let mut first = one.keeper();
    round(first.turn().await.unwrap());
    first.release().await.unwrap();
    one.env.advance_ms(12 * HOUR_MS);
    let mut keeper = one.another(2, &options()).keeper();
    assert_eq!(keeper.turn().await.unwrap(), Turned::Elsewhere);
    let mut keeper = one.keeper();
    keeper.turn().await.unwrap();
    one.env.advance_ms(30_000);
    round(keeper.turn().await.unwrap());
}

#[tokio::test]
async fn upkeep_by_hand_watches_whether_a_clock_far_ahead_is_the_wrong_one() {
    let one = Engine::new().await;
    round(one.keeper().turn().await.unwrap());
    // Nobody writes: the store was left alone.
    let other = ahead(&one);
    let before = other.env.now();
    other.by_hand("keys").await.unwrap();
    let waited = other.env.now().since(before);
    assert!((30_000..40_000).contains(&waited), "{waited} ms");
    other.by_hand("queue").await.unwrap();
    assert!(other.env.now().since(before) < waited + 1_000, "it knows");
    // Somebody does.
    let busy = one.another(3, &options());
    let holder = std::sync::Mutex::new(busy.keeper());
    let clock = Arc::clone(&busy.env);
    let wrong = one.hooked(&options(), move |asked| {
        if matches!(asked, Asked::Read(_)) && asked.is_about("maintenance/lease") {
            clock.advance_ms(40_000);
            let turned = holder.lock().unwrap().turn().now_or_never();
            turned.expect("a store in memory answers at once").unwrap();
        }
        Ok(())
    });
    wrong.env.advance_ms(3 * HOUR_MS);
    let refused = wrong.by_hand("keys").await.unwrap_err();
    assert_eq!(refused.code(), "clock_refused");
}

#[tokio::test]
async fn upkeep_by_hand_does_not_watch_without_end_where_leases_are_short() {
    let one = Engine::new().await;
    let mut short = options();
    short.maintenance.lease_ms = 1_000;
    let busy = one.another(3, &short);
    let holder = std::sync::Mutex::new(busy.keeper());
    let (clock, looks) = (Arc::clone(&busy.env), AtomicU32::new(0));
    busy.windlass.maintenance().accept_clock().await.unwrap();
    let turn = move || {
        clock.advance_ms(400);
        let turned = holder.lock().unwrap().turn().now_or_never();
        turned.expect("a store in memory answers at once").unwrap();
    };
    turn();
    let wrong = one.hooked(&short, move |asked| {
        if matches!(asked, Asked::Read(_)) && asked.is_about("maintenance/lease") {
            let looks = looks.fetch_add(1, Ordering::Relaxed);
            assert!(looks < 100, "it watches without end");
            turn();
        }
        Ok(())
    });
    wrong.env.advance_ms(3 * HOUR_MS);
    let refused = wrong.by_hand("keys").await.unwrap_err();
    assert_eq!(refused.code(), "clock_refused");
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
