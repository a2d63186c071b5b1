//! P16: random histories.

use windlass_store::Incarnation;

use crate::history::{HISTORY_CASES, HISTORY_STEPS, REGRESSION_SEEDS, run_all};
use crate::verdict::Trial;
use crate::{Fixture, Random};

pub(crate) async fn p16_random_histories_match_the_model(fixture: &mut dyn Fixture) -> Trial {
    let mut random = Random::new(Incarnation::draw()?.number());
    let fresh: Vec<u64> = (0..HISTORY_CASES).map(|_| random.next()).collect();
    let seeds = REGRESSION_SEEDS.iter().copied().chain(fresh);
    run_all(fixture, seeds, HISTORY_STEPS).await
}
