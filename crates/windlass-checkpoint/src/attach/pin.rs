//! Making attachments part of a state, in the commit that says so.

use std::collections::BTreeSet;

use windlass_store::{Batch, Expect};

use crate::engine::Engine;
use crate::error::CheckpointError;
use crate::keys::StateKeys;

impl Engine {
    /// What a commit of `revision` has to check and to write so that these
    /// attachments are its own. One that an earlier commit has taken stays
    /// that one's.
    pub(crate) async fn take_attachments(
        &self,
        keys: &StateKeys,
        ids: &[String],
        revision: u64,
    ) -> Result<Batch, CheckpointError> {
        let mut batch = Batch::new();
        for id in ids.iter().collect::<BTreeSet<_>>() {
            let found = self.own_attachment(keys, id).await?;
            let whole = found.filter(|found| found.row.whole.is_some());
            let mut found = whole.ok_or(CheckpointError::AttachmentNotFound)?;
            let (row, version) = (found.keys.row(), found.entry.version);
            batch = batch.check(row.clone(), Expect::Version(version));
            if found.row.revision.is_none() {
                found.row.revision = Some(revision);
                batch = batch.put(row, found.row.encode());
            }
        }
        Ok(batch)
    }
}
