//! More random histories than the conformance suite runs.

use windlass_store::Incarnation;
use windlass_store_testing::suite::block_on;
use windlass_store_testing::{HISTORY_STEPS, Outcome, Random, random_histories};

use crate::fixture::Schemas;
use crate::settings::setting;

const CASES: &str = "WINDLASS_MODEL_CASES";
const CASES_DEFAULT: usize = 500;
/// A history takes so many times as long here as in memory, and is made so
/// many times less often.
const SHARE: usize = 100;

#[test]
fn fresh_random_histories_match_the_model() {
    let mut random = Random::new(Incarnation::draw().unwrap().number());
    let cases = setting(CASES, CASES_DEFAULT).div_ceil(SHARE);
    let seeds = (0..cases).map(move |_| random.next());
    let outcome = block_on(random_histories(&mut Schemas::new(), seeds, HISTORY_STEPS));
    assert_eq!(
        outcome.unwrap_or_else(|broken| panic!("{broken}")),
        Outcome::Passed
    );
}
