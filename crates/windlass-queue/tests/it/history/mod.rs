//! Histories of workers that enqueue, claim, renew, fail, complete and die at
//! the same time, and a checker that says whether any of it broke a promise.

mod checker;
mod play;

use std::hash::{BuildHasher, Hasher, RandomState};

use checker::{Broken, Deed, Event, check};
use play::play;

const SEEDS: &[u64] = &[1, 2, 3];

/// Histories from seeds that are new each time.
fn cases() -> usize {
    #[expect(clippy::disallowed_methods, reason = "the length of a test's loop")]
    let cases = std::env::var("WINDLASS_QUEUE_HISTORIES");
    cases.map_or(20, |cases| cases.parse().expect("a number of cases"))
}

#[tokio::test]
async fn histories_of_concurrent_workers_break_no_promise() {
    let first = RandomState::new().build_hasher().finish();
    let fresh = (0..cases()).map(|at| first.wrapping_add(u64::try_from(at).expect("small")));
    for seed in SEEDS.iter().copied().chain(fresh) {
        let history = play(seed).await;
        assert!(history.len() > 100, "seed {seed:#x}: {}", history.len());
        assert_eq!(check(&history), Ok(()), "seed {seed:#x}");
    }
}

/// One deed after the other.
fn history(deeds: &[Deed]) -> Vec<Event> {
    let at = |place: usize| u64::try_from(place).expect("small");
    let event = |(place, deed): (usize, &Deed)| Event {
        call: 2 * at(place),
        answer: 2 * at(place) + 1,
        now: at(place),
        deed: deed.clone(),
    };
    deeds.iter().enumerate().map(event).collect()
}

fn claimed(token: u64, work: &[u128]) -> Deed {
    Deed::Claimed {
        session: 0,
        token,
        until: 1_000,
        work: work.to_vec(),
    }
}

fn completed(token: u64, work: &[u128]) -> Deed {
    Deed::Completed {
        session: 0,
        token,
        work: work.to_vec(),
    }
}

fn enqueued(work: &[u128]) -> Deed {
    Deed::Enqueued {
        session: 0,
        work: work.to_vec(),
    }
}

fn back(token: u64, work: &[u128]) -> Deed {
    Deed::GivenBack {
        session: 0,
        token,
        work: work.to_vec(),
    }
}

#[test]
fn the_checker_accepts_what_keeps_all_promises() {
    let good = [
        enqueued(&[1, 2, 3]),
        claimed(1, &[1]),
        back(1, &[1]),
        claimed(2, &[1, 2]),
        completed(2, &[1, 2]),
        claimed(3, &[3]),
        completed(3, &[3]),
    ];
    assert_eq!(check(&history(&good)), Ok(()));
}

#[test]
fn the_checker_rejects_work_that_is_lost_repeated_or_out_of_order() {
    let bad: [(&[Deed], Broken); 5] = [
        (&[enqueued(&[1, 1])], Broken::SameId(1)),
        (&[enqueued(&[1])], Broken::Lost(1)),
        (
            &[
                enqueued(&[1]),
                claimed(1, &[1]),
                completed(1, &[1]),
                completed(1, &[1]),
            ],
            Broken::CompletedTwice(1),
        ),
        (
            &[
                enqueued(&[1, 2]),
                claimed(1, &[2]),
                completed(1, &[2]),
                claimed(2, &[1]),
                completed(2, &[1]),
            ],
            Broken::OutOfOrder(1, 2),
        ),
        (
            &[
                enqueued(&[1, 2]),
                claimed(1, &[1]),
                claimed(2, &[2]),
                completed(1, &[1]),
                completed(2, &[2]),
            ],
            Broken::OutOfOrder(1, 2),
        ),
    ];
    reject(&bad);
}

fn reject(bad: &[(&[Deed], Broken)]) {
    for (deeds, broken) in bad {
        assert_eq!(check(&history(deeds)), Err(*broken), "{deeds:?}");
    }
}

#[test]
fn the_checker_rejects_two_holders_and_stale_ones() {
    let renewed = Deed::Renewed {
        session: 0,
        token: 1,
        until: 2_000,
    };
    let bad: [(&[Deed], Broken); 3] = [
        (
            &[
                enqueued(&[1]),
                claimed(1, &[1]),
                claimed(2, &[1]),
                completed(2, &[1]),
            ],
            Broken::HeldByTwo(1, 2),
        ),
        (
            &[
                enqueued(&[1]),
                claimed(1, &[1]),
                back(1, &[1]),
                claimed(2, &[1]),
                renewed,
                completed(2, &[1]),
            ],
            Broken::Stale(1),
        ),
        (
            &[
                enqueued(&[1]),
                claimed(2, &[1]),
                back(2, &[1]),
                claimed(2, &[1]),
                completed(2, &[1]),
            ],
            Broken::SameToken(2),
        ),
    ];
    reject(&bad);
}
