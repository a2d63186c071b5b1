//! Removing a session's queue with all that belongs to it.

use bytes::Bytes;
use windlass_core::{SessionId, TenantId};
use windlass_store::{Batch, Commit, Entry, Expect, KeyRange, Scan, Version};

use crate::engine::Engine;
use crate::error::QueueError;
use crate::heard::tell_of_removal;
use crate::keys::{QueueKeys, operation};
use crate::limits::{COMMIT_DELETES_MAX, NOTES_MAX};
use crate::queue::Queue;
use crate::record::{Head, Note, decode, encode};

impl Queue {
    /// Removes a session's queue with everything that belongs to it, its lease
    /// included, held or not, and says how many rows that were. Can be
    /// repeated, and has to be after an error. From the first commit on the
    /// session has no work for anybody; nothing can be enqueued until the last.
    ///
    /// One read and one commit for each 500 rows.
    ///
    /// # Errors
    ///
    /// The store's failures; `Busy` after too many lost races.
    pub async fn remove(&self, tenant: &TenantId, session: &SessionId) -> Result<u64, QueueError> {
        let keys = QueueKeys::new(tenant, session);
        let removed = self.engine().remove(&keys).await;
        self.forget_keys(&keys);
        tell_of_removal(&self.ear, tenant, session, &removed);
        removed
    }
}

/// What one read shows of a queue that is being removed.
struct Remains {
    head: Option<(Head, Version)>,
    notes: Vec<Entry>,
    /// Other rows than these; none of them is left once there are none here.
    rows: Vec<Bytes>,
}

impl Engine {
    pub(crate) async fn remove(&self, keys: &QueueKeys) -> Result<u64, QueueError> {
        let mut removed = self.remove_lease(keys).await?;
        let mut lost = 0;
        loop {
            let remains = self.remains(keys).await?;
            let Some((head, version)) = &remains.head else {
                if remains.rows.is_empty() {
                    return Ok(removed);
                }
                return Err(QueueError::corrupt("queue head", "it is missing"));
            };
            let bare = remains.rows.is_empty() && remains.notes.is_empty();
            let batch = match (head.removing, bare) {
                (false, _) => self.doom(keys, head)?,
                (true, false) => bite(keys, &remains)?,
                (true, true) => Batch::new().delete(keys.head()).delete(keys.due(head.due)),
            };
            let deleted = batch.writes.len();
            let batch = batch.check(keys.head(), Expect::Version(*version));
            match self.store.commit(batch).await? {
                Commit::Applied(_) if head.removing => {
                    removed += u64::try_from(deleted).unwrap_or(u64::MAX);
                }
                Commit::Applied(_) => {}
                Commit::Conflict { .. } => {
                    lost += 1;
                    self.back_off(lost).await?;
                }
            }
        }
    }

    async fn remains(&self, keys: &QueueKeys) -> Result<Remains, QueueError> {
        let others = |range: KeyRange| Scan::new(range).limit(COMMIT_DELETES_MAX / 3).keys();
        let scans = [
            Scan::point(keys.head()),
            Scan::new(keys.notes()).limit(NOTES_MAX),
            others(keys.all_dead()),
            others(keys.items()),
            others(keys.sources()),
        ];
        let mut pages = self.store.read(&scans).await?.into_iter();
        let mut next = || pages.next().unwrap_or_default().entries;
        let head = next().into_iter().next().map(|entry| {
            let head: Head = decode("queue head", &entry.value)?;
            Ok::<_, QueueError>((head, entry.version))
        });
        let notes = next();
        let rows = [next(), next(), next()].concat();
        Ok(Remains {
            head: head.transpose()?,
            notes,
            rows: rows.into_iter().map(|entry| entry.key).collect(),
        })
    }

    /// The first commit of a removal: from now on there is nothing here.
    fn doom(&self, keys: &QueueKeys, head: &Head) -> Result<Batch, QueueError> {
        let mut next = self.next_head(head)?;
        next.removing = true;
        next.claim = None;
        let mut batch = Batch::new();
        for (class, at) in std::mem::take(&mut next.ready).entries() {
            batch = batch.delete(keys.ready(class, at));
        }
        Ok(batch.put(keys.head(), encode(&next)))
    }
}

/// Deletes what was read of a queue but its head; a note goes with the
/// operation records that it names, so that none is left without one.
fn bite(keys: &QueueKeys, remains: &Remains) -> Result<Batch, QueueError> {
    let mut batch = Batch::new();
    for entry in &remains.notes {
        let note: Note = decode("queue note", &entry.value)?;
        for (principal, id) in &note.ops {
            batch = batch.delete(operation(&keys.tenant, principal, id));
        }
        batch = batch.delete(entry.key.clone());
    }
    for key in &remains.rows {
        batch = batch.delete(key.clone());
    }
    Ok(batch)
}
