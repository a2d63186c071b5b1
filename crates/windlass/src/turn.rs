//! The turn: what an agent did in one step of its run, as one commit.
//!
//! New state, new nodes, uses charged, reservations settled, claimed work
//! completed, follow-up work enqueued, and output appended and closed become
//! true together or not at all.
//! Each part decides its share from what is stored and answers with checks and
//! writes; these are joined and committed once. If anything any part looked at
//! has changed meanwhile, all of them decide anew.

use std::fmt;

use serde::{Deserialize, Serialize};
use windlass_checkpoint::{Beside, Changes, CheckpointError, Committed, Expected};
use windlass_core::audit::Subject;
use windlass_core::{Act, Coded, ErrorKind, OperationId, RandomError, SessionId, back_off};
use windlass_queue::{Bound, Claim, Done, QueueError, Step as WorkStep, Work};
use windlass_session::{Caller, SessionError, Settle, Step as UseStep, StepAnswer, Use};
use windlass_store::{Batch, Commit, StoreError, StoreErrorKind, StoreExt};
use windlass_stream::{Open, Placed, Reader, Step as StreamStep, StreamError};

use crate::Windlass;
use crate::error::kind_of;

/// Races lost in a row before a caller is told to try again.
const ROUNDS_MAX: u32 = 64;

/// A turn that is being put together; nothing happens before
/// [`Turn::commit`].
#[must_use = "nothing happens before it is committed"]
pub struct Turn<'a> {
    windlass: &'a Windlass,
    caller: &'a Caller,
    session: &'a SessionId,
    changes: Changes,
    uses: Vec<UseStep>,
    work: Vec<WorkStep>,
    streams: Vec<StreamStep>,
    bound: Option<Bound>,
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("session", &self.session)
            .field("uses", &self.uses.len())
            .field("work", &self.work.len())
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}

/// What a turn came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnDone {
    /// The commit of the state.
    pub committed: Committed,
    /// An answer for each use and each settlement, in the order they were
    /// added.
    pub uses: Vec<StepAnswer>,
    /// An answer for each change of the queue, in the order they were added.
    pub work: Vec<Done>,
    /// Where each stream that was changed stands, in the order they were
    /// added.
    pub streams: Vec<Placed>,
    /// Whether the turn was committed before, under its id: then these are
    /// the first answers, and nothing happened now.
    pub repeated: bool,
}

/// What the parts beside the state answer, as it is kept with the turn.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Answers {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    uses: Vec<StepAnswer>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    work: Vec<Done>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    streams: Vec<Placed>,
}

/// Why a turn was not committed. Nothing of it has happened, except where the
/// kind is [`ErrorKind::Indeterminate`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// The state refused.
    #[error("the state of the turn was refused")]
    State(#[source] CheckpointError),
    /// The session refused.
    #[error("a use of the turn was refused")]
    Session(#[source] SessionError),
    /// The queue refused.
    #[error("the work of the turn was refused")]
    Queue(#[source] QueueError),
    /// A stream refused.
    #[error("the output of the turn was refused")]
    Stream(#[source] StreamError),
    /// Others changed the same things first, each time.
    #[error("lost too many races for the same session; try again")]
    Busy,
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// No random bytes.
    #[error("no random bytes could be drawn")]
    Random(#[from] RandomError),
}

impl Coded for TurnError {
    fn code(&self) -> &'static str {
        match self {
            Self::State(source) => source.code(),
            Self::Session(source) => source.code(),
            Self::Queue(source) => source.code(),
            Self::Stream(source) => source.code(),
            Self::Busy => "busy",
            Self::Store(source) => source.kind().code(),
            Self::Random(_) => "no_randomness",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::State(source) => source.kind(),
            Self::Session(source) => source.kind(),
            Self::Queue(source) => source.kind(),
            Self::Stream(source) => source.kind(),
            Self::Busy => ErrorKind::Unavailable,
            Self::Store(source) => kind_of(source.kind()),
            Self::Random(_) => ErrorKind::Environment,
        }
    }
}

impl Windlass {
    /// Begins a turn of a session: one atomic step of everything an agent did
    /// since the last one.
    pub fn turn<'a>(&'a self, caller: &'a Caller, session: &'a SessionId) -> Turn<'a> {
        Turn {
            windlass: self,
            caller,
            session,
            changes: Changes::default(),
            uses: Vec::new(),
            work: Vec::new(),
            streams: Vec::new(),
            bound: None,
        }
    }
}

impl Turn<'_> {
    /// What changes in the state. Replaces what was given before.
    pub fn state(mut self, changes: Changes) -> Self {
        let turn = self.changes.turn.take();
        self.changes = changes;
        if self.changes.turn.is_none() {
            self.changes.turn = turn;
        }
        self
    }

    /// Makes the turn safe to repeat: the same id with the same content gives
    /// the first answer for 24 h at least.
    pub fn id(mut self, turn: OperationId) -> Self {
        self.changes.turn = Some(turn);
        self
    }

    /// Authorises and charges tool calls of the session.
    pub fn uses(mut self, request: Use) -> Self {
        self.uses.push(UseStep::Use(request));
        self
    }

    /// Settles a reserved use of the session, or gives it back.
    pub fn settle(mut self, request: Settle) -> Self {
        self.uses.push(UseStep::Settle(request));
        self
    }

    /// Completes everything a claim holds.
    pub fn complete(self, claim: &Claim) -> Self {
        let settle = claim.completed();
        self.work(WorkStep::Settle {
            session: claim.session.clone(),
            settle,
        })
    }

    /// Enqueues work for a session, this one or another.
    pub fn enqueue(self, session: SessionId, work: Work) -> Self {
        self.work(WorkStep::Enqueue { session, work })
    }

    /// Any change of the queue.
    pub fn work(mut self, step: WorkStep) -> Self {
        self.work.push(step);
        self
    }

    /// Appends rows to a stream of the caller's, or closes it, or both: up to
    /// 16 streams with 1 MiB of rows together. Readers see the rows once the
    /// turn is committed.
    pub fn output(mut self, step: StreamStep) -> Self {
        self.streams.push(step);
        self
    }

    /// Refuses to read: what the turn will append is not there before it is
    /// committed, and a read that was pinned before would miss it for good.
    ///
    /// # Errors
    ///
    /// [`StreamError::InTransaction`], always. Commit the turn or drop it, then
    /// open the stream.
    pub const fn open(&self, _: &Open) -> Result<Reader, StreamError> {
        Err(StreamError::InTransaction)
    }

    /// Takes effect only while a session lease is held: a writer that has
    /// lost it is refused.
    pub fn bound(mut self, bound: Bound) -> Self {
        self.bound = Some(bound);
        self
    }

    /// Commits the turn: all of it, or nothing.
    ///
    /// A few reads for each part that takes part, and one commit. Contents
    /// too large for it are stored ahead. Dropping the future leaves the turn
    /// made or not made.
    ///
    /// # Errors
    ///
    /// [`TurnError`] with the refusal of the part that refused. If the outcome
    /// is unknown, repeat the turn under its id.
    pub async fn commit(self) -> Result<TurnDone, TurnError> {
        let done = self.commit_untold().await;
        let (caller, count) = (self.caller, |len| u64::try_from(len).unwrap_or(u64::MAX));
        let on: [Subject<'_>; 1] = [("session", self.session)];
        let figures = [
            ("uses", count(self.uses.len())),
            ("work", count(self.work.len())),
            ("streams", count(self.streams.len())),
        ];
        let who = (Some(&caller.tenant), Some(&caller.principal));
        let act = Act::new("turn.committed", who.0, who.1, &on).ordinary();
        let figures = &figures;
        self.windlass.ear().tell(&done, &Act { figures, ..act });
        done
    }

    async fn commit_untold(&self) -> Result<TurnDone, TurnError> {
        let mut lost = 0;
        loop {
            if let Some(done) = self.attempt().await? {
                return Ok(done);
            }
            lost += 1;
            if lost >= ROUNDS_MAX {
                return Err(TurnError::Busy);
            }
            back_off(self.windlass.env().as_ref(), lost).await?;
        }
    }

    /// Plans and commits once; `None` if a race was lost.
    ///
    /// What is refused first is what comes first here: the session, the
    /// writer's lease, a turn that was other before, the revision, the claims,
    /// the uses, and what the state refers to.
    async fn attempt(&self) -> Result<Option<TurnDone>, TurnError> {
        self.check_session().await?;
        self.check_lease().await?;
        if let Some(done) = self.repeated().await? {
            return Ok(Some(done));
        }
        self.check_revision().await?;
        let mut batch = Batch::new();
        let mut answers = Answers::default();
        if let Some(bound) = &self.bound {
            batch.checks.push(bound.check());
        }
        let mut touched = Vec::new();
        if !self.work.is_empty() {
            let queue = self.windlass.queue();
            let planned = queue.plan(&self.queue_caller(), &self.work, None).await;
            let planned = planned.map_err(TurnError::Queue)?;
            batch.append(planned.batch);
            answers.work = planned.done;
            touched = planned.sessions;
        }
        if !self.uses.is_empty() {
            let sessions = self.windlass.sessions();
            let planned = sessions.plan(self.caller, self.session, &self.uses).await;
            let planned = planned.map_err(TurnError::Session)?;
            batch.append(planned.batch);
            answers.uses = planned.answers;
        }
        if !self.streams.is_empty() {
            let streams = self.windlass.streams();
            let planned = streams.plan(&self.stream_caller(), &self.streams).await;
            let planned = planned.map_err(TurnError::Stream)?;
            batch.append(planned.batch);
            answers.streams = planned.placed;
        }
        let planned = self.plan_state(&answers).await?;
        batch.append(planned.batch);
        // Whatever the outcome, what others remember may be old by now.
        let committed = self.windlass.store().commit(batch).await;
        self.forget(&touched);
        match committed {
            Ok(Commit::Applied(_)) => Ok(Some(TurnDone {
                committed: planned.committed,
                uses: answers.uses,
                work: answers.work,
                streams: answers.streams,
                repeated: false,
            })),
            Ok(Commit::Conflict { key }) => match &self.bound {
                Some(bound) if bound.key == key => Err(TurnError::Queue(QueueError::LeaseLost)),
                Some(_) | None => Ok(None),
            },
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => {
                self.outcome(error).await.map(Some)
            }
            Err(error) => Err(TurnError::Store(error)),
        }
    }

    async fn check_session(&self) -> Result<(), TurnError> {
        let found = self.windlass.sessions().get(self.caller, self.session);
        match found.await.map_err(TurnError::Session)? {
            Some(_) => Ok(()),
            None => Err(TurnError::Session(SessionError::NotFound)),
        }
    }

    /// Whether the lease is still its holder's; the commit checks it again.
    async fn check_lease(&self) -> Result<(), TurnError> {
        let Some(bound) = &self.bound else {
            return Ok(());
        };
        let found = self.windlass.store().get(bound.key.clone()).await;
        match found.map_err(TurnError::Store)? {
            Some(entry) if entry.version == bound.version => Ok(()),
            Some(_) | None => Err(TurnError::Queue(QueueError::LeaseLost)),
        }
    }

    /// Whether the revision is the expected one; the commit checks it again.
    async fn check_revision(&self) -> Result<(), TurnError> {
        let Expected::Revision(expected) = self.changes.expected else {
            return Ok(());
        };
        let checkpoints = self.windlass.checkpoints();
        let head = checkpoints.head(&self.state_caller(), self.session).await;
        let actual = head
            .map_err(TurnError::State)?
            .map_or(0, |head| head.revision);
        if actual == expected {
            return Ok(());
        }
        let conflict = CheckpointError::HeadRevisionConflict { expected, actual };
        Err(TurnError::State(conflict))
    }

    /// The first answers, if the turn was committed before.
    async fn repeated(&self) -> Result<Option<TurnDone>, TurnError> {
        if self.changes.turn.is_none() {
            return Ok(None);
        }
        let checkpoints = self.windlass.checkpoints();
        let caller = self.state_caller();
        let asked = self.asked();
        let found = checkpoints.repeated(&caller, self.session, &self.changes, Some(&asked));
        let Some((committed, beside)) = found.await.map_err(TurnError::State)? else {
            return Ok(None);
        };
        let answers: Answers = match beside {
            Some(text) => serde_json::from_str(&text).map_err(|error| {
                TurnError::State(CheckpointError::Corrupt {
                    what: "turn".into(),
                    why: error.to_string(),
                })
            })?,
            None => Answers::default(),
        };
        Ok(Some(TurnDone {
            committed,
            uses: answers.uses,
            work: answers.work,
            streams: answers.streams,
            repeated: true,
        }))
    }

    async fn plan_state(
        &self,
        answers: &Answers,
    ) -> Result<windlass_checkpoint::Planned, TurnError> {
        let text = serde_json::to_string(answers).expect("answers have text keys and numbers");
        let asked = self.asked();
        let beside = Beside {
            asked: &asked,
            answer: &text,
        };
        let caller = self.state_caller();
        let checkpoints = self.windlass.checkpoints();
        let planned = checkpoints.plan(&caller, self.session, &self.changes, Some(beside));
        planned.await.map_err(TurnError::State)
    }

    /// A commit of which it is not known whether it was applied: under an id
    /// it can be looked up.
    async fn outcome(&self, error: StoreError) -> Result<TurnDone, TurnError> {
        match self.repeated().await {
            Ok(Some(done)) => Ok(TurnDone {
                repeated: false,
                ..done
            }),
            // It may still arrive.
            Ok(None) | Err(_) => Err(TurnError::Store(error)),
        }
    }

    /// What is asked of the parts beside the state, in short.
    fn asked(&self) -> String {
        let uses = self.uses.iter().map(|step| step.fingerprint(self.session));
        let work = self.work.iter().map(WorkStep::fingerprint);
        let streams = self.streams.iter().map(StreamStep::fingerprint);
        let all: Vec<_> = uses.chain(work).chain(streams).collect();
        all.join(" ")
    }

    fn forget(&self, touched: &[SessionId]) {
        let (windlass, tenant) = (self.windlass, &self.caller.tenant);
        windlass.checkpoints().forget(tenant, self.session);
        windlass.sessions().forget(tenant, self.session);
        for session in touched {
            windlass.queue().forget(tenant, session);
        }
    }

    fn state_caller(&self) -> windlass_checkpoint::Caller {
        let caller = self.caller;
        windlass_checkpoint::Caller::new(caller.tenant.clone(), caller.principal.clone())
    }

    fn stream_caller(&self) -> windlass_stream::Caller {
        let caller = self.caller;
        windlass_stream::Caller::new(caller.tenant.clone(), caller.principal.clone())
    }

    fn queue_caller(&self) -> windlass_queue::Caller {
        let caller = self.caller;
        windlass_queue::Caller::new(caller.tenant.clone(), caller.principal.clone())
    }
}
