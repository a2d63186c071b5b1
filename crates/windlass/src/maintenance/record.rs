//! What upkeep keeps in the store about itself: who holds it, how far the
//! clock has come, and the last reports.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windlass_core::{Format, Millis};
use windlass_store::key::Key;
use windlass_store::{
    Entry, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind, StoreExt, Version,
};

use super::error::MaintenanceError;
use super::report::{RoundReport, TaskReport};

/// Rounds that are remembered.
pub(super) const ROUNDS_KEPT: usize = 32;

fn base() -> Key {
    Key::new("system").text("maintenance")
}

/// Everything that upkeep keeps about itself.
pub(super) fn all() -> KeyRange {
    KeyRange::prefix(base().below())
}

/// Who does upkeep.
pub(super) fn lease() -> Bytes {
    base().text("lease").finish()
}

/// How far the clock has come.
pub(super) fn clock() -> Bytes {
    base().text("clock").finish()
}

/// The last rounds.
pub(super) fn rounds() -> Bytes {
    base().text("rounds").finish()
}

/// What a task did last, when its turn came.
pub(super) fn task(name: &str) -> Bytes {
    base().text("task").text(name).finish()
}

/// What a task did last when somebody asked for it.
pub(super) fn by_hand(name: &str) -> Bytes {
    base().text("hand").text(name).finish()
}

/// The right to do upkeep, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaseRow {
    pub(super) v: Format,
    /// 128 random bits of whoever holds it, in hexadecimal digits.
    pub(super) holder: String,
    /// Its process, for operators.
    pub(super) pid: u32,
    /// How often the lease has changed hands.
    pub(super) generation: u64,
    pub(super) since: Millis,
    /// The time it ends unless it is renewed; 0 if it was given back.
    pub(super) until: Millis,
    pub(super) ttl_ms: u64,
    /// When the holder begins its next round.
    pub(super) next_round: Millis,
}

/// The latest time that was seen, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockRow {
    pub(super) v: Format,
    pub(super) mark: Millis,
}

/// The last rounds, the newest last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoundsRow {
    pub(super) v: Format,
    pub(super) rounds: Vec<RoundReport>,
}

/// What is kept of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskRow {
    pub(super) v: Format,
    pub(super) report: TaskReport,
    /// How often in a row it has failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) failures: u32,
    /// Not before then it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next_try: Option<Millis>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

pub(super) fn encode<T: Serialize>(record: &T) -> Bytes {
    let text = serde_json::to_vec(record).expect("a record has a form in JSON");
    text.into()
}

pub(super) fn decode<T: DeserializeOwned>(
    what: &'static str,
    entry: &Entry,
) -> Result<T, MaintenanceError> {
    serde_json::from_slice(&entry.value).map_err(|error| MaintenanceError::Corrupt {
        what,
        why: error.to_string(),
    })
}

/// Who does upkeep and how far the clock has come, at one moment.
pub(super) struct Rows {
    pub(super) lease: Option<(Version, LeaseRow)>,
    pub(super) clock: Option<(Version, ClockRow)>,
    /// The version of a lease that cannot be read: nobody knows whose it is.
    pub(super) damaged: Option<Version>,
}

impl Rows {
    pub(super) async fn read(store: &dyn Store) -> Result<Self, MaintenanceError> {
        let scans = [Scan::point(lease()), Scan::point(clock())];
        let (lease, clock, damaged) = match store.read(&scans).await {
            Err(error) if is_damage(&error) => {
                let [whole, clock] = scans;
                let keys = store.read(&[whole.keys(), clock]).await?;
                let (lease, clock) = pair(keys);
                (None, clock, lease.map(|row| row.version))
            }
            pages => {
                let (lease, clock) = pair(pages?);
                (lease, clock, None)
            }
        };
        let version = lease.as_ref().map(|row| row.version);
        let lease = lease.map(|row| versioned("lease", &row)).transpose();
        Ok(Self {
            damaged: damaged.or(version.filter(|_| lease.is_err())),
            lease: lease.unwrap_or_default(),
            clock: clock.map(|row| versioned("clock", &row)).transpose()?,
        })
    }

    /// Whether the clock is as whoever has the lease left it, in the commit
    /// that wrote both.
    pub(super) fn are_of_one_commit(&self) -> bool {
        let lease = self.lease.as_ref().map(|(version, _)| *version);
        lease.is_some() && lease == self.clock.map(|(version, _)| version)
    }
}

/// The first entries of two pages.
fn pair(pages: Vec<Page>) -> (Option<Entry>, Option<Entry>) {
    let mut found = pages.into_iter().map(|mut page| page.entries.pop());
    let mut next = || -> Option<Entry> { found.next().flatten() };
    (next(), next())
}

pub(super) fn is_damage(error: &StoreError) -> bool {
    error.kind() == StoreErrorKind::Corrupt
}

/// Who does upkeep.
pub(super) async fn read_lease(
    store: &dyn Store,
) -> Result<Option<(Version, LeaseRow)>, MaintenanceError> {
    let row = store.get(lease()).await?;
    row.map(|row| versioned("lease", &row)).transpose()
}

fn versioned<T: DeserializeOwned>(
    what: &'static str,
    row: &Entry,
) -> Result<(Version, T), MaintenanceError> {
    Ok((row.version, decode(what, row)?))
}
