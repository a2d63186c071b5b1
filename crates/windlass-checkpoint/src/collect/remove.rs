//! Condemning and deleting rows that nothing needs.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::Format;
use windlass_store::{Batch, Commit, Expect, StoreExt, Version};

use super::limits::{CONDEMNED_AT_ONCE, DELETED_AT_ONCE};
use super::{Collection, Doomed, Phase, Reason};
use crate::blob::Name;
use crate::error::CheckpointError;
use crate::row;

/// What guards collections, and what a condemned row says: which run it was.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    v: Format,
    run: u64,
}

/// The number of the run that wrote `gc`.
pub(super) fn run_of(value: &Bytes) -> Result<u64, CheckpointError> {
    Ok(row::decode::<Run>("gc of a lineage", value)?.run)
}

impl Collection {
    /// Makes every other run give up; `false` if one came first.
    pub(super) async fn claim(&mut self) -> Result<bool, CheckpointError> {
        let batch = self.guarded().put(self.lineage.gc(), self.stamp());
        self.commit_stamped(batch).await
    }

    /// Condemns some rows, and says by rewriting `gc` that it did.
    pub(super) async fn condemn(&mut self, next: usize) -> Result<(), CheckpointError> {
        let end = self.doomed.len().min(next + CONDEMNED_AT_ONCE);
        let mut batch = self.guarded().put(self.lineage.gc(), self.stamp());
        for doomed in &self.doomed[next..end] {
            batch = batch.put(self.lineage.condemned(doomed.name), self.stamp());
        }
        if !self.commit_stamped(batch).await? {
            return Ok(());
        }
        self.phase = if end < self.doomed.len() {
            Phase::Condemn(end)
        } else {
            self.roots.begin(&self.lineage);
            Phase::MarkAgain
        };
        Ok(())
    }

    fn stamp(&self) -> Bytes {
        let (v, run) = (Format, self.run);
        row::encode(&Run { v, run }, None)
    }

    /// Commits a batch that rewrites `gc`; `false` if another run came first.
    async fn commit_stamped(&mut self, batch: Batch) -> Result<bool, CheckpointError> {
        self.work += batch.writes.len() as u64;
        match self.engine.store.commit(batch).await? {
            Commit::Applied(version) => self.gc = Some(version),
            Commit::Conflict { .. } => self.give_up(Reason::AnotherRun),
        }
        Ok(!self.is_done())
    }

    /// A batch that holds only while no other run has begun to condemn.
    fn guarded(&self) -> Batch {
        let expect = self.gc.map_or(Expect::Absent, Expect::Version);
        Batch::new().check(self.lineage.gc(), expect)
    }

    /// Takes what is needed after all off the list.
    pub(super) fn spare(&mut self) {
        let marks = &self.marks;
        let (spared, doomed) = self.doomed.iter().partition(|it| marks.has(it.name));
        self.doomed = doomed;
        for it in &self.doomed {
            self.pardoned.remove(&it.name);
        }
        let spared: Vec<Doomed> = spared;
        self.note_spared(spared.iter().map(|it| it.name));
        self.phase = Phase::Delete(0);
    }

    fn note_spared(&mut self, names: impl IntoIterator<Item = Name>) {
        for name in names {
            self.pardoned.insert(name);
            self.report.kept += 1;
        }
    }

    /// Deletes some rows, all of one kind.
    pub(super) async fn delete(&mut self, next: usize) -> Result<(), CheckpointError> {
        // What new and pardoned blobs need is known before the first list.
        if !self.mark().await? {
            return Ok(());
        }
        let Some(first) = self.doomed.get(next) else {
            self.phase = Phase::Pardon;
            return Ok(());
        };
        let kind = first.name.kind;
        let rest = &self.doomed[next..];
        let same = rest.iter().take_while(|it| it.name.kind == kind);
        let few: Vec<Doomed> = same.take(DELETED_AT_ONCE).copied().collect();
        self.phase = Phase::Delete(next + few.len());
        self.delete_few(few).await
    }

    /// Deletes rows that are still as they were; those that are not are
    /// needed again.
    async fn delete_few(&mut self, mut few: Vec<Doomed>) -> Result<(), CheckpointError> {
        let needed = |it: &mut Doomed| self.marks.has(it.name);
        let spared: Vec<Doomed> = few.extract_if(.., needed).collect();
        self.note_spared(spared.iter().map(|it| it.name));
        while !few.is_empty() {
            self.work += 2 * few.len() as u64;
            match self.engine.store.commit(self.deletion(&few)).await? {
                Commit::Applied(_) => {
                    self.report.deleted += u64::try_from(few.len()).unwrap_or(u64::MAX);
                    self.report.bytes += few.iter().map(|it| it.bytes).sum::<u64>();
                    return Ok(());
                }
                Commit::Conflict { key } if key == self.lineage.gc() => {
                    self.give_up(Reason::AnotherRun);
                    return Ok(());
                }
                Commit::Conflict { key } => self.keep(&mut few, &key).await?,
            }
        }
        Ok(())
    }

    fn deletion(&self, few: &[Doomed]) -> Batch {
        few.iter().fold(self.guarded(), |batch, it| {
            let (row, condemned) = (self.lineage.row(it.name), self.lineage.condemned(it.name));
            batch
                .check(row.clone(), Expect::Version(it.version))
                .check(condemned.clone(), Expect::Present)
                .delete(row)
                .delete(condemned)
        })
    }

    /// Keeps the row whose check did not hold: somebody has put it, or
    /// referred to it, or the run before has deleted it.
    async fn keep(&mut self, few: &mut Vec<Doomed>, key: &Bytes) -> Result<(), CheckpointError> {
        let is_it = |it: &mut Doomed| {
            let (row, condemned) = (self.lineage.row(it.name), self.lineage.condemned(it.name));
            row == *key || condemned == *key
        };
        let kept: Vec<Name> = few.extract_if(.., is_it).map(|it| it.name).collect();
        self.pardoned.extend(&kept);
        for name in kept {
            if let Some(entry) = self.engine.store.get(self.lineage.row(name)).await? {
                self.report.kept += 1;
                self.marks.need_children(name, &entry.value)?;
            }
        }
        Ok(())
    }

    /// Takes some rows under `condemned` away.
    pub(super) async fn pardon(&mut self) -> Result<(), CheckpointError> {
        let few: Vec<Name> = self
            .pardoned
            .iter()
            .take(CONDEMNED_AT_ONCE)
            .copied()
            .collect();
        if few.is_empty() {
            self.phase = Phase::End;
            return Ok(());
        }
        let delete = |batch: Batch, name: &Name| batch.delete(self.lineage.condemned(*name));
        let batch = few.iter().fold(Batch::new(), delete);
        self.work += few.len() as u64;
        let _: Commit = self.engine.store.commit(batch).await?;
        for name in few {
            self.pardoned.remove(&name);
        }
        Ok(())
    }

    /// Takes the lineage away if there is nothing left of it.
    pub(super) async fn end(&mut self) -> Result<(), CheckpointError> {
        self.phase = Phase::Done;
        let empty = self.roots.members == 0 && self.report.kept == 0;
        let Some(gc) = self.gc.filter(|_: &Version| empty) else {
            return Ok(());
        };
        let batch = Batch::new()
            .check(self.lineage.gc(), Expect::Version(gc))
            .delete(self.lineage.gc());
        // A conflict means that it begins to be used.
        let _: Commit = self.engine.store.commit(batch).await?;
        Ok(())
    }
}
