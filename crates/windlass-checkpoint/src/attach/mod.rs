//! Attachments: files and other large things that belong to a session.
//!
//! An attachment is announced first, then its bytes come, then it is finished,
//! and at last a commit makes it part of the state. Until then it is nobody's:
//! if its grace period passes without more bytes, it is taken away, bytes and
//! all. What a commit has taken stays as long as its session, and for the
//! forks of it.
//!
//! Bytes lie in rows of their own, by the place they begin at, so that they can
//! be sent in pieces of any size, again after a failure, and read from any
//! place. Every piece is kept with its hash, and the whole with its own.

mod append;
mod keys;
mod pin;
mod read;
mod record;
mod sweep;

use std::sync::Arc;

use serde::Serialize;
use windlass_core::{Millis, SessionId, unique_id};
use windlass_store::{Batch, Commit, Entry, Expect, Scan, StoreExt};

use crate::blob::BlobId;
use crate::checkpoints::Checkpoints;
use crate::engine::Engine;
use crate::error::CheckpointError;
use crate::keys::StateKeys;
use crate::limits::{ATTACHMENT_NAME_BYTES_MAX, KIND_BYTES_MAX, PAGE_MAX};
use crate::model::{Caller, check_length};
use keys::AttachmentKeys;
pub use read::AttachmentReader;
use record::AttachmentRow;
pub use sweep::AttachmentReport;

/// What is said of an attachment when it is announced; returned unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewAttachment {
    /// What it is, such as a media type: at most 128 bytes.
    pub kind: Option<Arc<str>>,
    /// What it is called: at most 256 bytes.
    pub name: Option<Arc<str>>,
}

/// An attachment as it is, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// Its id, a UUID of version 7.
    pub id: Arc<str>,
    /// What it is.
    pub kind: Option<Arc<str>>,
    /// What it is called.
    pub name: Option<Arc<str>>,
    /// When it was announced.
    pub created: Millis,
    /// When it was last added to, or finished.
    pub touched: Millis,
    /// How many bytes there are: where the next ones begin.
    pub size: u64,
    /// The hash of all of them, once it is finished.
    pub whole: Option<BlobId>,
    /// The revision that made it part of the state.
    pub revision: Option<u64>,
}

/// Attachments of one session, in the order they were announced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AttachmentPage {
    /// The attachments.
    pub attachments: Vec<Attachment>,
    /// Go on behind this one; none at the end.
    pub after: Option<Arc<str>>,
}

impl Checkpoints {
    /// Announces an attachment, which has no bytes yet.
    ///
    /// # Errors
    ///
    /// `Invalid` for a field that is too long, `StateRemoved`, and the
    /// store's failures. If the outcome is unknown, announce it again: what
    /// is not used goes by itself.
    pub async fn begin_attachment(
        &self,
        caller: &Caller,
        session: &SessionId,
        new: NewAttachment,
    ) -> Result<Attachment, CheckpointError> {
        if let Some(kind) = &new.kind {
            check_length("kind", kind, KIND_BYTES_MAX)?;
        }
        if let Some(name) = &new.name {
            check_length("name", name, ATTACHMENT_NAME_BYTES_MAX)?;
        }
        let engine = self.engine();
        let state = StateKeys::new(&caller.tenant, session);
        if let Some((head, _)) = engine.head(&state).await?
            && head.removed.is_some()
        {
            return Err(CheckpointError::StateRemoved);
        }
        let keys = AttachmentKeys::new(&state, &unique_id(engine.env.as_ref())?);
        let row = AttachmentRow::new(new, engine.env.now());
        let batch = Batch::new()
            .check(keys.row(), Expect::Absent)
            .put(keys.row(), row.encode())
            .put(keys.due(row.touched.plus_ms(engine.config.grace_ms)), "");
        match engine.store.commit(batch).await? {
            Commit::Applied(_) => Ok(row.view(&keys.id)),
            Commit::Conflict { .. } => Err(CheckpointError::Busy),
        }
    }

    /// An attachment of a session, or one that came to it with the commit it
    /// was forked at; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt`, and the store's failures.
    pub async fn attachment(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: &str,
    ) -> Result<Option<Attachment>, CheckpointError> {
        let state = StateKeys::new(&caller.tenant, session);
        let found = self.engine().find_attachment(&state, id).await?;
        Ok(found.map(|found| found.row.view(&found.keys.id)))
    }

    /// The attachments that were announced in a session, those that no commit
    /// has taken among them: at most `limit` (1 to 1,000) behind `after`.
    /// Costs a read for each.
    ///
    /// # Errors
    ///
    /// `Corrupt`, and the store's failures.
    pub async fn attachments(
        &self,
        caller: &Caller,
        session: &SessionId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<AttachmentPage, CheckpointError> {
        let state = StateKeys::new(&caller.tenant, session);
        let mut range = state.attachments();
        if let Some(after) = after {
            range.start = AttachmentKeys::new(&state, after).end();
        }
        let mut page = AttachmentPage::default();
        loop {
            let scan = Scan::new(range.clone()).limit(1);
            let pages = self.engine().store.read(&[scan]).await?;
            let Some(entry) = pages.into_iter().flat_map(|page| page.entries).next() else {
                return Ok(page);
            };
            let keys = AttachmentKeys::of_row(&state, &entry.key)?;
            if page.attachments.len() >= limit.clamp(1, PAGE_MAX) {
                page.after = page.attachments.last().map(|it| Arc::clone(&it.id));
                return Ok(page);
            }
            let row = AttachmentRow::decode(&keys.id, &entry.value)?;
            if !row.gone {
                page.attachments.push(row.view(&keys.id));
            }
            range.start = keys.end();
        }
    }
}

/// An attachment's row where it was found.
#[derive(Debug)]
struct Found {
    keys: AttachmentKeys,
    row: AttachmentRow,
    entry: Entry,
}

impl Engine {
    /// The row of an attachment of this very session that is not going.
    async fn own_attachment(
        &self,
        state: &StateKeys,
        id: &str,
    ) -> Result<Option<Found>, CheckpointError> {
        let keys = AttachmentKeys::new(state, id);
        let Some(entry) = self.store.get(keys.row()).await? else {
            return Ok(None);
        };
        let row = AttachmentRow::decode(id, &entry.value)?;
        Ok((!row.gone).then_some(Found { keys, row, entry }))
    }

    /// The row of an attachment of a session, or of one that it was forked
    /// from after a commit had taken it.
    async fn find_attachment(
        &self,
        state: &StateKeys,
        id: &str,
    ) -> Result<Option<Found>, CheckpointError> {
        let mut state = state.clone();
        let mut until = u64::MAX;
        let mut is_own = true;
        loop {
            let found = self.own_attachment(&state, id).await?;
            let taken = |found: &Found| found.row.revision.is_some_and(|it| it <= until);
            if let Some(found) = found.filter(|found| is_own || taken(found)) {
                return Ok(Some(found));
            }
            let head = self.head(&state).await?;
            let Some(base) = head.and_then(|(head, _)| head.base) else {
                return Ok(None);
            };
            until = until.min(base.rev);
            state = state.other(&base.session);
            is_own = false;
        }
    }
}
