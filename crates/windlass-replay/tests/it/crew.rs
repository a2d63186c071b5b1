//! Steps that travel as queued work.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Mutex;

use windlass::Windlass;
use windlass::core::Coded;
use windlass::queue::{Under, Work};
use windlass_replay::{
    Commits, Crew, Observer, Percent, Recording, Replay, ReplayOptions, Report, Restrictions,
    StepDone, Withhold,
};

use crate::common::{caller, examples, memory, play, published, read, sqlite, timeless};

fn crew(workers: usize) -> Option<Crew> {
    Some(Crew {
        workers,
        claim_ms: 300,
        arrivals: None,
    })
}

fn restricted() -> Restrictions {
    Restrictions {
        withhold: Some(Withhold::MostUsed),
        calls_percent: Percent::new(60),
    }
}

/// Remembers every step it was told of.
#[derive(Default)]
struct Log(Mutex<Vec<(String, usize)>>);

impl Observer for Log {
    fn step(&self, done: &StepDone<'_>) -> ControlFlow<()> {
        let step = (done.run.id(), done.number);
        self.0.lock().unwrap().push(step);
        ControlFlow::Continue(())
    }
}

/// Plays with a crew, verifies, and answers what was told.
async fn worked(
    windlass: &Windlass,
    recording: &Recording,
    options: &ReplayOptions,
) -> (Report, Vec<(String, usize)>) {
    let caller = caller();
    let replay = Replay {
        windlass,
        caller: &caller,
        recording,
        options,
    };
    let log = Log::default();
    let report = replay.run(&log).await.unwrap();
    replay.verify().await.unwrap();
    (report, log.0.into_inner().unwrap())
}

/// What of a report does not depend on who played, a line a run.
fn comparable(report: &Report) -> Vec<String> {
    let runs = report.by_run.iter();
    runs.map(|run| format!("{} {} {:?}", run.steps, run.allowed, run.refused))
        .collect()
}

#[tokio::test]
async fn workers_do_every_step_once_and_in_the_order_of_its_run() {
    let recording = read(&examples());
    let table = [
        (Restrictions::default(), Commits::Step),
        (Restrictions::default(), Commits::Message),
        (restricted(), Commits::Step),
        (restricted(), Commits::Message),
    ];
    for (restrictions, commits) in table {
        let options = ReplayOptions {
            restrictions,
            commits,
            crew: crew(4),
            ..ReplayOptions::default()
        };
        let alone = ReplayOptions {
            crew: None,
            ..options.clone()
        };
        let (report, told) = worked(&memory().await, &recording, &options).await;
        let wanted = play(&memory().await, &recording, &alone).await;
        assert_eq!(comparable(&report), comparable(&wanted));
        for run in &recording.runs {
            let numbers = told.iter().filter(|(id, _)| *id == run.id());
            let numbers: Vec<_> = numbers.map(|(_, number)| *number).collect();
            assert_eq!(numbers, (1..=run.steps.len()).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn workers_do_the_steps_of_published_runs_once() {
    for name in ["toolbench", "swe-agent", "autogen-recorder"] {
        let Some(path) = published(name) else {
            continue;
        };
        let recording = read(&path);
        let options = ReplayOptions {
            crew: crew(4),
            ..ReplayOptions::default()
        };
        let directory = tempfile::tempdir().unwrap();
        let windlass = sqlite(directory.path()).await;
        let (report, told) = worked(&windlass, &recording, &options).await;
        assert_eq!(report.uses_allowed, report.steps, "{name}");
        let once: BTreeSet<_> = told.iter().collect();
        assert_eq!(once.len(), told.len(), "{name}");
        windlass.close().await.unwrap();
    }
}

/// Stops once so many steps were told.
struct Stop(Mutex<usize>);

impl Observer for Stop {
    fn step(&self, _: &StepDone<'_>) -> ControlFlow<()> {
        let mut left = self.0.lock().unwrap();
        *left = left.saturating_sub(1);
        if *left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

#[tokio::test]
async fn a_crew_that_stops_is_followed_by_one_that_goes_on() {
    let (recording, caller) = (read(&examples()), caller());
    let options = ReplayOptions {
        restrictions: restricted(),
        crew: crew(3),
        ..ReplayOptions::default()
    };
    let windlass = memory().await;
    let replay = Replay {
        windlass: &windlass,
        caller: &caller,
        recording: &recording,
        options: &options,
    };
    for stop in [1, 5, 9] {
        let stopped = replay.run(&Stop(Mutex::new(stop))).await.unwrap_err();
        assert_eq!(stopped.code(), "stopped", "{stopped:?}");
    }
    let (report, _) = worked(&windlass, &recording, &options).await;
    let (whole, _) = worked(&memory().await, &recording, &options).await;
    assert_eq!(comparable(&report), comparable(&whole));
    let again = replay.run(&()).await.unwrap();
    assert_eq!(timeless(&again), timeless(&report));
}

#[tokio::test]
async fn a_worker_that_joins_does_what_is_left_and_ends_when_nothing_is() {
    let (recording, caller) = (read(&examples()), caller());
    let options = ReplayOptions {
        crew: crew(2),
        ..ReplayOptions::default()
    };
    let windlass = memory().await;
    let replay = Replay {
        windlass: &windlass,
        caller: &caller,
        recording: &recording,
        options: &options,
    };
    let stopped = replay.run(&Stop(Mutex::new(3))).await.unwrap_err();
    assert_eq!(stopped.code(), "stopped", "{stopped:?}");
    let log = Log::default();
    replay.join(&log).await.unwrap();
    let steps = log.0.into_inner().unwrap();
    let once: BTreeSet<_> = steps.iter().collect();
    assert_eq!(steps.len(), once.len());
    assert!(steps.len() >= recording.steps() - 4, "{}", steps.len());
    let report = replay.run(&()).await.unwrap();
    assert_eq!(
        (report.uses_allowed, report.step_ms_p50),
        (report.steps, None)
    );
    replay.verify().await.unwrap();
}

#[tokio::test]
async fn work_that_is_no_step_of_the_recording_ends_the_replay() {
    let (windlass, recording, caller) = (memory().await, read(&examples()), caller());
    let stranger = windlass::queue::Caller::new(caller.tenant.clone(), caller.principal.clone());
    let work = Work::json("mail", &"hello").unwrap();
    let session = "stranger".parse().unwrap();
    let enqueued = windlass
        .queue()
        .enqueue(&stranger, &session, vec![work], Under::NOTHING);
    enqueued.await.unwrap();
    let options = ReplayOptions {
        crew: crew(1),
        ..ReplayOptions::default()
    };
    let replay = Replay {
        windlass: &windlass,
        caller: &caller,
        recording: &recording,
        options: &options,
    };
    let refused = replay.run(&()).await.unwrap_err();
    assert_eq!(refused.code(), "foreign_work", "{refused:?}");
}
