//! The part itself: one value that many callers share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;
use windlass_core::{Combiner, Ear, Env, OperationId, RandomError, SessionId, TenantId, Writer};
use windlass_store::{Batch, Store, StoreExt};

use crate::cell::{Ask, Cell, Request};
use crate::config::Config;
use crate::decide::Author;
use crate::draft::Draft;
use crate::engine::{Engine, lineage_keys};
use crate::error::CheckpointError;
use crate::fingerprint;
use crate::fork::Fork;
use crate::garbage::Unfinished;
use crate::heard::Deed;
use crate::keys::StateKeys;
use crate::model::{Caller, Changes, Committed, Expected, TagName};
use crate::turn::{Beside, Told, Turn};
use crate::upkeep::Bookmarks;

/// The states of agent sessions on a store.
///
/// Cloning is cheap and shares everything. Opening does no I/O; a state is
/// read when it is first touched and begins with its first commit, and the
/// memory of hot ones is bounded by [`Config::cached_states`]. It knows
/// sessions by their ids only; whether a session exists, and who may see its
/// state, is for the caller to decide.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    inner: Arc<Inner>,
    pub(crate) ear: Ear,
}

#[derive(Debug)]
struct Inner {
    engine: Arc<Engine>,
    cells: Cache<StateKeys, Arc<Combiner<Cell>>>,
    /// Under whose name commits are written that others join.
    joined: Writer,
    unfinished: Mutex<Option<Unfinished>>,
}

/// A commit that is decided and not made: what has to hold and what is
/// written, to be joined with the changes of others.
#[derive(Clone, Debug)]
#[must_use = "nothing is committed yet"]
pub struct Planned {
    /// What has to hold, and what is written.
    pub batch: Batch,
    /// The answer once the batch was applied.
    pub committed: Committed,
    /// Whether the turn was committed before: the answer is the first one,
    /// and there is nothing to write.
    pub repeated: bool,
    /// Of a turn that is repeated, what others answered in its commit.
    pub beside: Option<Arc<str>>,
}

impl Checkpoints {
    /// The states on `store`.
    ///
    /// # Errors
    ///
    /// `Invalid` for settings outside their ranges, [`RandomError`] if there
    /// are no random bytes.
    pub fn new(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        config: Config,
    ) -> Result<Self, CheckpointError> {
        config.check()?;
        let cells = Cache::new(config.cached_states);
        let joined = Writer::draw(env.as_ref())?;
        let engine = Arc::new(Engine {
            store,
            env,
            config,
            bookmarks: Bookmarks::default(),
        });
        let inner = Arc::new(Inner {
            engine,
            cells,
            joined,
            unfinished: Mutex::default(),
        });
        let ear = Ear::default();
        Ok(Self { inner, ear })
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    /// The collection that the last round could not end.
    pub(crate) fn unfinished(&self) -> MutexGuard<'_, Option<Unfinished>> {
        let unfinished = self.inner.unfinished.lock();
        unfinished.unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, keys: &StateKeys) -> Result<Arc<Combiner<Cell>>, RandomError> {
        self.inner.cells.get_or_insert_with(keys, || {
            let cell = Cell::new(Arc::clone(&self.inner.engine), keys.clone())?;
            Ok(Arc::new(Combiner::new(Arc::new(cell))))
        })
    }

    async fn ask(&self, keys: &StateKeys, request: Request) -> Result<Told, CheckpointError> {
        self.cell(keys)?.submit(request).await?
    }

    /// Commits changes to a session's state: all of them, or none.
    ///
    /// One commit of the store, shared with others for the same session that
    /// wait at the same time, whatever the length of the history; every 64th
    /// also packs the rows of those before it. Contents beyond 256 KiB are
    /// stored ahead of it, 4 MiB at a time. Dropping the future leaves the
    /// commit made or not made.
    ///
    /// # Errors
    ///
    /// `Invalid` for a field outside its limits; `TurnConflict`;
    /// `HeadRevisionConflict` with the actual revision; `NodeNotFound`,
    /// `BlobNotFound` and `AttachmentNotFound` for what is referred to and
    /// not there; `Full`; `StateRemoved`. Nothing of it is left then.
    pub async fn commit(
        &self,
        caller: &Caller,
        session: &SessionId,
        changes: Changes,
    ) -> Result<Committed, CheckpointError> {
        changes.check()?;
        let keys = StateKeys::new(&caller.tenant, session);
        let turn = match &changes.turn {
            Some(id) => Some(Turn::new(
                caller,
                &keys,
                id,
                fingerprint::of_changes(&changes)?,
            )),
            None => None,
        };
        let request = Request {
            ask: Ask::Commit(Arc::new(changes)),
            principal: caller.principal.clone(),
            turn,
        };
        let told = self.ask(&keys, request).await;
        self.tell(caller, session, Deed::Commit, &told);
        committed(told?)
    }

    /// Makes the state of an earlier revision the present one again, as a new
    /// commit. Nodes appended since leave the graph; what was counted as
    /// usage stays counted.
    ///
    /// # Errors
    ///
    /// `RevisionNotFound`; otherwise as [`Checkpoints::commit`].
    pub async fn rollback(
        &self,
        caller: &Caller,
        session: &SessionId,
        to: u64,
        expected: Expected,
        operation: Option<&OperationId>,
    ) -> Result<Committed, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let hash = fingerprint::of_rollback(to, expected);
        let request = Request {
            ask: Ask::Rollback { to, expected },
            principal: caller.principal.clone(),
            turn: operation.map(|id| Turn::new(caller, &keys, id, hash)),
        };
        let told = self.ask(&keys, request).await;
        self.tell(caller, session, Deed::Rollback(to), &told);
        committed(told?)
    }

    /// Begins another session's state where this one is, or was at
    /// `revision`. Takes the same time whatever the size of the state: both
    /// share what is stored, and none of it is read.
    ///
    /// # Errors
    ///
    /// `RevisionNotFound`, `StateExists` if the other session has a state,
    /// `TurnConflict`.
    pub async fn fork(
        &self,
        caller: &Caller,
        from: &SessionId,
        revision: Option<u64>,
        to: &SessionId,
        operation: Option<&OperationId>,
    ) -> Result<Committed, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, to);
        let hash = fingerprint::of_fork(from, revision);
        let asked = Fork {
            from: keys.other(from),
            revision,
            principal: &caller.principal,
            turn: operation.map(|id| Turn::new(caller, &keys, id, hash)),
            to: keys,
        };
        let forked = self.inner.engine.fork(&asked).await;
        self.tell(caller, to, Deed::Fork(from), &forked);
        forked
    }

    /// Puts a tag on a revision, taking it away from where it was. A tagged
    /// revision is kept for ever.
    ///
    /// # Errors
    ///
    /// `RevisionNotFound`, also for one from before the session was forked;
    /// `Full`, `TurnConflict`.
    pub async fn tag(
        &self,
        caller: &Caller,
        session: &SessionId,
        name: &TagName,
        revision: u64,
        operation: Option<&OperationId>,
    ) -> Result<(), CheckpointError> {
        self.set_tag(caller, session, name, Some(revision), operation)
            .await?;
        Ok(())
    }

    /// Removes a tag; whether there was one.
    ///
    /// # Errors
    ///
    /// `TurnConflict`, and the store's failures.
    pub async fn untag(
        &self,
        caller: &Caller,
        session: &SessionId,
        name: &TagName,
        operation: Option<&OperationId>,
    ) -> Result<bool, CheckpointError> {
        self.set_tag(caller, session, name, None, operation).await
    }

    async fn set_tag(
        &self,
        caller: &Caller,
        session: &SessionId,
        name: &TagName,
        revision: Option<u64>,
        operation: Option<&OperationId>,
    ) -> Result<bool, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let hash = fingerprint::of_tag(name, revision);
        let request = Request {
            ask: Ask::Tag(name.clone(), revision),
            principal: caller.principal.clone(),
            turn: operation.map(|id| Turn::new(caller, &keys, id, hash)),
        };
        let told = self.ask(&keys, request).await;
        let deed = match revision {
            Some(_) => Deed::Tag(name),
            None => Deed::Untag(name),
        };
        self.tell(caller, session, deed, &told);
        match told? {
            Told::Tagged(was_there) => Ok(was_there),
            Told::Committed(_) => Err(CheckpointError::TurnConflict),
        }
    }

    /// Decides a commit without making it, from what is stored now, so that
    /// it can be joined with changes of other parts, who say what is asked of
    /// them and what they answer `beside` it. What is too large for
    /// one commit is stored ahead. If the joined batch conflicts, plan again;
    /// once it is applied, [`Checkpoints::forget`].
    ///
    /// # Errors
    ///
    /// As [`Checkpoints::commit`].
    pub async fn plan(
        &self,
        caller: &Caller,
        session: &SessionId,
        changes: &Changes,
        beside: Option<Beside<'_>>,
    ) -> Result<Planned, CheckpointError> {
        changes.check()?;
        let keys = StateKeys::new(&caller.tenant, session);
        let turn = joined_turn(caller, &keys, changes, beside)?;
        let engine = &self.inner.engine;
        if let Some(turn) = &turn
            && let Some(entry) = engine.store.get(turn.key.clone()).await?
        {
            let (told, beside) = turn.replay_joined(&entry.value)?;
            return Ok(Planned {
                batch: Batch::new(),
                committed: committed(told)?,
                repeated: true,
                beside,
            });
        }
        let loaded = engine.load(&keys).await?;
        if loaded.as_ref().is_some_and(|it| it.head.removed.is_some()) {
            return Err(CheckpointError::StateRemoved);
        }
        let lineage = match &loaded {
            Some(loaded) => Arc::clone(&loaded.head.lineage),
            None => engine.draw_lineage()?,
        };
        let blobs = lineage_keys(&keys.tenant, &lineage);
        let mut draft = Draft::new(loaded.as_ref(), &lineage, engine.env.now());
        let author = Author {
            principal: &caller.principal,
            turn: changes.turn.as_ref(),
        };
        let done = engine
            .decide(&keys, &blobs, &mut draft, &author, changes)
            .await?;
        if let Some(turn) = &turn {
            draft.note_turn(turn, &Told::Committed(done.clone()));
        }
        let joined = &self.inner.joined;
        let (batch, _) = engine
            .seal(&keys, &blobs, loaded.as_ref(), &mut draft, joined)
            .await?;
        Ok(Planned {
            batch,
            committed: done,
            repeated: false,
            beside: None,
        })
    }

    /// The first answer to a turn that was committed before, and what others
    /// answered beside it; `None` if it was not. `asked` is what was asked of
    /// them, if they had a part in it.
    ///
    /// # Errors
    ///
    /// `Invalid` for a field outside its limits, `TurnConflict`, `Corrupt`, and
    /// the store's failures.
    pub async fn repeated(
        &self,
        caller: &Caller,
        session: &SessionId,
        changes: &Changes,
        asked: Option<&str>,
    ) -> Result<Option<(Committed, Option<Arc<str>>)>, CheckpointError> {
        changes.check()?;
        let keys = StateKeys::new(&caller.tenant, session);
        let beside = asked.map(|asked| Beside { asked, answer: "" });
        let Some(turn) = joined_turn(caller, &keys, changes, beside)? else {
            return Ok(None);
        };
        let Some(entry) = self.engine().store.get(turn.key.clone()).await? else {
            return Ok(None);
        };
        let (told, beside) = turn.replay_joined(&entry.value)?;
        Ok(Some((committed(told)?, beside)))
    }

    /// Forgets what is remembered of a session, because somebody else wrote
    /// it: a commit that was planned, an import, an erasure.
    pub fn forget(&self, tenant: &TenantId, session: &SessionId) {
        let keys = StateKeys::new(tenant, session);
        if let Some(cell) = self.inner.cells.get(&keys) {
            cell.drive().remember(None);
        }
    }
}

fn joined_turn(
    caller: &Caller,
    keys: &StateKeys,
    changes: &Changes,
    beside: Option<Beside<'_>>,
) -> Result<Option<Turn>, CheckpointError> {
    let Some(id) = &changes.turn else {
        return Ok(None);
    };
    let turn = Turn::new(caller, keys, id, fingerprint::of_changes(changes)?);
    match beside {
        Some(beside) => turn.beside(beside).map(Some),
        None => Ok(Some(turn)),
    }
}

fn committed(told: Told) -> Result<Committed, CheckpointError> {
    match told {
        Told::Committed(committed) => Ok(committed),
        // Another operation had this id.
        Told::Tagged(_) => Err(CheckpointError::TurnConflict),
    }
}
