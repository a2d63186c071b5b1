//! A replay that dies before, or right after, any one of its commits, or that
//! is not told what became of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use windlass::store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};
use windlass::{Options, SystemEnv, Windlass};
use windlass_replay::{
    Commits, Crew, Outputs, Percent, Recording, Replay, ReplayError, ReplayOptions, Report,
    Restrictions, Withhold, limits,
};

use crate::common::{caller, contents, examples, memory, play, read, recordings, timeless};
use crate::invented::searching;

/// What goes wrong at a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The process dies instead of it.
    DeathBefore,
    /// The process dies once it was applied, before anybody learns of it.
    DeathAfter,
    /// It is not applied, and nobody can tell.
    DoubtBefore,
    /// It is applied, and nobody can tell.
    DoubtAfter,
}

impl Fate {
    const DEATHS: [Self; 2] = [Self::DeathBefore, Self::DeathAfter];
    const DOUBTS: [Self; 2] = [Self::DoubtBefore, Self::DoubtAfter];

    fn error(self) -> StoreError {
        if Self::DEATHS.contains(&self) {
            StoreError::new(StoreErrorKind::Environment, "commit", "the process is dead")
        } else {
            StoreError::new(StoreErrorKind::Indeterminate, "commit", "the line is dead")
        }
    }
}

/// A store as a process sees it that meets its fate at one of its commits. The
/// dead can change nothing more.
#[derive(Debug)]
struct Mortal {
    store: Arc<dyn Store>,
    commits_left: AtomicI64,
    fate: Fate,
}

#[async_trait]
impl Store for Mortal {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.store.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        let left = self.commits_left.fetch_sub(1, Ordering::Relaxed);
        let is_over = left < 0 && Fate::DOUBTS.contains(&self.fate);
        if left > 0 || is_over {
            return self.store.commit(batch).await;
        }
        if left == 0 && [Fate::DeathAfter, Fate::DoubtAfter].contains(&self.fate) {
            drop(self.store.commit(batch).await?);
        }
        Err(self.fate.error())
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.store.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.store.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}

/// Plays into the replay's store, whose commit number `commit` meets its fate.
/// Answers how many more there were, less than none if it came to that, and
/// what came of it.
async fn meets(replay: &Replay<'_>, commit: i64, fate: Fate) -> (i64, Result<Report, ReplayError>) {
    let mortal = Arc::new(Mortal {
        store: Arc::clone(replay.windlass.store()),
        commits_left: AtomicI64::new(commit),
        fate,
    });
    let (store, env) = (Arc::clone(&mortal), Arc::new(SystemEnv::new()));
    let windlass = &Windlass::over(store, &Options::default(), env).unwrap();
    let replay = Replay {
        windlass,
        ..*replay
    };
    let played = replay.run(&()).await;
    (mortal.commits_left.load(Ordering::Relaxed), played)
}

fn restricted(commits: Commits) -> ReplayOptions {
    let restrictions = Restrictions {
        withhold: Some(Withhold::MostUsed),
        // Of the runs that delegate, one then ends with a refusal while one
        // below it has calls to give back.
        calls_percent: Percent::new(50),
    };
    ReplayOptions {
        restrictions,
        jobs: 3,
        commits,
        outputs: Outputs::Steps,
        ..ReplayOptions::default()
    }
}

/// How many commits a replay makes that left `stored`: a creation for each
/// run, what each use that is allowed makes of the state, itself included, and
/// puts into the stash, and an end for each run that nobody delegated to. The
/// use of a step whose state is a fork is one more. An output takes one for
/// its stream and one for each chunk, the last of which is its end.
fn commits(report: &Report, stored: &[(String, String)]) -> i64 {
    let ends = report.by_run.iter().filter(|run| run.parent.is_none());
    let apart = stored.iter().filter(|(key, _)| key.contains("/op/replay/"));
    let apart = apart.filter(|(key, _)| key.contains(":use:"));
    let more = i64::try_from(ends.count() + apart.count()).unwrap();
    let states = report.commits + report.forks;
    let outputs = report.by_run.iter().filter(|run| run.rows > 0);
    let outputs = outputs.map(|run| 1 + run.rows.div_ceil(CHUNK_ROWS));
    let parts = report.runs + states + report.stash_puts + outputs.sum::<u64>();
    more + i64::try_from(parts).unwrap()
}

/// Rows of an output that one commit has at most.
const CHUNK_ROWS: u64 = limits::CHUNK_ROWS as u64;

/// Lets a replay die anywhere, and compares what the next one leaves with what
/// one does that did not die.
async fn dies_anywhere(recording: &Recording, options: &ReplayOptions) {
    let (whole, caller) = (memory().await, caller());
    let wanted = timeless(&play(&whole, recording, options).await);
    let stored = contents(&whole).await;
    let commits = commits(&wanted, &stored);
    for (commit, fate) in (0..=commits).flat_map(|it| Fate::DEATHS.map(|fate| (it, fate))) {
        let windlass = &memory().await;
        let replay = Replay {
            windlass,
            caller: &caller,
            recording,
            options,
        };
        let (_, died) = meets(&replay, commit, fate).await;
        assert_eq!(died.is_err(), commit < commits, "commit {commit}");
        let report = replay.run(&()).await.unwrap();
        assert_eq!(timeless(&report), wanted, "{fate:?} {commit}");
        assert_eq!(contents(windlass).await, stored, "{fate:?} {commit}");
    }
}

#[tokio::test]
async fn a_replay_that_dies_at_any_commit_ends_like_one_that_did_not() {
    dies_anywhere(&read(&examples()), &restricted(Commits::Step)).await;
}

#[tokio::test]
async fn a_replay_with_a_commit_per_message_that_dies_at_any_ends_like_one_that_did_not() {
    dies_anywhere(
        &read(&examples().join("airline.json")),
        &restricted(Commits::Message),
    )
    .await;
}

#[tokio::test]
async fn an_output_of_several_chunks_that_dies_at_any_commit_has_every_row_once() {
    let mut recording = read(&recordings());
    let rows = recording.runs[0].rows.clone();
    recording.runs[0].rows = rows.iter().cycle().take(600).cloned().collect();
    dies_anywhere(&recording, &ReplayOptions::default()).await;
}

#[tokio::test]
async fn a_search_that_goes_back_and_dies_at_any_commit_ends_like_one_that_did_not() {
    for commits in [Commits::Step, Commits::Message] {
        let options = ReplayOptions {
            commits,
            ..ReplayOptions::default()
        };
        dies_anywhere(&searching(), &options).await;
        dies_anywhere(&searching(), &restricted(commits)).await;
    }
}

#[tokio::test]
async fn a_commit_of_which_nobody_can_tell_is_made_once() {
    let (options, caller) = (restricted(Commits::Message), caller());
    for recording in [read(&examples().join("airline.json")), searching()] {
        let whole = memory().await;
        let wanted = play(&whole, &recording, &options).await;
        let stored = contents(&whole).await;
        let commits = commits(&wanted, &stored);
        for (commit, fate) in (0..commits).flat_map(|it| Fate::DOUBTS.map(|fate| (it, fate))) {
            let windlass = &memory().await;
            let replay = Replay {
                windlass,
                caller: &caller,
                recording: &recording,
                options: &options,
            };
            let (_, report) = meets(&replay, commit, fate).await;
            assert_eq!(report.unwrap().by_run, wanted.by_run, "{fate:?} {commit}");
            // The heads remember who wrote, and that something was lost.
            let keys = |stored: &[(String, String)]| -> Vec<_> {
                stored.iter().map(|(key, _)| key.clone()).collect()
            };
            let found = contents(windlass).await;
            assert_eq!(keys(&found), keys(&stored), "{fate:?} {commit}");
        }
    }
}

/// A worker that dies at one commit, and the next one.
async fn works(recording: &Recording, options: &ReplayOptions, commit: i64, fate: Fate) {
    let (windlass, caller) = (memory().await, caller());
    let replay = Replay {
        windlass: &windlass,
        caller: &caller,
        recording,
        options,
    };
    let (_, died) = meets(&replay, commit, fate).await;
    died.unwrap_err();
    let report = replay.run(&()).await.unwrap();
    let told = (report.uses_allowed, report.uses_refused["budget_exceeded"]);
    assert_eq!(told, (3, 4), "{fate:?} {commit}");
    replay.verify().await.unwrap();
}

#[tokio::test]
async fn a_worker_that_dies_at_any_commit_is_followed_by_one_that_does_the_rest_once() {
    let (recording, caller) = (read(&examples().join("shell.json")), caller());
    let options = &ReplayOptions {
        restrictions: Restrictions {
            withhold: None,
            calls_percent: Percent::new(50),
        },
        commits: Commits::Message,
        crew: Some(Crew {
            workers: 1,
            claim_ms: 200,
            arrivals: None,
        }),
        ..ReplayOptions::default()
    };
    let windlass = &memory().await;
    let replay = Replay {
        windlass,
        caller: &caller,
        recording: &recording,
        options,
    };
    let (left, report) = meets(&replay, i64::MAX, Fate::DeathBefore).await;
    let (commits, report) = (i64::MAX - left, report.unwrap());
    assert!(
        commits > i64::try_from(report.commits).unwrap(),
        "{commits}"
    );
    let fates = (0..commits).flat_map(|commit| Fate::DEATHS.map(|fate| (commit, fate)));
    // Each waits until the claim of the dead is handed out again.
    join_all(fates.map(|(commit, fate)| works(&recording, options, commit, fate))).await;
}
