//! Searching for rows that nothing needs.

use bytes::Bytes;
use windlass_store::{Entry, Page, Scan};

use super::limits::{CONDEMNED_MAX, READ_AT_ONCE};
use super::{Collection, Doomed, Phase, Reason, keys_of, kind_after};
use crate::blob::{Kind, Name, fetch, written_of};
use crate::error::CheckpointError;

impl Collection {
    /// Goes on with the rows of a kind that were condemned before.
    pub(super) fn recall(&mut self, kind: Kind) {
        let range = self.lineage.all_condemned(kind);
        self.phase = Phase::Recall(kind, keys_of(range));
    }

    pub(super) async fn recall_some(
        &mut self,
        kind: Kind,
        scan: Scan,
    ) -> Result<(), CheckpointError> {
        let page = self.page(&scan).await?;
        let names = page.entries.iter();
        let names = names.filter_map(|it| self.lineage.condemned_of(kind, &it.key));
        self.pardoned.extend(names);
        match (page.entries.last(), kind_after(kind)) {
            (Some(last), _) if page.more => self.phase = Phase::Recall(kind, scan.after(&last.key)),
            (_, Some(next)) => self.recall(next),
            (_, None) => self.search_all(Kind::Blob),
        }
        Ok(())
    }

    fn search_all(&mut self, kind: Kind) {
        let range = self.lineage.rows(kind);
        self.phase = Phase::Search(kind, keys_of(range));
    }

    /// Searches a page of rows; before the first one of a kind, what young
    /// rows of the kind before need is marked.
    pub(super) async fn search(&mut self, kind: Kind, scan: Scan) -> Result<(), CheckpointError> {
        if !self.mark().await? {
            return Ok(());
        }
        let page = self.page(&scan).await?;
        let unneeded = self.unneeded(kind, &page);
        for few in unneeded.chunks(READ_AT_ONCE) {
            self.doom(few).await?;
        }
        let full = self.doomed.len() >= CONDEMNED_MAX;
        match (page.entries.last(), kind_after(kind)) {
            _ if full => {
                self.report.truncated = true;
                self.report.reasons.push(Reason::TooMuch);
                self.found();
            }
            (Some(last), _) if page.more => self.phase = Phase::Search(kind, scan.after(&last.key)),
            (_, Some(next)) => self.search_all(next),
            (_, None) => self.found(),
        }
        Ok(())
    }

    async fn page(&mut self, scan: &Scan) -> Result<Page, CheckpointError> {
        let pages = self.engine.store.read(std::slice::from_ref(scan)).await?;
        let page = pages.into_iter().next().unwrap_or_default();
        let rows = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
        self.looked_at(rows.max(1));
        Ok(page)
    }

    fn unneeded(&mut self, kind: Kind, page: &Page) -> Vec<Name> {
        let names = page.entries.iter();
        let names = names.filter_map(|it| self.lineage.name_of(kind, &it.key));
        let (needed, unneeded): (Vec<_>, Vec<_>) = names.partition(|name| self.marks.has(*name));
        self.report.kept += u64::try_from(needed.len()).unwrap_or(u64::MAX);
        unneeded
    }

    /// Dooms those of a few rows that are not young.
    async fn doom(&mut self, names: &[Name]) -> Result<(), CheckpointError> {
        let keys: Vec<Bytes> = names.iter().map(|name| self.lineage.row(*name)).collect();
        let found = fetch(self.engine.store.as_ref(), &keys).await?;
        self.work += u64::try_from(names.len()).unwrap_or(u64::MAX);
        for (name, entry) in names.iter().zip(found) {
            let Some(entry) = entry else {
                continue;
            };
            if self.is_young(&entry) {
                self.report.kept += 1;
                // One that cannot be read is of no use to anybody.
                let _ = self.marks.need_children(*name, &entry.value);
                continue;
            }
            self.doomed.push(Doomed {
                name: *name,
                version: entry.version,
                bytes: u64::try_from(entry.value.len()).unwrap_or(u64::MAX),
            });
        }
        Ok(())
    }

    /// Marks what is below blobs of a page that came after the search, needed
    /// or not: somebody may refer to them.
    pub(super) async fn review(&mut self, scan: Scan) -> Result<(), CheckpointError> {
        let page = self.page(&scan).await?;
        let new: Vec<Bytes> = page
            .entries
            .iter()
            .filter(|it| self.is_new(it))
            .map(|it| it.key.clone())
            .collect();
        for entry in fetch(self.engine.store.as_ref(), &new)
            .await?
            .into_iter()
            .flatten()
        {
            if let Some(name) = self.lineage.name_of(Kind::Blob, &entry.key) {
                self.marks.need_children(name, &entry.value)?;
            }
        }
        match page.entries.last() {
            Some(last) if page.more => self.phase = Phase::Review(scan.after(&last.key)),
            _ => self.spare(),
        }
        Ok(())
    }

    /// Whether the row of a blob is neither marked nor as the search met it.
    fn is_new(&self, entry: &Entry) -> bool {
        let Some(name) = self.lineage.name_of(Kind::Blob, &entry.key) else {
            return false;
        };
        let blobs = self.doomed.partition_point(|it| it.name.kind == Kind::Blob);
        let met = self.doomed[..blobs].binary_search_by_key(&name, |it| it.name);
        let met = met.is_ok_and(|place| self.doomed[place].version == entry.version);
        !met && !self.marks.has(name)
    }

    fn is_young(&self, entry: &Entry) -> bool {
        let written = written_of(&entry.value);
        match (self.young_after, written) {
            (Some(after), Some(written)) => written > after,
            (None, _) | (_, None) => false,
        }
    }

    /// Goes on when everything that nothing needs was found.
    fn found(&mut self) {
        self.phase = if self.dry_run {
            let bytes = self.doomed.iter().map(|it| it.bytes).sum::<u64>();
            self.report.deleted = u64::try_from(self.doomed.len()).unwrap_or(u64::MAX);
            self.report.bytes = bytes;
            Phase::Done
        } else if self.doomed.is_empty() {
            Phase::Pardon
        } else {
            Phase::Condemn(0)
        };
    }
}
