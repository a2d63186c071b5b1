//! What a replay leaves in a store.

use std::sync::Mutex;

use windlass::core::Coded;
use windlass::session::{Allow, Caller, Status, What};
use windlass_replay::{
    Observer, Percent, Replay, ReplayError, ReplayOptions, Restrictions, StepDone, Withhold,
};
use windlass_store_testing::postgres::Server;

use crate::common::{
    caller, contents, examples, memory, play, postgres, read, sled, sqlite, timeless,
};
use crate::invented::searching;

#[tokio::test]
async fn every_run_becomes_a_closed_session_with_a_use_for_every_call() {
    let (windlass, recording) = (memory().await, read(&examples()));
    let report = play(&windlass, &recording, &ReplayOptions::default()).await;
    assert_eq!(
        (
            report.runs,
            report.steps,
            report.uses_allowed,
            report.steps_found
        ),
        (9, 37, 37, 0)
    );
    for (run, told) in recording.runs.iter().zip(&report.by_run) {
        let session = windlass
            .sessions()
            .get(&caller(), &told.session)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (session.status, &session.agent),
            (Status::Closed, &run.agent)
        );
        assert_eq!(session.calls_made, told.allowed);
        let history = windlass
            .sessions()
            .history(&caller(), &told.session, 0, 100)
            .await
            .unwrap()
            .unwrap();
        let used = history.events.iter().filter_map(|event| match &event.what {
            What::Use { tool, .. } => Some(tool.as_str()),
            _ => None,
        });
        assert_eq!(
            used.collect::<Vec<_>>(),
            run.steps
                .iter()
                .map(|step| step.tool.as_str())
                .collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn no_step_leaves_an_operation_record_but_those_whose_state_is_a_fork() {
    for (recording, named) in [(read(&examples()), 0), (searching(), 2)] {
        let windlass = memory().await;
        let report = play(&windlass, &recording, &ReplayOptions::default()).await;
        let stored = contents(&windlass).await;
        let operations = stored.iter().map(|(key, _)| key);
        let operations = operations.filter(|key| key.starts_with("acme/op/"));
        let uses = operations.clone().filter(|key| key.contains(":use:"));
        assert_eq!(uses.count(), named);
        // One that creates each run's session, and one that closes a tree.
        let roots = report.by_run.iter().filter(|run| run.parent.is_none());
        assert_eq!(
            operations.count(),
            report.by_run.len() + roots.count() + named
        );
    }
}

#[tokio::test]
async fn a_session_may_call_what_its_run_calls_and_as_often_as_its_record_says() {
    let (windlass, recording) = (memory().await, read(&examples()));
    let report = play(&windlass, &recording, &ReplayOptions::default()).await;
    let mut found = Vec::new();
    for told in &report.by_run {
        let session = windlass
            .sessions()
            .get(&caller(), &told.session)
            .await
            .unwrap()
            .unwrap();
        found.push((session.tools, session.budget.calls.limit));
    }
    let chat = |tools: &[&str]| (Allow::only(tools.iter().copied()).unwrap(), Some(1_000));
    let limited =
        |tools: &[&str], calls| (Allow::only(tools.iter().copied()).unwrap(), Some(calls));
    let smith = ["finish", "forge"];
    let diver = ["delegate_to_smith", "dive", "finish", "forge"];
    let keeper = [
        "delegate_to_diver",
        "delegate_to_smith",
        "dive",
        "finish",
        "forge",
        "read_chart",
        "write_report",
    ];
    let expected = [
        chat(&["find_booking", "rebook", "search_flights"]),
        chat(&["find_booking", "read_policy", "search_flights"]),
        chat(&["find_booking", "rebook", "search_flights", "send_message"]),
        // A session that delegates has what the sessions below it have.
        limited(&keeper, 13),
        limited(&diver, 8),
        limited(&smith, 2),
        limited(&["finish", "read_chart"], 6),
        limited(&["island_shell"], 4),
        limited(&["island_shell"], 4),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_was_delegated_is_a_session_within_the_one_that_delegated() {
    let windlass = memory().await;
    let recording = read(&examples().join("salvage.jsonl"));
    let report = play(&windlass, &recording, &ReplayOptions::default()).await;
    let (caller, mut found) = (caller(), Vec::new());
    for told in &report.by_run {
        let session = windlass.sessions().get(&caller, &told.session);
        let session = session.await.unwrap().unwrap();
        let chain: Vec<_> = session.chain.iter().map(ToString::to_string).collect();
        let above = [session.parent, session.ended_through].map(|id| id.map(|id| id.to_string()));
        found.push((above, chain.join(" "), session.status, session.calls_made));
    }
    let id = |place: usize| Some(report.by_run[place].session.to_string());
    let row = |above, chain: &str, calls| (above, chain.to_owned(), Status::Closed, calls);
    let expected = [
        row([None, None], "", 5),
        row([id(0), id(0)], "HarbourKeeper", 6),
        row([id(1), id(0)], "HarbourKeeper Diver", 2),
        row([None, None], "", 3),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn uses_happen_when_their_record_says_or_else_one_behind_the_other() {
    let (windlass, recording) = (memory().await, read(&examples()));
    let report = play(&windlass, &recording, &ReplayOptions::default()).await;
    let (caller, mut times) = (caller(), Vec::new());
    for told in [&report.by_run[1], &report.by_run[3], &report.by_run[5]] {
        let history = windlass.sessions().history(&caller, &told.session, 0, 9);
        let history = history.await.unwrap().unwrap();
        let uses = history
            .events
            .iter()
            .filter(|event| matches!(event.what, What::Use { .. }));
        times.push(uses.take(2).map(|event| event.at.get()).collect::<Vec<_>>());
    }
    let minute = 1_704_067_260_000;
    // 2031-05-09T06:00:05 and 06:02:03.75, and the second events of each.
    let expected = [
        [minute + 50, minute + 100],
        [1_936_072_805_000, 1_936_072_808_250],
        [1_936_072_923_750, 1_936_073_226_500],
    ];
    assert_eq!(times, expected);
}

#[tokio::test]
async fn two_replays_leave_equal_stores_whatever_the_store_and_however_many_at_a_time() {
    let recording = read(&examples());
    let restrictions = Restrictions {
        withhold: Some(Withhold::MostUsed),
        calls_percent: Percent::new(70),
    };
    let options = |jobs| ReplayOptions {
        restrictions: restrictions.clone(),
        jobs,
        ..ReplayOptions::default()
    };
    let (one, many, directory) = (memory().await, memory().await, tempfile::tempdir().unwrap());
    let server = Server::shared().unwrap();
    let (file, tree) = (sqlite(directory.path()).await, sled(directory.path()).await);
    let durable = [file, tree, postgres(&server).await];
    let report = play(&one, &recording, &options(1)).await;
    assert_eq!(
        timeless(&play(&many, &recording, &options(100)).await),
        timeless(&report)
    );
    for store in &durable {
        assert_eq!(
            timeless(&play(store, &recording, &options(3)).await),
            timeless(&report)
        );
    }
    let wanted = contents(&one).await;
    let bytes: usize = wanted
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert_eq!(report.stored_bytes, u64::try_from(bytes).unwrap());
    assert_eq!(contents(&many).await, wanted);
    for store in &durable {
        assert_eq!(contents(store).await, wanted);
    }
}

#[tokio::test]
async fn a_finished_replay_done_again_changes_nothing_and_reports_the_same() {
    let (windlass, recording) = (memory().await, read(&examples()));
    let restrictions = Restrictions {
        withhold: Some(Withhold::MostUsed),
        calls_percent: Percent::new(50),
    };
    let options = ReplayOptions {
        restrictions,
        ..ReplayOptions::default()
    };
    let first = play(&windlass, &recording, &options).await;
    let stored = contents(&windlass).await;
    let again = play(&windlass, &recording, &options).await;
    assert_eq!(contents(&windlass).await, stored);
    assert_eq!((again.steps_found, again.step_ms_p50), (37, None));
    assert_eq!(timeless(&again), timeless(&first));
}

#[tokio::test]
async fn verification_names_the_first_thing_that_is_not_as_it_should_be() {
    let (windlass, recording, caller) = (memory().await, read(&examples()), caller());
    let options = ReplayOptions::default();
    let replay = Replay {
        windlass: &windlass,
        caller: &caller,
        recording: &recording,
        options: &options,
    };
    let missing = replay.verify().await.unwrap_err();
    assert_eq!(missing.code(), "replay_differs");
    assert!(missing.to_string().ends_with("` is missing"), "{missing}");

    replay.run(&()).await.unwrap();
    let entries = contents(&windlass).await;
    assert_eq!(
        replay.verify().await.unwrap().entries,
        u64::try_from(entries.len()).unwrap()
    );

    let unused = recording.runs[0].agent.clone();
    let extra = windlass::session::Create::new(unused, "something else");
    windlass.sessions().create(&caller, extra).await.unwrap();
    let differs = replay.verify().await.unwrap_err();
    assert!(matches!(differs, ReplayError::Differs(_)), "{differs:?}");
}

#[tokio::test]
async fn verification_overlooks_what_belongs_to_other_tenants() {
    let (windlass, recording, caller) = (memory().await, read(&examples()), caller());
    let stranger = Caller::new("acme2".parse().unwrap(), "replay".parse().unwrap());
    let options = ReplayOptions::default();
    let replay = Replay {
        windlass: &windlass,
        caller: &caller,
        recording: &recording,
        options: &options,
    };
    Replay {
        caller: &stranger,
        ..replay
    }
    .run(&())
    .await
    .unwrap();
    let report = replay.run(&()).await.unwrap();
    let all: usize = contents(&windlass)
        .await
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert!(
        report.stored_bytes < u64::try_from(all).unwrap(),
        "{} of {all}",
        report.stored_bytes
    );
    let entries = u64::try_from(contents(&windlass).await.len()).unwrap();
    assert_eq!(replay.verify().await.unwrap().entries * 2, entries);
}

#[tokio::test]
async fn a_store_that_holds_the_runs_under_other_restrictions_is_left_alone() {
    let (windlass, recording, caller) = (memory().await, read(&examples()), caller());
    play(&windlass, &recording, &ReplayOptions::default()).await;
    let stored = contents(&windlass).await;
    let restrictions = Restrictions {
        withhold: None,
        calls_percent: Percent::new(50),
    };
    let options = ReplayOptions {
        restrictions,
        ..ReplayOptions::default()
    };
    let replay = Replay {
        windlass: &windlass,
        caller: &caller,
        recording: &recording,
        options: &options,
    };
    let error = replay.run(&()).await.unwrap_err();
    assert_eq!(error.code(), "replayed_otherwise");
    assert_eq!(contents(&windlass).await, stored);
}

/// Remembers what it was told.
#[derive(Default)]
struct Log(Mutex<Vec<(String, usize, &'static str)>>);

impl Observer for Log {
    fn step(&self, done: &StepDone<'_>) -> std::ops::ControlFlow<()> {
        let line = (done.run.key.clone(), done.number, done.outcome.as_str());
        self.0.lock().unwrap().push(line);
        std::ops::ControlFlow::Continue(())
    }
}

#[tokio::test]
async fn the_observer_is_told_of_every_step_in_the_order_of_its_run() {
    let (windlass, recording, caller) = (
        memory().await,
        read(&examples().join("shell.json")),
        caller(),
    );
    let restrictions = Restrictions {
        withhold: None,
        calls_percent: Percent::new(50),
    };
    let options = ReplayOptions {
        restrictions,
        jobs: 1,
        ..ReplayOptions::default()
    };
    let log = Log::default();
    Replay {
        windlass: &windlass,
        caller: &caller,
        recording: &recording,
        options: &options,
    }
    .run(&log)
    .await
    .unwrap();
    let (allowed, refused) = ("allowed", "budget_exceeded");
    let expected = [
        ("0", 1, allowed),
        ("0", 2, refused),
        ("0", 3, refused),
        ("1", 1, allowed),
        ("1", 2, allowed),
        ("1", 3, refused),
        ("1", 4, refused),
    ];
    let told = log.0.into_inner().unwrap();
    assert_eq!(
        told,
        expected.map(|(run, number, what)| (run.to_owned(), number, what))
    );
}
