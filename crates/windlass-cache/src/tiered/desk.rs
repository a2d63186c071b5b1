//! The desk at which all changes of the second tier are made, one run after
//! the other.
//!
//! 1. Each commit checks and rewrites the head. It was written by the commit
//!    before, so the figures in it are exact; and after a commit of unknown
//!    outcome the head says whether that was applied.
//! 2. Nothing is done in memory for a change before its commit is
//!    acknowledged, but that a name is put into its filter: no filter ever
//!    denies a name that is there.
//! 3. If the outcome of a commit stays unknown, the first tier lets go of
//!    all that it was about, and figures are read anew.
//! 4. Which generation a namespace is at is decided in memory. Every commit
//!    first makes durable what was flushed since the last one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use windlass_core::{BoxFuture, Drive};
use windlass_store::{Batch, Commit, Scan, StoreError, StoreErrorKind, Version};

use super::action::{Action, Answer, Reply};
use super::draft::{Cause, Draft, Effect, Known};
use super::heads::Heads;
use super::keys;
use super::learn::Build;
use super::record::{Head, SpaceRow, corrupt, decode};
use super::shared::{Shared, hash};
use crate::error::CacheError;
use crate::limits::ROUNDS_MAX;
use crate::names::{Key, Namespace};

/// What the store is known to hold.
#[derive(Debug)]
pub(super) struct State {
    pub(super) head: Head,
    pub(super) version: Version,
    pub(super) spaces: HashMap<Namespace, SpaceRow>,
}

/// What a run leaves to the next.
#[derive(Debug, Default)]
struct Left {
    /// `None` if it has to be read anew.
    state: Option<State>,
    builds: Vec<Build>,
    heads: Heads,
    /// The last attempt at a commit, whatever came of it.
    attempt: u64,
}

/// Where changes are made.
#[derive(Debug)]
pub(super) struct Desk {
    shared: Arc<Shared>,
    left: Mutex<Left>,
}

impl Desk {
    pub(super) fn new(shared: Arc<Shared>, state: State, builds: Vec<Build>) -> Self {
        let left = Left {
            attempt: state.head.attempt,
            state: Some(state),
            builds,
            heads: Heads::default(),
        };
        Self {
            shared,
            left: Mutex::new(left),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drive for Desk {
    type Request = Vec<Action>;
    type Answer = Vec<Reply>;

    fn run(self: Arc<Self>, requests: Vec<Vec<Action>>) -> BoxFuture<'static, Vec<Vec<Reply>>> {
        Box::pin(async move {
            let left = std::mem::take(&mut *self.lock());
            let mut run = Run::new(Arc::clone(&self.shared), left);
            let replies = run.serve(requests).await;
            run.heads.learn(run.known);
            *self.lock() = Left {
                state: run.state,
                builds: run.builds,
                heads: run.heads,
                attempt: run.attempt,
            };
            replies
        })
    }
}

/// Where an answer goes: to which request, and to which of its actions.
type Slot = (usize, usize);

/// How a batch fared.
enum Sent {
    Applied(Version),
    /// Nothing happened.
    Refused(CacheError),
    /// What the store holds has to be read anew.
    Unknown(CacheError),
}

/// One run.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    /// `None` if it has to be read anew.
    pub(super) state: Option<State>,
    pub(super) draft: Draft,
    pub(super) known: HashMap<(u64, Key), Known>,
    pub(super) builds: Vec<Build>,
    pub(super) heads: Heads,
    answers: Vec<(Slot, Answer)>,
    replies: HashMap<Slot, Reply>,
    attempt: u64,
}

impl Run {
    fn new(shared: Arc<Shared>, left: Left) -> Self {
        let head = left.state.as_ref().map(|state| state.head.clone());
        let head = head.unwrap_or_else(Head::unknown);
        Self {
            shared,
            attempt: left.attempt.max(head.attempt),
            draft: Draft::new(&head),
            state: left.state,
            known: HashMap::new(),
            builds: left.builds,
            heads: left.heads,
            answers: Vec::new(),
            replies: HashMap::new(),
        }
    }

    async fn serve(&mut self, requests: Vec<Vec<Action>>) -> Vec<Vec<Reply>> {
        let counts: Vec<usize> = requests.iter().map(Vec::len).collect();
        if let Err(error) = self.begin(&requests).await {
            let refuse = |count| (0..count).map(|_| Err(error.clone())).collect();
            return counts.into_iter().map(refuse).collect();
        }
        for (request, actions) in requests.into_iter().enumerate() {
            for (place, action) in actions.into_iter().enumerate() {
                self.take(action, (request, place)).await;
            }
        }
        self.commit().await;
        self.learn_some().await;
        let mut replies = std::mem::take(&mut self.replies);
        let mut of = |slot| {
            let reply = replies.remove(&slot);
            reply.unwrap_or(Err(CacheError::Abandoned(windlass_core::Abandoned)))
        };
        let requests = counts.into_iter().enumerate();
        requests
            .map(|(request, count)| (0..count).map(|place| of((request, place))).collect())
            .collect()
    }

    /// Reads what all actions need.
    async fn begin(&mut self, requests: &[Vec<Action>]) -> Result<(), CacheError> {
        self.ensure_state().await?;
        self.carry();
        if self.draft.is_full() {
            self.commit().await;
            self.ensure_state().await?;
        }
        let actions = requests.iter().flatten();
        let wanted = actions.filter_map(|action| {
            let (era, key) = action.wants()?;
            let name = (era.generation, key.clone());
            let is_needed = !matches!(action, Action::Put(_)) || !self.heads.has(&name);
            is_needed.then(|| (Arc::clone(era), name.1))
        });
        let wanted: Vec<_> = wanted.collect();
        self.load(wanted).await?;
        // Whoever needs the room is told if there is none; the others of the
        // run do not need it.
        let _ = self.make_room_ahead(requests).await;
        self.ensure_state().await
    }

    async fn take(&mut self, action: Action, slot: Slot) {
        if self.draft.is_full() || action.scans() {
            self.commit().await;
        }
        let done = match self.ensure_state().await {
            Ok(()) => self.act(action).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(answer) => self.answers.push((slot, answer)),
            Err(error) => drop(self.replies.insert(slot, Err(error))),
        }
    }

    /// What the store holds, as far as this run knows.
    pub(super) fn stored(&self) -> &HashMap<Namespace, SpaceRow> {
        let state = self.state.as_ref();
        &state.expect("it was made sure of").spaces
    }

    /// Reads head and namespaces, if they have to be.
    async fn ensure_state(&mut self) -> Result<(), CacheError> {
        if self.state.is_some() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let state = load_state(&shared).await?;
        let state = state.filter(|state| state.head.incarnation == shared.incarnation);
        let Some(state) = state else {
            return Err(CacheError::Taken);
        };
        self.attempt = self.attempt.max(state.head.attempt);
        self.draft = Draft::new(&state.head);
        self.unlearn();
        for (namespace, row) in &state.spaces {
            if let Some(era) = shared.era(namespace, row.generation) {
                era.below.set(row.entries, row.dependents);
                let unknown = era.below.filter().is_none();
                if unknown && !self.builds.iter().any(|build| build.is_of(&era)) {
                    self.builds.push(Build::new(&era));
                }
            }
        }
        shared.counters.entries.set(state.head.entries);
        shared.counters.bytes.set(state.head.bytes);
        self.state = Some(state);
        self.carry();
        Ok(())
    }

    /// Adds to the draft what was flushed, and which namespaces gave their
    /// slots back, since the last commit.
    fn carry(&mut self) {
        let Some(state) = &self.state else { return };
        for (namespace, row) in &state.spaces {
            let era = self.shared.first.inner.spaces.find(namespace);
            match era {
                Some(era) if era.generation == row.generation => {}
                Some(era) => {
                    self.draft.end(namespace, *row);
                    let next = SpaceRow::at(era.generation);
                    self.draft.set_space(namespace, Some(next));
                }
                None => {
                    self.draft.end(namespace, *row);
                    self.draft.set_space(namespace, None);
                }
            }
        }
    }

    /// Commits the draft, and does in memory what it says; false if it was
    /// not applied, or nobody knows.
    pub(super) async fn commit(&mut self) -> bool {
        let answers = std::mem::take(&mut self.answers);
        let Some(state) = self.state.as_ref().filter(|_| !self.draft.is_empty()) else {
            let done = answers.into_iter().map(|(slot, answer)| (slot, Ok(answer)));
            self.replies.extend(done);
            return true;
        };
        self.attempt += 1;
        let head = &mut self.draft.head;
        head.rev = state.head.rev + 1;
        head.attempt = self.attempt;
        head.generation = self.shared.first.inner.spaces.generation();
        let batch = self.draft.batch(state.version);
        self.filter_names(true);
        match self.send(batch).await {
            Sent::Applied(version) => self.apply(version),
            Sent::Refused(error) => {
                self.filter_names(false);
                self.start_over();
                self.refuse(answers, &error);
                return false;
            }
            Sent::Unknown(error) => {
                self.let_go();
                self.suppose();
                self.state = None;
                self.refuse(answers, &error);
                return false;
            }
        }
        let done = answers.into_iter().map(|(slot, answer)| (slot, Ok(answer)));
        self.replies.extend(done);
        true
    }

    /// Counts what a commit of unknown outcome may have put, until it is read
    /// what it did: a flush must not take its namespace for an empty one.
    fn suppose(&mut self) {
        for (namespace, row) in self.draft.take_spaces() {
            let Some(row) = row else { continue };
            if let Some(era) = self.shared.era(&namespace, row.generation)
                && era.below.entries() < row.entries
            {
                era.below.set(row.entries, row.dependents);
            }
        }
    }

    fn refuse(&mut self, answers: Vec<(Slot, Answer)>, error: &CacheError) {
        let refused = answers
            .into_iter()
            .map(|(slot, _)| (slot, Err(error.clone())));
        self.replies.extend(refused);
    }

    /// Forgets what is known of records.
    fn unlearn(&mut self) {
        self.known.clear();
        self.heads.forget();
    }

    /// Forgets a draft of which nothing happened.
    fn start_over(&mut self) {
        self.unlearn();
        if let Some(state) = &self.state {
            self.draft = Draft::new(&state.head);
            self.carry();
        }
    }

    async fn send(&self, batch: Batch) -> Sent {
        let mut last = None;
        for _ in 0..ROUNDS_MAX {
            match self.shared.store.commit(batch.clone()).await {
                Ok(Commit::Applied(version)) => return Sent::Applied(version),
                Ok(Commit::Conflict { .. }) => return self.explain_conflict().await,
                Err(error) if error.kind() != StoreErrorKind::Indeterminate => {
                    return Sent::Refused(error.into());
                }
                Err(error) => match self.look().await {
                    Ok(Some(version)) => return Sent::Applied(version),
                    Ok(None) => last = Some(error),
                    Err(_) => return Sent::Unknown(error.into()),
                },
            }
        }
        let error = last.expect("there was a round");
        Sent::Refused(error.into())
    }

    /// A conflict is with an earlier attempt of our own, or with somebody
    /// who must not be there.
    async fn explain_conflict(&self) -> Sent {
        match self.look().await {
            Ok(Some(version)) => Sent::Applied(version),
            Ok(None) => {
                let late = "a commit that was given up came late";
                let error = StoreError::new(StoreErrorKind::Unavailable, "commit", late);
                Sent::Unknown(error.into())
            }
            Err(error) => Sent::Unknown(error),
        }
    }

    /// The version of the head, if the draft's attempt wrote it.
    async fn look(&self) -> Result<Option<Version>, CacheError> {
        let (head, version) = read_head(&self.shared)
            .await?
            .ok_or_else(|| corrupt("head", "it is missing"))?;
        if head.incarnation != self.shared.incarnation {
            return Err(CacheError::Taken);
        }
        Ok((head.attempt == self.attempt).then_some(version))
    }

    /// Notes that the draft is what the store holds.
    fn apply(&mut self, version: Version) {
        let state = self.state.as_mut().expect("a draft stands on a state");
        state.version = version;
        state.head = self.draft.head.clone();
        for (namespace, row) in self.draft.take_spaces() {
            match row {
                Some(row) => drop(state.spaces.insert(namespace, row)),
                None => drop(state.spaces.remove(&namespace)),
            }
        }
        let draft = std::mem::replace(&mut self.draft, Draft::new(&state.head));
        for (namespace, row) in &state.spaces {
            if let Some(era) = self.shared.era(namespace, row.generation) {
                era.below.set(row.entries, row.dependents);
            }
        }
        let counters = &self.shared.counters;
        counters.entries.set(state.head.entries);
        counters.bytes.set(state.head.bytes);
        counters.commits.add(1);
        for effect in draft.effects {
            self.take_effect(effect);
        }
        self.grow_filters();
        // Who waits for the first tier has waited long enough.
        self.shared.promote(crate::limits::PROMOTED_PER_CALL);
    }

    fn take_effect(&mut self, effect: Effect) {
        let (above, counters) = (self.shared.above(), &self.shared.counters);
        match effect {
            Effect::Put { entry, .. } => {
                counters.insertions.add(1);
                above.put(&entry);
            }
            Effect::Packed { from, to } => {
                counters.compressed.add(1);
                counters.compressed_from.add(count(from));
                counters.compressed_to.add(count(to));
            }
            Effect::Touched {
                era,
                key,
                stamp,
                now,
                expires,
            } => {
                above.touch(&era, &key, stamp, now, expires);
                self.shared.uses.forget(stamp);
            }
            Effect::Gone { era, key } => {
                above.take(&era, &key);
                if let Some(filter) = era.below.filter() {
                    filter.remove(hash(&era, &key));
                }
                let hash = hash(&era, &key);
                for build in &self.builds {
                    build.change(&era, &key, hash, false);
                }
            }
            Effect::Written(stamp) => self.shared.uses.forget(stamp),
            Effect::Counted(cause, count) => match cause {
                Cause::Evicted => counters.evictions.add(count),
                Cause::Expired => counters.expirations.add(count),
                Cause::Invalidated => counters.invalidations.add(count),
                Cause::Damaged => counters.damaged.add(count),
                Cause::Replaced => {}
            },
        }
    }

    /// Lets go of all that the draft is about, in the first tier.
    fn let_go(&self) {
        let above = self.shared.above();
        for effect in &self.draft.effects {
            match effect {
                Effect::Put { entry, .. } => above.take(&entry.era, &entry.place.key),
                Effect::Touched { era, key, .. } | Effect::Gone { era, key } => {
                    above.take(era, key);
                }
                Effect::Written(_) | Effect::Counted(..) | Effect::Packed { .. } => {}
            }
        }
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl Head {
    /// What stands in for one that has yet to be read.
    pub(super) fn unknown() -> Self {
        Self {
            v: windlass_core::Format,
            rev: 0,
            incarnation: 0,
            attempt: 0,
            generation: 0,
            stamp: 0,
            entries: 0,
            bytes: 0,
            boot: String::new(),
            closed: false,
        }
    }
}

/// Reads the head, trying again where the store is not there.
async fn read_head(shared: &Shared) -> Result<Option<(Head, Version)>, CacheError> {
    let mut last = None;
    for _ in 0..ROUNDS_MAX {
        match shared.read([Scan::point(keys::head())]).await {
            Ok([page]) => return head_of(page),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("there was a round").into())
}

fn head_of(page: windlass_store::Page) -> Result<Option<(Head, Version)>, CacheError> {
    let Some(entry) = page.entries.into_iter().next() else {
        return Ok(None);
    };
    Ok(Some((decode("head", &entry.value)?, entry.version)))
}

/// What the store holds, at one point in time; `None` if it holds nothing.
pub(super) async fn load_state(shared: &Shared) -> Result<Option<State>, CacheError> {
    let Some((head, version)) = read_head(shared).await? else {
        return Ok(None);
    };
    let mut spaces = HashMap::new();
    let mut scan = Scan::new(keys::spaces());
    loop {
        let [page] = shared.read([scan.clone()]).await?;
        for entry in &page.entries {
            let namespace = keys::space_of(&entry.key);
            let namespace = namespace.ok_or_else(|| corrupt("namespace", "it has no name"))?;
            spaces.insert(namespace, decode("namespace", &entry.value)?);
        }
        let Some(last) = page.entries.last().filter(|_| page.more) else {
            break;
        };
        scan = scan.after(&last.key);
    }
    Ok(Some(State {
        head,
        version,
        spaces,
    }))
}
