//! Threads that read while others invalidate, flush and sweep.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use windlass_cache::{Put, SweepLimit};

use crate::support::{World, key, tag};

const ROUNDS: u64 = 2_000;
/// What readers must have found in all, and the rounds they are given for it.
const FOUND_LEAST: u64 = 100;
const ROUNDS_MAX: u64 = 1_000_000;

/// Lets the other threads end when this one does.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Puts numbers that rise, takes each away again, and lets readers look for
/// one that was taken before they began.
fn no_reader_sees_what_was_taken(take: impl Fn(&World, u64) + Sync) {
    let world = World::new();
    let (taken, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let found_any = AtomicU64::new(0);
    thread::scope(|scope| {
        // Also where an assertion fails: the others would go on for ever.
        let _stopped = Stops(&stop);
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let floor = taken.load(Ordering::SeqCst);
                    if let Some(found) = world.get("k") {
                        found_any.fetch_add(1, Ordering::Relaxed);
                        let number = found.value()[..].try_into().expect("8 bytes");
                        let number = u64::from_le_bytes(number);
                        assert!(number > floor, "{number} was taken, {floor} was last");
                    }
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                world.cache.sweep_expired(SweepLimit::Entries(8), None);
            }
        });
        for number in 1.. {
            // Until so many rounds are over, and readers had their chance.
            let seen = found_any.load(Ordering::Relaxed);
            if number > ROUNDS_MAX || number > ROUNDS && seen >= FOUND_LEAST {
                break;
            }
            let put = Put {
                tags: vec![tag("t")],
                depends_on: vec![key("source")],
                ..Put::new(number.to_le_bytes().to_vec())
            };
            world.put("k", put);
            take(&world, number);
            taken.store(number, Ordering::SeqCst);
        }
    });
    let seen = found_any.load(Ordering::Relaxed);
    assert!(seen >= FOUND_LEAST, "readers found an entry {seen} times");
    world
        .cache
        .sweep_expired(SweepLimit::Entries(u64::MAX), None);
    assert_eq!(world.cache.stats().entries, 0);
}

#[test]
fn no_reader_sees_what_was_invalidated_before_it_began() {
    no_reader_sees_what_was_taken(|world, number| {
        let taken = match number % 4 {
            0 => world.cache.invalidate(&world.space, &key("k")),
            1 => world.cache.invalidate_prefix(&world.space, "k").unwrap(),
            2 => world.cache.invalidate_tags(&world.space, &[tag("t")]),
            _ => world.cache.invalidate(&world.space, &key("source")),
        };
        assert_eq!(taken.entries, 1);
    });
}

#[test]
fn no_reader_sees_what_was_flushed_before_it_began() {
    no_reader_sees_what_was_taken(|world, _| {
        let flush = world.cache.flush_namespace(&world.space);
        assert!(flush.after > flush.before, "{flush:?}");
    });
}

#[test]
fn one_of_many_that_compare_and_set_wins() {
    let world = World::new();
    let mut version = world.put("k", Put::new("0")).version;
    for _ in 0..200 {
        let set = || {
            let put = Put::new("1");
            let set = world
                .cache
                .compare_and_set(&world.space, &key("k"), Some(version), put);
            set.ok().map(|stored| stored.version)
        };
        let won: Vec<_> = thread::scope(|scope| {
            let racers: Vec<_> = (0..3).map(|_| scope.spawn(set)).collect();
            let answers = racers
                .into_iter()
                .map(|racer| racer.join().expect("no panic"));
            answers.flatten().collect()
        });
        assert_eq!(won.len(), 1, "{won:?}");
        version = won[0];
    }
}
