//! What the desk does for each change.

use std::sync::Arc;

use windlass_store::Scan;

use super::action::{Action, Answer, Putting, Reply, Taken, What};
use super::desk::Run;
use super::draft::{Cause, Effect, Known};
use super::keys;
use super::packing::Packing;
use super::record::{Kept, Record, SpaceRow, Stowed, corrupt};
use super::shared::hash;
use super::uses::Use;
use crate::cache::decide_version;
use crate::entry::{Birth, Entry};
use crate::error::CacheError;
use crate::found::Stored;
use crate::limits::{NAMESPACES_MAX, STEP_ROWS};
use crate::names::Key;
use crate::spaces::Era;

impl Run {
    pub(super) async fn act(&mut self, action: Action) -> Reply {
        match action {
            Action::Put(putting) => self.put(*putting).await,
            Action::Touch { era, key } => self.touch(&era, &key).await,
            Action::Take { era, what, last } => {
                let last = last.unwrap_or(self.draft.head.stamp);
                let mut taken = self.take_some(&era, what, last).await?;
                taken.last = last;
                Ok(Answer::Taken(taken))
            }
            Action::Mend { era, key, stamp } => self.mend(&era, &key, stamp).await,
            Action::Expire { most } => self.expire(most).await.map(Answer::Bite),
            Action::Learn => self.learn().await.map(Answer::More),
            Action::Write(uses) => self.write(uses).await,
            Action::Settle => Ok(Answer::Done),
            Action::Close => {
                self.draft.head.closed = true;
                // Something has to be written for the head to be.
                self.draft.delete(keys::ended(0));
                Ok(Answer::Done)
            }
        }
    }

    async fn put(&mut self, putting: Putting) -> Reply {
        let mut visit = putting.visit;
        // What is being written stays so until it is known what became of it.
        self.draft.chains.extend(putting.chain.clone());
        if !visit.era().is_live() {
            if putting.chain.is_some() {
                // It was put before the flush, then.
                let (version, held) = (0, false);
                return Ok(Answer::Stored(Stored { version, held }));
            }
            let spaces = &self.shared.first.inner.spaces;
            visit = spaces.enter(&putting.place.namespace)?;
        }
        let era = Arc::clone(visit.era());
        let key = putting.place.key.clone();
        let old = self.look_back(&era, &key).await?;
        let existing = self.visible(&era, &old).map(|record| record.version);
        let stamp = self.draft.head.stamp + 1;
        let version = decide_version(existing, putting.put.version, putting.expect, stamp)?;
        let now = self.shared.now();
        let policy = &putting.put.policy;
        let over = policy.expires_at.is_some_and(|at| at.has_passed(now));
        if over {
            self.remove(&era, &key, old, Cause::Replaced);
            let held = false;
            return Ok(Answer::Stored(Stored { version, held }));
        }
        let birth = Birth {
            stamp,
            era: Arc::clone(&era),
            place: putting.place,
            version,
            now,
            expires: policy.expires(now, putting.jitter_ms),
        };
        let packing = putting.packed.is_some().then_some(Packing::Lz4);
        let blob = putting.packed.unwrap_or_else(|| putting.put.value.clone());
        let entry = Arc::new(Entry::new(putting.put, birth));
        self.ensure_room(&entry, &old).await?;
        // Making room may have taken it, if its time was over.
        let old = self.look_back(&era, &key).await?;
        if !self.adopt(&era) {
            let held = false;
            return Ok(Answer::Stored(Stored { version, held }));
        }
        self.draft.visits.push(visit);
        let chain = putting.chain.as_ref().map(|written| written.chain);
        let stowed = Stowed {
            crc: putting.crc,
            packing,
            chain,
        };
        let record = Record::of(&entry, stowed);
        if packing.is_some() {
            let (from, to) = (entry.value.len(), blob.len());
            self.draft.effects.push(Effect::Packed { from, to });
        }
        let blob = chain.is_none().then_some(blob);
        self.set(&entry, Kept { record, blob }, old);
        let held = true;
        Ok(Answer::Stored(Stored { version, held }))
    }

    /// Makes the namespace's row be of this era; false if a later one began
    /// meanwhile, so that what is put was put before the flush.
    fn adopt(&mut self, era: &Arc<Era>) -> bool {
        let namespace = &era.namespace;
        let row = self.draft.space(self.stored(), namespace);
        if row.is_some_and(|row| row.generation >= era.generation) {
            return row.is_some_and(|row| row.generation == era.generation);
        }
        if let Some(row) = row {
            self.draft.end(namespace, row);
        } else if self.stored().len() >= NAMESPACES_MAX {
            self.drop_spaces();
        }
        let row = SpaceRow::at(era.generation);
        self.draft.set_space(namespace, Some(row));
        true
    }

    /// Drops the rows of namespaces that gave their slots back.
    fn drop_spaces(&mut self) {
        let spaces = &self.shared.first.inner.spaces;
        let stored = self.stored().iter();
        let gone = stored.filter(|(namespace, _)| spaces.find(namespace).is_none());
        let gone: Vec<_> = gone.map(|(name, row)| (name.clone(), *row)).collect();
        for (namespace, row) in gone {
            self.draft.end(&namespace, row);
            self.draft.set_space(&namespace, None);
        }
    }

    /// Puts an entry where `old` is. One that nothing else finds takes its
    /// place in the indexes too: where it will be listed is decided when that
    /// place is looked at.
    fn set(&mut self, entry: &Arc<Entry>, mut kept: Kept, old: Known) {
        let replaced = !matches!(old, Known::Absent);
        match old {
            Known::Kept(old) if kept.record.can_stand_where(&old.record) => {
                kept.record.slot = Some(old.record.slot());
                kept.record.due = kept.record.due.min(old.record.due);
                self.draft.replace(&old.record, &kept);
                self.draft.effects.push(Effect::Written(old.record.stamp));
            }
            old => {
                self.displace(&entry.era, &entry.place.key, old);
                let Self { draft, state, .. } = self;
                let stored = &state.as_ref().expect("it was made sure of").spaces;
                draft.insert(stored, &kept);
            }
        }
        self.draft.head.stamp = self.draft.head.stamp.max(entry.stamp);
        self.draft.effects.push(Effect::Put {
            entry: Arc::clone(entry),
            replaced,
        });
        let name = (entry.era.generation, entry.place.key.clone());
        self.known.insert(name, Known::Kept(Arc::new(kept)));
    }

    /// Takes out what is there, for something else to take its place.
    fn displace(&mut self, era: &Arc<Era>, key: &Key, old: Known) {
        let Self { draft, state, .. } = self;
        let stored = &state.as_ref().expect("it was made sure of").spaces;
        match old {
            Known::Absent => return,
            Known::Kept(kept) => {
                draft.remove(stored, &kept.record);
                draft.effects.push(Effect::Written(kept.record.stamp));
            }
            Known::Damaged => {
                draft.delete(keys::entry(era.generation, key.as_str()));
                draft.uncount(stored, (&era.namespace, era.generation));
                draft.effects.push(Effect::Counted(Cause::Damaged, 1));
            }
        }
        let name = (era.generation, key.clone());
        self.known.insert(name, Known::Absent);
    }

    /// Takes an entry of a live era; whether there was one.
    pub(super) fn remove(&mut self, era: &Arc<Era>, key: &Key, old: Known, cause: Cause) -> bool {
        if matches!(old, Known::Absent) {
            return false;
        }
        self.displace(era, key, old);
        self.draft.effects.push(Effect::Gone {
            era: Arc::clone(era),
            key: key.clone(),
        });
        self.draft.effects.push(Effect::Counted(cause, 1));
        true
    }

    /// Takes an entry of whatever generation.
    pub(super) fn remove_any(&mut self, kept: Arc<Kept>, cause: Cause) {
        let record = &kept.record;
        if let Some(era) = self.shared.era(&record.namespace, record.generation) {
            let key = record.key.clone();
            self.remove(&era, &key, Known::Kept(kept), cause);
            return;
        }
        let Self { draft, state, .. } = self;
        let stored = &state.as_ref().expect("it was made sure of").spaces;
        draft.remove(stored, record);
        draft.effects.push(Effect::Written(record.stamp));
        let name = (record.generation, record.key.clone());
        self.known.insert(name, Known::Absent);
    }

    /// The record, if a reader may see it.
    fn visible<'a>(&self, era: &Era, known: &'a Known) -> Option<&'a Record> {
        let Known::Kept(kept) = known else {
            return None;
        };
        let record = &kept.record;
        (era.is_live() && self.shared.is_visible(era, record)).then_some(record)
    }

    async fn touch(&mut self, era: &Arc<Era>, key: &Key) -> Reply {
        let old = self.look_up(era, key).await?;
        if self.visible(era, &old).is_none() {
            return Ok(Answer::Touched(false));
        }
        let Known::Kept(old) = old else {
            return Ok(Answer::Touched(false));
        };
        let now = self.shared.now();
        let mut kept = Kept::clone(&old);
        let jitter_ms = kept.record.policy.draw_jitter(self.shared.env())?;
        kept.record.expires = kept.record.policy.expires(now, jitter_ms);
        kept.record.used = now;
        let expires = kept.record.expires;
        let stamp = kept.record.stamp;
        kept.record.due = kept.record.ends(now).min(old.record.due);
        self.renew(&old, kept);
        self.draft.effects.push(Effect::Touched {
            era: Arc::clone(era),
            key: key.clone(),
            stamp,
            now,
            expires,
        });
        Ok(Answer::Touched(true))
    }

    /// Writes a record anew whose times have changed.
    pub(super) fn renew(&mut self, old: &Kept, kept: Kept) {
        self.draft.renew(&old.record, &kept);
        let name = (kept.record.generation, kept.record.key.clone());
        self.known.insert(name, Known::Kept(Arc::new(kept)));
    }

    async fn take_some(
        &mut self,
        era: &Arc<Era>,
        what: What,
        last: u64,
    ) -> Result<Taken, CacheError> {
        let mut taken = Taken::default();
        let rows = match &what {
            What::Key(key) => {
                let old = self.look_up(era, key).await?;
                self.take_one(era, key, old, &mut taken);
                return Ok(taken);
            }
            What::Prefix(prefix, from) => return self.take_prefix(era, prefix, from, last).await,
            What::Tag(tag) => keys::tagged(era.generation, tag, last),
            What::Of(name) => keys::dependents(era.generation, name, last),
        };
        let start = rows.start.clone();
        let scan = Scan::new(rows).limit(STEP_ROWS);
        let page = self.shared.read_past(scan).await?;
        let mut found = Vec::new();
        for row in &page.rows {
            let lead = self.lead(row).await?;
            let lead = lead.filter(|lead| lead.generation == era.generation);
            let lead = lead.ok_or_else(|| corrupt("index", "it leads to nothing that is known"))?;
            found.push((row.key.clone(), lead.key));
        }
        let wanted = found.iter().map(|(_, key)| (Arc::clone(era), key.clone()));
        self.load(wanted.collect()).await?;
        for (count, (row, key)) in found.iter().enumerate() {
            if self.draft.is_full() {
                debug_assert!(count > 0, "a draft is empty before a scan");
                taken.next = Some(start);
                return Ok(taken);
            }
            let old = self.look_up(era, key).await?;
            let stamp = keys::stamp_of(row);
            let same = matches!(&old, Known::Kept(kept) if Some(kept.record.slot()) == stamp);
            if same {
                self.take_one(era, key, old, &mut taken);
            } else {
                // What it led to is gone or damaged.
                self.draft.delete(row.clone());
            }
        }
        taken.next = page.more.then_some(start);
        Ok(taken)
    }

    async fn take_prefix(
        &mut self,
        era: &Arc<Era>,
        prefix: &str,
        from: &bytes::Bytes,
        last: u64,
    ) -> Result<Taken, CacheError> {
        let mut taken = Taken::default();
        let mut rows = windlass_store::KeyRange::prefix(keys::entry(era.generation, prefix));
        if from > &rows.start {
            rows.start = from.clone();
        }
        let scan = Scan::new(rows).limit(STEP_ROWS);
        let page = self.shared.read_past(scan).await?;
        for row in &page.rows {
            if self.draft.is_full() {
                taken.next = Some(row.key.clone());
                return Ok(taken);
            }
            let Some(key) = keys::entry_of(era.generation, &row.key) else {
                continue;
            };
            let read = row.kept(era.generation, &key);
            let old = read.map_or(Known::Damaged, |kept| Known::Kept(Arc::new(kept)));
            let later = matches!(&old, Known::Kept(kept) if kept.record.stamp > last);
            if !later {
                self.take_one(era, &key, old, &mut taken);
            }
        }
        let end = page.rows.last().filter(|_| page.more);
        taken.next = end.map(|row| [&row.key[..], &[0]].concat().into());
        Ok(taken)
    }

    fn take_one(&mut self, era: &Arc<Era>, key: &Key, old: Known, taken: &mut Taken) {
        if let Some(record) = self.visible(era, &old) {
            taken.entries += 1;
            taken.bytes += record.length;
        }
        if self.remove(era, key, old, Cause::Invalidated) {
            taken.keys.push(key.clone());
        }
    }

    async fn mend(&mut self, era: &Arc<Era>, key: &Key, stamp: Option<u64>) -> Reply {
        let old = self.look_up(era, key).await?;
        let wrong = match &old {
            Known::Absent => false,
            Known::Kept(kept) => Some(kept.record.stamp) == stamp,
            Known::Damaged => true,
        };
        if wrong && era.is_live() {
            // One that cannot be read is counted where it is taken out.
            let cause = match &old {
                Known::Damaged => Cause::Replaced,
                _ => Cause::Damaged,
            };
            self.remove(era, key, old, cause);
        }
        Ok(Answer::Done)
    }

    /// Writes into records when their entries were last used.
    async fn write(&mut self, uses: Vec<Use>) -> Reply {
        for last in uses {
            let name = (last.generation, last.key.clone());
            let known = match self.known.get(&name) {
                Some(known) => known.clone(),
                None => self.read_one(last.generation, &last.key).await?,
            };
            if let Known::Kept(old) = known
                && old.record.stamp == last.stamp
                && old.record.used < last.at
            {
                let mut kept = Kept::clone(&old);
                kept.record.used = last.at;
                kept.record.due = kept.record.ends(last.at).min(old.record.due);
                self.renew(&old, kept);
            }
            self.draft.effects.push(Effect::Written(last.stamp));
        }
        Ok(Answer::Done)
    }

    /// What the store has of a key, as the draft leaves it, to be replaced:
    /// perhaps without its blob.
    pub(super) async fn look_back(
        &mut self,
        era: &Arc<Era>,
        key: &Key,
    ) -> Result<Known, CacheError> {
        let name = (era.generation, key.clone());
        if !self.known.contains_key(&name)
            && let Some(remembered) = self.heads.get(&name)
        {
            return Ok(remembered);
        }
        self.look_up(era, key).await
    }

    /// What the store has of a key, as the draft leaves it.
    pub(super) async fn look_up(&mut self, era: &Arc<Era>, key: &Key) -> Result<Known, CacheError> {
        let name = (era.generation, key.clone());
        if let Some(known) = self.known.get(&name) {
            return Ok(known.clone());
        }
        if !era.below.may_have(hash(era, key)) {
            return Ok(Known::Absent);
        }
        let known = self.read_one(era.generation, key).await?;
        self.known.insert(name, known.clone());
        Ok(known)
    }
}
