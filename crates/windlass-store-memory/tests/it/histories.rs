//! More random histories than the conformance suite runs.

use windlass_store::Incarnation;
use windlass_store_memory::MemoryStore;
use windlass_store_testing::suite::block_on;
use windlass_store_testing::{HISTORY_STEPS, Outcome, Random, Volatile, random_histories};

/// How many histories there are, unless the environment says otherwise.
const CASES: usize = 2_000;

#[test]
fn thousands_of_random_histories_match_the_model() {
    let mut random = Random::new(Incarnation::draw().unwrap().number());
    let seeds = (0..cases()).map(move |_| random.next());
    let mut fixture = Volatile::new(MemoryStore::new);
    let outcome = block_on(random_histories(&mut fixture, seeds, HISTORY_STEPS));
    assert_eq!(
        outcome.unwrap_or_else(|broken| panic!("{broken}")),
        Outcome::Passed
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "the gate says how many histories it wants"
)]
fn cases() -> usize {
    match std::env::var("WINDLASS_MODEL_CASES") {
        Ok(count) => count.parse().expect("WINDLASS_MODEL_CASES is a number"),
        Err(_) => CASES,
    }
}
