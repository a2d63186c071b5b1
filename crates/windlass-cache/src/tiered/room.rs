//! Taking entries out of the second tier that nobody asked to be taken: those
//! whose time is over, what flushed namespaces left, and where that is not
//! enough, the oldest ones of the lowest priority.

use std::collections::HashSet;
use std::sync::Arc;

use windlass_core::Millis;
use windlass_store::{Scan, StoreError, StoreErrorKind};

use super::action::{Action, Bite, Putting};
use super::desk::Run;
use super::draft::{Cause, Known};
use super::keys;
use super::past::Row;
use super::record::Kept;
use crate::entry::Entry;
use crate::error::CacheError;
use crate::limits::{BITE_ENTRIES_MAX, ROOM_STEPS_MAX, STEP_ROWS};
use crate::names::Key;
use crate::policy::Priority;

/// From the one that goes first to the one that goes last.
const PRIORITIES: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];

const fn rank(priority: Priority) -> u8 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}

/// What became of an entry that was next in line.
enum Fate {
    Taken,
    /// It was put again since; it is listed as new as it is.
    Listed,
    /// It is to be replaced by what needs the room.
    Spared,
}

impl Run {
    /// Makes room for all puts of the run at once, as far as that goes.
    pub(super) async fn make_room_ahead(
        &mut self,
        requests: &[Vec<Action>],
    ) -> Result<(), CacheError> {
        let puts = || {
            let actions = requests.iter().flatten();
            actions.filter_map(|action| match action {
                Action::Put(putting) => Some(putting),
                _ => None,
            })
        };
        let charge = |putting: &Putting| crate::entry::charge(&putting.put, &putting.place);
        // As a rule there is room for all, whatever they replace.
        if self.lacks(puts().map(|putting| charge(putting)).sum()) == 0 {
            return Ok(());
        }
        let (mut needed, mut lowest) = (0_u64, Priority::High);
        let mut spared = HashSet::new();
        for putting in puts() {
            let name = (putting.visit.era().generation, putting.place.key.clone());
            let known = self.known.get(&name).cloned();
            let known = known.or_else(|| self.heads.get(&name));
            let freed = known.as_ref().map_or(0, charge_of);
            spared.insert(name);
            needed += charge(putting).saturating_sub(freed);
            if rank(putting.put.policy.priority) < rank(lowest) {
                lowest = putting.put.policy.priority;
            }
        }
        if self.lacks(needed) == 0 {
            return Ok(());
        }
        self.step(needed, lowest, &spared).await.map(drop)
    }

    /// By how much the tier is too full for so many bytes more.
    fn lacks(&self, needed: u64) -> u64 {
        let after = self.draft.head.bytes.saturating_add(needed);
        after.saturating_sub(self.shared.options.l2_bytes_max)
    }

    /// Makes sure that there is room for an entry in the place of another.
    ///
    /// # Errors
    ///
    /// [`CacheError::L2Full`] if nothing more may go for it.
    pub(super) async fn ensure_room(
        &mut self,
        entry: &Entry,
        old: &Known,
    ) -> Result<(), CacheError> {
        let mut needed = entry.charge.saturating_sub(charge_of(old));
        if self.lacks(needed) == 0 {
            return Ok(());
        }
        let spared = HashSet::from([(entry.era.generation, entry.place.key.clone())]);
        for _ in 0..ROOM_STEPS_MAX {
            if self.lacks(needed) == 0 {
                return Ok(());
            }
            // What is looked at next must be in the store.
            if !self.commit().await {
                // What was decided stood on what has not happened.
                return Err(unavailable("the commit before failed"));
            }
            self.ensure_state_again()?;
            let more = self.step(needed, entry.policy.priority, &spared).await?;
            // The time of what is to be replaced may have been over.
            let old = self.look_back(&entry.era, &entry.place.key).await?;
            needed = entry.charge.saturating_sub(charge_of(&old));
            if !more {
                break;
            }
        }
        if self.lacks(needed) == 0 {
            return Ok(());
        }
        Err(CacheError::L2Full {
            needed: entry.charge,
            max: self.shared.options.l2_bytes_max,
        })
    }

    fn ensure_state_again(&self) -> Result<(), CacheError> {
        if self.state.is_some() {
            return Ok(());
        }
        Err(unavailable("a commit of unknown outcome came before"))
    }

    /// Takes a few entries, but none of those `spared` that are to be
    /// replaced; false if there were none that may go.
    async fn step(
        &mut self,
        needed: u64,
        priority: Priority,
        spared: &HashSet<(u64, Key)>,
    ) -> Result<bool, CacheError> {
        let bite = self.expire(BITE_ENTRIES_MAX).await?;
        if bite.scanned > bite.moved {
            return Ok(true);
        }
        for next in PRIORITIES {
            if rank(next) <= rank(priority) && self.evict(next, needed, spared).await? {
                return Ok(true);
            }
        }
        Ok(bite.moved > 0)
    }

    /// Takes the oldest entries of a priority while room is needed. One that
    /// was put again after the next in line is listed anew instead, as long
    /// as the step has a place for that.
    async fn evict(
        &mut self,
        priority: Priority,
        needed: u64,
        spared: &HashSet<(u64, Key)>,
    ) -> Result<bool, CacheError> {
        let mut scan = Scan::new(keys::ranks(priority)).limit(STEP_ROWS);
        let (mut chances, mut taken) = (STEP_ROWS, 0);
        loop {
            let page = self.shared.read_past(scan.clone()).await?;
            for (place, row) in page.rows.iter().enumerate() {
                if self.lacks(needed) == 0 || self.draft.is_full() {
                    return Ok(true);
                }
                let next = page.rows.get(place + 1);
                let next = next.and_then(|row| keys::stamp_of(&row.key));
                // Of the last of a page it is not known who is next.
                let next = next.or(page.more.then_some(0)).unwrap_or(u64::MAX);
                let may_wait = chances > 0;
                match self.evict_one(row, spared, (next, may_wait)).await? {
                    Fate::Taken => taken += 1,
                    Fate::Listed => chances -= 1,
                    Fate::Spared => {}
                }
            }
            match page.rows.last().filter(|_| page.more && taken < STEP_ROWS) {
                Some(last) => scan = scan.after(&last.key),
                None => return Ok(taken > 0 || chances < STEP_ROWS),
            }
        }
    }

    /// Takes what a row leads to, unless it is spared, or may wait and was put
    /// after the stamp of the next in line.
    async fn evict_one(
        &mut self,
        row: &Row,
        spared: &HashSet<(u64, Key)>,
        (next, may_wait): (u64, bool),
    ) -> Result<Fate, CacheError> {
        let Some(index) = row.index() else {
            // Its entry goes when its time is over, or is flushed.
            self.draft.delete(row.key.clone());
            return Ok(Fate::Taken);
        };
        let name = (index.generation, index.key);
        if spared.contains(&name) {
            return Ok(Fate::Spared);
        }
        let slot = keys::stamp_of(&row.key);
        match self.find(name.0, &name.1).await? {
            Known::Kept(kept) if Some(kept.record.slot()) == slot => {
                if may_wait && kept.record.slot.is_some() && kept.record.stamp > next {
                    self.list_anew(&kept);
                    return Ok(Fate::Listed);
                }
                self.remove_any(kept, Cause::Evicted);
            }
            known => self.drop_leftover((name.0, &name.1), slot, &known).await?,
        }
        Ok(Fate::Taken)
    }

    /// Lists an entry as new as it is.
    fn list_anew(&mut self, old: &Kept) {
        let mut kept = old.clone();
        kept.record.slot = None;
        self.draft.list_anew(&old.record, &kept);
        let name = (kept.record.generation, kept.record.key.clone());
        self.known.insert(name, Known::Kept(Arc::new(kept)));
    }

    /// Takes what a damaged entry left: its record, if that is there, and the
    /// row that says what it was charged with.
    async fn drop_leftover(
        &mut self,
        (generation, key): (u64, &Key),
        stamp: Option<u64>,
        known: &Known,
    ) -> Result<(), CacheError> {
        let Some(stamp) = stamp else { return Ok(()) };
        for row in PRIORITIES.map(|priority| keys::rank(priority, stamp)) {
            let found = self.shared.read_past(Scan::point(row.clone())).await?;
            let Some(found) = found.rows.first() else {
                continue;
            };
            if !self.draft.deletes(&row) {
                let charge = found.index().and_then(|index| index.charge);
                let head = &mut self.draft.head;
                head.bytes = head.bytes.saturating_sub(charge.unwrap_or(0));
                self.draft.delete(row);
            }
        }
        if matches!(known, Known::Damaged) {
            self.drop_damaged(generation, key);
        }
        Ok(())
    }

    /// Takes a record that cannot be read.
    fn drop_damaged(&mut self, generation: u64, key: &Key) {
        let spaces = self.stored().iter();
        let mut live = spaces.filter(|(_, row)| row.generation == generation);
        let era = live
            .next()
            .and_then(|(name, _)| self.shared.era(name, generation));
        if let Some(era) = era {
            self.remove(&era, key, Known::Damaged, Cause::Replaced);
            return;
        }
        self.draft.delete(keys::entry(generation, key.as_str()));
        let head = &mut self.draft.head;
        head.entries = head.entries.saturating_sub(1);
        self.known.insert((generation, key.clone()), Known::Absent);
    }

    /// What the store has of a key at a generation, as the draft leaves it.
    async fn find(&mut self, generation: u64, key: &Key) -> Result<Known, CacheError> {
        if let Some(known) = self.known.get(&(generation, key.clone())) {
            return Ok(known.clone());
        }
        self.read_one(generation, key).await
    }

    /// Takes a few entries whose time is over; then such of generations that
    /// ended.
    pub(super) async fn expire(&mut self, most: u64) -> Result<Bite, CacheError> {
        let mut bite = Bite::default();
        let most = most.min(BITE_ENTRIES_MAX);
        self.expire_due(most, &mut bite).await?;
        if bite.finished {
            bite.finished = false;
            self.drop_ended(most, &mut bite).await?;
        }
        Ok(bite)
    }

    async fn expire_due(&mut self, most: u64, bite: &mut Bite) -> Result<(), CacheError> {
        let now = self.shared.now();
        let limit = usize::try_from(most).unwrap_or(STEP_ROWS).max(1);
        let scan = Scan::new(keys::due_until(now)).limit(limit);
        let page = self.shared.read_past(scan).await?;
        let mut rows = Vec::new();
        for row in &page.rows {
            let lead = self.lead(row).await?;
            let name = lead.map(|lead| (lead.generation, lead.key));
            rows.push((row.key.clone(), name));
        }
        let names = rows.iter().filter_map(|(_, name)| name.clone());
        let names = names.filter(|name| !self.known.contains_key(name));
        let names = names.collect();
        self.load_rows(names).await?;
        for (row, name) in rows {
            if bite.scanned == most || self.draft.is_full() {
                return Ok(());
            }
            bite.scanned += 1;
            let Some((generation, key)) = name else {
                // Its entry goes when room is needed.
                self.draft.delete(row);
                continue;
            };
            let due = keys::due_of(&row);
            match self.find(generation, &key).await? {
                Known::Kept(kept) if due == Some((kept.record.due.get(), kept.record.slot())) => {
                    self.expire_one(kept, now, bite);
                }
                known => {
                    let stamp = due.map(|(_, stamp)| stamp);
                    self.drop_leftover((generation, &key), stamp, &known)
                        .await?;
                    self.draft.delete(row);
                }
            }
        }
        bite.finished = !page.more;
        Ok(())
    }

    /// Takes an entry whose time is over, unless it was used meanwhile.
    fn expire_one(&mut self, kept: Arc<Kept>, now: Millis, bite: &mut Bite) {
        let record = &kept.record;
        let era = self.shared.era(&record.namespace, record.generation);
        let used = era.map_or(record.used, |era| self.shared.used(&era, record));
        if record.ends(used).has_passed(now) {
            bite.taken.push((record.namespace.clone(), record.charge));
            self.remove_any(kept, Cause::Expired);
            return;
        }
        let mut renewed = Kept::clone(&kept);
        renewed.record.used = used;
        renewed.record.due = renewed.record.ends(used);
        bite.moved += 1;
        self.renew(&kept, renewed);
    }

    /// Takes a few entries of a generation that ended.
    async fn drop_ended(&mut self, most: u64, bite: &mut Bite) -> Result<(), CacheError> {
        let scan = Scan::new(keys::ends()).limit(1);
        let page = self.shared.read_past(scan).await?;
        let Some(row) = page.rows.first() else {
            bite.finished = true;
            return Ok(());
        };
        let Some(generation) = keys::ended_of(&row.key) else {
            self.draft.delete(row.key.clone());
            return Ok(());
        };
        let left = most.saturating_sub(bite.scanned);
        if left == 0 {
            return Ok(());
        }
        let limit = usize::try_from(left).unwrap_or(STEP_ROWS);
        let scan = Scan::new(keys::entries(generation)).limit(limit);
        let entries = self.shared.read_past(scan).await?;
        for entry in &entries.rows {
            if self.draft.is_full() {
                return Ok(());
            }
            bite.scanned += 1;
            self.drop_one(generation, entry, bite);
        }
        if !entries.more {
            self.draft.delete(row.key.clone());
            bite.finished = !page.more;
        }
        Ok(())
    }

    fn drop_one(&mut self, generation: u64, entry: &Row, bite: &mut Bite) {
        let key = keys::entry_of(generation, &entry.key);
        let name = key.clone().map(|key| (generation, key));
        let known = name.and_then(|name| self.known.get(&name));
        if matches!(known, Some(Known::Absent)) {
            // Its time was over as well: it went with this draft.
            return;
        }
        if let Some(kept) = key.and_then(|key| entry.kept(generation, &key)) {
            let record = &kept.record;
            bite.taken.push((record.namespace.clone(), record.charge));
            self.remove_any(Arc::new(kept), Cause::Replaced);
            return;
        }
        // What it was charged with goes with the row of its rank.
        self.draft.delete(entry.key.clone());
        let head = &mut self.draft.head;
        head.entries = head.entries.saturating_sub(1);
    }
}

fn charge_of(known: &Known) -> u64 {
    match known {
        Known::Kept(kept) => kept.record.charge,
        Known::Absent | Known::Damaged => 0,
    }
}

/// Why a put was refused although nothing is wrong with it.
fn unavailable(why: &str) -> CacheError {
    StoreError::new(StoreErrorKind::Unavailable, "commit", why).into()
}
