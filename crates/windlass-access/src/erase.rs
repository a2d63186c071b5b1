//! The erasure of a tenant, whole and with proof.
//!
//! The tenant's head says that it is being erased; no key is made from then
//! on. Rows go in bounded commits, each of which also rewrites the record of
//! the erasure: how many rows and bytes, and a hash chain over them. A commit
//! checks the version of every row it deletes, so the chain is over what was
//! really deleted. It ends when a whole pass has found nothing.
//!
//! A row that is damaged goes like any other: its key says whose it is. The
//! record counts those whose values could not be read. Where not even the key
//! can be read, the erasure does all else and then fails; in the index of due
//! work, which all tenants share, such a row stays: nobody can say whose it is.
//!
//! The record is a function of what was erased, in its order. So a commit
//! whose outcome is unknown has been applied, by whomever, exactly if the
//! record reads as that commit would have left it.

use std::slice;

use windlass_core::{TenantId, back_off};
use windlass_store::limits::{READ_ENTRIES_MAX, READ_SCANS_MAX};
use windlass_store::{
    Batch, Commit, Entry, Expect, KeyRange, Listed, Scan, StoreErrorKind, Version,
};

use crate::engine::{Attempt, Engine, Rounds, head_of};
use crate::error::AccessError;
use crate::layout::{self, Owner};
use crate::limits::ROUNDS_MAX;
use crate::record::{Erasure, Found, Head, decode, encode};
use crate::tenant::{Certificate, Progress, Status, Verification};

/// Rows erased by one commit: each is checked, and so is the record.
const ROWS_A_COMMIT: usize = 100;
/// Bytes of values that are kept in mind where rows are read one by one.
const PAST_BYTES: usize = 8 << 20;
/// Passes made for a tenant that somebody goes on writing to.
const PASSES_MAX: u64 = 16;

/// Told after each commit how far it is.
type Observe<'a> = &'a mut (dyn FnMut(&Progress) + Send);

/// Head and record of an erasure as they were at one point in time.
pub(crate) struct Seen {
    pub(crate) head: Head,
    head_is: Expect,
    erasure: Option<(Erasure, Version)>,
}

/// An erasure that is under way.
struct Erasing<'a> {
    engine: &'a Engine,
    tenant: &'a TenantId,
    owner: Owner,
    erasure: Erasure,
    version: Version,
    lost: u32,
}

impl Engine {
    pub(crate) async fn erase(
        &self,
        tenant: &TenantId,
        observe: Observe<'_>,
    ) -> Result<Certificate, AccessError> {
        let owner = Owner::Tenant(tenant.clone());
        self.ensure_known(tenant, &owner).await?;
        let (erasure, version) = match self.begin(tenant, &owner).await? {
            Begun::Erased(certificate) => return Ok(certificate),
            Begun::Erasing(erasure, version) => (erasure, version),
        };
        let mut erasing = Erasing {
            engine: self,
            tenant,
            owner,
            erasure,
            version,
            lost: 0,
        };
        for _ in 0..PASSES_MAX {
            let found = erasing.pass(observe).await?;
            if found == 0
                && let Some(certificate) = erasing.finish().await?
            {
                return Ok(certificate);
            }
        }
        Err(AccessError::TenantInUse { passes: PASSES_MAX })
    }

    /// Refuses a name that there is nothing of: most likely it is misspelt.
    async fn ensure_known(&self, tenant: &TenantId, owner: &Owner) -> Result<(), AccessError> {
        let [head] = self.points([owner.head()]).await?;
        if head.is_some() || self.has_rows(tenant, owner).await? {
            return Ok(());
        }
        Err(AccessError::NotFound { what: "tenant" })
    }

    /// Whether the tenant has a row of its own or a key, at one point in
    /// time.
    async fn has_rows(&self, tenant: &TenantId, owner: &Owner) -> Result<bool, AccessError> {
        let ranges = [
            layout::data(tenant),
            KeyRange::prefix(owner.listing()),
            KeyRange::prefix(owner.operations()),
        ];
        let scans = ranges.map(|range| Scan::new(range).keys().limit(1));
        let pages = self.store.read(&scans).await?;
        Ok(pages.iter().any(|page| !page.entries.is_empty()))
    }

    /// # Errors
    ///
    /// `Corrupt` where one of the two is there that is not without the other.
    pub(crate) async fn seen(&self, owner: &Owner) -> Result<Seen, AccessError> {
        let [head, erasure] = self.points([owner.head(), owner.erasure()]).await?;
        let (head, head_is) = head_of(head.as_ref())?;
        let erasure = match (erasure, head.status) {
            (None, Status::Active) => None,
            (None, _) => return Err(missing("erasure")),
            // A head that is lost must not open the tenant again.
            (Some(_), Status::Active) => return Err(missing("head")),
            (Some(entry), _) => Some((decode("erasure", &entry.value)?, entry.version)),
        };
        Ok(Seen {
            head,
            head_is,
            erasure,
        })
    }

    /// Closes the tenant, or finds it closed. Saying so is the same whoever
    /// says it, so lost races and unknown outcomes are only looked at again.
    async fn begin(&self, tenant: &TenantId, owner: &Owner) -> Result<Begun, AccessError> {
        let mut rounds = Rounds::default();
        loop {
            rounds.next(self.env.as_ref()).await?;
            let seen = self.seen(owner).await;
            let seen = rounds.settle(seen)?;
            let erasure = match seen.erasure.clone() {
                None => Erasure::begin(self.env.now()),
                Some((erasure, version)) => match erasure.certificate(tenant) {
                    None => return Ok(Begun::Erasing(erasure, version)),
                    Some(certificate) => {
                        let found = rounds.settle(self.verify(tenant).await)?;
                        if found.remaining() == 0 {
                            return Ok(Begun::Erased(certificate));
                        }
                        erasure.reopened()
                    }
                },
            };
            let batch = opening(owner, &seen, &erasure);
            // Whatever comes of it, the record says.
            let _: Attempt = rounds.commit(self.store.as_ref(), batch).await?;
        }
    }

    pub(crate) async fn verify(&self, tenant: &TenantId) -> Result<Verification, AccessError> {
        let owner = Owner::Tenant(tenant.clone());
        let keys = self.count(KeyRange::prefix(owner.listing())).await?;
        let operations = self.count(KeyRange::prefix(owner.operations())).await?;
        let rows = self.count(layout::data(tenant)).await?;
        let due_rows = self.due_rows(tenant).await?;
        let seen = self.seen(&owner).await?;
        let certificate = seen
            .erasure
            .and_then(|(erasure, _)| erasure.certificate(tenant));
        Ok(Verification {
            tenant: tenant.clone(),
            status: seen.head.status,
            certificate,
            rows,
            due_rows,
            key_rows: keys.saturating_add(operations),
        })
    }

    /// The rows of some keys, as far as they can be read.
    async fn found(&self, points: &[Scan]) -> Result<Vec<Found>, AccessError> {
        if points.is_empty() {
            return Ok(Vec::new());
        }
        let pages = match self.store.read(points).await {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                let keys: Vec<Scan> = points.iter().cloned().map(Scan::keys).collect();
                let pages = self.store.read(&keys).await?;
                let mut found = Vec::new();
                for row in pages.into_iter().flat_map(|page| page.entries) {
                    found.extend(self.one(row).await?);
                }
                return Ok(found);
            }
            pages => pages?,
        };
        let rows = pages.into_iter().flat_map(|page| page.entries);
        Ok(rows.map(whole).collect())
    }

    /// Some rows of a range, and what is left of it. Where one is damaged they
    /// are read one by one, which costs a read for each, up to 8 MiB; what
    /// cannot even be listed is passed over.
    async fn stretch(&self, scan: Scan) -> Result<(Vec<Found>, Option<Scan>), AccessError> {
        let listed = match self.store.read(slice::from_ref(&scan)).await {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                Listed::read(&*self.store, scan.clone()).await?
            }
            pages => {
                let page = pages?.into_iter().next().unwrap_or_default();
                let last = page.entries.last().filter(|_| page.more);
                let rest = last.map(|last| scan.after(&last.key));
                return Ok((page.entries.into_iter().map(whole).collect(), rest));
            }
        };
        let (mut found, mut bytes) = (Vec::new(), 0);
        for row in listed.entries {
            let key = row.key.clone();
            if let Some(row) = self.one(row).await? {
                bytes += row.row.value.len();
                found.push(row);
            }
            if bytes >= PAST_BYTES {
                return Ok((found, Some(scan.after(&key))));
            }
        }
        Ok((found, listed.rest))
    }

    /// The row of a key, as far as it can be read; `None` if it is gone.
    async fn one(&self, row: Entry) -> Result<Option<Found>, AccessError> {
        let (row, is_damaged) = match self.store.read(&[Scan::point(row.key.clone())]).await {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => (Some(row), true),
            pages => {
                let mut rows = pages?.into_iter().flat_map(|page| page.entries);
                (rows.next(), false)
            }
        };
        Ok(row.map(|row| Found { row, is_damaged }))
    }

    /// How many rows of the index of due work are about the tenant, of those
    /// that can be listed.
    async fn due_rows(&self, tenant: &TenantId) -> Result<u64, AccessError> {
        let mut scan = Scan::new(layout::due_rows());
        let mut count = 0_u64;
        loop {
            let listed = Listed::read(&*self.store, scan).await?;
            let rows = listed.entries.iter();
            let found = rows.filter(|row| layout::is_due_of(&row.key, tenant));
            count = count.saturating_add(u64::try_from(found.count()).unwrap_or(u64::MAX));
            match listed.rest {
                Some(rest) => scan = rest,
                None => return Ok(count),
            }
        }
    }

    /// How many rows a range has.
    async fn count(&self, range: KeyRange) -> Result<u64, AccessError> {
        let mut scan = Scan::new(range).keys();
        let mut count = 0_u64;
        loop {
            let mut pages = self.store.read(slice::from_ref(&scan)).await?;
            let page = pages.pop().unwrap_or_default();
            let found = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
            count = count.saturating_add(found);
            match page.entries.last() {
                Some(last) if page.more => scan = scan.after(&last.key),
                _ => return Ok(count),
            }
        }
    }
}

/// A row that was read as it was written.
const fn whole(row: Entry) -> Found {
    let is_damaged = false;
    Found { row, is_damaged }
}

/// How an erasure was found.
enum Begun {
    Erased(Certificate),
    Erasing(Erasure, Version),
}

/// The commit that closes a tenant.
fn opening(owner: &Owner, seen: &Seen, erasure: &Erasure) -> Batch {
    let mut head = seen.head.clone();
    head.status = Status::Erasing;
    let expect = match &seen.erasure {
        None => Expect::Absent,
        Some((_, version)) => Expect::Version(*version),
    };
    Batch::new()
        .check(owner.head(), seen.head_is)
        .put(owner.head(), encode(&head))
        .check(owner.erasure(), expect)
        .put(owner.erasure(), encode(erasure))
}

impl Erasing<'_> {
    /// One pass over everything; how many rows it erased.
    async fn pass(&mut self, observe: Observe<'_>) -> Result<u64, AccessError> {
        let before = self.erasure.rows;
        while self.keys().await? {
            observe(&self.erasure.progress());
        }
        let tenant = self.tenant;
        let operations = KeyRange::prefix(self.owner.operations());
        self.rows(operations, |_| true, observe).await?;
        self.rows(layout::data(tenant), |_| true, observe).await?;
        let of_tenant = |row: &Entry| layout::is_due_of(&row.key, tenant);
        self.rows(layout::due_rows(), of_tenant, observe).await?;
        let found = self.erasure.rows.saturating_sub(before);
        if found > 0 {
            let mut next = self.erasure.clone();
            next.passes = next.passes.saturating_add(1);
            // Lost to another process that erases too: it counts its own.
            let _: bool = self.commit(next, Batch::new()).await?;
        }
        Ok(found)
    }

    /// One commit that erases some keys; `false` once there is none.
    async fn keys(&mut self) -> Result<bool, AccessError> {
        let prefix = self.owner.listing();
        let mut scan = Scan::prefix(prefix.clone()).limit(READ_SCANS_MAX);
        let listed = loop {
            match self.engine.stretch(scan).await? {
                (listed, _) if !listed.is_empty() => break listed,
                (_, Some(rest)) => scan = rest,
                (_, None) => return Ok(false),
            }
        };
        let ids = listed.iter();
        let ids = ids.filter_map(|found| layout::key_below(&prefix, &found.row.key));
        let points: Vec<Scan> = ids.map(|id| Scan::point(layout::key(&id))).collect();
        let keys = self.engine.found(&points).await?;
        let (head, expect) = self.engine.head(&self.owner).await?;
        let gone = u64::try_from(listed.len()).unwrap_or(u64::MAX);
        let mut next = self.erasure.clone();
        next.keys_revoked = next.keys_revoked.saturating_add(gone);
        let head = Head {
            keys: head.keys.saturating_sub(gone),
            ..head
        };
        let batch = Batch::new()
            .check(self.owner.head(), expect)
            .put(self.owner.head(), encode(&head));
        let rows: Vec<Found> = listed.into_iter().chain(keys).collect();
        self.take(next, batch, &rows).await?;
        Ok(true)
    }

    /// Erases the rows of a range that are `wanted`.
    async fn rows(
        &mut self,
        range: KeyRange,
        wanted: impl Fn(&Entry) -> bool,
        observe: Observe<'_>,
    ) -> Result<(), AccessError> {
        let mut scan = Scan::new(range).limit(READ_ENTRIES_MAX);
        loop {
            let (rows, rest) = self.engine.stretch(scan.clone()).await?;
            let rows = rows.into_iter();
            let found: Vec<Found> = rows.filter(|found| wanted(&found.row)).collect();
            let mut whole = true;
            for rows in found.chunks(ROWS_A_COMMIT) {
                whole &= self.take(self.erasure.clone(), Batch::new(), rows).await?;
                observe(&self.erasure.progress());
            }
            match rest {
                // What was lost to a race is there to be read again.
                _ if !whole => {}
                Some(rest) => scan = rest,
                None => return Ok(()),
            }
        }
    }

    /// Erases some rows in one commit; `false` if one of them, or the record,
    /// has changed meanwhile.
    async fn take(
        &mut self,
        mut next: Erasure,
        mut batch: Batch,
        rows: &[Found],
    ) -> Result<bool, AccessError> {
        for found in rows {
            next.note(found);
            let row = &found.row;
            if !found.is_damaged {
                batch = batch.check(row.key.clone(), Expect::Version(row.version));
            }
            batch = batch.delete(row.key.clone());
        }
        self.commit(next, batch).await
    }

    /// Commits a step together with the record of it.
    async fn commit(&mut self, next: Erasure, batch: Batch) -> Result<bool, AccessError> {
        let row = self.owner.erasure();
        let batch = batch
            .check(row.clone(), Expect::Version(self.version))
            .put(row, encode(&next));
        match self.engine.store.commit(batch).await {
            Ok(Commit::Applied(version)) => {
                (self.erasure, self.version, self.lost) = (next, version, 0);
                Ok(true)
            }
            Ok(Commit::Conflict { .. }) => self.look_again(&next).await,
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => {
                self.look_again(&next).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the record after a lost race or an unknown outcome; `true` if it
    /// is what the step would have made of it.
    async fn look_again(&mut self, next: &Erasure) -> Result<bool, AccessError> {
        if self.lost >= ROUNDS_MAX {
            return Err(AccessError::Busy);
        }
        back_off(self.engine.env.as_ref(), self.lost).await?;
        self.lost += 1;
        let seen = self.engine.seen(&self.owner).await?;
        let (erasure, version) = seen.erasure.ok_or_else(|| missing("erasure"))?;
        let made = erasure == *next;
        // Another process may have finished it: what comes up now reopens it.
        (self.erasure, self.version) = (erasure.reopened(), version);
        Ok(made)
    }

    /// Says that nothing is left, if that is so; `None` if something came up
    /// since the pass.
    async fn finish(&mut self) -> Result<Option<Certificate>, AccessError> {
        let mut rounds = Rounds::default();
        loop {
            rounds.next(self.engine.env.as_ref()).await?;
            let left = self.engine.has_rows(self.tenant, &self.owner).await;
            let due = self.engine.due_rows(self.tenant).await;
            if rounds.settle(left)? || rounds.settle(due)? > 0 {
                return Ok(None);
            }
            let seen = rounds.settle(self.engine.seen(&self.owner).await)?;
            let (mut erasure, version) = seen.erasure.ok_or_else(|| missing("erasure"))?;
            if seen.head.status == Status::Erased && erasure.finished_at.is_some() {
                return Ok(erasure.certificate(self.tenant));
            }
            erasure.finish(self.engine.env.now(), version.incarnation());
            let head = Head {
                status: Status::Erased,
                ..Head::new()
            };
            let batch = Batch::new()
                .check(self.owner.head(), seen.head_is)
                .put(self.owner.head(), encode(&head))
                .check(self.owner.erasure(), Expect::Version(version))
                .put(self.owner.erasure(), encode(&erasure));
            // Whatever comes of it, the record says.
            let _: Attempt = rounds.commit(self.engine.store.as_ref(), batch).await?;
        }
    }
}

fn missing(record: &'static str) -> AccessError {
    AccessError::Corrupt {
        record,
        why: "it is missing".to_owned(),
    }
}
