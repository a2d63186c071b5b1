//! A queue as anybody would write it down: one list a session, in order.

use std::collections::BTreeMap;

use windlass_queue::{Boundary, Settle, WorkId};

/// One batch of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: WorkId,
    /// Lower goes first.
    pub(super) rank: u8,
    pub(super) time: u64,
    pub(super) number: u64,
    pub(super) early: bool,
    pub(super) exclusive: bool,
    pub(super) merge: Option<&'static str>,
    pub(super) source: Option<String>,
    pub(super) attempts: u32,
    pub(super) attempts_max: u32,
    pub(super) rest: u64,
}

impl Item {
    fn place(&self) -> (u8, u64, u64) {
        (self.rank, self.time, self.number)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) token: u64,
    pub(super) until: u64,
    pub(super) ids: Vec<WorkId>,
}

/// The work of one session.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) items: Vec<Item>,
    pub(super) dead: Vec<Item>,
    pub(super) claim: Option<Held>,
    pub(super) numbers: u64,
    /// Source keys: the work, and when it was finished.
    pub(super) sources: BTreeMap<String, (WorkId, Option<u64>)>,
}

/// How long source keys are remembered.
const KEPT: u64 = 24 * 3_600_000;

impl Line {
    pub(super) fn enqueue(&mut self, item: Item) {
        if let Some(key) = &item.source {
            self.sources.insert(key.clone(), (item.id, None));
        }
        self.numbers += 1;
        let number = self.numbers;
        self.items.push(Item { number, ..item });
        self.items.sort_by_key(Item::place);
    }

    pub(super) fn known(&self, source: Option<&str>, now: u64) -> Option<WorkId> {
        let (id, finished) = self.sources.get(source?)?;
        finished.is_none_or(|at| at + KEPT > now).then_some(*id)
    }

    fn finish(&mut self, item: &Item, now: u64) {
        if let Some(key) = &item.source {
            self.sources.insert(key.clone(), (item.id, Some(now)));
        }
    }

    /// Ends the attempts of a claim that ran out; whether one is in the way.
    fn lapse(&mut self, now: u64) -> bool {
        let Some(held) = self.claim.take_if(|held| held.until <= now) else {
            return self.claim.is_some();
        };
        for id in held.ids {
            self.end_attempt(id, now, false);
        }
        false
    }

    fn end_attempt(&mut self, id: WorkId, rest: u64, fatal: bool) -> bool {
        let at = self.position(id).expect("what is held is there");
        let item = &mut self.items[at];
        item.attempts += 1;
        item.rest = rest;
        let dead = fatal || item.attempts >= item.attempts_max;
        if dead {
            let item = self.items.remove(at);
            self.dead.push(item);
            self.dead.sort_by_key(Item::place);
        }
        dead
    }

    pub(super) fn position(&self, id: WorkId) -> Option<usize> {
        self.items.iter().position(|item| item.id == id)
    }

    /// What a claim takes at `now`.
    pub(super) fn claim(&mut self, boundary: Boundary, max: usize, now: u64) -> Vec<Item> {
        if self.lapse(now) {
            return Vec::new();
        }
        let line = || self.items.iter().filter(|item| item.time <= now);
        let Some(first) = line().next() else {
            return Vec::new();
        };
        if boundary == Boundary::Checkpoint && !first.early {
            return Vec::new();
        }
        let joins = |item: &Item| {
            let same = item.early == first.early && item.merge == first.merge;
            *item == *first || (!first.exclusive && !item.exclusive && same)
        };
        let taken = line().take_while(|item| item.rest <= now && joins(item));
        taken.take(max).cloned().collect()
    }

    /// Whether the claim is over for who holds `token`.
    pub(super) fn is_over(&self, token: u64, now: u64) -> bool {
        let held = self.claim.as_ref();
        held.is_none_or(|held| held.token != token || held.until <= now)
    }

    /// What is put with the dead by it.
    pub(super) fn settle(&mut self, settle: &Settle, now: u64) -> Vec<WorkId> {
        for id in &settle.complete {
            let item = self.items.remove(self.position(*id).expect("held"));
            self.finish(&item, now);
        }
        let mut dead = Vec::new();
        for failure in &settle.fail {
            let rest = now + failure.delay_ms.expect("histories say when");
            if self.end_attempt(failure.id, rest, failure.fatal) {
                dead.push(failure.id);
            }
        }
        for back in &settle.abandon {
            if self.end_attempt(back.id, now + back.delay_ms, false) {
                dead.push(back.id);
            }
        }
        let gone = |id: &WorkId| {
            settle.complete.contains(id)
                || settle.fail.iter().any(|failure| failure.id == *id)
                || settle.abandon.iter().any(|back| back.id == *id)
        };
        if let Some(held) = &mut self.claim {
            held.ids.retain(|id| !gone(id));
        }
        self.claim.take_if(|held| held.ids.is_empty());
        dead
    }

    pub(super) fn cancel(&mut self, id: WorkId, now: u64) -> Result<(), &'static str> {
        if self.position(id).is_none() {
            return Err("work_not_found");
        }
        let held = self.claim.as_ref();
        if held.is_some_and(|held| held.ids.contains(&id)) && self.lapse(now) {
            return Err("work_claimed");
        }
        match self.position(id) {
            Some(at) => {
                let item = self.items.remove(at);
                self.finish(&item, now);
                Ok(())
            }
            None => self.drop_dead(id, now),
        }
    }

    fn take_dead(&mut self, id: WorkId) -> Result<Item, &'static str> {
        let at = self.dead.iter().position(|item| item.id == id);
        Ok(self.dead.remove(at.ok_or("work_not_found")?))
    }

    pub(super) fn retry(&mut self, id: WorkId) -> Result<(), &'static str> {
        let item = self.take_dead(id)?;
        let (attempts, rest) = (0, 0);
        self.items.push(Item {
            attempts,
            rest,
            ..item
        });
        self.items.sort_by_key(Item::place);
        Ok(())
    }

    pub(super) fn drop_dead(&mut self, id: WorkId, now: u64) -> Result<(), &'static str> {
        let item = self.take_dead(id)?;
        self.finish(&item, now);
        Ok(())
    }
}
