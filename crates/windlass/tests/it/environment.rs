//! The operating system's time and randomness.

use std::thread;
use std::time::Duration;

use windlass::SystemEnv;
use windlass::core::Env;

#[test]
fn no_thread_sees_the_time_of_day_decrease() {
    let readers: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                let env = SystemEnv::new();
                let readings: Vec<_> = (0..10_000).map(|_| env.now()).collect();
                assert!(readings.is_sorted(), "time went back");
            })
        })
        .collect();
    for reader in readers {
        reader.join().unwrap();
    }
}

#[test]
fn the_time_of_day_is_in_milliseconds_of_this_century() {
    let now = SystemEnv::new().now().get();
    assert!(
        (1_600_000_000_000..4_000_000_000_000).contains(&now),
        "{now}"
    );
}

#[test]
fn random_bytes_are_drawn_anew_each_time() {
    let env = SystemEnv::new();
    let mut draws = [[0_u8; 32]; 2];
    for draw in &mut draws {
        env.random(draw).unwrap();
    }
    assert_ne!(draws[0], draws[1]);
    assert_ne!(draws[0], [0; 32]);
}

#[tokio::test]
async fn a_sleep_ends_at_its_deadline_and_not_before() {
    let env = SystemEnv::new();
    let deadline = env.monotonic() + Duration::from_millis(5);
    env.sleep_until(deadline).await;
    assert!(env.monotonic() >= deadline, "woke early");
}

#[test]
fn a_sleep_may_be_made_outside_a_runtime_and_never_overflows() {
    let env = SystemEnv::new();
    let endless = env.sleep_until(Duration::MAX);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let first = runtime.block_on(async {
        tokio::select! {
            () = endless => "endless",
            () = env.sleep_until(Duration::ZERO) => "passed",
        }
    });
    assert_eq!(first, "passed");
}
