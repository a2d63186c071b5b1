//! A replay that dies before, or right after, any one of its commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use windlass::store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};
use windlass::{Options, SystemEnv, Windlass};
use windlass_replay::{Percent, Replay, ReplayOptions, Restrictions, Withhold};

use crate::common::{caller, contents, examples, memory, play, read, timeless};

/// When the process dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// Instead of the commit.
    Before,
    /// Once the commit was applied, before anybody learns of it.
    After,
}

/// A store as a process sees it that dies at one of its commits: from then
/// on it can change nothing.
#[derive(Debug)]
struct Mortal {
    store: Arc<dyn Store>,
    commits_left: AtomicI64,
    death: Death,
}

#[async_trait]
impl Store for Mortal {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.store.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        match (
            self.commits_left.fetch_sub(1, Ordering::Relaxed),
            self.death,
        ) {
            (1.., _) => return self.store.commit(batch).await,
            (0, Death::After) => drop(self.store.commit(batch).await?),
            _ => {}
        }
        Err(StoreError::new(
            StoreErrorKind::Environment,
            "commit",
            "the process is dead",
        ))
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

/// Plays into `store` until it dies; `false` if it lived to the end.
async fn dies(store: &Arc<dyn Store>, replay: &Replay<'_>, commit: i64, death: Death) -> bool {
    let commits_left = AtomicI64::new(commit);
    let mortal = Mortal {
        store: Arc::clone(store),
        commits_left,
        death,
    };
    let env = Arc::new(SystemEnv::new());
    let windlass = &Windlass::over(Arc::new(mortal), &Options::default(), env).unwrap();
    Replay {
        windlass,
        ..*replay
    }
    .run(&())
    .await
    .is_err()
}

#[tokio::test]
async fn a_replay_that_dies_at_any_commit_ends_like_one_that_did_not() {
    let (recording, caller) = (read(&examples()), caller());
    let restrictions = Restrictions {
        withhold: Some(Withhold::MostUsed),
        // Of the runs that delegate, one then ends with a refusal while one
        // below it has calls to give back.
        calls_percent: Percent::new(50),
    };
    let options = ReplayOptions {
        restrictions,
        jobs: 3,
        ..ReplayOptions::default()
    };
    let whole = memory().await;
    let wanted = timeless(&play(&whole, &recording, &options).await);
    let stored = contents(&whole).await;
    // A creation for each run, each use that is allowed, what each of them
    // puts into the stash, what each makes of the state, and an end for each
    // run that nobody delegated to.
    let ends = wanted.by_run.iter().filter(|run| run.parent.is_none());
    let ends = u64::try_from(ends.count()).unwrap();
    let states = wanted.commits + wanted.forks;
    let steps = wanted.uses_allowed + wanted.stash_puts + states;
    let commits = i64::try_from(wanted.runs + steps + ends).unwrap();
    for commit in 0..=commits {
        for death in [Death::Before, Death::After] {
            let windlass = &memory().await;
            let replay = Replay {
                windlass,
                caller: &caller,
                recording: &recording,
                options: &options,
            };
            let died = dies(windlass.store(), &replay, commit, death).await;
            assert_eq!(died, commit < commits, "commit {commit}");
            let report = replay.run(&()).await.unwrap();
            assert_eq!(timeless(&report), wanted, "{death:?} commit {commit}");
            assert_eq!(
                contents(windlass).await,
                stored,
                "{death:?} commit {commit}"
            );
        }
    }
}
