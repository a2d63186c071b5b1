//! Random histories: what states answer, compared with a simple model, over a
//! store that makes the least of its contract, or does not say what became of
//! a commit, and beside processes that end half way.

mod play;
mod state;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use windlass_store_memory::MemoryStore;

use crate::{ending, reachable, support};
use play::play;

/// Seeds that always run.
const REGRESSION_SEEDS: &[u64] = &[0, 1, 2, 3, 7, 42];

/// Histories from seeds that are new each time.
fn cases() -> usize {
    #[expect(clippy::disallowed_methods, reason = "the length of a test's loop")]
    let cases = std::env::var("WINDLASS_STATE_CASES");
    cases.map_or(60, |cases| cases.parse().expect("a number of cases"))
}

fn run(seed: u64) {
    let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(play(seed, ground));
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
