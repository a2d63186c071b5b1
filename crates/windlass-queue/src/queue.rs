//! The part itself: one value that many callers share.

use std::sync::Arc;

use quick_cache::sync::Cache;
use windlass_core::{Combiner, Ear, Env, Millis, RandomError, SessionId, TenantId};
use windlass_store::Store;

use crate::caller::Caller;
use crate::cell::Cell;
use crate::config::Config;
use crate::desk::{Desk, Seeker};
use crate::engine::Engine;
use crate::error::QueueError;
use crate::heard::Heard;
use crate::id::WorkId;
use crate::keys::QueueKeys;
use crate::limits::ENQUEUE_MAX;
use crate::model::{
    Ask, Boundary, Claim, Enqueued, Settle, Settled, Under, Work, check_count, check_ttl,
};
use crate::operation::{Fingerprint, Operation};
use crate::plan::{Ground, Request};
use crate::record::{Answer, Item, Taken};
use crate::rules::{Change, Fresh};
use crate::run::{Reply, run_alone};
use crate::wait::{Rooms, Scope};

/// Tenants whose claims of any session are combined at a time.
const DESKS_MAX: usize = 1_024;
/// Sessions that a claim of any session tries before it gives up.
const TRIES_MAX: usize = 16;

/// Leased, fenced work of sessions, on a store.
///
/// Cloning is cheap and shares everything. Opening does no I/O; queues are
/// loaded when they are touched, and what is kept of them in memory is bounded
/// by [`Config::cached_sessions`].
#[derive(Clone, Debug)]
pub struct Queue {
    inner: Arc<Inner>,
    pub(crate) ear: Ear,
}

#[derive(Debug)]
struct Inner {
    engine: Arc<Engine>,
    cells: Cache<QueueKeys, Arc<Combiner<Cell>>>,
    desks: Cache<TenantId, Arc<Combiner<Desk>>>,
    rooms: Rooms,
}

impl Queue {
    /// The queues of `store`.
    ///
    /// # Errors
    ///
    /// [`QueueError::Invalid`] for settings outside their ranges.
    pub fn new(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        config: Config,
    ) -> Result<Self, QueueError> {
        config.check()?;
        let cached = config.cached_sessions;
        Ok(Self {
            inner: Arc::new(Inner {
                engine: Arc::new(Engine::new(store, env, config)),
                cells: Cache::new(cached),
                desks: Cache::new(DESKS_MAX),
                rooms: Rooms::default(),
            }),
            ear: Ear::default(),
        })
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    /// Enqueues up to 100 batches of work of one session, in their order, all
    /// or none.
    ///
    /// One commit, shared with other changes of the session that wait at the
    /// same time. Dropping the future before its first poll does nothing;
    /// afterwards the work may or may not be enqueued, and an operation id or a
    /// source key tells on retry.
    ///
    /// # Errors
    ///
    /// `Invalid` for a field outside its limits, `SourceKeyConflict`,
    /// `OperationConflict`, `LeaseLost`; of kind `Indeterminate` where the
    /// commit's outcome is unknown.
    pub async fn enqueue(
        &self,
        caller: &Caller,
        session: &SessionId,
        work: Vec<Work>,
        under: Under,
    ) -> Result<Vec<Enqueued>, QueueError> {
        check_work(work.iter())?;
        let named = || work.iter().map(|work| (session, work));
        let operation = operation(caller, &under, || Fingerprint::enqueue(named()));
        let fresh = self.fresh(work)?;
        let change = Change::Enqueue(fresh);
        match self
            .change(caller, session, change, operation, under)
            .await?
        {
            Answer::Enqueued(enqueued) => Ok(enqueued),
            other => Err(foreign(&other)),
        }
    }

    /// Enqueues up to 100 batches of work of any sessions of the tenant, all or
    /// none. The answers come in the order of the work.
    ///
    /// One commit of its own, and one read for each session.
    ///
    /// # Errors
    ///
    /// As [`Queue::enqueue`].
    pub async fn enqueue_all(
        &self,
        caller: &Caller,
        work: Vec<(SessionId, Work)>,
        under: Under,
    ) -> Result<Vec<Enqueued>, QueueError> {
        check_work(work.iter().map(|(_, work)| work))?;
        let named = || work.iter().map(|(session, work)| (session, work));
        let operation = operation(caller, &under, || Fingerprint::enqueue(named()));
        let (sessions, work): (Vec<_>, Vec<_>) = work.into_iter().unzip();
        let fresh = self.fresh(work)?;
        let parts = sessions.iter().zip(fresh).map(|(session, fresh)| {
            let keys = QueueKeys::new(&caller.tenant, session);
            (keys, Change::Enqueue(vec![fresh]))
        });
        let request = Request {
            parts: parts.collect(),
            operation,
            bound: under.bound,
        };
        let answers = self.change_all(request).await?;
        let enqueued = answers.into_iter().map(|answer| match answer {
            Answer::Enqueued(enqueued) => Ok(enqueued),
            other => Err(foreign(&other)),
        });
        let enqueued: Vec<Vec<Enqueued>> = enqueued.collect::<Result<_, _>>()?;
        Ok(enqueued.into_iter().flatten().collect())
    }

    /// Takes the head of one session's line; `None` if there is nothing to
    /// take: nothing in line, or it is held, rests, or is not for this
    /// boundary.
    ///
    /// One commit, shared like that of [`Queue::enqueue`]; that there is
    /// nothing costs one read.
    ///
    /// # Errors
    ///
    /// `Invalid` for a time to live or a maximum out of range; under an
    /// operation id that took something before, `ClaimExpired` if that claim is
    /// over; otherwise as [`Queue::enqueue`].
    pub async fn claim(
        &self,
        caller: &Caller,
        session: &SessionId,
        ask: &Ask,
        under: Under,
    ) -> Result<Option<Claim>, QueueError> {
        ask.check()?;
        let operation = operation(caller, &under, || Fingerprint::claim(Some(session), ask));
        self.claim_of(caller, session, ask, operation, under).await
    }

    /// Takes the head of the line of any session of the tenant that has work,
    /// of those that have waited longest; `None` if there is none.
    ///
    /// One read, shared with others of the tenant who ask at the same time,
    /// and one commit. Neither grows with the number of sessions.
    ///
    /// # Errors
    ///
    /// As [`Queue::claim`]. A session whose records are damaged is passed over;
    /// it is the error if there is nothing else.
    pub async fn claim_any(
        &self,
        caller: &Caller,
        ask: &Ask,
        under: Under,
    ) -> Result<Option<Claim>, QueueError> {
        ask.check()?;
        let operation = operation(caller, &under, || Fingerprint::claim(None, ask));
        if let Some(operation) = &operation
            && let Some(answers) = self.engine().recorded(operation).await?
        {
            return self.taken(caller, answers.into_iter().next()).await;
        }
        let desk = self.desk(&caller.tenant);
        let (mut avoid, mut damaged) = (Vec::new(), None);
        for _ in 0..TRIES_MAX {
            let seeker = Seeker {
                boundary: ask.boundary,
                avoid: avoid.clone(),
            };
            let Some(offer) = desk.submit(seeker).await?? else {
                break;
            };
            let (operation, under) = (operation.clone(), under.clone());
            let claim = self.claim_of(caller, &offer.session, ask, operation, under);
            match claim.await {
                Ok(None) => {}
                Err(error @ QueueError::Corrupt { .. }) => damaged = Some(error),
                other => return other,
            }
            avoid.push(offer.session.clone());
        }
        damaged.map_or(Ok(None), Err)
    }

    async fn claim_of(
        &self,
        caller: &Caller,
        session: &SessionId,
        ask: &Ask,
        operation: Option<Operation>,
        under: Under,
    ) -> Result<Option<Claim>, QueueError> {
        let change = Change::Claim(ask.clone());
        let answer = self
            .change(caller, session, change, operation, under)
            .await?;
        self.taken(caller, Some(answer)).await
    }

    /// The claim of an answer; of a repeated one, what is held is read again.
    async fn taken(
        &self,
        caller: &Caller,
        answer: Option<Answer>,
    ) -> Result<Option<Claim>, QueueError> {
        match answer {
            Some(Answer::Claimed(None)) => Ok(None),
            Some(Answer::Claimed(Some(taken))) if taken.work.is_empty() => {
                let keys = QueueKeys::new(&caller.tenant, &taken.session);
                self.engine().taken_again(&keys, taken).await.map(Some)
            }
            Some(Answer::Claimed(Some(taken))) => Ok(Some(taken.into())),
            Some(other) => Err(foreign(&other)),
            None => Err(foreign(&Answer::Done)),
        }
    }

    /// Waits until there is, or may be, something to claim: of one session, or
    /// of any of the tenant.
    ///
    /// Wakes within milliseconds of what this process does; of what others do,
    /// by the store's hints, or at the next poll. However many wait, one of
    /// them looks. Dropping the future stops waiting.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub async fn wait(
        &self,
        caller: &Caller,
        session: Option<&SessionId>,
        boundary: Boundary,
    ) -> Result<(), QueueError> {
        let tenant = &caller.tenant;
        let scope = match session {
            Some(session) => Scope::Session(QueueKeys::new(tenant, session), boundary),
            None => Scope::Tenant(tenant.clone(), boundary),
        };
        self.inner.rooms.wait(self.engine(), &scope).await
    }

    /// Takes the head of the line, of one session or of any, and waits until
    /// there is one. What a worker calls.
    ///
    /// # Errors
    ///
    /// As [`Queue::claim`].
    pub async fn next(
        &self,
        caller: &Caller,
        session: Option<&SessionId>,
        ask: &Ask,
    ) -> Result<Claim, QueueError> {
        loop {
            let claim = match session {
                Some(session) => self.claim(caller, session, ask, Under::NOTHING).await?,
                None => self.claim_any(caller, ask, Under::NOTHING).await?,
            };
            match claim {
                Some(claim) => return Ok(claim),
                None => self.wait(caller, session, ask.boundary).await?,
            }
        }
    }

    /// Holds a claim for `ttl_ms` from now on, and answers until when. Never
    /// shortens it.
    ///
    /// # Errors
    ///
    /// `ClaimExpired` if it ran out or its work is in other hands; otherwise as
    /// [`Queue::enqueue`].
    pub async fn renew(
        &self,
        caller: &Caller,
        session: &SessionId,
        token: u64,
        ttl_ms: u64,
        under: Under,
    ) -> Result<Millis, QueueError> {
        check_ttl(ttl_ms)?;
        let print = || Fingerprint::renew(session, token, ttl_ms);
        let operation = operation(caller, &under, print);
        let change = Change::Renew { token, ttl_ms };
        match self
            .change(caller, session, change, operation, under)
            .await?
        {
            Answer::Renewed(until) => Ok(until),
            other => Err(foreign(&other)),
        }
    }

    /// Says what became of claimed work, all or none: completed work is gone,
    /// failed work rests or is put with the dead, what is given back can be
    /// claimed again. What is not named stays held.
    ///
    /// # Errors
    ///
    /// `ClaimExpired` if the claim ran out or its work is in other hands,
    /// `NotFound` for work that the claim does not hold, `Invalid`; otherwise
    /// as [`Queue::enqueue`].
    pub async fn settle(
        &self,
        caller: &Caller,
        session: &SessionId,
        settle: Settle,
        under: Under,
    ) -> Result<Settled, QueueError> {
        settle.check()?;
        let operation = operation(caller, &under, || Fingerprint::settle(session, &settle));
        let change = Change::Settle(settle, self.engine().seed()?);
        match self
            .change(caller, session, change, operation, under)
            .await?
        {
            Answer::Settled(settled) => Ok(settled),
            other => Err(foreign(&other)),
        }
    }

    /// Says what became of claimed work, and takes the head of the same
    /// session's line, in one commit; half of what the two cost one by one.
    ///
    /// Who goes on like this as long as there is work lets other sessions wait:
    /// take some in a row, then ask for any.
    ///
    /// # Errors
    ///
    /// As [`Queue::settle`] and [`Queue::claim`]: both happen or neither.
    pub async fn settle_and_claim(
        &self,
        caller: &Caller,
        session: &SessionId,
        settle: Settle,
        ask: &Ask,
        under: Under,
    ) -> Result<(Settled, Option<Claim>), QueueError> {
        settle.check()?;
        ask.check()?;
        let print = || Fingerprint::settle_and_claim(session, &settle, ask);
        let operation = operation(caller, &under, print);
        let keys = QueueKeys::new(&caller.tenant, session);
        let settling = Change::Settle(settle, self.engine().seed()?);
        let parts = vec![
            (keys.clone(), settling),
            (keys.clone(), Change::Claim(ask.clone())),
        ];
        let request = Request {
            parts,
            operation,
            bound: under.bound,
        };
        let answers = self.cell(&keys)?.submit(request).await??;
        let mut answers = answers.into_iter();
        match (answers.next(), answers.next()) {
            (Some(Answer::Settled(settled)), claimed) => {
                Ok((settled, self.taken(caller, claimed).await?))
            }
            (other, _) => Err(foreign(&other.unwrap_or(Answer::Done))),
        }
    }

    /// Removes work that nobody holds, before it is done.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Claimed` while somebody holds it; otherwise as
    /// [`Queue::enqueue`].
    pub async fn cancel(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: WorkId,
        under: Under,
    ) -> Result<(), QueueError> {
        let change = ("cancel", Change::Cancel(id));
        self.change_one(caller, session, id, change, under).await
    }

    /// Lets dead work stand again where it stood, with all its attempts.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not with the dead; otherwise as [`Queue::enqueue`].
    pub async fn retry(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: WorkId,
        under: Under,
    ) -> Result<(), QueueError> {
        let change = ("retry", Change::Retry(id));
        self.change_one(caller, session, id, change, under).await
    }

    /// Removes dead work for good.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not with the dead; otherwise as [`Queue::enqueue`].
    pub async fn drop_dead(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: WorkId,
        under: Under,
    ) -> Result<(), QueueError> {
        let change = ("drop", Change::Drop(id));
        self.change_one(caller, session, id, change, under).await
    }

    /// Forgets what this process remembers of a session's queue, as when it was
    /// changed by a commit that went past this value. Never needed for
    /// correctness: what is remembered is a guess that every commit checks.
    pub fn forget(&self, tenant: &TenantId, session: &SessionId) {
        self.forget_keys(&QueueKeys::new(tenant, session));
    }

    pub(crate) fn forget_keys(&self, keys: &QueueKeys) {
        if let Some(cell) = self.inner.cells.get(keys) {
            cell.drive().remember(None);
        }
    }

    async fn change_one(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: WorkId,
        (verb, change): (&'static str, Change),
        under: Under,
    ) -> Result<(), QueueError> {
        let operation = operation(caller, &under, || Fingerprint::one(verb, session, id));
        match self
            .change(caller, session, change, operation, under)
            .await?
        {
            Answer::Done => Ok(()),
            other => Err(foreign(&other)),
        }
    }

    /// One change of one session, in a commit that others share.
    async fn change(
        &self,
        caller: &Caller,
        session: &SessionId,
        change: Change,
        operation: Option<Operation>,
        under: Under,
    ) -> Result<Answer, QueueError> {
        let keys = QueueKeys::new(&caller.tenant, session);
        let (cell, heard) = (self.cell(&keys)?, Heard::of(&change));
        let request = Request {
            parts: vec![(keys, change)],
            operation,
            bound: under.bound,
        };
        let answers = cell.submit(request).await.map_err(Into::into).flatten();
        heard.tell(&self.ear, caller, session, &answers);
        let answers = answers?;
        Ok(answers.into_iter().next().unwrap_or(Answer::Done))
    }

    /// A change of several sessions, in a commit of its own.
    async fn change_all(&self, request: Request) -> Reply {
        let (mut replies, ground) = run_alone(self.engine(), vec![request]).await?;
        self.remember_all(ground);
        replies.pop().unwrap_or(Err(QueueError::Busy))
    }

    /// What was read and written past the cells is news to them.
    fn remember_all(&self, ground: Ground) {
        for (keys, loaded) in ground {
            if let Some(cell) = self.inner.cells.get(&keys) {
                cell.drive().remember(Some(Arc::new(loaded.remembered())));
            }
        }
    }

    /// Prepares work for being enqueued.
    pub(crate) fn fresh(&self, work: Vec<Work>) -> Result<Vec<Fresh>, QueueError> {
        let mut salts = vec![0; 4 * work.len()];
        self.engine().env.random(&mut salts)?;
        let salts = salts.chunks_exact(4).map(|salt| {
            let salt = <[u8; 4]>::try_from(salt).expect("chunks of four");
            u32::from_le_bytes(salt)
        });
        let fresh = work.into_iter().zip(salts).map(|(work, salt)| Fresh {
            priority: work.priority,
            available_at: work.available_at,
            item: Item::template(work, Fingerprint::of_work, salt),
        });
        Ok(fresh.collect())
    }

    fn cell(&self, keys: &QueueKeys) -> Result<Arc<Combiner<Cell>>, RandomError> {
        self.inner.cells.get_or_insert_with(keys, || {
            let cell = Cell::new(Arc::clone(self.engine()), keys.clone())?;
            Ok(Arc::new(Combiner::new(Arc::new(cell))))
        })
    }

    fn desk(&self, tenant: &TenantId) -> Arc<Combiner<Desk>> {
        let desk = self.inner.desks.get_or_insert_with(tenant, || {
            let desk = Desk::new(Arc::clone(self.engine()), tenant.clone());
            Ok::<_, std::convert::Infallible>(Arc::new(Combiner::new(Arc::new(desk))))
        });
        match desk {
            Ok(desk) => desk,
            Err(never) => match never {},
        }
    }
}

pub(crate) fn check_work<'a>(
    work: impl ExactSizeIterator<Item = &'a Work>,
) -> Result<(), QueueError> {
    check_count("work", work.len(), ENQUEUE_MAX)?;
    for work in work {
        work.check()?;
    }
    Ok(())
}

pub(crate) fn operation(
    caller: &Caller,
    under: &Under,
    print: impl FnOnce() -> Fingerprint,
) -> Option<Operation> {
    let id = under.operation.as_ref()?;
    Some(Operation::new(caller, id, &print()))
}

/// A stored answer that does not fit the request it was stored for. The
/// request's hash covers its verb, so this takes a damaged record.
pub(crate) fn foreign(_answer: &Answer) -> QueueError {
    let why = "its answer is for another kind of request";
    QueueError::corrupt("operation record", why)
}

impl From<Taken> for Claim {
    fn from(taken: Taken) -> Self {
        let work = taken.work.iter().map(|(row, item)| item.claimed(*row));
        Self {
            work: work.collect(),
            session: taken.session,
            token: taken.token,
            owner: taken.owner,
            until: taken.until,
            ttl_ms: taken.ttl_ms,
        }
    }
}
