//! Collections that are interrupted by something else after each number of
//! their steps: whatever comes between any two, nothing needed is lost and
//! nothing else stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_checkpoint::{
    BlobId, Changes, CheckpointError, Checkpoints, Collect, Collection, Config, Expected, Form,
    Label, PartChange, Profile, Reason, Retention, Sweep,
};
use windlass_core::{Env, ManualEnv};
use windlass_store::{Store, StoreErrorKind};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Fault, Faulty, Moment, Verb};

use super::contents::{COUNT, content, name, put};
use super::ledger::{Ledger, Parts};
use crate::reachable::{assert_clean, rows};
use crate::support::{START, caller, id, over};

/// What nothing needs when the collection begins: 8 KiB in several chunks.
pub(super) const GARBAGE: usize = 20;
/// Has most chunks in common with it.
const NEIGHBOUR: usize = 21;
/// What is there, and has nothing in common with it.
pub(super) const THERE: usize = 30;

/// A session that has dropped what it had.
pub(super) struct World {
    pub(super) ground: Arc<MemoryStore>,
    pub(super) env: Arc<ManualEnv>,
    config: Config,
    pub(super) states: Checkpoints,
    pub(super) lineage: String,
    pub(super) ledger: Ledger,
    pub(super) position: usize,
}

pub(super) const NOW: Collect = Collect {
    grace_ms: Some(0),
    dry_run: false,
};

impl World {
    pub(super) async fn new() -> Self {
        let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
        let env = Arc::new(ManualEnv::new(1, START));
        let config = Config {
            compression: Profile::LowLatency.into(),
            retention: Retention {
                keep_ms: 0,
                keep_last: 1,
            },
            ..Config::default()
        };
        let states = over(Arc::clone(&ground) as _, &env, &config);
        let mut world = Self {
            ground,
            env,
            config,
            states,
            lineage: String::new(),
            ledger: Ledger::default(),
            position: 0,
        };
        world.put("a", GARBAGE).await;
        world.put("a", THERE).await;
        world.drop_old().await;
        let head = world.states.head(&caller(), &id("a")).await;
        world.lineage = head.expect("a head").expect("a state").lineage.to_string();
        world
    }

    /// What a process has of the ground through `store`.
    pub(super) fn over(&self, store: Arc<dyn Store>) -> Checkpoints {
        over(store, &self.env, &self.config)
    }

    fn place(&self) -> String {
        format!("after {} steps", self.position)
    }

    pub(super) fn collection(&self) -> Collection {
        let tenant = caller().tenant;
        self.states.collection(&tenant, &self.lineage, NOW)
    }

    /// Puts content `number` as the one part.
    pub(super) async fn put(&mut self, session: &str, number: usize) {
        let changes = put("part", number);
        let done = self.states.commit(&caller(), &id(session), changes).await;
        let done = done.unwrap_or_else(|error| panic!("{}: {error:?}", self.place()));
        self.note(session, done.revision, number);
    }

    pub(super) fn note(&mut self, session: &str, revision: u64, number: usize) {
        let parts = Parts::from([("part".to_owned(), content(number))]);
        self.ledger.note(session, revision, parts);
    }

    /// Refers to content `number`; whether the lineage has it.
    pub(super) async fn refer(&mut self, session: &str, number: usize) -> bool {
        let blob = BlobId::of(&content(number));
        let refer = PartChange::Refer(blob, Form::Json, Label::default());
        let mut changes = Changes::default();
        changes.parts.insert(name("part"), refer);
        match self.states.commit(&caller(), &id(session), changes).await {
            Ok(done) => self.note(session, done.revision, number),
            Err(CheckpointError::BlobNotFound { .. }) => return false,
            Err(other) => panic!("{}: {other:?}", self.place()),
        }
        true
    }

    /// Drops every commit but the last of each session.
    pub(super) async fn drop_old(&self) {
        self.env.advance_ms(1);
        let report = self.states.sweep(Sweep::All, 1_000).await;
        assert_eq!(report.expect("a sweep").unreadable, []);
    }

    pub(super) fn env_now(&self) -> u64 {
        self.env.now().get()
    }

    /// A process that puts 280 kB ahead of a commit, and ends before it.
    pub(super) async fn put_ahead_and_end(&self) {
        let ending = Faulty::new(Arc::clone(&self.ground));
        ending.plan(Fault {
            verb: Some(Verb::Commit),
            number: 2,
            moment: Moment::Before,
            kind: StoreErrorKind::Closed,
        });
        let mortal = self.over(Arc::new(ending));
        let done = mortal
            .commit(&caller(), &id("a"), put("part", COUNT - 1))
            .await;
        assert!(matches!(done, Err(CheckpointError::Store(_))), "{done:?}");
    }

    /// Everything is there; after two more collections, nothing else is.
    pub(super) async fn settle(&mut self) {
        let place = self.place();
        self.ledger.check(&self.states, &place).await;
        self.drop_old().await;
        for _ in 0..2 {
            let mut collection = self.collection();
            let report = collection.step(u64::MAX).await.expect("a collection");
            assert_eq!(report.reasons, [], "{place}");
        }
        self.ledger.check(&self.states, &place).await;
        let sessions: Vec<String> = self.ledger.sessions.keys().cloned().collect();
        assert_clean(
            self.ground.as_ref(),
            &self.states,
            &sessions,
            BTreeSet::new(),
            &place,
        )
        .await;
    }
}

/// Goes on with a collection for some steps; whether that was its end.
async fn go_on(collection: &mut Collection, steps: usize) -> bool {
    for _ in 0..steps {
        let report = collection.step(1).await.expect("a collection");
        let unreadable = report
            .reasons
            .iter()
            .find(|it| format!("{it:?}").contains("Unreadable"));
        assert_eq!(unreadable, None);
    }
    collection.is_done()
}

/// How many steps a collection takes.
async fn steps_of(world: &World) -> usize {
    let mut collection = world.collection();
    let mut steps = 1;
    while !go_on(&mut collection, 1).await {
        steps += 1;
    }
    steps
}

/// Does `act` after each number of steps of a collection.
async fn at_every_step(act: impl AsyncFn(&mut World)) {
    for position in 0.. {
        let mut world = World::new().await;
        world.position = position;
        let mut collection = world.collection();
        let done = go_on(&mut collection, position).await;
        act(&mut world).await;
        while !go_on(&mut collection, 1).await {}
        world.settle().await;
        if done {
            assert!(position > 10, "{position}");
            return;
        }
    }
}

#[tokio::test]
async fn what_is_referred_to_between_two_steps_stays_with_all_below_it() {
    at_every_step(async |world| {
        world.refer("a", GARBAGE).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_put_again_between_two_steps_stays() {
    at_every_step(async |world| world.put("a", GARBAGE).await).await;
}

#[tokio::test]
async fn what_shares_chunks_with_garbage_stays_whole() {
    at_every_step(async |world| world.put("a", NEIGHBOUR).await).await;
}

#[tokio::test]
async fn what_another_session_of_the_lineage_puts_stays() {
    at_every_step(async |world| {
        let forked = world
            .states
            .fork(&caller(), &id("a"), None, &id("b"), None)
            .await;
        let revision = forked.expect("a fork").revision;
        world.note("b", revision, THERE);
        world.put("b", GARBAGE).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_taken_back_between_two_steps_stays() {
    at_every_step(async |world| {
        world.put("a", NEIGHBOUR).await;
        let to = world.ledger.head("a").0 - 1;
        let (who, session) = (caller(), id("a"));
        let done = world
            .states
            .rollback(&who, &session, to, Expected::Any, None)
            .await;
        world.note("a", done.expect("a kept revision").revision, THERE);
    })
    .await;
}

#[tokio::test]
async fn what_was_needed_for_a_moment_is_whole_or_gone() {
    at_every_step(async |world| {
        world.refer("a", GARBAGE).await;
        world.put("a", THERE).await;
        world.drop_old().await;
        world.refer("a", GARBAGE).await;
        world.put("a", THERE).await;
        world.drop_old().await;
    })
    .await;
}

/// A blob that comes after the search for garbage, rests on rows that came
/// before it, and is needed by nobody when marking begins again: whoever
/// refers to it then must find all of it.
#[tokio::test]
async fn a_blob_that_came_and_went_beside_a_collection_is_whole_or_gone() {
    let steps = steps_of(&World::new().await).await;
    for first in 0..steps {
        for second in 0..steps - first {
            let mut world = World::new().await;
            world.position = first * 10 + second;
            let mut collection = world.collection();
            go_on(&mut collection, first).await;
            world.put("a", GARBAGE + 2).await;
            go_on(&mut collection, second).await;
            world.put("a", GARBAGE + 3).await;
            world.put("a", THERE).await;
            world.drop_old().await;
            while !go_on(&mut collection, 1).await {}
            world.refer("a", GARBAGE + 3).await;
            world.settle().await;
        }
    }
}

#[tokio::test]
async fn a_collection_deletes_nothing_once_another_has_begun() {
    let steps = steps_of(&World::new().await).await;
    let mut gave_up = 0;
    for position in 1..steps {
        let mut world = World::new().await;
        world.position = position;
        let mut first = world.collection();
        go_on(&mut first, position).await;
        let mut second = world.collection();
        go_on(&mut second, 1).await;
        let before = rows(world.ground.as_ref()).await;
        while !go_on(&mut first, 1).await {}
        let report = first.step(1).await.expect("a collection");
        if report.reasons == [Reason::AnotherRun] {
            gave_up += 1;
        }
        let gone = |name: &&String| !name.starts_with("condemned/");
        let after = rows(world.ground.as_ref()).await;
        let before: Vec<_> = before.keys().filter(gone).collect();
        let after: Vec<_> = after.keys().filter(gone).collect();
        assert_eq!(before, after, "{}", world.place());
        while !go_on(&mut second, 1).await {}
        world.settle().await;
    }
    assert!(gave_up > steps / 2, "{gave_up} of {steps}");
}
