//! Replays that end on the way and are begun again.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use windlass::Windlass;
use windlass::core::Coded;
use windlass_replay::{
    Commits, Observer, Outputs, Percent, Recording, Replay, ReplayOptions, Report, Restrictions,
    StepDone, Withhold,
};

use crate::common::{caller, contents, examples, memory, play, read, timeless};

/// Stops the replay at a given step of those done now.
struct Stop(AtomicUsize);

impl Observer for Stop {
    fn step(&self, done: &StepDone<'_>) -> ControlFlow<()> {
        if !done.found && self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Plays with a stop after each of the given numbers of steps, then to the
/// end.
async fn interrupted(
    windlass: &Windlass,
    recording: &Recording,
    options: &ReplayOptions,
    stops: &[usize],
) -> Report {
    let caller = caller();
    let replay = Replay {
        windlass,
        caller: &caller,
        recording,
        options,
    };
    for stop in stops {
        if let Err(error) = replay.run(&Stop(AtomicUsize::new(*stop))).await {
            assert_eq!(error.code(), "stopped", "{error:?}");
        }
    }
    replay.verify().await.unwrap_err();
    let report = replay.run(&()).await.unwrap();
    replay.verify().await.unwrap();
    report
}

fn restrictions() -> impl Strategy<Value = Restrictions> {
    let withhold = prop_oneof![Just(None), Just(Some(Withhold::MostUsed))];
    let percent = prop_oneof![Just(None), (1_u64..=100).prop_map(Percent::new)];
    (withhold, percent).prop_map(|(withhold, calls_percent)| Restrictions {
        withhold,
        calls_percent,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_replay_stopped_anywhere_ends_like_one_that_was_not(
        restrictions in restrictions(),
        jobs in 1_usize..8,
        commits in prop_oneof![Just(Commits::Step), Just(Commits::Message)],
        outputs in prop_oneof![Just(Outputs::Recorded), Just(Outputs::Steps)],
        stops in proptest::collection::vec(1_usize..7, 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let recording = read(&examples());
            let options = ReplayOptions { restrictions, jobs, commits, outputs, ..ReplayOptions::default() };
            let (whole, broken) = (memory().await, memory().await);
            let wanted = play(&whole, &recording, &options).await;
            let report = interrupted(&broken, &recording, &options, &stops).await;
            assert!(report.steps_found <= stops.iter().sum::<usize>().try_into().unwrap());
            assert_eq!(timeless(&report), timeless(&wanted));
            assert_eq!(contents(&broken).await, contents(&whole).await);
        });
    }
}
