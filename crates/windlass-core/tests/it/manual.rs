//! The environment whose owner moves its time.

use std::time::Duration;

use windlass_core::{Env, ManualEnv, Millis, SessionId};

fn draw(env: &ManualEnv, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    env.random(&mut bytes).expect("a seed never runs dry");
    bytes
}

#[test]
fn equal_seeds_and_calls_give_equal_bytes_ids_and_times() {
    let pair = [5, 5].map(|seed| ManualEnv::new(seed, Millis::new(100)));
    for length in [0, 1, 7, 8, 9, 33] {
        assert_eq!(
            draw(&pair[0], length),
            draw(&pair[1], length),
            "{length} bytes"
        );
    }
    for env in &pair {
        env.advance_ms(17);
    }
    let ids = pair
        .each_ref()
        .map(|env| SessionId::unique(env).expect("a seed never runs dry"));
    assert_eq!(ids[0], ids[1]);
    assert_eq!(pair[0].now(), pair[1].now());
}

#[test]
fn other_seeds_give_other_bytes() {
    let [one, other] = [1, 2].map(|seed| draw(&ManualEnv::new(seed, Millis::new(0)), 16));
    assert_ne!(one, other);
}

#[test]
fn both_clocks_move_together_and_never_back() {
    let env = ManualEnv::new(0, Millis::new(1_000));
    env.advance_ms(250);
    assert_eq!(
        (env.now(), env.monotonic()),
        (Millis::new(1_250), Duration::from_millis(250))
    );
    env.advance_to(Millis::new(1_100));
    assert_eq!(
        (env.now(), env.monotonic()),
        (Millis::new(1_250), Duration::from_millis(250))
    );
    env.advance_to(Millis::new(2_000));
    assert_eq!(
        (env.now(), env.monotonic()),
        (Millis::new(2_000), Duration::from_millis(1_000))
    );
}

#[tokio::test]
async fn a_sleeper_moves_the_clocks_to_its_deadline() {
    let env = ManualEnv::new(0, Millis::new(1_000));
    env.sleep_until(Duration::from_millis(40)).await;
    assert_eq!(
        (env.now(), env.monotonic()),
        (Millis::new(1_040), Duration::from_millis(40))
    );
    env.sleep_until(Duration::from_millis(30)).await;
    assert_eq!(
        env.now(),
        Millis::new(1_040),
        "a deadline that has passed moves nothing"
    );
}
