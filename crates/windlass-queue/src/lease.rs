//! The session lease: a session has one owner who changes it, at most.
//!
//! Two rows: who holds it, written when it changes hands, and how long, written
//! with each renewal. Whoever is bound to a lease checks the first in his own
//! commit; so renewals disturb nobody, and an owner who lost it is refused with
//! his next change, whatever his clock says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use windlass_core::{BoxFuture, Millis, OwnerId, SessionId, unique_id};
use windlass_store::{Batch, Commit, Expect, Scan, StoreErrorKind, Version};

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::QueueError;
use crate::keep::{RENEWALS, may_pass};
use crate::keys::QueueKeys;
use crate::limits::KEPT_MS;
use crate::model::{Bound, Under, check_ttl};
use crate::queue::Queue;
use crate::record::{Format, HolderRow, UntilRow, decode, encode};

/// A session's lease in the hands of its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose lease.
    pub session: SessionId,
    /// Who holds it.
    pub owner: OwnerId,
    /// Raised whenever the lease changes hands.
    pub generation: u64,
    /// When it runs out, unless it is renewed.
    pub until: Millis,
    /// How long a renewal lasts.
    pub ttl_ms: u64,
    bound: Bound,
}

impl Lease {
    /// What a change has to be bound to so that it takes effect only while the
    /// lease is in these hands. Stays the same over renewals.
    #[must_use]
    pub fn bound(&self) -> Bound {
        self.bound.clone()
    }
}

/// Who holds a session's lease, for whoever looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// Who holds it.
    pub owner: OwnerId,
    /// Raised whenever the lease changes hands.
    pub generation: u64,
    /// When it runs out, unless it is renewed.
    pub until: Millis,
}

/// The two rows of a lease, with their versions.
pub(crate) type LeaseRows = ((HolderRow, Version), (UntilRow, Version));

/// What is wanted of a lease.
struct Wanted<'a> {
    owner: &'a OwnerId,
    ttl_ms: u64,
    nonce: Arc<str>,
}

impl Queue {
    /// Takes a session's lease for `ttl_ms` (1 ms to 24 hours; 30 s are usual),
    /// if nobody holds it; nor may the same owner, whose other half may still
    /// be at work. Under an operation id, the owner's own lease that was taken
    /// under the same id is given again while it lasts. A bound in `under` is
    /// not looked at.
    ///
    /// One read and one commit.
    ///
    /// # Errors
    ///
    /// `LeaseHeld`; `Invalid` for a time to live out of range; the store's
    /// failures.
    pub async fn acquire_lease(
        &self,
        caller: &Caller,
        session: &SessionId,
        owner: &OwnerId,
        ttl_ms: u64,
        under: Under,
    ) -> Result<Lease, QueueError> {
        check_ttl(ttl_ms)?;
        let nonce = match under.operation {
            Some(operation) => format!("{}/{operation}", caller.principal).into(),
            None => unique_id(self.engine().env.as_ref())?.into(),
        };
        let wanted = Wanted {
            owner,
            ttl_ms,
            nonce,
        };
        let keys = QueueKeys::new(&caller.tenant, session);
        self.engine().acquire(&keys, &wanted).await
    }

    /// The lease as its owner holds it, for one who has nothing left of it but
    /// its generation. One read.
    ///
    /// That its time is over is not looked at: as long as nobody else took it,
    /// what is bound to it takes effect.
    ///
    /// # Errors
    ///
    /// `LeaseLost` if it was given back or is in other hands; the store's
    /// failures.
    pub async fn held_lease(
        &self,
        caller: &Caller,
        session: &SessionId,
        owner: &OwnerId,
        generation: u64,
    ) -> Result<Lease, QueueError> {
        let keys = QueueKeys::new(&caller.tenant, session);
        let rows = self.engine().lease_rows(&keys).await?;
        let ((holder, version), (until, _)) = rows.ok_or(QueueError::LeaseLost)?;
        if holder.owner.as_ref() != Some(owner) || holder.generation != generation {
            return Err(QueueError::LeaseLost);
        }
        let key = keys.lease_holder();
        Ok(Lease {
            session: session.clone(),
            owner: owner.clone(),
            generation,
            until: until.until,
            ttl_ms: until.ttl_ms,
            bound: Bound { key, version },
        })
    }

    /// Holds a lease for its time from now on.
    ///
    /// # Errors
    ///
    /// `LeaseLost` if it ran out, was given back or is in other hands; the
    /// store's failures.
    pub async fn renew_lease(&self, caller: &Caller, lease: &Lease) -> Result<Lease, QueueError> {
        let keys = QueueKeys::new(&caller.tenant, &lease.session);
        self.engine().renew_lease(&keys, lease).await
    }

    /// Gives a lease back, for others to take at once.
    ///
    /// # Errors
    ///
    /// `LeaseLost` if it is not in these hands; the store's failures.
    pub async fn release_lease(&self, caller: &Caller, lease: &Lease) -> Result<(), QueueError> {
        let keys = QueueKeys::new(&caller.tenant, &lease.session);
        self.engine().release_lease(&keys, lease).await
    }

    /// Who holds a session's lease now; `None` if nobody does. One read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its records cannot be read; the store's failures.
    pub async fn lease(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<Option<LeaseView>, QueueError> {
        let keys = QueueKeys::new(&caller.tenant, session);
        let engine = self.engine();
        let rows = engine.lease_rows(&keys).await?;
        let now = engine.env.now();
        Ok(rows.and_then(|((holder, _), (until, _))| {
            let held = !until.until.has_passed(now);
            Some(LeaseView {
                owner: holder.owner.filter(|_| held)?,
                generation: holder.generation,
                until: until.until,
            })
        }))
    }

    /// A future that renews a lease, at a third of its time each, as long as it
    /// is polled; it ends with the error that ended the lease. Dropping it
    /// stops the renewals, and the lease runs out.
    #[must_use]
    pub fn keep_lease(&self, caller: &Caller, lease: &Lease) -> BoxFuture<'static, QueueError> {
        let (queue, caller, lease) = (self.clone(), caller.clone(), lease.clone());
        Box::pin(async move {
            let env = &queue.engine().env;
            let ttl = Duration::from_millis(lease.ttl_ms);
            let mut renewed = env.monotonic();
            let mut next = renewed + ttl / RENEWALS;
            loop {
                env.sleep_until(next).await;
                let asked = env.monotonic();
                match queue.renew_lease(&caller, &lease).await {
                    Ok(_) => {
                        renewed = asked;
                        next = renewed + ttl / RENEWALS;
                    }
                    Err(error) if !may_pass(&error) || asked >= renewed + ttl => return error,
                    Err(_) => next = env.monotonic() + ttl / (4 * RENEWALS),
                }
            }
        })
    }
}

impl Engine {
    pub(crate) async fn lease_rows(
        &self,
        keys: &QueueKeys,
    ) -> Result<Option<LeaseRows>, QueueError> {
        let scans = [keys.lease_holder(), keys.lease_until()].map(Scan::point);
        let pages = self.store.read(&scans).await?;
        let mut found = pages
            .into_iter()
            .map(|page| page.entries.into_iter().next());
        match (found.next().flatten(), found.next().flatten()) {
            (None, None) => Ok(None),
            (Some(holder), Some(until)) => Ok(Some((
                (decode("lease holder", &holder.value)?, holder.version),
                (decode("lease deadline", &until.value)?, until.version),
            ))),
            _ => Err(QueueError::corrupt("lease", "one of its rows is missing")),
        }
    }

    async fn acquire(&self, keys: &QueueKeys, wanted: &Wanted<'_>) -> Result<Lease, QueueError> {
        let (mut lost, mut doubt) = (0, None);
        loop {
            let rows = match (self.lease_rows(keys).await, &doubt) {
                (Err(_), Some(doubt)) => return Err(QueueError::clone(doubt)),
                (rows, _) => rows?,
            };
            if let Some(rows) = &rows
                && let Some(lease) = self.mine(keys, rows, wanted)?
            {
                return Ok(lease);
            }
            let (batch, lease) = self.taking(keys, rows.as_ref(), wanted);
            match self.store.commit(batch).await {
                Ok(Commit::Applied(version)) => return Ok(lease(version)),
                Ok(Commit::Conflict { .. }) => {}
                Err(error) if error.kind() == StoreErrorKind::Indeterminate => {
                    doubt = Some(error.into());
                }
                Err(error) => return Err(doubt.unwrap_or_else(|| error.into())),
            }
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    /// The lease as it is stored, if it is the one that is wanted; an error if
    /// others hold it.
    fn mine(
        &self,
        keys: &QueueKeys,
        ((holder, version), (until, _)): &LeaseRows,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Lease>, QueueError> {
        let now = self.env.now();
        if holder.owner.is_none() {
            return Ok(None);
        }
        let hold = (holder.generation, until.until);
        self.see(&self.seen_leases, keys, hold);
        let lasts = !until.until.has_passed(now);
        if lasts && holder.nonce == wanted.nonce && holder.owner.as_ref() == Some(wanted.owner) {
            return Ok(Some(Lease {
                session: keys.session.clone(),
                owner: wanted.owner.clone(),
                generation: holder.generation,
                until: until.until,
                ttl_ms: until.ttl_ms,
                bound: Bound {
                    key: keys.lease_holder(),
                    version: *version,
                },
            }));
        }
        let passed = until.until.plus_ms(self.config.skew_ms()).has_passed(now);
        let unchanged = self.is_unchanged(&self.seen_leases, keys, hold, until.ttl_ms);
        if passed || (unchanged && !lasts) {
            return Ok(None);
        }
        let until = until.until;
        Err(QueueError::LeaseHeld { until })
    }

    /// The commit that takes a lease, and the lease if it is applied.
    fn taking(
        &self,
        keys: &QueueKeys,
        rows: Option<&LeaseRows>,
        wanted: &Wanted<'_>,
    ) -> (Batch, impl FnOnce(Version) -> Lease) {
        let now = self.env.now();
        let until = now.plus_ms(wanted.ttl_ms);
        let before = rows.map_or(0, |((holder, _), _)| holder.generation);
        let generation = before.saturating_add(1).max(now.get());
        let holder = HolderRow {
            v: Format,
            generation,
            owner: Some(wanted.owner.clone()),
            nonce: Arc::clone(&wanted.nonce),
        };
        let due = rows.map_or(until.plus_ms(KEPT_MS), |(_, (until, _))| until.due);
        let record = UntilRow {
            v: Format,
            until,
            ttl_ms: wanted.ttl_ms,
            due,
        };
        let expect = |version: Option<Version>| version.map_or(Expect::Absent, Expect::Version);
        let versions = rows.map(|((_, holder), (_, until))| (*holder, *until));
        let mut batch = Batch::new()
            .check(keys.lease_holder(), expect(versions.map(|it| it.0)))
            .check(keys.lease_until(), expect(versions.map(|it| it.1)))
            .put(keys.lease_holder(), encode(&holder))
            .put(keys.lease_until(), encode(&record));
        if rows.is_none() {
            batch = batch.put(keys.lease_due(due), Bytes::new());
        }
        let key = keys.lease_holder();
        let (session, owner) = (keys.session.clone(), wanted.owner.clone());
        let ttl_ms = wanted.ttl_ms;
        let lease = move |version| Lease {
            session,
            owner,
            generation,
            until,
            ttl_ms,
            bound: Bound { key, version },
        };
        (batch, lease)
    }

    /// The rows of a lease that is in the hands of who says so.
    async fn held_rows(&self, keys: &QueueKeys, lease: &Lease) -> Result<LeaseRows, QueueError> {
        let rows = self.lease_rows(keys).await?;
        let now = self.env.now();
        let held = |((holder, version), (until, _)): &LeaseRows| {
            let same = *version == lease.bound.version && holder.owner.is_some();
            same && !until.until.has_passed(now)
        };
        rows.filter(held).ok_or(QueueError::LeaseLost)
    }

    async fn renew_lease(&self, keys: &QueueKeys, lease: &Lease) -> Result<Lease, QueueError> {
        let mut lost = 0;
        loop {
            let ((_, holder), (record, version)) = self.held_rows(keys, lease).await?;
            let until = record.until.max(self.env.now().plus_ms(lease.ttl_ms));
            let next = UntilRow { until, ..record };
            let batch = Batch::new()
                .check(keys.lease_holder(), Expect::Version(holder))
                .check(keys.lease_until(), Expect::Version(version))
                .put(keys.lease_until(), encode(&next));
            if let Commit::Applied(_) = self.store.commit(batch).await? {
                return Ok(Lease {
                    until,
                    ..lease.clone()
                });
            }
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    async fn release_lease(&self, keys: &QueueKeys, lease: &Lease) -> Result<(), QueueError> {
        let mut lost = 0;
        loop {
            let ((holder, holder_version), (record, version)) = self.held_rows(keys, lease).await?;
            let holder = HolderRow {
                owner: None,
                ..holder
            };
            let until = self.env.now();
            let batch = Batch::new()
                .check(keys.lease_holder(), Expect::Version(holder_version))
                .check(keys.lease_until(), Expect::Version(version))
                .put(keys.lease_holder(), encode(&holder))
                .put(keys.lease_until(), encode(&UntilRow { until, ..record }));
            if let Commit::Applied(_) = self.store.commit(batch).await? {
                return Ok(());
            }
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    /// Removes a lease, held or not; how many rows that were.
    pub(crate) async fn remove_lease(&self, keys: &QueueKeys) -> Result<u64, QueueError> {
        let mut lost = 0;
        while let Some(((_, holder), (record, until))) = self.lease_rows(keys).await? {
            let batch = Batch::new()
                .check(keys.lease_holder(), Expect::Version(holder))
                .check(keys.lease_until(), Expect::Version(until))
                .delete(keys.lease_holder())
                .delete(keys.lease_until())
                .delete(keys.lease_due(record.due));
            if let Commit::Applied(_) = self.store.commit(batch).await? {
                return Ok(3);
            }
            lost += 1;
            self.back_off(lost).await?;
        }
        Ok(0)
    }
}
