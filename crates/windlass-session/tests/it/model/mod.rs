//! Random histories: what sessions answer, compared call by call with a
//! simple model, over a store that fails whenever it may.

mod ask;
mod play;
mod state;

use std::hash::{BuildHasher, Hasher, RandomState};

use play::play;

/// Seeds that always run: each was the first to show some planted fault.
const REGRESSION_SEEDS: &[u64] = &[
    0,
    1,
    2,
    3,
    7,
    42,
    0x268d_fb07_a16f_0884,
    0x6f57_aff5_b21c_0949,
    0xf629_17e1_2861_8e0a,
];

/// Histories from seeds that are new each time.
fn cases() -> usize {
    #[expect(clippy::disallowed_methods, reason = "the length of a test's loop")]
    let cases = std::env::var("WINDLASS_MODEL_CASES");
    cases.map_or(2_000, |cases| cases.parse().expect("a number of cases"))
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
