//! One history: commits, forks, time, upkeep, restarts, failures, and the
//! comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_checkpoint::check;
use windlass_checkpoint::{
    At, BlobId, Changes, CheckpointError, Checkpoints, Collect, Config, Expected, NewNode, Parent,
    Payload, Profile, Reason, Retention, Sweep,
};
use windlass_core::{Coded, Env, ErrorKind, ManualEnv, OperationId};
use windlass_store::Store;
use windlass_store_testing::{Random, Strict, StrictOptions, audited};

use super::ending::Ending;
use super::reachable::assert_clean;
use super::state::{Appended, Revision, Session};
use super::support::{HOUR, START, caller, id, over};

/// Steps of one history.
const STEPS: usize = 40;
const SESSIONS: [&str; 4] = ["a", "b", "c", "d"];
const PARTS: [&str; 3] = ["plan", "memory", "file"];
const TAGS: [&str; 2] = ["one", "two"];
/// At most so many calls after it began a process ends half way.
const CALLS_MAX: usize = 12;
const RETENTION: Retention = Retention {
    keep_ms: 2 * HOUR,
    keep_last: 4,
};

struct Play {
    seed: u64,
    step: usize,
    turns: u64,
    random: Random,
    ground: Arc<dyn Store>,
    env: Arc<ManualEnv>,
    config: Config,
    options: StrictOptions,
    /// Two processes over the same store.
    processes: Vec<Checkpoints>,
    model: BTreeMap<&'static str, Session>,
}

pub(super) async fn play(seed: u64, ground: Arc<dyn Store>) {
    let mut play = Play::new(seed, ground);
    for step in 0..STEPS {
        play.step = step;
        play.go().await;
    }
    play.compare().await;
    play.audit().await;
    play.clean().await;
    play.compare().await;
    play.audit().await;
}

impl Play {
    async fn audit(&self) {
        let found = audited(self.ground.as_ref(), check::auditor).await;
        assert_eq!(found, Vec::<String>::new(), "seed {}", self.seed);
    }

    fn new(seed: u64, ground: Arc<dyn Store>) -> Self {
        let mut random = Random::new(seed);
        let profile = *random.pick(&[Profile::LowLatency, Profile::Balanced, Profile::Compact]);
        let config = Config {
            compression: profile.into(),
            retention: RETENTION,
            cached_states: *random.pick(&[1, 100]),
            ..Config::default()
        };
        let options = if random.one_in(2) {
            StrictOptions::WITHOUT_ERRORS
        } else {
            StrictOptions {
                indeterminate_every: 3,
                ..StrictOptions::NONE
            }
        };
        let mut play = Self {
            seed,
            step: 0,
            turns: 0,
            random,
            ground,
            env: Arc::new(ManualEnv::new(seed, START)),
            config,
            options,
            processes: Vec::new(),
            model: SESSIONS.map(|name| (name, Session::default())).into(),
        };
        play.processes = vec![play.open(), play.open()];
        play
    }

    fn open(&self) -> Checkpoints {
        let store: Arc<dyn Store> = Arc::new(Strict::new(Arc::clone(&self.ground), self.options));
        over(store, &self.env, &self.config)
    }

    /// A process that ends at one of its first calls.
    fn mortal(&mut self) -> Checkpoints {
        let calls = u64::try_from(1 + self.random.below(CALLS_MAX)).expect("small");
        let does_the_last = self.random.one_in(2);
        let store = Ending::new(Arc::clone(&self.ground), calls, does_the_last);
        over(Arc::new(store), &self.env, &self.config)
    }

    fn place(&self) -> String {
        format!("seed {:#x}, step {}", self.seed, self.step)
    }

    fn process(&mut self) -> Checkpoints {
        let place = self.random.below(self.processes.len());
        self.processes[place].clone()
    }

    fn session(&mut self) -> &'static str {
        SESSIONS[self.random.below(SESSIONS.len())]
    }

    fn turn(&mut self) -> OperationId {
        self.turns += 1;
        format!("t{}", self.turns).parse().expect("an operation id")
    }

    async fn go(&mut self) {
        match self.random.below(20) {
            0..=8 => self.commit().await,
            9..=10 => self.roll_back().await,
            11..=12 => self.fork().await,
            13 => self.tag().await,
            14 => self.pack().await,
            15 => self.sweep().await,
            18 => self.collect().await,
            16 => self.env.advance_ms(HOUR),
            17 => {
                let place = self.random.below(self.processes.len());
                self.processes[place] = self.open();
            }
            _ => self.look().await,
        }
    }

    /// Some content: now and then one that has much in common with `before`.
    fn content(&mut self, before: Option<&Payload>) -> Payload {
        let filler = self.random.next();
        // Now and then more than one commit takes; a fifth is more than lies
        // with a node.
        let count = match self.random.one_in(100) {
            true => 12_000,
            false => *self.random.pick(&[1, 5, 60, 600, 2_400]),
        };
        let element = |it: u64| format!("{{\"id\":{it},\"timestamp\":{}}}", filler % 97 + it);
        match (before, self.random.below(4)) {
            (Some(Payload::Json(text)), 0..=1) => {
                let text = String::from_utf8_lossy(text);
                let text = text.trim_end_matches(']');
                Payload::Json(format!("{text},{}]", element(filler % 1_000)).into())
            }
            (_, 3) => {
                let mut bytes = vec![0_u8; count * 40];
                for (place, byte) in bytes.iter_mut().enumerate() {
                    *byte = filler.to_le_bytes()[place % 8] ^ (place / 64).to_le_bytes()[0];
                }
                Payload::Bytes(bytes.into())
            }
            _ => {
                let elements: Vec<String> = (0..count as u64).map(element).collect();
                Payload::Json(format!("[{}]", elements.join(",")).into())
            }
        }
    }

    fn changes(&mut self, state: &Session) -> (Changes, Revision, Vec<Appended>) {
        let mut next = state.head();
        next.at = self.env.now();
        let mut changes = Changes::default();
        for name in PARTS {
            match self.random.below(6) {
                0 => {
                    changes = changes.remove(name.parse().expect("a part"));
                    next.parts.remove(name);
                }
                1..=2 => {
                    let payload = self.content(next.parts.get(name));
                    changes = changes.put(name.parse().expect("a part"), payload.clone());
                    next.parts.insert(name.to_owned(), payload);
                }
                _ => {}
            }
        }
        let there = |next: &Revision| -> Vec<u64> {
            let numbers = 1..=next.nodes;
            numbers.filter(|it| !next.hidden.contains(it)).collect()
        };
        let visible = there(&next);
        if self.random.one_in(6) && !visible.is_empty() {
            let node = *self.random.pick(&visible);
            changes.tombstones.push(node);
            next.hidden.insert(node);
        }
        if self.random.one_in(10) {
            changes.replace_nodes = true;
            next.hidden.extend(1..=next.nodes);
            next.leaf = None;
        }
        let visible = there(&next);
        let mut appended = Vec::new();
        for place in 0..self.random.below(4) {
            let payload = self.content(None);
            let (parent, below) = match self.random.below(5) {
                0 => (Parent::Root, None),
                1 if !visible.is_empty() => {
                    let node = *self.random.pick(&visible);
                    (Parent::Node(node), Some(node))
                }
                2 if place > 0 => (Parent::New(0), Some(state.head().nodes + 1)),
                _ => (Parent::Leaf, next.leaf),
            };
            next.nodes += 1;
            next.leaf = Some(next.nodes);
            changes.nodes.push(NewNode {
                parent,
                kind: "message".into(),
                payload: payload.clone(),
            });
            appended.push(Appended {
                parent: below,
                payload,
            });
        }
        (changes, next, appended)
    }

    async fn commit(&mut self) {
        let (name, place) = (self.session(), self.place());
        let state = self.model[name].clone();
        let (mut changes, next, appended) = self.changes(&state);
        let stale = self.random.one_in(8);
        changes.expected = match self.random.below(3) {
            0 => Expected::Any,
            _ => Expected::Revision(state.revision() + u64::from(stale)),
        };
        let refused = changes.expected == Expected::Revision(state.revision() + 1);
        changes.turn = Some(self.turn());
        let who = caller();
        let done = self
            .insist(async |states| states.commit(&who, &id(name), changes.clone()).await)
            .await;
        match done {
            Ok(done) => {
                assert!(!refused, "{place}: {done:?}");
                let revision = state.revision() + 1;
                assert_eq!(
                    (done.revision, done.leaf, done.nodes),
                    (revision, next.leaf, next.nodes),
                    "{place}"
                );
                let session = self.model.get_mut(name).expect("a session");
                let first = session.head().nodes + 1;
                session.nodes.extend((first..).zip(appended));
                session.revisions.insert(revision, next);
                if self.random.one_in(5) {
                    let again = self
                        .insist(async |states| {
                            states.commit(&who, &id(name), changes.clone()).await
                        })
                        .await;
                    assert_eq!(again.expect("the first answer"), done, "{place}");
                }
            }
            Err(CheckpointError::HeadRevisionConflict { actual, .. }) if refused => {
                assert_eq!(actual, state.revision(), "{place}");
            }
            Err(other) => panic!("{place}: {other:?}"),
        }
    }

    /// Asks until the outcome is known: under one turn that is safe. Before
    /// that a process may have asked that ended half way, and never heard.
    async fn insist<T>(
        &mut self,
        ask: impl AsyncFn(&Checkpoints) -> Result<T, CheckpointError>,
    ) -> Result<T, CheckpointError> {
        if self.random.one_in(3) {
            let _ = ask(&self.mortal()).await;
        }
        let states = self.process();
        loop {
            match ask(&states).await {
                Err(error) if error.kind() == ErrorKind::Indeterminate => {}
                other => return other,
            }
        }
    }

    async fn roll_back(&mut self) {
        let (name, place) = (self.session(), self.place());
        let state = self.model[name].clone();
        let to = u64::try_from(self.random.below(10))
            .expect("small")
            .min(state.revision() + 1);
        let (turn, who) = (self.turn(), caller());
        let done = self
            .insist(async |states| {
                states
                    .rollback(&who, &id(name), to, Expected::Any, Some(&turn))
                    .await
            })
            .await;
        match done {
            Ok(done) => {
                let old = state
                    .revisions
                    .get(&to)
                    .unwrap_or_else(|| panic!("{place}: {to}"));
                let mut next = old.clone();
                next.at = self.env.now();
                next.hidden.extend(old.nodes + 1..=state.head().nodes);
                next.nodes = state.head().nodes;
                assert_eq!(
                    (done.revision, done.leaf),
                    (state.revision() + 1, next.leaf),
                    "{place}"
                );
                let session = self.model.get_mut(name).expect("a session");
                session.revisions.insert(done.revision, next);
            }
            Err(CheckpointError::RevisionNotFound { .. }) => self.assert_may_be_gone(name, to),
            Err(other) => panic!("{place}: {other:?}"),
        }
    }

    fn assert_may_be_gone(&self, name: &str, revision: u64) {
        let session = &self.model[name];
        let kept = session.revisions.contains_key(&revision)
            && session.is_kept(
                revision,
                self.env.now(),
                RETENTION.keep_ms,
                RETENTION.keep_last,
            );
        assert!(
            !kept,
            "{}: revision {revision} of {name} is gone",
            self.place()
        );
    }

    async fn fork(&mut self) {
        let (from, to) = (self.session(), self.session());
        let (place, who, turn) = (self.place(), caller(), self.turn());
        let state = self.model[from].clone();
        let revision = match self.random.below(3) {
            0 => None,
            _ => Some(u64::try_from(self.random.below(12)).expect("small")),
        };
        let done = self
            .insist(async |states| {
                states
                    .fork(&who, &id(from), revision, &id(to), Some(&turn))
                    .await
            })
            .await;
        let at = revision.unwrap_or_else(|| state.revision());
        match done {
            Ok(done) => {
                assert_eq!(self.model[to].revision(), 0, "{place}");
                let fork = state.forked(at, self.env.now());
                assert_eq!(
                    (done.revision, done.leaf),
                    (at, fork.head().leaf),
                    "{place}"
                );
                self.model.insert(to, fork);
            }
            Err(CheckpointError::StateExists) => assert!(self.model[to].revision() > 0, "{place}"),
            Err(CheckpointError::RevisionNotFound { .. }) => self.assert_may_be_gone(from, at),
            Err(other) => panic!("{place}: {other:?}"),
        }
    }

    async fn tag(&mut self) {
        let (name, place, who) = (self.session(), self.place(), caller());
        let tag = *self.random.pick(&TAGS);
        let revision = u64::try_from(self.random.below(10)).expect("small");
        let (parsed, turn) = (tag.parse().expect("a tag"), self.turn());
        if self.random.one_in(3) {
            let done = self
                .insist(async |states| states.untag(&who, &id(name), &parsed, Some(&turn)).await)
                .await;
            let session = self.model.get_mut(name).expect("a session");
            let there = session.tags.remove(tag).is_some();
            assert_eq!(done.expect("a tag or none"), there, "{place}");
            return;
        }
        let done = self
            .insist(async |states| {
                states
                    .tag(&who, &id(name), &parsed, revision, Some(&turn))
                    .await
            })
            .await;
        match done {
            Ok(()) => {
                let session = self.model.get_mut(name).expect("a session");
                session.tags.insert(tag.to_owned(), revision);
            }
            Err(CheckpointError::RevisionNotFound { .. }) => {
                self.assert_may_be_gone(name, revision)
            }
            Err(other) => panic!("{place}: {other:?}"),
        }
    }

    async fn pack(&mut self) {
        let (name, tenant) = (self.session(), caller().tenant);
        let done = self
            .insist(async |states| states.pack(&tenant, &id(name)).await)
            .await;
        assert!(done.is_ok(), "{}: {done:?}", self.place());
    }

    async fn sweep(&mut self) {
        let sweep = *self.random.pick(&[Sweep::Due, Sweep::All]);
        let limit = *self.random.pick(&[3, 1_000]);
        let report = self
            .insist(async |states| states.sweep(sweep, limit).await)
            .await;
        let report = report.unwrap_or_else(|error| panic!("{}: {error:?}", self.place()));
        assert_eq!(report.unreadable, [], "{}", self.place());
    }

    /// Collects what nothing needs, by a process that may end half way.
    async fn collect(&mut self) {
        let states = match self.random.one_in(3) {
            true => self.mortal(),
            false => self.process(),
        };
        let collect = Collect {
            grace_ms: *self.random.pick(&[Some(0), None]),
            dry_run: self.random.one_in(4),
        };
        let tenant = caller().tenant;
        let done = states.collect_tenant(&tenant, collect, u64::MAX).await;
        let reasons = match done {
            Ok(report) => report.collected.reasons,
            // The next one goes on.
            Err(CheckpointError::Store(_)) => return,
            Err(other) => panic!("{}: {other:?}", self.place()),
        };
        let lost = |reason: &Reason| matches!(reason, Reason::Unreadable { .. });
        assert!(!reasons.iter().any(lost), "{}: {reasons:?}", self.place());
    }

    /// Collects twice once everything is past its grace: then nothing is left
    /// that nothing needs.
    async fn clean(&mut self) {
        self.env.advance_ms(self.config.grace_ms);
        let states = over(Arc::clone(&self.ground), &self.env, &self.config);
        for _ in 0..2 {
            let (tenant, collect) = (caller().tenant, Collect::default());
            let report = states.collect_tenant(&tenant, collect, u64::MAX).await;
            let report = report.unwrap_or_else(|error| panic!("{}: {error:?}", self.place()));
            assert_eq!(report.collected.reasons, [], "{}", self.place());
        }
        let there = self.model.iter().filter(|(_, it)| it.revision() > 0);
        let sessions: Vec<String> = there.map(|(name, _)| (*name).to_owned()).collect();
        let needed = self.model.values().flat_map(Session::contents);
        let needed = needed.map(|it| format!("blob/{}", BlobId::of(&it)));
        let needed: BTreeSet<String> = needed.collect();
        let place = self.place();
        assert_clean(self.ground.as_ref(), &states, &sessions, needed, &place).await;
    }

    /// Compares the head of one session.
    async fn look(&mut self) {
        let (name, states) = (self.session(), self.process());
        let revision = self.model[name].revision();
        self.compare_state(&states, name, revision, &At::Head).await;
    }

    /// Compares everything, as a process that has just begun sees it.
    async fn compare(&self) {
        let store: Arc<dyn Store> = Arc::clone(&self.ground) as _;
        let states = over(store, &self.env, &self.config);
        for (name, session) in &self.model {
            for revision in session.revisions.keys() {
                let at = At::Revision(*revision);
                self.compare_state(&states, name, *revision, &at).await;
            }
            let tags = states
                .tags(&caller(), &id(name))
                .await
                .expect("readable tags");
            let tags: BTreeMap<String, u64> = tags
                .into_iter()
                .map(|it| (it.name.to_string(), it.revision))
                .collect();
            assert_eq!(tags, session.tags, "{}", self.place());
        }
    }

    async fn compare_state(&self, states: &Checkpoints, name: &str, revision: u64, at: &At) {
        let place = format!("{}: {name} at {revision}", self.place());
        let (who, session) = (caller(), id(name));
        let model = &self.model[name];
        let shown = states.show(&who, &session, at).await;
        let shown = shown.unwrap_or_else(|error| panic!("{place}: {error:?}"));
        let Some(shown) = shown else {
            return self.assert_may_be_gone(name, revision);
        };
        let expected = &model.revisions[&revision];
        assert_eq!(shown.commit.revision, revision, "{place}");
        let names: Vec<&str> = shown.parts.keys().map(|name| name.as_str()).collect();
        let wanted: Vec<&str> = expected.parts.keys().map(String::as_str).collect();
        assert_eq!(names, wanted, "{place}");
        for (name, payload) in &expected.parts {
            let part = states
                .part(&who, &session, at, &name.parse().expect("a part"))
                .await;
            let part = part.unwrap_or_else(|error| panic!("{place}: {error:?}"));
            assert_eq!(&part.expect("a part").1, payload, "{place}: {name}");
        }
        // At once, or a few at a time.
        let limit = if revision.is_multiple_of(2) { 1_000 } else { 7 };
        let (mut path, mut leaf) = (Vec::new(), None);
        loop {
            let page = states.path(&who, &session, at, leaf, limit).await;
            let page = page
                .unwrap_or_else(|error| panic!("{place}: {error:?}"))
                .expect("a state");
            assert_eq!(page.revision, revision, "{place}");
            path = [page.nodes, path].concat();
            match page.above {
                Some(_) => leaf = page.above,
                None => break,
            }
        }
        let way: Vec<u64> = path.iter().map(|node| node.number).collect();
        assert_eq!(way, model.way(expected.leaf), "{place}");
        let mut graph = Vec::new();
        let mut after = 0;
        loop {
            let page = states.graph(&who, &session, at, after, 3).await;
            let page = page
                .unwrap_or_else(|error| panic!("{place}: {error:?}"))
                .expect("a state");
            graph.extend(page.nodes);
            match page.after {
                Some(next) => after = next,
                None => break,
            }
        }
        let numbers: Vec<u64> = graph.iter().map(|node| node.number).collect();
        let visible = (1..=expected.nodes).filter(|it| !expected.hidden.contains(it));
        assert_eq!(numbers, visible.collect::<Vec<u64>>(), "{place}");
        for node in path.iter().chain(&graph) {
            let appended = &model.nodes[&node.number];
            let payload = (!expected.hidden.contains(&node.number)).then_some(&appended.payload);
            assert_eq!(
                (node.parent, node.payload.as_ref()),
                (appended.parent, payload),
                "{place}"
            );
        }
    }
}
