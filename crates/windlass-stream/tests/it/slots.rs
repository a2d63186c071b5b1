//! How many may read at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use windlass_stream::{Caller, Capacity, Occupancy, Refusal, Settings};

fn caller(tenant: &str, principal: &str) -> Caller {
    let tenant = tenant.parse().expect("an identifier");
    Caller::new(tenant, principal.parse().expect("an identifier"))
}

fn caps(all: usize, principal: usize) -> Settings {
    Settings {
        streams_max: all,
        principal_streams_max: principal,
        ..Settings::default()
    }
}

#[test]
fn the_cap_of_the_process_is_tested_before_that_of_the_principal() {
    let (capacity, caps) = (Capacity::new(), caps(2, 1));
    let (ann, bob) = (caller("acme", "ann"), caller("acme", "bob"));
    let first = capacity.take(&ann, &caps).expect("free");
    let refused = capacity.take(&ann, &caps).expect_err("her only one");
    let (limit, current) = (1, 1);
    assert_eq!(refused, Refusal::Principal { limit, current });
    let second = capacity.take(&bob, &caps).expect("free");
    let refused = capacity.take(&ann, &caps).expect_err("all are taken");
    let (limit, current) = (2, 2);
    assert_eq!(refused, Refusal::Server { limit, current });
    drop((first, second));
    assert_eq!(
        capacity.occupancy(),
        Occupancy::default(),
        "nothing is kept"
    );
}

#[test]
fn the_same_name_in_another_tenant_is_somebody_else() {
    let (capacity, caps) = (Capacity::new(), caps(9, 1));
    let _one = capacity.take(&caller("acme", "ann"), &caps).expect("free");
    let _other = capacity.take(&caller("other", "ann"), &caps).expect("free");
    assert_eq!(capacity.occupancy().all, 2);
}

#[test]
fn a_panic_gives_the_slot_back() {
    let capacity = Capacity::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _slot = capacity
            .take(&caller("acme", "ann"), &caps(1, 1))
            .expect("free");
        panic!("the reader failed");
    }));
    assert!(panicked.is_err(), "{panicked:?}");
    assert_eq!(capacity.occupancy(), Occupancy::default());
}

#[test]
fn sixteen_threads_never_have_more_than_four_and_none_afterwards() {
    let (capacity, caps) = (Capacity::new(), caps(4, 4));
    let (open, most, granted) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let barrier = Barrier::new(16);
    thread::scope(|scope| {
        for number in 0..16 {
            let (capacity, caps, barrier) = (&capacity, &caps, &barrier);
            let (open, most, granted) = (&open, &most, &granted);
            scope.spawn(move || {
                let caller = caller("acme", &format!("p{}", number % 3));
                barrier.wait();
                for _ in 0..200 {
                    let Ok(slot) = capacity.take(&caller, caps) else {
                        continue;
                    };
                    most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    granted.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                    open.fetch_sub(1, Ordering::SeqCst);
                    drop(slot);
                }
            });
        }
    });
    let most = most.into_inner();
    assert!((1..=4).contains(&most), "{most} at a time");
    assert!(granted.into_inner() >= 4, "the first four were let in");
    assert_eq!(capacity.occupancy(), Occupancy::default());
}
