//! The driver of one state: loads, decides, commits, and on a lost race
//! reloads and decides again.
//!
//! What the cell remembers is a guess. A commit is safe because it checks the
//! head; a refusal is given out only after a read has confirmed the head it
//! was decided from. The memory moves on only after the store has
//! acknowledged.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use windlass_core::{BoxFuture, Drive, PrincipalId, RandomError, Writer, WriterId, Written};
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Batch, Commit, Expect, Scan, StoreErrorKind, Version};

use crate::blob::LineageKeys;
use crate::decide::Author;
use crate::draft::Draft;
use crate::engine::{Engine, Loaded, lineage_keys};
use crate::error::CheckpointError;
use crate::keys::StateKeys;
use crate::model::{Changes, Expected, TagName};
use crate::pack;
use crate::row::Effort;
use crate::turn::{Told, Turn};

/// What one caller asks of a state.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) ask: Ask,
    pub(crate) principal: PrincipalId,
    pub(crate) turn: Option<Turn>,
}

#[derive(Debug)]
pub(crate) enum Ask {
    Commit(Arc<Changes>),
    Rollback {
        to: u64,
        expected: Expected,
    },
    /// Sets a tag on a revision, or removes it.
    Tag(TagName, Option<u64>),
}

/// One state as this process remembers it.
#[derive(Debug)]
pub(crate) struct Cell {
    engine: Arc<Engine>,
    keys: StateKeys,
    writer: Writer,
    guess: Mutex<Option<Arc<Loaded>>>,
}

impl Cell {
    pub(crate) fn new(engine: Arc<Engine>, keys: StateKeys) -> Result<Self, RandomError> {
        let writer = Writer::draw(engine.env.as_ref())?;
        Ok(Self {
            engine,
            keys,
            writer,
            guess: Mutex::new(None),
        })
    }

    fn guess(&self) -> Option<Arc<Loaded>> {
        self.guess
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keeps what is known now; `None` forgets.
    pub(crate) fn remember(&self, loaded: Option<Arc<Loaded>>) {
        let old = mem::replace(
            &mut *self.guess.lock().unwrap_or_else(PoisonError::into_inner),
            loaded,
        );
        drop(old);
    }
}

impl Drive for Cell {
    type Request = Request;
    type Answer = Result<Told, CheckpointError>;

    fn run(self: Arc<Self>, requests: Vec<Request>) -> BoxFuture<'static, Vec<Self::Answer>> {
        Box::pin(Run::new(self, requests).finish())
    }
}

/// What was decided about one request, named by its place.
type Decided = (usize, Result<Told, CheckpointError>);

/// One combined run over a cell.
struct Run {
    cell: Arc<Cell>,
    requests: Vec<Request>,
    answers: Vec<Option<Result<Told, CheckpointError>>>,
    /// Whether the state was read or written by this very run.
    fresh: bool,
    lost: u32,
    doubt: Option<Doubt>,
}

/// A commit of which it is not known whether it was applied.
struct Doubt {
    writer: WriterId,
    writes: u64,
    decided: Vec<Decided>,
    error: CheckpointError,
}

/// What is known of the state before a round.
enum Known {
    Nothing,
    State(Option<Arc<Loaded>>),
}

impl Run {
    fn new(cell: Arc<Cell>, requests: Vec<Request>) -> Self {
        let answers = requests.iter().map(|_| None).collect();
        Self {
            cell,
            requests,
            answers,
            fresh: false,
            lost: 0,
            doubt: None,
        }
    }

    async fn finish(mut self) -> Vec<Result<Told, CheckpointError>> {
        let mut known = match self.cell.guess() {
            Some(guess) => Known::State(Some(guess)),
            None => Known::Nothing,
        };
        while self.answers.iter().any(Option::is_none) {
            match self.round(known).await {
                Ok(next) => known = next,
                Err(error) => {
                    known = Known::Nothing;
                    // While a commit is in doubt, "nothing happened" would be
                    // a lie.
                    let error = self.doubt.take().map_or(error, |doubt| doubt.error);
                    self.fail(&error);
                }
            }
        }
        self.answers.into_iter().flatten().collect()
    }

    fn fail(&mut self, error: &CheckpointError) {
        for answer in &mut self.answers {
            answer.get_or_insert_with(|| Err(error.clone()));
        }
    }

    fn settle(&mut self, decided: Vec<Decided>) {
        for (place, answer) in decided {
            self.answers[place].get_or_insert(answer);
        }
    }

    /// Answers some requests, and says what is known of the state after it.
    async fn round(&mut self, known: Known) -> Result<Known, CheckpointError> {
        let loaded = match known {
            Known::State(loaded) => loaded,
            Known::Nothing => self.reload().await?,
        };
        if self.resolve_doubt(loaded.as_deref())? {
            return Ok(Known::State(loaded));
        }
        let engine = Arc::clone(&self.cell.engine);
        if loaded.as_ref().is_some_and(|it| it.head.removed.is_some()) {
            if self.fresh {
                return Err(CheckpointError::StateRemoved);
            }
            return Ok(Known::Nothing);
        }
        let lineage: Arc<str> = match &loaded {
            Some(loaded) => Arc::clone(&loaded.head.lineage),
            None => engine.draw_lineage()?,
        };
        let blobs = lineage_keys(&self.cell.keys.tenant, &lineage);
        let mut draft = Draft::new(loaded.as_deref(), &lineage, engine.env.now());
        let decided = self.decide(&blobs, &mut draft).await;
        let refused = decided.iter().any(|(_, answer)| answer.is_err());
        if refused && !self.fresh {
            // Decided again from what is stored now.
            return Ok(Known::Nothing);
        }
        if draft.is_changed() {
            return self.commit(loaded, draft, decided, &blobs).await;
        }
        match self.doubt.take() {
            // What was granted would now be refused, but it may still arrive.
            Some(doubt) => Err(doubt.error),
            None => {
                self.give_out_refused(decided).await?;
                Ok(Known::State(loaded))
            }
        }
    }

    async fn reload(&mut self) -> Result<Option<Arc<Loaded>>, CheckpointError> {
        let engine = Arc::clone(&self.cell.engine);
        let known = self.cell.guess();
        let loaded = engine
            .load_beside(&self.cell.keys, known.as_deref())
            .await?;
        let loaded = loaded.map(Arc::new);
        self.cell.remember(loaded.clone());
        self.fresh = true;
        Ok(loaded)
    }

    /// Whether the commit in doubt turns out to have been applied; if so what
    /// it granted becomes the answers. What it refused is decided again.
    fn resolve_doubt(&mut self, loaded: Option<&Loaded>) -> Result<bool, CheckpointError> {
        let Some(doubt) = self.doubt.take() else {
            return Ok(false);
        };
        let written = loaded.map_or(Written::NotYet, |loaded| {
            loaded.head.by.of(doubt.writes, loaded.head.writes)
        });
        match written {
            Written::By(writer) if *writer == doubt.writer => {
                let granted = doubt.decided.into_iter().filter(|(_, it)| it.is_ok());
                self.settle(granted.collect());
                Ok(true)
            }
            Written::By(_) => Ok(false),
            Written::Forgotten => Err(doubt.error),
            Written::NotYet => {
                // It may still arrive; then the next attempt conflicts.
                self.doubt = Some(doubt);
                Ok(false)
            }
        }
    }

    /// Decides open requests in order, as many as one commit can carry. One
    /// whose turn an earlier one carries too waits for the next round, when
    /// the first answer is known.
    async fn decide(&self, blobs: &LineageKeys, draft: &mut Draft) -> Vec<Decided> {
        let mut decided: Vec<Decided> = Vec::new();
        let mut turns: Vec<&Bytes> = Vec::new();
        for (place, request) in self.requests.iter().enumerate() {
            if self.answers[place].is_some() {
                continue;
            }
            // What looks at stored commits sees none of this very batch.
            let alone = !matches!(request.ask, Ask::Commit(_));
            if (alone || draft.is_full()) && !decided.is_empty() {
                break;
            }
            if let Some(turn) = &request.turn {
                if turns.contains(&&turn.key) {
                    continue;
                }
                turns.push(&turn.key);
            }
            decided.push((place, self.decide_one(blobs, draft, request).await));
            if alone {
                break;
            }
        }
        decided
    }

    async fn decide_one(
        &self,
        blobs: &LineageKeys,
        draft: &mut Draft,
        request: &Request,
    ) -> Result<Told, CheckpointError> {
        let engine = &self.cell.engine;
        let author = Author {
            principal: &request.principal,
            turn: request.turn.as_ref().map(|turn| &turn.id),
        };
        let told = engine
            .answer(&self.cell.keys, blobs, draft, &author, &request.ask)
            .await?;
        // Nothing begins with a tag that is removed where there is no state.
        if let Some(turn) = &request.turn
            && draft.head.rev > 0
        {
            draft.note_turn(turn, &told);
        }
        Ok(told)
    }

    async fn commit(
        &mut self,
        loaded: Option<Arc<Loaded>>,
        mut draft: Draft,
        decided: Vec<Decided>,
        blobs: &LineageKeys,
    ) -> Result<Known, CheckpointError> {
        let cell = Arc::clone(&self.cell);
        let (batch, writer) = cell
            .engine
            .seal(
                &cell.keys,
                blobs,
                loaded.as_deref(),
                &mut draft,
                &cell.writer,
            )
            .await?;
        match cell.engine.store.commit(batch).await {
            Ok(Commit::Applied(version)) => self.acknowledge(draft, decided, version).await,
            Ok(Commit::Conflict { key }) => self.conflict(loaded, &decided, &key).await,
            Err(error) if error.kind() == StoreErrorKind::Indeterminate && self.doubt.is_none() => {
                cell.remember(None);
                self.fresh = false;
                self.doubt = Some(Doubt {
                    writer,
                    writes: draft.head.writes,
                    decided,
                    error: error.into(),
                });
                cell.writer.leave_id();
                Ok(Known::Nothing)
            }
            Err(error) => {
                cell.writer.leave_id();
                cell.remember(None);
                Err(error.into())
            }
        }
    }

    async fn acknowledge(
        &mut self,
        draft: Draft,
        decided: Vec<Decided>,
        version: Version,
    ) -> Result<Known, CheckpointError> {
        let next = Arc::new(draft.applied(version));
        self.cell.remember(Some(Arc::clone(&next)));
        self.fresh = true;
        self.doubt = None;
        let (granted, refused) = decided.into_iter().partition(|(_, answer)| answer.is_ok());
        self.settle(granted);
        self.give_out_refused(refused).await?;
        Ok(Known::State(Some(next)))
    }

    async fn conflict(
        &mut self,
        loaded: Option<Arc<Loaded>>,
        decided: &[Decided],
        key: &Bytes,
    ) -> Result<Known, CheckpointError> {
        let has = |place: &usize| {
            let turn = self.requests[*place].turn.as_ref();
            turn.is_some_and(|turn| turn.key == *key)
        };
        if let Some(place) = decided.iter().map(|(place, _)| *place).find(has) {
            self.replay(&[place]).await?;
            return Ok(Known::State(loaded));
        }
        self.lost += 1;
        self.fresh = false;
        self.cell.engine.back_off(self.lost).await?;
        Ok(Known::Nothing)
    }

    /// Gives out refusals, except to those whose turn turns out to have been
    /// done before: they get the first answer.
    async fn give_out_refused(&mut self, decided: Vec<Decided>) -> Result<(), CheckpointError> {
        let places: Vec<usize> = decided.iter().map(|(place, _)| *place).collect();
        self.replay(&places).await?;
        self.settle(decided);
        Ok(())
    }

    /// Answers those requests whose turns are recorded.
    async fn replay(&mut self, places: &[usize]) -> Result<(), CheckpointError> {
        let keyed = places.iter().filter_map(|place| {
            let turn = self.requests[*place].turn.as_ref()?;
            Some((*place, turn.key.clone()))
        });
        let keyed: Vec<(usize, Bytes)> = keyed.collect();
        for few in keyed.chunks(READ_SCANS_MAX) {
            let scans: Vec<Scan> = few
                .iter()
                .map(|(_, key)| Scan::point(key.clone()))
                .collect();
            let pages = self.cell.engine.store.read(&scans).await?;
            for ((place, _), page) in few.iter().zip(pages) {
                if let (Some(entry), Some(turn)) =
                    (page.entries.first(), self.requests[*place].turn.as_ref())
                {
                    let answer = turn.replay(&entry.value);
                    self.answers[*place].get_or_insert(answer);
                }
            }
        }
        Ok(())
    }
}

impl Engine {
    /// What a draft becomes by what is asked, and what the answer is.
    pub(crate) async fn answer(
        &self,
        keys: &StateKeys,
        blobs: &LineageKeys,
        draft: &mut Draft,
        author: &Author<'_>,
        ask: &Ask,
    ) -> Result<Told, CheckpointError> {
        match ask {
            Ask::Commit(changes) => self
                .decide(keys, blobs, draft, author, changes)
                .await
                .map(Told::Committed),
            Ask::Rollback { to, expected } => self
                .roll_back(keys, blobs, draft, author, *to, *expected)
                .await
                .map(Told::Committed),
            Ask::Tag(name, revision) => self
                .set_tag(keys, draft, name, *revision)
                .await
                .map(Told::Tagged),
        }
    }

    /// The batch of a draft, packing what has become too long, and under
    /// whose name it is written.
    pub(crate) async fn seal(
        &self,
        keys: &StateKeys,
        blobs: &LineageKeys,
        loaded: Option<&Loaded>,
        draft: &mut Draft,
        writer: &Writer,
    ) -> Result<(Batch, WriterId), CheckpointError> {
        if let Some(loaded) = loaded
            && pack::is_due(&loaded.head)
            && let Some(bundle) = self.pack(keys, loaded, Effort::Quick).await?
        {
            draft.pack(&loaded.head, bundle);
        }
        if draft.head.due.is_none() {
            draft.set_due(keys, draft.now.plus_ms(self.config.upkeep_ms()));
        }
        let writer = writer.id();
        draft.stamp(&writer);
        Ok((draft.batch(keys, blobs), writer))
    }

    /// A name that no other lineage has.
    pub(crate) fn draw_lineage(&self) -> Result<Arc<str>, CheckpointError> {
        let mut bits = [0; 8];
        self.env.random(&mut bits)?;
        Ok(format!("{:016x}", u64::from_be_bytes(bits)).into())
    }
}

impl Draft {
    /// Stores the answer to a turn with the change itself.
    pub(crate) fn note_turn(&mut self, turn: &Turn, told: &Told) {
        let row = turn.record(self.now, told);
        self.add(
            Batch::new()
                .check(turn.key.clone(), Expect::Absent)
                .put(turn.key.clone(), row),
        );
    }

    fn pack(&mut self, before: &crate::record::Head, bundle: pack::Bundle) {
        self.head.packed = bundle.packed;
        self.head.tail_bytes -= before.tail_bytes;
        self.add(bundle.rows);
    }

    fn set_due(&mut self, keys: &StateKeys, due: windlass_core::Millis) {
        self.head.due = Some(due);
        self.add(Batch::new().put(keys.due(due), Bytes::new()));
    }
}
