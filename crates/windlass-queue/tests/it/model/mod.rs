//! Random histories: what the queue answers, compared call by call with a
//! simple model, over a store that fails whenever it may.

mod play;
mod state;

use std::hash::{BuildHasher, Hasher, RandomState};

use play::play;

/// Seeds that always run.
const REGRESSION_SEEDS: &[u64] = &[
    0,
    1,
    2,
    3,
    7,
    42,
    0x42e0_92d8_add1_a205,
    0xc1a5_9a78_0992_b10a,
    0xa42b_b083_2381_2144,
    0xda6d_c830_2d77_b037,
];

/// Histories from seeds that are new each time.
fn cases() -> usize {
    #[expect(clippy::disallowed_methods, reason = "the length of a test's loop")]
    let cases = std::env::var("WINDLASS_QUEUE_CASES");
    cases.map_or(60, |cases| cases.parse().expect("a number of cases"))
}

fn run(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(play(seed));
}

#[test]
fn fixed_random_histories_match_the_model() {
    for seed in REGRESSION_SEEDS {
        run(*seed);
    }
}

#[test]
fn fresh_random_histories_match_the_model() {
    let first = RandomState::new().build_hasher().finish();
    for number in 0..cases() {
        run(first.wrapping_add(u64::try_from(number).expect("small")));
    }
}
