//! Random trees: what sessions of a tree answer, compared with a naive model,
//! by two processes over a store that fails whenever it may and whose callers
//! die between any two of its calls. After every step the stored rows are
//! added up: nobody may ever spend more than the root was given.

mod audit;
mod play;
mod state;

use std::hash::{BuildHasher, Hasher, RandomState};

use play::play;

/// Seeds that always run; the long ones each showed a fault first.
const REGRESSION_SEEDS: &[u64] = &[
    0,
    1,
    2,
    3,
    7,
    42,
    0x6805_053f_6fd3_3e2d,
    0xfc2e_31dd_d621_8048,
    0x555b_e068_787f_d3b7,
    0x3964_8879_8481_90c4,
    0x996e_4fba_842f_ef36,
    0x996e_4fba_842f_f19b,
];

/// Threads that share them: this is the longest test of the crate.
const THREADS: usize = 2;

/// Histories from seeds that are new each time.
fn cases() -> usize {
    #[expect(clippy::disallowed_methods, reason = "the length of a test's loop")]
    let cases = std::env::var("WINDLASS_MODEL_CASES");
    cases.map_or(100, |cases| cases.parse().expect("a number of cases"))
}

fn run(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(play(seed));
}

#[test]
fn fixed_random_trees_match_the_model() {
    for seed in REGRESSION_SEEDS {
        run(*seed);
    }
}

#[test]
fn fresh_random_trees_match_the_model() {
    let first = RandomState::new().build_hasher().finish();
    let cases = cases();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for number in (thread..cases).step_by(THREADS) {
                    run(first.wrapping_add(u64::try_from(number).expect("small")));
                }
            });
        }
    });
}
