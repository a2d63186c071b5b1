//! The rules of a queue: a state, a change and the time give an answer and the
//! next state, or a refusal and no change. Pure: no store, no clock.
//!
//! Invariants, kept here:
//!
//! 1. At most one claim of a session exists, and what it holds stands in rows.
//! 2. Nobody is handed work that stands behind other work in line, unless with
//!    it: what rests after a failure keeps its place and lets nobody pass but
//!    work of a higher priority.
//! 3. A claim counts as an attempt for all it holds, whatever becomes of it;
//!    who has had all attempts is put with the dead and never handed out again.
//! 4. Tokens rise with each claim; only the holder of the present token can
//!    change what is held, and only until the claim's deadline.

use std::ops::ControlFlow;
use std::sync::Arc;

use windlass_core::{Millis, SessionId};

use crate::draft::{Draft, Stop};
use crate::error::{Problem, QueueError};
use crate::held::Held;
use crate::id::{NUMBER_MAX, Place, WorkId};
use crate::limits::{CLAIM_BYTES_MAX, PRIORITY_MAX, SCHEDULE_MS_MAX};
use crate::model::{Ask, Boundary, Enqueued, Failure, Settle, Settled};
use crate::record::{Answer, Item, Taken};

/// A change of one session's queue.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Enqueue(Vec<Fresh>),
    Claim(Ask),
    Renew {
        token: u64,
        ttl_ms: u64,
    },
    /// With a number that waits after failures are drawn from.
    Settle(Settle, u64),
    Cancel(WorkId),
    Retry(WorkId),
    Drop(WorkId),
}

/// Work to be enqueued.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    pub(crate) item: Item,
    pub(crate) priority: u8,
    pub(crate) available_at: Option<Millis>,
}

impl Change {
    /// Bytes of payloads it brings.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Enqueue(fresh) => fresh.iter().map(|fresh| fresh.item.size()).sum(),
            _ => 0,
        }
    }
}

/// Why work is with the dead whose last claim ran out.
const RAN_OUT: &str = "its last claim ran out";

impl Draft {
    /// Applies one change. After a refusal the draft says nothing that is not
    /// so, but may say more than before.
    pub(crate) fn apply(&mut self, session: &SessionId, change: &Change) -> Result<Answer, Stop> {
        if self.head.removing {
            return while_removing(change);
        }
        match change {
            Change::Enqueue(fresh) => self.enqueue(fresh).map(Answer::Enqueued),
            Change::Claim(ask) => self.claim(session, ask).map(Answer::Claimed),
            Change::Renew { token, ttl_ms } => self.renew(*token, *ttl_ms).map(Answer::Renewed),
            Change::Settle(settle, seed) => self.settle_claim(settle, *seed).map(Answer::Settled),
            Change::Cancel(id) => self.cancel(*id).map(|()| Answer::Done),
            Change::Retry(id) => self.retry(*id).map(|()| Answer::Done),
            Change::Drop(id) => self.drop_dead(*id).map(|()| Answer::Done),
        }
    }

    fn enqueue(&mut self, fresh: &[Fresh]) -> Result<Vec<Enqueued>, Stop> {
        self.check_fresh(fresh)?;
        fresh.iter().map(|fresh| self.enqueue_one(fresh)).collect()
    }

    /// All refusals come before the first change.
    fn check_fresh(&self, fresh: &[Fresh]) -> Result<(), Stop> {
        let count = u64::try_from(fresh.len()).unwrap_or(u64::MAX);
        if self.head.number.saturating_add(count) > NUMBER_MAX {
            let why = "all its numbers are used up";
            return Err(QueueError::corrupt("queue head", why).into());
        }
        for (index, one) in fresh.iter().enumerate() {
            let latest = self.now.plus_ms(SCHEDULE_MS_MAX);
            if let Some(at) = one.available_at.filter(|at| *at > latest) {
                let (value, min, max) = (at.get(), 0, latest.get());
                let problem = Problem::Range { value, min, max };
                return Err(QueueError::invalid("available_at", problem).into());
            }
            let Some(source) = &one.item.source else {
                continue;
            };
            if let Some(row) = self.source(&source.key)
                && row.hash != source.hash
            {
                return Err(QueueError::SourceKeyConflict { id: row.id }.into());
            }
            let mut before = fresh[..index]
                .iter()
                .filter_map(|it| it.item.source.as_ref());
            if before.any(|it| it.key == source.key && it.hash != source.hash) {
                return Err(QueueError::invalid("source_key", Problem::Twice).into());
            }
        }
        Ok(())
    }

    fn enqueue_one(&mut self, fresh: &Fresh) -> Result<Enqueued, Stop> {
        let source = fresh.item.source.as_ref();
        if let Some(row) = source.and_then(|source| self.source(&source.key)) {
            let (id, known) = (row.id, true);
            return Ok(Enqueued { id, known });
        }
        let rank = PRIORITY_MAX.saturating_sub(fresh.priority);
        let time = fresh.available_at.unwrap_or(self.now).max(self.now);
        let id = self.append(rank, time, fresh.item.clone());
        if let Some(source) = source {
            self.begin_source(source, id);
        }
        Ok(Enqueued { id, known: false })
    }

    /// Whether others than its holder may take what is claimed.
    fn may_take(&self, held: &Held) -> bool {
        let passed = held.until.plus_ms(self.skew_ms).has_passed(self.now);
        passed || (self.stalled && held.until.has_passed(self.now))
    }

    /// Lets go of a claim that ran out; its attempts count. Refuses if there is
    /// one that did not.
    fn lapse(&mut self) -> Result<(), Stop> {
        let Some(held) = self.head.claim.clone() else {
            return Ok(());
        };
        if !self.may_take(&held) {
            let until = held.until;
            return Err(QueueError::Claimed { until }.into());
        }
        let numbers: Vec<_> = held.numbers().collect();
        // Everything is looked up before anything is changed.
        for (row, number) in &numbers {
            self.item(*row, *number)?;
        }
        for (row, number) in numbers {
            let reason = Some(RAN_OUT.into());
            self.end_attempt(row, number, self.now, reason, false)?;
        }
        self.head.claim = None;
        Ok(())
    }

    /// Ends an attempt that did not complete the work: it rests until `rest`,
    /// or is put with the dead; whether it was.
    fn end_attempt(
        &mut self,
        row: Place,
        number: u64,
        rest: Millis,
        reason: Option<Arc<str>>,
        fatal: bool,
    ) -> Result<bool, Stop> {
        let mut item = Item::clone(&*self.item(row, number)?);
        item.attempts = item.attempts.saturating_add(1);
        item.reason = reason.or(item.reason);
        let dead = fatal || item.attempts >= item.attempts_max;
        if dead {
            self.take(row, number)?;
            self.bury(Place { number, ..row }, Arc::new(item));
        } else {
            item.rest = rest;
            self.replace(row, item);
        }
        Ok(dead)
    }

    /// Takes the head of the line, and what may be handed out with it.
    fn claim(&mut self, session: &SessionId, ask: &Ask) -> Result<Option<Taken>, Stop> {
        self.visit();
        match self.lapse() {
            Err(Stop::Refused(QueueError::Claimed { .. })) => return Ok(None),
            other => other?,
        }
        let work = self.head_of_line(ask)?;
        if work.is_empty() {
            return Ok(None);
        }
        self.head.token += 1;
        let mut held = Held {
            token: self.head.token,
            owner: ask.owner.clone(),
            until: self.now.plus_ms(ask.ttl_ms),
            ttl_ms: ask.ttl_ms,
            rows: Vec::new(),
        };
        for (row, item) in &work {
            held.push(*row, item.number);
        }
        let taken = Taken {
            session: session.clone(),
            token: held.token,
            owner: held.owner.clone(),
            until: held.until,
            ttl_ms: held.ttl_ms,
            ids: work.iter().map(|(row, item)| item.id(*row)).collect(),
            work,
        };
        self.weight += taken.ids.len();
        self.head.claim = Some(held);
        self.change();
        Ok(Some(taken))
    }

    /// What a claim would take: nothing if the first in line rests, or is not
    /// to be handed out at this boundary.
    fn head_of_line(&self, ask: &Ask) -> Result<Vec<(Place, Arc<Item>)>, Stop> {
        let mut work: Vec<(Place, Arc<Item>)> = Vec::new();
        let mut bytes = 0;
        self.rows.walk(self.now, |row, item| {
            bytes += item.size();
            let fits = match work.first() {
                None => ask.boundary == Boundary::Idle || item.early,
                Some((_, first)) => item.joins(first) && bytes <= CLAIM_BYTES_MAX,
            };
            if !fits || !item.rest.has_passed(self.now) {
                return ControlFlow::Break(());
            }
            work.push((row, Arc::clone(item)));
            if work.len() >= ask.max || item.exclusive {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(work)
    }

    /// The claim of a caller who says that it holds `token`.
    fn held(&self, token: u64) -> Result<Held, Stop> {
        let held = self.head.claim.as_ref().filter(|held| held.token == token);
        match held {
            Some(held) if !held.until.has_passed(self.now) => Ok(held.clone()),
            Some(_) | None => Err(QueueError::ClaimExpired.into()),
        }
    }

    /// A renewal never shortens a claim.
    fn renew(&mut self, token: u64, ttl_ms: u64) -> Result<Millis, Stop> {
        let mut held = self.held(token)?;
        held.until = held.until.max(self.now.plus_ms(ttl_ms));
        let until = held.until;
        self.head.claim = Some(held);
        self.change();
        Ok(until)
    }

    fn settle_claim(&mut self, settle: &Settle, seed: u64) -> Result<Settled, Stop> {
        let held = self.held(settle.token)?;
        let mut gone = Vec::new();
        for id in settle.ids() {
            gone.push(self.held_work(&held, id)?);
        }
        let mut settled = Settled::default();
        for id in &settle.complete {
            let row = self.held_row(&held, *id)?;
            let item = self.take(row, id.place().number)?;
            self.finish(row, &item);
        }
        for failure in &settle.fail {
            self.fail(&held, failure, seed, &mut settled)?;
        }
        for back in &settle.abandon {
            let row = self.held_row(&held, back.id)?;
            let rest = self.now.plus_ms(back.delay_ms);
            self.give_back(row, back.id, (rest, None, false), &mut settled)?;
        }
        let left = held.without(&gone);
        settled.held = left.as_ref().map_or(0, Held::count);
        self.head.claim = left;
        self.change();
        Ok(settled)
    }

    /// The work that a holder names: it must be held, and be what is named.
    fn held_work(&self, held: &Held, id: WorkId) -> Result<(Place, u64), Stop> {
        let row = self.held_row(held, id)?;
        let number = id.place().number;
        if self.item(row, number)?.salt != id.salt() {
            return Err(QueueError::NotFound { id }.into());
        }
        Ok((row, number))
    }

    fn held_row(&self, held: &Held, id: WorkId) -> Result<Place, Stop> {
        let row = held.row_of(id.place());
        row.ok_or_else(|| QueueError::NotFound { id }.into())
    }

    fn fail(
        &mut self,
        held: &Held,
        failure: &Failure,
        seed: u64,
        settled: &mut Settled,
    ) -> Result<(), Stop> {
        let row = self.held_row(held, failure.id)?;
        let item = self.item(row, failure.id.place().number)?;
        let drawn = || wait_ms(&item, seed ^ u64::from(item.salt));
        let rest = self.now.plus_ms(failure.delay_ms.unwrap_or_else(drawn));
        let end = (rest, failure.reason.clone(), failure.fatal);
        self.give_back(row, failure.id, end, settled)
    }

    fn give_back(
        &mut self,
        row: Place,
        id: WorkId,
        (rest, reason, fatal): (Millis, Option<Arc<str>>, bool),
        settled: &mut Settled,
    ) -> Result<(), Stop> {
        if self.end_attempt(row, id.place().number, rest, reason, fatal)? {
            settled.dead.push(id);
        } else {
            settled.resting.push((id, rest));
        }
        Ok(())
    }

    /// The row of work that is named by its id, if it is there.
    fn find(&self, id: WorkId) -> Result<Option<Place>, Stop> {
        let Some(row) = self.rows.row_at(id.place())? else {
            return Ok(None);
        };
        let items = self.rows.row(row)?;
        let is_it = |item: &&Arc<Item>| item.id(row) == id;
        let found = items.and_then(|items| items.iter().find(is_it));
        Ok(found.map(|_| row))
    }

    fn cancel(&mut self, id: WorkId) -> Result<(), Stop> {
        let not_found = QueueError::NotFound { id };
        let Some(row) = self.find(id)? else {
            return Err(not_found.into());
        };
        let held = self.head.claim.as_ref();
        if held.is_some_and(|held| held.row_of(id.place()).is_some()) {
            self.lapse()?;
        }
        // Its last claim may have put it with the dead.
        if self.find(id)?.is_none() {
            self.change();
            return self.drop_dead(id);
        }
        let item = self.take(row, id.place().number)?;
        self.finish(row, &item);
        Ok(())
    }

    fn dead(&self, id: WorkId) -> Result<Arc<Item>, Stop> {
        let row = self.rows.dead(id.place())?;
        let item = row.map(|row| &row.item);
        let found = item.filter(|item| item.id(id.place()) == id);
        found
            .cloned()
            .ok_or_else(|| QueueError::NotFound { id }.into())
    }

    /// Dead work stands again where it stood, with all its attempts.
    fn retry(&mut self, id: WorkId) -> Result<(), Stop> {
        let mut item = Item::clone(&*self.dead(id)?);
        let row = self.rows.row_at(id.place())?.unwrap_or(id.place());
        self.unbury(id.place())?;
        item.attempts = 0;
        item.rest = Millis::default();
        self.insert(row, Arc::new(item));
        Ok(())
    }

    fn drop_dead(&mut self, id: WorkId) -> Result<(), Stop> {
        let item = self.dead(id)?;
        self.unbury(id.place())?;
        self.finish(id.place(), &item);
        Ok(())
    }
}

/// What is answered while upkeep deletes the queue.
fn while_removing(change: &Change) -> Result<Answer, Stop> {
    match change {
        Change::Enqueue(_) => Err(QueueError::Busy.into()),
        Change::Claim(_) => Ok(Answer::Claimed(None)),
        Change::Renew { .. } | Change::Settle(..) => Err(QueueError::ClaimExpired.into()),
        Change::Cancel(id) | Change::Retry(id) | Change::Drop(id) => {
            Err(QueueError::NotFound { id: *id }.into())
        }
    }
}

/// How long failed work rests: its backoff doubled with each attempt before
/// this one, of which a half is drawn from `seed`.
fn wait_ms(item: &Item, seed: u64) -> u64 {
    let doubled = 1_u64.checked_shl(item.attempts).unwrap_or(u64::MAX);
    let whole = item.backoff.first_ms.saturating_mul(doubled);
    let whole = whole.min(item.backoff.max_ms);
    let half = whole / 2;
    // Mixed (Steele, Lea and Flood, "Fast splittable pseudorandom number
    // generators", OOPSLA 2014), so that neighbours do not wait alike.
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    whole - half + (mixed ^ (mixed >> 31)) % (half + 1)
}
