//! What a commit does to the records of operation ids.

use windlass_store::{Batch, Expect};

use super::limits::OPERATIONS_BYTES_MAX;
use super::once::{Noted, Oldest, Order, Records};
use super::plan::{Draft, Request, Terms, Told};
use super::record::encode;
use super::stashes::whole;
use crate::error::{StashError, StepError};

impl Draft<'_, '_, '_> {
    /// The record of what was granted under an operation id, if there is room
    /// for one more.
    pub(super) fn note(
        &self,
        request: &Request,
        told: &Result<Told, StepError>,
    ) -> Result<Option<Noted>, StepError> {
        let (Some(deed), Ok(told)) = (&request.deed, told) else {
            return Ok(None);
        };
        let noted = deed.noted(self.terms.keys, self.terms.now, told);
        let kept = self.records().map_or(0, |records| records.bytes);
        let more: u64 = self.noted.iter().map(|noted| noted.bytes).sum();
        let (total, max) = (kept + more + noted.bytes, OPERATIONS_BYTES_MAX);
        if noted.replaces.is_none() && total > max {
            return Err(whole(StashError::TooManyOperations { total, max }));
        }
        Ok(Some(noted))
    }

    pub(super) fn records(&self) -> Option<Records> {
        self.state.head.as_ref().and_then(|(head, _)| head.ops)
    }

    /// Whether these still are the oldest records, and none went in this
    /// commit.
    pub(super) fn is_oldest(&self, oldest: &Oldest) -> bool {
        let records = self.records();
        let still = records.is_some_and(|records| records.gone == oldest.gone);
        still && self.forgotten.is_none()
    }

    /// The records of operation ids: those that are new, checked before the
    /// head so that a repetition learns that it is one, and those that go.
    pub(super) fn operations(&self) -> Batch {
        let Terms { keys, now, .. } = self.terms;
        let mut batch = Batch::new();
        for Noted {
            key,
            record,
            replaces,
            ..
        } in &self.noted
        {
            let expect = replaces.map_or(Expect::Absent, Expect::Version);
            batch = batch
                .check(key.clone(), expect)
                .put(key.clone(), record.clone());
        }
        for row in self.forgotten.iter().flat_map(|oldest| &oldest.rows) {
            batch = batch.delete(row.clone());
        }
        if let Some(order) = Order::of(&self.noted, now) {
            let last = self
                .records()
                .map_or_else(|| self.rev(), |records| records.last);
            batch = batch.put(keys.order(last + 1), encode(&order));
        }
        batch
    }

    /// What the next head says of the records of operation ids.
    pub(super) fn next_records(&self) -> Option<Records> {
        let (now, rev) = (self.terms.now, self.rev());
        let mut records = self.records();
        if let (Some(before), Some(oldest)) = (records, self.forgotten) {
            records = Some(before.without(oldest, now));
        }
        if self.noted.is_empty() {
            return records;
        }
        Some(Records::with(records, &self.noted, rev, now))
    }
}
