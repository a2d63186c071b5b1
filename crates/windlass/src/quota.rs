//! Quotas of tenants: who may take more, decided before it is taken.
//!
//! A limit is held against a figure measured at one point in time and what
//! this process has admitted since. Admissions of one tenant are decided one
//! after the other, so within a process a limit is exact: of two at once that
//! want the last place, one gets it. What other processes took since is seen
//! with the next measurement, at most [`FIGURE_MS_MAX`] later.
//!
//! Held in memory for each tenant with recent admissions: its standing and
//! two figures. Beyond [`PLACES_MAX`] those that nobody uses are forgotten,
//! and measured again when they come back.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use windlass_access::{AccessError, Quota, Status, Tenants};
use windlass_core::{Coded, Env, ErrorKind, TenantId};
use windlass_session::{SessionError, Sessions};
use windlass_stash::StashError;
use windlass_stash::durable::Stashes;
use windlass_store::Changes;

use crate::Windlass;

/// How old a figure may be that somebody is admitted by.
const FIGURE_MS_MAX: u64 = 5_000;
/// How old a figure may be that somebody is refused by: what was given back
/// meanwhile is looked for first, but not more often than this.
const REFUSAL_MS_MAX: u64 = 100;
/// How old a standing may be where no hint came that it changed.
const STANDING_MS_MAX: u64 = 1_000;
/// Tenants remembered beside those that are being admitted right now.
const PLACES_MAX: usize = 1_024;

/// What a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaMeter {
    /// Sessions stored.
    Sessions,
    /// Bytes of values in stashes.
    StashBytes,
}

impl QuotaMeter {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::StashBytes => "stash_bytes",
        }
    }

    const fn limit(self, quota: &Quota) -> Option<u64> {
        match self {
            Self::Sessions => quota.sessions,
            Self::StashBytes => quota.stash_bytes,
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Sessions => 0,
            Self::StashBytes => 1,
        }
    }
}

impl fmt::Display for QuotaMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a tenant may not take more, or why that cannot be told.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// It has as much as its quota allows.
    #[error("the tenant's quota of {meter} is exceeded: {used} of {limit} used")]
    TenantQuotaExceeded {
        /// Which quota.
        meter: QuotaMeter,
        /// The most allowed.
        limit: u64,
        /// What it has, admitted requests that are still under way included.
        used: u64,
    },
    /// It is being erased, or its record cannot be read.
    #[error("cannot admit anything for the tenant")]
    Access(#[source] AccessError),
    /// Its sessions cannot be counted.
    #[error("cannot count the tenant's sessions")]
    Sessions(#[source] SessionError),
    /// Its stashes cannot be counted.
    #[error("cannot count the tenant's stashes")]
    Stashes(#[source] StashError),
}

impl Coded for AdmitError {
    fn code(&self) -> &'static str {
        match self {
            Self::TenantQuotaExceeded { .. } => "tenant_quota_exceeded",
            Self::Access(source) => source.code(),
            Self::Sessions(source) => source.code(),
            Self::Stashes(source) => source.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::TenantQuotaExceeded { .. } => ErrorKind::Refused,
            Self::Access(source) => source.kind(),
            Self::Sessions(source) => source.kind(),
            Self::Stashes(source) => source.kind(),
        }
    }
}

/// The right to take what was asked for. [`Admission::keep`] says that it was
/// taken, [`Admission::give_back`] that it was not. Dropping it is like keeping
/// it: whoever goes away does not know what became of a commit under way, and
/// the next measurement does.
#[derive(Debug)]
#[must_use = "say what became of what was admitted"]
pub struct Admission(Option<Taken>);

#[derive(Debug)]
struct Taken {
    place: Arc<Place>,
    meter: QuotaMeter,
    amount: u64,
}

impl Admission {
    /// What was admitted is stored now: the next measurement finds it.
    pub fn keep(self) {
        drop(self);
    }

    /// Nothing was stored, and nothing is under way: others may have it.
    pub fn give_back(mut self) {
        if let Some(taken) = self.0.take() {
            taken.end(0);
        }
    }
}

impl Taken {
    /// What was admitted is pending no more, and `kept` of it may be stored.
    fn end(&self, kept: u64) {
        let mut meters = lock(&self.place.meters);
        let meter = &mut meters[self.meter.place()];
        meter.pending = meter.pending.saturating_sub(self.amount);
        meter.kept = meter.kept.saturating_add(kept);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(taken) = self.0.take() {
            taken.end(taken.amount);
        }
    }
}

/// What a tenant has of one meter, as far as this process knows.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    /// What was found, and when that began.
    measured: Option<(Duration, u64)>,
    /// Admitted, and neither stored nor given back.
    pending: u64,
    /// Stored since the measurement began, which may have seen it or not.
    kept: u64,
}

impl Meter {
    /// What it has at most, by a figure no older than `ms`.
    fn used(&self, now: Duration, ms: u64) -> Option<u64> {
        let (at, found) = self.measured?;
        let age = now.saturating_sub(at);
        let known = found.saturating_add(self.pending).saturating_add(self.kept);
        (age <= Duration::from_millis(ms)).then_some(known)
    }
}

/// What is remembered of one tenant.
#[derive(Debug, Default)]
struct Place {
    standing: Mutex<Option<Standing>>,
    meters: Mutex<[Meter; 2]>,
    /// Held while an admission is decided, also across a measurement.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    at: Duration,
    status: Status,
    quota: Quota,
}

/// The quotas of all tenants of an engine.
#[derive(Debug)]
pub(crate) struct Quotas {
    tenants: Tenants,
    sessions: Sessions,
    stashes: Stashes,
    env: Arc<dyn Env>,
    changes: Mutex<Changes>,
    places: Mutex<HashMap<TenantId, Arc<Place>>>,
}

impl Quotas {
    pub(crate) fn new(
        tenants: Tenants,
        sessions: Sessions,
        stashes: Stashes,
        env: Arc<dyn Env>,
    ) -> Self {
        Self {
            changes: Mutex::new(tenants.changes()),
            tenants,
            sessions,
            stashes,
            env,
            places: Mutex::default(),
        }
    }

    /// Admits `amount` more of a meter.
    pub(crate) async fn admit(
        &self,
        tenant: &TenantId,
        meter: QuotaMeter,
        amount: u64,
    ) -> Result<Admission, AdmitError> {
        let place = self.place(tenant);
        let quota = self.quota(tenant, &place).await?;
        let Some(limit) = meter.limit(&quota) else {
            return Ok(Admission(None));
        };
        let _turn = place.turn.lock().await;
        let (mut admit_ms, mut refuse_ms) = (FIGURE_MS_MAX, REFUSAL_MS_MAX);
        loop {
            let now = self.env.monotonic();
            let known = {
                let mut meters = lock(&place.meters);
                let figure = &mut meters[meter.place()];
                let used = figure.used(now, admit_ms);
                if used.is_some_and(|used| used.saturating_add(amount) <= limit) {
                    figure.pending = figure.pending.saturating_add(amount);
                    break;
                }
                figure.used(now, refuse_ms)
            };
            if let Some(used) = known {
                return Err(AdmitError::TenantQuotaExceeded { meter, limit, used });
            }
            self.measure(tenant, &place, meter, now).await?;
            // However long that took, it is what is decided by.
            (admit_ms, refuse_ms) = (u64::MAX, u64::MAX);
        }
        Ok(Admission(Some(Taken {
            place: Arc::clone(&place),
            meter,
            amount,
        })))
    }

    /// Measures; `now` is when that begins. What was stored before is in the
    /// figure, what is stored meanwhile may be.
    async fn measure(
        &self,
        tenant: &TenantId,
        place: &Place,
        meter: QuotaMeter,
        now: Duration,
    ) -> Result<(), AdmitError> {
        let kept_before = lock(&place.meters)[meter.place()].kept;
        let found = match meter {
            QuotaMeter::Sessions => self.count_sessions(tenant).await?,
            QuotaMeter::StashBytes => self.count_stash_bytes(tenant).await?,
        };
        let mut meters = lock(&place.meters);
        let figure = &mut meters[meter.place()];
        figure.measured = Some((now, found));
        figure.kept = figure.kept.saturating_sub(kept_before);
        Ok(())
    }

    async fn count_sessions(&self, tenant: &TenantId) -> Result<u64, AdmitError> {
        let stored = self.sessions.stored(tenant).await;
        stored.map_err(AdmitError::Sessions)
    }

    async fn count_stash_bytes(&self, tenant: &TenantId) -> Result<u64, AdmitError> {
        let usage = self.stashes.tenant_usage(tenant).await;
        usage
            .map(|usage| usage.value_bytes)
            .map_err(AdmitError::Stashes)
    }

    /// The quota of a tenant that is there to be worked with.
    async fn quota(&self, tenant: &TenantId, place: &Place) -> Result<Quota, AdmitError> {
        self.heed_hints();
        let now = self.env.monotonic();
        let fresh = |standing: &Standing| {
            now.saturating_sub(standing.at) <= Duration::from_millis(STANDING_MS_MAX)
        };
        let known = lock(&place.standing).filter(fresh);
        let standing = match known {
            Some(standing) => standing,
            None => {
                let found = self.tenants.standing(tenant).await;
                let (status, quota) = found.map_err(AdmitError::Access)?;
                let standing = Standing {
                    at: now,
                    status,
                    quota,
                };
                *lock(&place.standing) = Some(standing);
                standing
            }
        };
        match standing.status {
            Status::Active => Ok(standing.quota),
            status => Err(AdmitError::Access(AccessError::TenantNotActive { status })),
        }
    }

    /// Forgets every standing once a hint came that one has changed.
    fn heed_hints(&self) {
        let hinted = {
            let mut changes = lock(&self.changes);
            let next = pin!(changes.changed());
            next.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(true)
        };
        if hinted {
            for place in lock(&self.places).values() {
                *lock(&place.standing) = None;
            }
        }
    }

    fn place(&self, tenant: &TenantId) -> Arc<Place> {
        let mut places = lock(&self.places);
        if let Some(place) = places.get(tenant) {
            return Arc::clone(place);
        }
        if places.len() >= PLACES_MAX {
            // Whoever is being admitted holds on to their place.
            places.retain(|_, place| Arc::strong_count(place) > 1);
        }
        let place = places.entry(tenant.clone()).or_default();
        Arc::clone(place)
    }
}

/// What a tenant has stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantUsage {
    /// Sessions, ended ones included until their retention is over.
    pub sessions: u64,
    /// Bytes of values in stashes, expired ones included until upkeep takes
    /// them back.
    pub stash_bytes: u64,
}

impl Windlass {
    /// What a tenant has stored: one read for each of its agents and of its
    /// stashes.
    ///
    /// # Errors
    ///
    /// [`AdmitError::Sessions`] and [`AdmitError::Stashes`] if they cannot be
    /// counted.
    pub async fn usage(&self, tenant: &TenantId) -> Result<TenantUsage, AdmitError> {
        Ok(TenantUsage {
            sessions: self.quotas().count_sessions(tenant).await?,
            stash_bytes: self.quotas().count_stash_bytes(tenant).await?,
        })
    }

    /// Asks whether a tenant may have one more session. Create it while
    /// holding the answer, and [`keep`](Admission::keep) that once it is
    /// there.
    ///
    /// Of a tenant without a quota this costs nothing but a look into memory,
    /// and a read of two points once a second. Otherwise a figure that is at
    /// most 5 s old decides, and what this process has admitted since; a
    /// refusal is looked at again first, unless somebody has in the last
    /// 100 ms. Dropping the future admits nothing.
    ///
    /// # Errors
    ///
    /// `TenantQuotaExceeded`; `Access` with kind `Refused` for a tenant that
    /// is being erased or was; the others if it cannot be told.
    pub async fn admit_session(&self, tenant: &TenantId) -> Result<Admission, AdmitError> {
        self.quotas().admit(tenant, QuotaMeter::Sessions, 1).await
    }

    /// Asks whether a tenant may have so many more bytes of values in its
    /// stashes; as [`Windlass::admit_session`]. What a put replaces is not
    /// known here: count the new value whole.
    ///
    /// # Errors
    ///
    /// Those of [`Windlass::admit_session`].
    pub async fn admit_bytes(&self, tenant: &TenantId, more: u64) -> Result<Admission, AdmitError> {
        self.quotas()
            .admit(tenant, QuotaMeter::StashBytes, more)
            .await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
