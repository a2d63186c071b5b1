//! A process is killed at a random moment: what it acknowledged is there,
//! and nothing is there by half.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use windlass_store::Store;
use windlass_store_sled::{Options, SledStore};
use windlass_store_testing::Random;

use crate::children::{Player, Role, setting, tell};
use crate::common::Place;
use crate::sessions::{self, SESSIONS};

/// Kills in one run; the nightly run takes more.
const CYCLES: &str = "WINDLASS_SLED_KILL_CYCLES";
const CYCLES_DEFAULT: u64 = 20;
/// Kills of one store: each is followed by a look at all of it.
const CYCLES_A_STORE: usize = 100;
const SEED: &str = "WINDLASS_KILL_SEED";

/// Most acknowledgements that are waited for before a kill.
const ACKNOWLEDGED_MAX: usize = 60;

#[tokio::test]
async fn what_a_killed_process_acknowledged_is_there_and_nothing_by_half() {
    let seed = setting(SEED, 7);
    let mut random = Random::new(seed);
    let cycles = setting(CYCLES, CYCLES_DEFAULT);
    for first in (0..cycles).step_by(CYCLES_A_STORE) {
        let last = cycles.min(first + CYCLES_A_STORE as u64);
        kill_again_and_again(&mut random, seed, first..last).await;
    }
}

async fn kill_again_and_again(random: &mut Random, seed: u64, cycles: Range<u64>) {
    let place = Place::new();
    let mut known = [0; SESSIONS];
    for cycle in cycles {
        let when = format!("seed {seed}, cycle {cycle}");
        let mut child = Player::start(Role::Mortal, &place.store());
        let heard = (0..random.below(ACKNOWLEDGED_MAX)).filter_map(|_| child.hear());
        let mut told: Vec<_> = heard.collect();
        told.extend(child.kill());
        for (session, number) in told.iter().map(|line| acknowledgement(line)) {
            let next = known[session] + 1;
            assert_eq!(number, next, "{when}: session {session} acknowledged");
            known[session] = number;
        }
        let found = verify(&place, &when).await;
        for (session, (known, found)) in known.iter_mut().zip(found).enumerate() {
            // One commit of a session can be on its way when the process dies.
            assert!(
                (*known..=*known + 1).contains(&found),
                "{when}: session {session} has {found} commits, of which it acknowledged {known}"
            );
            *known = found;
        }
    }
    assert!(
        known.iter().all(|known| *known > 0),
        "seed {seed}: a session never committed: {known:?}"
    );
}

fn acknowledgement(line: &str) -> (usize, u64) {
    let (session, number) = line.split_once(' ').expect("a session and a number");
    (
        session.parse().expect("a session"),
        number.parse().expect("a number"),
    )
}

/// How many commits each session has.
async fn verify(place: &Place, when: &str) -> [u64; SESSIONS] {
    let store = place.open().await;
    let found = sessions::found(&store).await;
    store.close().await.expect("the store closes");
    found.unwrap_or_else(|what| panic!("{when}: {what}"))
}

/// Commits until killed.
pub(crate) async fn play_mortal(path: &Path) {
    let store = SledStore::open(path, Options::default()).await;
    let store = Arc::new(store.expect("the store opens"));
    let acknowledge = |session, number| tell(&format!("{session} {number}"));
    sessions::commit_each(&store, u64::MAX, acknowledge).await;
}
