//! The driver of one stash: loads, lets the rules decide, commits, and on a
//! lost race reloads and decides again.
//!
//! What the cell remembers is a guess. A change is safe because its commit
//! checks the head; what was only looked up is given out only after a read has
//! confirmed the head it was looked up under, or where this process has the
//! store for itself. The memory moves on only after the store has
//! acknowledged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_core::{BoxFuture, Drive, GroupId, Millis, RandomError, Writer, WriterId, Written};
use windlass_store::{Commit, StoreErrorKind, Version};

use super::engine::{Engine, Found};
use super::keys::StashKeys;
use super::plan::{Ask, Decided, Next, Plan, Request, Seen, Terms, Told, Undecided};
use super::record::Pieces;
use super::state::State;
use crate::error::{StashError, StepError};
use crate::key::Key;
use crate::metadata::{Entry, Metadata};
use crate::request::Operation;
use crate::rules::Call;

/// One stash as this process remembers it.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) engine: Arc<Engine>,
    pub(super) keys: StashKeys,
    writer: Writer,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    guess: Option<State>,
    /// Grows with every commit: what was loaded before one is not remembered
    /// after it.
    epoch: u64,
}

impl Cell {
    pub(super) fn new(engine: Arc<Engine>, keys: StashKeys) -> Result<Self, RandomError> {
        let writer = Writer::draw(engine.env.as_ref())?;
        Ok(Self {
            engine,
            keys,
            writer,
            memory: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the guess.
    fn forget(&self) {
        let mut memory = self.lock();
        memory.epoch += 1;
        let old = memory.guess.take();
        drop(memory);
        drop(old);
    }

    /// Lets go of the guess if it is still the one that proved wrong.
    pub(super) fn forget_at(&self, version: Option<Version>) {
        let mut memory = self.lock();
        let wrong = |state: &mut State| state.version() == version;
        let old = memory.guess.take_if(wrong);
        drop(memory);
        drop(old);
    }

    /// Sees to it that there is a guess. If it had to be read for that, it is
    /// no guess for who asked: then the version of its head.
    pub(super) async fn ensure(&self) -> Result<Option<Option<Version>>, StashError> {
        let epoch = {
            let memory = self.lock();
            if memory.guess.is_some() {
                return Ok(None);
            }
            memory.epoch
        };
        let state = self.engine.load(&self.keys).await?;
        let version = state.version();
        let mut memory = self.lock();
        if memory.epoch == epoch {
            memory.guess = Some(state);
        }
        Ok(Some(version))
    }

    /// Whether what was looked up at `version` may be given out.
    async fn confirm(
        &self,
        version: Option<Version>,
        fresh: Option<Option<Version>>,
    ) -> Result<bool, StashError> {
        if fresh == Some(version) || self.engine.is_alone() {
            return Ok(true);
        }
        self.engine.is_at(&self.keys, version).await
    }

    /// Looks something up in the index as it is in the store now. One read,
    /// none where this process has the store for itself, more where the index
    /// has to be read.
    pub(super) async fn look<T>(
        &self,
        look: impl Fn(&mut State, Millis) -> T,
    ) -> Result<T, StashError> {
        let mut lost = 0;
        loop {
            let fresh = self.ensure().await?;
            if let Some((seen, version)) = self.glance(&look) {
                if self.confirm(version, fresh).await? {
                    return Ok(seen);
                }
                self.forget_at(version);
            }
            lost += 1;
            self.engine.back_off(lost).await?;
        }
    }

    pub(super) fn glance<T>(
        &self,
        look: impl Fn(&mut State, Millis) -> T,
    ) -> Option<(T, Option<Version>)> {
        let now = self.engine.env.now();
        let mut memory = self.lock();
        let state = memory.guess.as_mut()?;
        let now = state.advance(now);
        Some((look(state, now), state.version()))
    }

    /// The entry of a key as it is in the store now. One read where the index
    /// is known, also if the value is not.
    pub(super) async fn get(
        &self,
        group: Option<&GroupId>,
        key: &Key,
    ) -> Result<Option<Entry>, StashError> {
        let mut lost = 0;
        loop {
            let fresh = self.ensure().await?;
            if let Some((sight, version)) =
                self.glance(|state, now| self.sight(state, now, group, key))
            {
                if let Some(entry) = self.behold(key, sight, version, fresh).await? {
                    return entry;
                }
                self.forget_at(version);
            }
            lost += 1;
            self.engine.back_off(lost).await?;
        }
    }

    fn sight(
        &self,
        state: &State,
        now: Millis,
        group: Option<&GroupId>,
        key: &Key,
    ) -> Result<Option<Sight>, StashError> {
        let config = self.engine.config();
        let call = Call {
            config: &config,
            caller: group,
            now,
        };
        let metadata = state.index.get(&call, key)?;
        Ok(metadata.map(|metadata| Sight {
            metadata: metadata.clone(),
            pieces: state.pieces.get(key).cloned(),
            ttl_left_ms: metadata.ttl_left_ms(now),
        }))
    }

    /// What a sight of an entry shows; `None` if the stash has moved on.
    async fn behold(
        &self,
        key: &Key,
        sight: Result<Option<Sight>, StashError>,
        version: Option<Version>,
        fresh: Option<Option<Version>>,
    ) -> Result<Option<Result<Option<Entry>, StashError>>, StashError> {
        let sight = match sight {
            Ok(Some(sight)) => sight,
            Ok(None) => return Ok(self.confirm(version, fresh).await?.then_some(Ok(None))),
            Err(refusal) => {
                return Ok(self.confirm(version, fresh).await?.then_some(Err(refusal)));
            }
        };
        let value = match self.engine.cached(&self.keys, sight.metadata.version) {
            Some(value) if self.confirm(version, fresh).await? => value,
            Some(_) => return Ok(None),
            None => {
                let entry = (key, &sight.metadata);
                let pieces = sight.pieces.as_ref();
                match self
                    .engine
                    .value(&self.keys, version, entry, pieces)
                    .await?
                {
                    Found::Value(value) => value,
                    Found::Moved => return Ok(None),
                }
            }
        };
        Ok(Some(Ok(Some(Entry {
            value,
            metadata: sight.metadata,
            ttl_left_ms: sight.ttl_left_ms,
        }))))
    }

    /// How a request would be refused now, if it would be: so that nobody
    /// writes megabytes ahead of a change that is not to be.
    pub(super) async fn foresee(&self, request: &Request) -> Result<Option<StepError>, StashError> {
        let seen = Seen::new();
        self.look(|state, now| {
            let config = self.engine.config();
            let writer = self.writer.id();
            let terms = self.terms(&config, &writer, now);
            match Plan::decide(state, terms, &seen, [(0, request)].into_iter()) {
                Ok(plan) => plan.decided.into_iter().find_map(|(_, told)| told.err()),
                Err(_) => None,
            }
        })
        .await
    }

    const fn terms<'a>(
        &'a self,
        config: &'a crate::Config,
        writer: &'a WriterId,
        now: Millis,
    ) -> Terms<'a> {
        Terms {
            keys: &self.keys,
            config,
            writer,
            now,
        }
    }
}

/// An entry that a caller may see, without its value.
struct Sight {
    metadata: Metadata,
    pieces: Option<Pieces>,
    ttl_left_ms: u64,
}

impl Drive for Cell {
    type Request = Arc<Request>;
    type Answer = Result<Told, StepError>;

    fn run(self: Arc<Self>, requests: Vec<Self::Request>) -> BoxFuture<'static, Vec<Self::Answer>> {
        Box::pin(Run::new(self, requests).finish())
    }
}

/// One combined run over a cell.
pub(super) struct Run {
    pub(super) cell: Arc<Cell>,
    pub(super) requests: Vec<Arc<Request>>,
    pub(super) answers: Vec<Option<Result<Told, StepError>>>,
    /// The version of the head that this very run has read or written.
    fresh: Option<Option<Version>>,
    /// Values the rules asked for.
    seen: Seen,
    /// Whether expired entries have to go before anything fits.
    crowded: bool,
    lost: u32,
    doubt: Option<Doubt>,
}

/// A commit of which it is not known whether it was applied.
struct Doubt {
    writer: WriterId,
    base: Option<Version>,
    rev: u64,
    removes: bool,
    decided: Vec<Decided>,
    error: StashError,
}

impl Run {
    fn new(cell: Arc<Cell>, requests: Vec<Arc<Request>>) -> Self {
        let answers = requests.iter().map(|_| None).collect();
        Self {
            cell,
            requests,
            answers,
            fresh: None,
            seen: Seen::new(),
            crowded: false,
            lost: 0,
            doubt: None,
        }
    }

    async fn finish(mut self) -> Vec<Result<Told, StepError>> {
        while self.answers.iter().any(Option::is_none) {
            if let Err(error) = self.round().await {
                // While a commit is in doubt, "nothing happened" would be a lie.
                let error = self.doubt.take().map_or(error, |doubt| doubt.error);
                self.fail(&error);
            }
        }
        self.answers.into_iter().flatten().collect()
    }

    /// Answers some requests, or gets nearer to it.
    async fn round(&mut self) -> Result<(), StashError> {
        if let Some(version) = self.cell.ensure().await? {
            self.fresh = Some(version);
        }
        if self.resolve_doubt()? {
            return Ok(());
        }
        match self.decide() {
            None => self.lose().await,
            Some(Err(Undecided::Unseen)) => self.see().await,
            Some(Err(Undecided::Crowded)) if self.crowded => Err(StashError::Busy),
            Some(Err(Undecided::Crowded)) => {
                self.crowded = true;
                Ok(())
            }
            Some(Ok(plan)) => self.carry_out(plan).await,
        }
    }

    /// What the rules say to the open requests; `None` if the guess is gone.
    fn decide(&mut self) -> Option<Result<Plan, Undecided>> {
        let cell = Arc::clone(&self.cell);
        let config = cell.engine.config();
        let writer = cell.writer.id();
        let terms = cell.terms(&config, &writer, cell.engine.env.now());
        let mut memory = cell.lock();
        let state = memory.guess.as_mut()?;
        if self.crowded {
            return Some(Plan::make_room(state, terms, &self.seen));
        }
        let requests = self.requests.iter().enumerate();
        let open = requests.filter(|(place, _)| self.answers[*place].is_none());
        let open = open.map(|(place, request)| (place, request.as_ref()));
        Some(Plan::decide(state, terms, &self.seen, open))
    }

    async fn carry_out(&mut self, plan: Plan) -> Result<(), StashError> {
        if let Some(next) = plan.next {
            return self.commit(plan.base, plan.decided, next).await;
        }
        if self.crowded {
            return Err(StashError::Busy);
        }
        if let Some(doubt) = self.doubt.take() {
            // Time passed and what was granted would now be refused, but the
            // grant may still arrive.
            return Err(doubt.error);
        }
        if self.cell.confirm(plan.base, self.fresh).await? {
            return self.give_out(plan.decided).await;
        }
        self.cell.forget_at(plan.base);
        self.lose().await
    }

    async fn commit(
        &mut self,
        base: Option<Version>,
        decided: Vec<Decided>,
        mut next: Next,
    ) -> Result<(), StashError> {
        let cell = Arc::clone(&self.cell);
        let batch = std::mem::take(&mut next.batch);
        match cell.engine.store.commit(batch).await {
            Ok(Commit::Applied(version)) => {
                self.acknowledge(base, next, version);
                self.give_out(decided).await
            }
            Ok(Commit::Conflict { key }) => self.conflict(base, &key, &decided).await,
            Err(error) if error.kind() == StoreErrorKind::Indeterminate && self.doubt.is_none() => {
                cell.forget();
                self.doubt = Some(Doubt {
                    writer: cell.writer.leave_id(),
                    base,
                    rev: next.rev,
                    removes: next.head.is_none(),
                    decided,
                    error: error.into(),
                });
                Ok(())
            }
            Err(error) => {
                cell.writer.leave_id();
                cell.forget();
                Err(error.into())
            }
        }
    }

    /// Moves the memory on to what was committed.
    fn acknowledge(&mut self, base: Option<Version>, next: Next, version: Version) {
        self.doubt = None;
        self.crowded = false;
        let (engine, keys) = (&self.cell.engine, &self.cell.keys);
        for version in &next.gone {
            engine.forget(keys, *version);
        }
        for (version, value) in &next.values {
            engine.keep(keys, *version, value);
        }
        self.fresh = Some(next.head.is_some().then_some(version));
        let mut memory = self.cell.lock();
        memory.epoch += 1;
        match memory.guess.as_mut() {
            Some(state) if state.version() == base => state.apply(next, version),
            // Somebody has read what was committed already.
            Some(state) if state.version() == Some(version) => {}
            _ => memory.guess = None,
        }
    }

    async fn conflict(
        &mut self,
        base: Option<Version>,
        key: &[u8],
        decided: &[Decided],
    ) -> Result<(), StashError> {
        if *key == self.cell.keys.head() {
            self.cell.forget_at(base);
            return self.lose().await;
        }
        if self.place_of(key, decided).is_some() {
            return self.repeat_all(decided).await;
        }
        // Upkeep took back what had been written ahead.
        let error = StashError::Busy;
        for (place, _) in decided {
            let parts = self.requests[*place].parts.as_ref();
            if parts.is_some_and(|parts| parts.has_note(&self.cell.keys, key)) {
                self.answers[*place] = Some(Err(StepError {
                    position: 0,
                    error: error.clone(),
                }));
            }
        }
        self.lose().await
    }

    /// Whether the commit in doubt turns out to have been applied; if so its
    /// decisions become the answers.
    fn resolve_doubt(&mut self) -> Result<bool, StashError> {
        let Some(doubt) = self.doubt.take() else {
            return Ok(false);
        };
        match self.written(&doubt) {
            Some(Resolved::Applied) => {
                self.crowded = false;
                self.settle_sure(doubt.decided);
                Ok(true)
            }
            Some(Resolved::Lost) => Ok(false),
            Some(Resolved::Unknown) => Err(doubt.error),
            // It may still arrive; then the next attempt conflicts.
            Some(Resolved::NotYet) | None => {
                self.doubt = Some(doubt);
                Ok(false)
            }
        }
    }

    fn written(&self, doubt: &Doubt) -> Option<Resolved> {
        let memory = self.cell.lock();
        let state = memory.guess.as_ref()?;
        let Some((head, version)) = &state.head else {
            return Some(if doubt.removes {
                Resolved::Applied
            } else if doubt.base.is_none() {
                Resolved::NotYet
            } else {
                Resolved::Unknown
            });
        };
        if doubt.base == Some(*version) {
            return Some(Resolved::NotYet);
        }
        Some(match head.by.of(doubt.rev, head.rev) {
            Written::By(writer) if *writer == doubt.writer => Resolved::Applied,
            Written::By(_) => Resolved::Lost,
            Written::NotYet => Resolved::NotYet,
            Written::Forgotten => Resolved::Unknown,
        })
    }

    /// Reads the values that the rules need to see.
    async fn see(&mut self) -> Result<(), StashError> {
        let wanted = self.wanted();
        let Some((wanted, version)) = wanted else {
            return self.lose().await;
        };
        let cell = Arc::clone(&self.cell);
        let (engine, keys) = (&cell.engine, &cell.keys);
        let mut missed = true;
        for (key, metadata, pieces) in wanted {
            let value = match engine.cached(keys, metadata.version) {
                Some(value) => value,
                None => {
                    let entry = (&key, &metadata);
                    match engine.value(keys, version, entry, pieces.as_ref()).await? {
                        Found::Value(value) => value,
                        Found::Moved => {
                            cell.forget_at(version);
                            return self.lose().await;
                        }
                    }
                }
            };
            missed = false;
            self.seen.insert((key, metadata.version), value);
        }
        // If nothing new was seen the guess has moved on since: not for ever.
        if missed { self.lose().await } else { Ok(()) }
    }

    /// The entries whose values open requests may look at, or write again.
    fn wanted(&self) -> Option<(Vec<Wanted>, Option<Version>)> {
        let memory = self.cell.lock();
        let state = memory.guess.as_ref()?;
        let requests = self.requests.iter().zip(&self.answers);
        let open = requests.filter(|(_, answer)| answer.is_none());
        let steps = open.filter_map(|(request, _)| match &request.ask {
            Ask::Step(operations) => Some(operations),
            Ask::Clear(_) | Ask::Reap(_) | Ask::Forget(_) => None,
        });
        let keys = steps.flatten().filter_map(|operation| match operation {
            Operation::Get(key) => Some(key),
            Operation::Increment(request) => Some(&request.key),
            Operation::Touch { key, .. } if !state.pieces.contains_key(key) => Some(key),
            _ => None,
        });
        let wanted = keys.filter_map(|key| {
            let metadata = state.index.find_held(key)?;
            let unseen = !self.seen.contains_key(&(key.clone(), metadata.version));
            unseen.then(|| {
                (
                    key.clone(),
                    metadata.clone(),
                    state.pieces.get(key).cloned(),
                )
            })
        });
        Some((wanted.collect(), state.version()))
    }

    /// Somebody else was first: another round.
    pub(super) async fn lose(&mut self) -> Result<(), StashError> {
        self.lost += 1;
        self.cell.engine.back_off(self.lost).await
    }

    /// Turns decisions into answers; what is answered already stays so.
    pub(super) fn settle(&mut self, decided: Vec<Decided>) {
        for (place, told) in decided {
            self.answers[place].get_or_insert(told);
        }
    }

    fn fail(&mut self, error: &StashError) {
        for answer in &mut self.answers {
            answer.get_or_insert_with(|| {
                Err(StepError {
                    position: 0,
                    error: error.clone(),
                })
            });
        }
    }
}

type Wanted = (Key, Metadata, Option<Pieces>);

/// What became of a commit in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolved {
    Applied,
    /// Somebody else's was applied instead.
    Lost,
    NotYet,
    Unknown,
}
