//! Sessions that commit, and reuse what others put, beside collections,
//! packing, retention and forks: nothing that is needed is lost, and nothing
//! else is left.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, join_all};
use windlass_checkpoint::{
    BlobId, Changes, CheckpointError, Checkpoints, Collect, Config, Expected, Form, Label,
    PartChange, Profile, Reason, Retention, Sweep,
};
use windlass_core::ManualEnv;
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Random, Slow};

use super::contents::{COUNT, content, name, payload, put};
use super::ledger::{Ledger, Parts};
use crate::reachable::{assert_clean, rows};
use crate::support::{START, caller, id, over};

/// Seeds that always run.
const REGRESSION_SEEDS: &[u64] = &[0xc654_63aa_f17a_5420, 0, 1, 2, 3];
const SESSIONS: usize = 8;
/// Commits of one session in one case.
const COMMITS: usize = 30;

/// How many commits the cases with fresh seeds make together.
fn commits() -> usize {
    #[expect(clippy::disallowed_methods, reason = "the length of a test's loop")]
    let commits = std::env::var("WINDLASS_COLLECT_COMMITS");
    commits.map_or(2_400, |commits| {
        commits.parse().expect("a number of commits")
    })
}

#[test]
fn what_eight_sessions_need_outlives_collections_beside_them() {
    for seed in REGRESSION_SEEDS {
        run(*seed);
    }
    let first = RandomState::new().build_hasher().finish();
    for number in 0..commits().div_ceil(SESSIONS * COMMITS) {
        run(first.wrapping_add(u64::try_from(number).expect("small")));
    }
}

fn run(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(Case::new(seed).play());
}

/// Lets the others do some steps.
async fn give_way(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// One world with its sessions.
struct Case {
    seed: u64,
    ground: Arc<MemoryStore>,
    env: Arc<ManualEnv>,
    config: Config,
    grace_ms: u64,
    lineage: String,
    ledger: Mutex<Ledger>,
    /// Sessions that have still to make a commit.
    busy: Mutex<usize>,
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let retention = Retention {
            keep_ms: 0,
            keep_last: *random.pick(&[1, 1, 2, 4]),
        };
        let profile = *random.pick(&[Profile::LowLatency, Profile::Compact]);
        Self {
            seed,
            ground: Arc::new(MemoryStore::new().expect("an incarnation")),
            env: Arc::new(ManualEnv::new(seed, START)),
            config: Config {
                compression: profile.into(),
                retention,
                ..Config::default()
            },
            grace_ms: *random.pick(&[0, 0, 0, 1_000]),
            lineage: String::new(),
            ledger: Mutex::default(),
            busy: Mutex::new(SESSIONS),
        }
    }

    fn place(&self) -> String {
        format!("seed {:#x}", self.seed)
    }

    /// A process of its own over the common store.
    fn process(&self, number: u64) -> Checkpoints {
        let store = Slow::new(Arc::clone(&self.ground), self.seed.wrapping_add(number));
        over(Arc::new(store), &self.env, &self.config)
    }

    async fn play(mut self) {
        self.found().await;
        let mut tasks: Vec<BoxFuture<'_, ()>> = Vec::new();
        for number in 0..SESSIONS {
            tasks.push(Box::pin(self.work(number)));
        }
        for number in 100..102 {
            tasks.push(Box::pin(self.collect(number)));
        }
        tasks.push(Box::pin(self.tidy(200)));
        tasks.push(Box::pin(self.branch(300)));
        join_all(tasks).await;
        self.settle().await;
    }

    /// Makes the first session, and the others as its forks.
    async fn found(&mut self) {
        let states = self.process(1_000);
        let first = put("kept", 24);
        states
            .commit(&caller(), &id("s0"), first)
            .await
            .expect("a first commit");
        let head = states.head(&caller(), &id("s0")).await;
        self.lineage = head.expect("a head").expect("a state").lineage.to_string();
        let parts = Parts::from([("kept".to_owned(), content(24))]);
        for number in 0..SESSIONS {
            let session = format!("s{number}");
            if number > 0 {
                let (who, base, fork) = (caller(), id("s0"), id(&session));
                let forked = states.fork(&who, &base, None, &fork, None).await;
                forked.expect("a fork");
            }
            let mut ledger = self.ledger.lock().expect("no panic");
            ledger.note(&session, 1, parts.clone());
        }
    }

    /// One session: puts, refers, removes, takes back.
    async fn work(&self, number: usize) {
        let session = format!("s{number}");
        let seed = u64::try_from(number).expect("small");
        let states = self.process(seed);
        let mut random = Random::new(self.seed ^ (seed << 32));
        for _ in 0..COMMITS {
            self.one_commit(&states, &session, &mut random).await;
            give_way(random.below(150)).await;
        }
        *self.busy.lock().expect("no panic") -= 1;
    }

    async fn one_commit(&self, states: &Checkpoints, session: &str, random: &mut Random) {
        let (revision, mut parts) = self.ledger.lock().expect("no panic").head(session);
        let part = *random.pick(&["a", "b"]);
        let number = if random.one_in(40) {
            COUNT - 1
        } else {
            random.below(COUNT - 1)
        };
        let content = content(number);
        let mut changes = Changes::at(revision);
        match random.below(10) {
            0 => {
                changes = changes.remove(name(part));
                parts.remove(part);
            }
            1..=4 => {
                let refer = PartChange::Refer(BlobId::of(&content), Form::Json, Label::default());
                changes.parts.insert(name(part), refer);
                parts.insert(part.to_owned(), content);
            }
            5 if revision > 1 => return self.take_back(states, session, revision - 1).await,
            _ => {
                changes = changes.put(name(part), payload(content.clone()));
                parts.insert(part.to_owned(), content);
            }
        }
        match states.commit(&caller(), &id(session), changes).await {
            Ok(done) => self.note(session, done.revision, parts),
            // Nobody has put it, or it was collected.
            Err(CheckpointError::BlobNotFound { .. }) => {}
            // Nothing happened.
            Err(CheckpointError::Busy) => {}
            Err(other) => panic!("{}: {session}: {other:?}", self.place()),
        }
    }

    async fn take_back(&self, states: &Checkpoints, session: &str, to: u64) {
        let parts = {
            let ledger = self.ledger.lock().expect("no panic");
            ledger.sessions[session].get(&to).cloned()
        };
        let who = caller();
        let done = states
            .rollback(&who, &id(session), to, Expected::Any, None)
            .await;
        match done {
            Ok(done) => self.note(session, done.revision, parts.expect("a known revision")),
            Err(CheckpointError::RevisionNotFound { .. } | CheckpointError::Busy) => {}
            Err(other) => panic!("{}: {session}: {other:?}", self.place()),
        }
    }

    fn note(&self, session: &str, revision: u64, parts: Parts) {
        let mut ledger = self.ledger.lock().expect("no panic");
        ledger.note(session, revision, parts);
    }

    fn is_over(&self) -> bool {
        *self.busy.lock().expect("no panic") == 0
    }

    fn options(&self) -> Collect {
        Collect {
            grace_ms: Some(self.grace_ms),
            dry_run: false,
        }
    }

    /// One collection after the other, now and then one that ends half way.
    async fn collect(&self, number: u64) {
        let states = self.process(number);
        let mut random = Random::new(self.seed ^ (number << 32));
        let tenant = caller().tenant;
        while !self.is_over() {
            let mut collection = states.collection(&tenant, &self.lineage, self.options());
            let ends_early = random.one_in(4);
            while !(collection.is_done() || ends_early && random.one_in(10)) {
                let report = collection.step(1 + random.next() % 20).await;
                let report = report.unwrap_or_else(|error| panic!("{}: {error:?}", self.place()));
                let lost = |reason: &Reason| matches!(reason, Reason::Unreadable { .. });
                let place = self.place();
                assert!(!report.reasons.iter().any(lost), "{place}: {report:?}");
                if random.one_in(3) {
                    give_way(random.below(400)).await;
                }
            }
        }
    }

    /// Packs, and drops commits that are no longer kept.
    async fn tidy(&self, number: u64) {
        let states = self.process(number);
        while !self.is_over() {
            self.env.advance_ms(700);
            let report = states.sweep(Sweep::All, 1_000).await;
            let report = report.unwrap_or_else(|error| panic!("{}: {error:?}", self.place()));
            assert_eq!(report.unreadable, [], "{}", self.place());
        }
    }

    /// Forks sessions, looks whether all is there, and removes some forks.
    async fn branch(&self, number: u64) {
        let states = self.process(number);
        let mut random = Random::new(self.seed ^ (number << 32));
        let mut forks = 0;
        while !self.is_over() && forks < 12 {
            let from = format!("s{}", random.below(SESSIONS));
            let fork = format!("fork{forks}");
            let forked = states
                .fork(&caller(), &id(&from), None, &id(&fork), None)
                .await;
            forks += 1;
            let done = match forked {
                Ok(done) => done,
                Err(CheckpointError::RevisionNotFound { .. } | CheckpointError::Busy) => continue,
                Err(other) => panic!("{}: {other:?}", self.place()),
            };
            if random.one_in(2) {
                let removed = states.remove(&caller().tenant, &id(&fork)).await;
                removed.unwrap_or_else(|error| panic!("{}: {error:?}", self.place()));
                continue;
            }
            // The committer notes its revision a moment after it is made.
            while self.ledger.lock().expect("no panic").head(&from).0 < done.revision {
                tokio::task::yield_now().await;
            }
            let mut ledger = self.ledger.lock().expect("no panic");
            let mut revisions = ledger.sessions[&from].clone();
            revisions.retain(|revision, _| *revision <= done.revision);
            ledger.sessions.insert(fork, revisions);
        }
    }

    /// When all is quiet: everything is there, and after two more
    /// collections nothing else.
    async fn settle(&self) {
        let place = self.place();
        let states = over(Arc::clone(&self.ground) as _, &self.env, &self.config);
        let ledger = self.ledger.lock().expect("no panic").clone();
        ledger.check(&states, &place).await;
        self.env.advance_ms(self.grace_ms);
        let tenant = caller().tenant;
        for _ in 0..2 {
            let report = states.collect(&tenant, &self.lineage, self.options()).await;
            let report = report.unwrap_or_else(|error| panic!("{place}: {error:?}"));
            assert_eq!(report.reasons, [], "{place}");
        }
        ledger.check(&states, &place).await;
        let sessions: Vec<String> = ledger.sessions.keys().cloned().collect();
        assert_clean(
            self.ground.as_ref(),
            &states,
            &sessions,
            BTreeSet::new(),
            &place,
        )
        .await;
        let kinds: Vec<String> = rows(self.ground.as_ref()).await.into_keys().collect();
        assert!(
            kinds.iter().all(|it| !it.starts_with("condemned/")),
            "{place}: {kinds:?}"
        );
    }
}
