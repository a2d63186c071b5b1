//! The random histories that states play in memory in their own tests, on
//! every store of this build: commits, forks, tags, rollbacks, retention and
//! collection, beside processes that end between any two steps.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use windlass::store::Store;

use crate::SCHEMES;
use crate::place::Place;

#[path = "../../../windlass-checkpoint/tests/it/ending.rs"]
mod ending;
#[path = "../../../windlass-checkpoint/tests/it/model/play.rs"]
mod play;
#[path = "../../../windlass-checkpoint/tests/it/reachable.rs"]
mod reachable;
#[path = "../../../windlass-checkpoint/tests/it/model/state.rs"]
mod state;
#[path = "../../../windlass-checkpoint/tests/it/support.rs"]
#[expect(dead_code, reason = "other tests of states use the rest of it")]
mod support;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_match_the_model_on_every_store() {
    for scheme in SCHEMES {
        // One that is always the same, and one that is new.
        for seed in [0, RandomState::new().hash_one(scheme)] {
            let place = Place::new(scheme);
            let engine = place.open().await;
            let ground: Arc<dyn Store> = Arc::clone(engine.store());
            play::play(seed, ground).await;
            engine.close().await.unwrap();
        }
    }
}
