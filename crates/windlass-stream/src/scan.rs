//! Reading a source: in chunks that are cut and hashed as they pass.
//!
//! Nothing of a source is stored but the cursor. Chunks are cut by bytes and
//! rows alone, by the settings that the read was opened under, so a source that
//! gives the same rows again makes the same chunks, the same marks and the same
//! digests; who goes on has them made again from where the cursor stands, up
//! to the mark that was received.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_core::{Format, Millis, PrincipalId, TenantId};
use windlass_store::{Batch, Commit, Entry, Expect, StoreExt, Version};

use crate::caller::Caller;
use crate::digest::hex;
use crate::engine::Engine;
use crate::error::StreamError;
use crate::hold::lasting_ms;
use crate::keys;
use crate::lease::Lease;
use crate::limits::{SCAN_REQUEST_BYTES_MAX, TOMBSTONE_MS};
use crate::mark::Mark;
use crate::offset::Offset;
use crate::open::Start;
use crate::record::{decode, encode};
use crate::scan_reader::{Passing, ScanReader};
use crate::secret::Cursor;
use crate::settings::Settings;
use crate::source::{Source, SourceKind};
use crate::streams::Streams;
use crate::unknown::no_cursor;

/// A cursor of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScanRow {
    v: Format,
    /// The half of the cursor's hash that is not in the key.
    proof: Arc<str>,
    principal: PrincipalId,
    request: String,
    ordered: bool,
    /// Rows to give in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u64>,
    /// At which chunks are cut.
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// Everything before it was received.
    pub(crate) at: Mark,
    /// Where the source goes on from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
    pub(crate) until: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancelled: Option<Millis>,
}

impl ScanRow {
    pub(crate) const fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// When nobody is told any more what became of it.
    fn forgotten(&self) -> Millis {
        self.cancelled.unwrap_or(self.until).plus_ms(TOMBSTONE_MS)
    }
}

/// A read of a source that can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanView {
    /// What the source was made of.
    pub request: String,
    /// It can go on from here on.
    pub at: Offset,
    /// Rows to give in all.
    pub limit: Option<u64>,
    /// Whether it can go on at all.
    pub resumable: bool,
    /// When the cursor expires unless it is read on.
    pub expires: Millis,
}

/// A cursor of a source as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct ScanHold {
    tenant: TenantId,
    pub(crate) name: Arc<str>,
    pub(crate) row: ScanRow,
    version: Option<Version>,
}

impl ScanHold {
    fn key(&self) -> Bytes {
        keys::scan(&self.tenant, &self.name)
    }

    /// The commit that puts `next` in its place.
    fn batch(&self, next: &ScanRow) -> Batch {
        let expect = self.version.map_or(Expect::Absent, Expect::Version);
        let batch = Batch::new().check(self.key(), expect);
        let batch = batch.put(self.key(), encode(next));
        if self.version.is_some() {
            return batch;
        }
        let due = keys::due_scan(next.forgotten(), &self.tenant, &self.name);
        batch.put(due, Bytes::new())
    }
}

impl Streams {
    /// Opens a source for reading, up to `limit` rows of it. Takes a slot, as
    /// every read does, before the source is asked for; then leaves a cursor in
    /// the store. One commit.
    ///
    /// # Errors
    ///
    /// `Capacity`; what `source` answers; `Invalid` for a request that is too
    /// long.
    pub async fn scan(
        &self,
        caller: &Caller,
        source: impl Future<Output = Result<Arc<dyn Source>, StreamError>> + Send,
        limit: Option<u64>,
    ) -> Result<ScanReader, StreamError> {
        let engine = self.engine();
        let settings = engine.settings();
        let mut lease = Lease::take(engine, settings, caller, self.credential())?;
        let source = source.await?;
        let cursor = Cursor::draw(engine.env.as_ref())?;
        let row = first(&cursor, caller, source.as_ref(), limit, &lease.settings)?;
        let mut hold = ScanHold {
            tenant: caller.tenant.clone(),
            name: cursor.hash().name().into(),
            row,
            version: None,
        };
        let mut passing = Passing::new(source, &hold.row);
        let begun = passing.begin(Start::Earliest).await?;
        engine
            .move_scan(&mut hold, &begun.base, lease.settings.lease_ttl_ms)
            .await?;
        open_lease(engine, &mut lease, &hold);
        let engine = Arc::clone(engine);
        let reader = ScanReader::new(engine, cursor, hold, lease, (passing, begun));
        Ok(reader)
    }

    /// Goes on with a read of a source that was cut off: from `start`, with the
    /// digest of everything received before it, if that is to be checked; by
    /// default from where the read began or was last gone on with. The source
    /// is made again from its request. A limit counts what was delivered before.
    ///
    /// Costs what was delivered since the read was opened or last gone on with.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Cancelled`, `Expired`, as [`Streams::resume`];
    /// `NotResumable`; what `source` answers; `Gap` for a place before the mark
    /// that it was last gone on with from, `BeyondTail` and
    /// `PrefixHashMismatch`; `Invalid` for [`Start::Tail`].
    pub async fn resume_scan<F>(
        &self,
        caller: &Caller,
        cursor: &Cursor,
        start: Start,
        source: impl FnOnce(&str) -> F + Send,
    ) -> Result<ScanReader, StreamError>
    where
        F: Future<Output = Result<Arc<dyn Source>, StreamError>> + Send,
    {
        let engine = self.engine();
        let settings = engine.settings();
        let mut lease = Lease::take(engine, settings, caller, self.credential())?;
        let mut hold = engine.resolve_scan(caller, cursor).await?;
        if !hold.row.ordered {
            return Err(StreamError::NotResumable);
        }
        let source = source(&hold.row.request).await?;
        let mut passing = Passing::new(source, &hold.row);
        let begun = passing.begin(start).await?;
        engine
            .move_scan(&mut hold, &begun.base, lease.settings.lease_ttl_ms)
            .await?;
        open_lease(engine, &mut lease, &hold);
        let engine = Arc::clone(engine);
        let reader = ScanReader::new(engine, *cursor, hold, lease, (passing, begun));
        Ok(reader)
    }

    /// What a cursor of a source stands for. One read.
    ///
    /// # Errors
    ///
    /// `NotFound` for a cursor that is unknown, somebody else's or that of a
    /// recorded stream; then `Cancelled`, `Expired`.
    pub async fn scan_cursor(
        &self,
        caller: &Caller,
        cursor: &Cursor,
    ) -> Result<ScanView, StreamError> {
        let hold = self.engine().resolve_scan(caller, cursor).await?;
        Ok(ScanView {
            request: hold.row.request,
            at: hold.row.at.offset,
            limit: hold.row.limit,
            resumable: hold.row.ordered,
            expires: hold.row.until,
        })
    }
}

fn open_lease(engine: &Engine, lease: &mut Lease, hold: &ScanHold) {
    let request = hex(&Sha256::digest(&hold.row.request)).into();
    let pinned = end_of(&hold.row);
    lease.open(&engine.running, Some(&hold.name), pinned, &request);
}

/// Where a read ends at the latest.
pub(crate) fn end_of(row: &ScanRow) -> Offset {
    Offset::new(row.limit.unwrap_or(u64::MAX))
}

/// The record of a read that begins.
fn first(
    cursor: &Cursor,
    caller: &Caller,
    source: &dyn Source,
    limit: Option<u64>,
    settings: &Settings,
) -> Result<ScanRow, StreamError> {
    let request = source.request();
    if request.len() > SCAN_REQUEST_BYTES_MAX {
        return Err(StreamError::Invalid {
            field: "request",
            problem: "is longer than 4 KiB",
        });
    }
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let caps = settings.caps();
    Ok(ScanRow {
        v: Format,
        proof: cursor.hash().proof().into(),
        principal: caller.principal.clone(),
        request,
        ordered: source.kind() == SourceKind::Ordered,
        limit,
        bytes: count(caps.bytes),
        rows: count(caps.rows),
        at: Mark::START,
        after: None,
        until: Millis::new(0),
        cancelled: None,
    })
}

impl Engine {
    async fn stored_scan(
        &self,
        tenant: &TenantId,
        name: &str,
    ) -> Result<Option<ScanHold>, StreamError> {
        let Some(entry) = self.store.get(keys::scan(tenant, name)).await? else {
            return Ok(None);
        };
        Ok(Some(ScanHold {
            tenant: tenant.clone(),
            name: name.into(),
            row: decode("cursor", &entry.value)?,
            version: Some(entry.version),
        }))
    }

    /// The caller's cursor of a source: unknown or foreign is not found,
    /// whatever its state; then cancelled, then expired.
    pub(crate) async fn resolve_scan(
        &self,
        caller: &Caller,
        cursor: &Cursor,
    ) -> Result<ScanHold, StreamError> {
        let hash = cursor.hash();
        let hold = self.stored_scan(&caller.tenant, &hash.name()).await?;
        let hold = hold.ok_or_else(no_cursor)?;
        let own = hash.is_proven_by(&hold.row.proof) && hold.row.principal == caller.principal;
        if !own || hold.row.forgotten().has_passed(self.env.now()) {
            return Err(StreamError::NotFound);
        }
        self.check_scan(&hold.row)?;
        Ok(hold)
    }

    fn check_scan(&self, row: &ScanRow) -> Result<(), StreamError> {
        if row.cancelled.is_some() {
            return Err(StreamError::Cancelled);
        }
        if row.until.has_passed(self.env.now()) {
            return Err(StreamError::Expired);
        }
        Ok(())
    }

    /// Lets a cursor last for another lease, and go on from `at`.
    pub(crate) async fn move_scan(
        &self,
        hold: &mut ScanHold,
        (at, after): &(Mark, Option<String>),
        lease_ttl_ms: u64,
    ) -> Result<(), StreamError> {
        let mut lost = 0;
        loop {
            let until = self.env.now().plus_ms(lasting_ms(lease_ttl_ms));
            let next = ScanRow {
                at: *at,
                after: after.clone(),
                until: until.max(hold.row.until),
                ..hold.row.clone()
            };
            if let Commit::Applied(version) = self.store.commit(hold.batch(&next)).await? {
                hold.row = next;
                hold.version = Some(version);
                return Ok(());
            }
            let stored = self.stored_scan(&hold.tenant, &hold.name).await?;
            *hold = stored.ok_or(StreamError::Expired)?;
            self.check_scan(&hold.row)?;
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    /// Ends a cursor of a source. Can be repeated.
    pub(crate) async fn cancel_scan(
        &self,
        caller: &Caller,
        cursor: &Cursor,
    ) -> Result<(), StreamError> {
        let mut lost = 0;
        loop {
            let hold = match self.resolve_scan(caller, cursor).await {
                Err(StreamError::Cancelled) => return Ok(()),
                other => other?,
            };
            let next = ScanRow {
                cancelled: Some(self.env.now()),
                ..hold.row.clone()
            };
            if let Commit::Applied(_) = self.store.commit(hold.batch(&next)).await? {
                self.running.cancel(&hold.name);
                return Ok(());
            }
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    /// Forgets a cursor of a source whose time is over, or lists it again;
    /// whether it was forgotten.
    pub(crate) async fn visit_scan(
        &self,
        due: &Entry,
        tenant: &TenantId,
        name: &str,
    ) -> Result<bool, StreamError> {
        let Some(hold) = self.stored_scan(tenant, name).await? else {
            self.drop_row(due).await?;
            return Ok(false);
        };
        let over = hold.row.forgotten().has_passed(self.env.now());
        let expect = hold.version.map_or(Expect::Present, Expect::Version);
        let mut batch = Batch::new().check(hold.key(), expect);
        let again = keys::due_scan(hold.row.forgotten(), tenant, name);
        if over {
            batch = batch.delete(hold.key()).delete(due.key.clone());
        } else if again != due.key {
            batch = batch.delete(due.key.clone()).put(again, Bytes::new());
        }
        // A conflict means that it was renewed: it is listed still.
        let done = self.store.commit(batch).await?;
        Ok(over && matches!(done, Commit::Applied(_)))
    }
}
