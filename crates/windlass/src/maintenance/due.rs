//! What is due, as the index that all parts share shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use windlass_core::Millis;
use windlass_store::key::{Key, number};
use windlass_store::limits::READ_ENTRIES_MAX;
use windlass_store::{KeyRange, Listed, Scan, Store, StoreError};

use crate::{StoreFailure, Windlass};

/// The first segment of the index, which every part keeps as
/// `due/<time>/<kind>/…`.
const DUE: &str = "due";

/// Everything that is due at `now`.
fn until(now: Millis) -> KeyRange {
    let end = Key::new(DUE).number(now.get().saturating_add(1)).finish();
    KeyRange::new(Key::new(DUE).below(), end)
}

/// The time and the kind of a row.
fn parse(row: &[u8]) -> Option<(&str, &str)> {
    let mut segments = str::from_utf8(row).ok()?.split('/').skip(1);
    Some((segments.next()?, segments.next()?))
}

/// Whether anything of these kinds is due; taken for so where 256,000 rows of
/// other kinds come first, or one cannot be listed.
pub(super) async fn is_any_due(
    store: &dyn Store,
    now: Millis,
    kinds: &[&str],
) -> Result<bool, StoreError> {
    let (mut scan, mut passed) = (Scan::new(until(now)), false);
    for _ in 0..SEARCHED_PAGES_MAX {
        let listed = Listed::read(store, scan).await?;
        passed |= listed.passed;
        let kinds_of = listed.entries.iter().filter_map(|row| parse(&row.key));
        if kinds_of.into_iter().any(|(_, kind)| kinds.contains(&kind)) {
            return Ok(true);
        }
        match listed.rest {
            Some(rest) => scan = rest,
            None => return Ok(passed),
        }
    }
    Ok(true)
}

/// How much upkeep has come due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Entries counted.
    pub entries: usize,
    /// Whether there may be more beyond the limit of the count, or what cannot
    /// be listed.
    pub more: bool,
}

impl Windlass {
    /// Counts the entries in the index of upkeep that have come due, up to
    /// `limit`: how much [`Windlass::maintain`] would look at now. Changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`StoreFailure`] if the index cannot be read.
    pub async fn due(&self, limit: usize) -> Result<Due, StoreFailure> {
        let mut scan = Scan::new(until(self.env().now()));
        let (mut entries, mut more) = (0, false);
        while entries < limit {
            scan = scan.limit((limit - entries).min(READ_ENTRIES_MAX));
            let listed = Listed::read(&**self.store(), scan).await;
            let listed = listed.map_err(|error| StoreFailure::new("read", error))?;
            entries += listed.entries.len();
            more |= listed.passed;
            match listed.rest {
                Some(rest) => scan = rest,
                None => return Ok(Due { entries, more }),
            }
        }
        Ok(Due {
            entries,
            more: true,
        })
    }
}

/// Rows of the index that are counted.
pub(super) const COUNTED_MAX: usize = 4_096;

/// Pages of the index that are searched for one row.
const SEARCHED_PAGES_MAX: usize = 256;

/// Rows of the index whose time has come, of one task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Overdue {
    /// How many, of the first 4,096 of all tasks.
    pub entries: u64,
    /// When the first of them came due.
    pub oldest_at: Option<Millis>,
}

/// What of the index has come due, by kind of row.
#[derive(Clone, Debug, Default)]
pub(super) struct DueWork {
    kinds: BTreeMap<String, Overdue>,
    /// Whether there may be more than was counted: behind it, or where a row
    /// cannot be listed.
    pub(super) more: bool,
}

impl DueWork {
    /// Counts what is due at `now`, in as many reads as there are thousands,
    /// and at most five; more only to go past rows that cannot be listed.
    pub(super) async fn count(store: &dyn Store, now: Millis) -> Result<Self, StoreError> {
        let mut scan = Scan::new(until(now));
        let (mut work, mut counted) = (Self::default(), 0);
        loop {
            scan = scan.limit((COUNTED_MAX - counted).min(READ_ENTRIES_MAX));
            let listed = Listed::read(store, scan).await?;
            counted += listed.entries.len();
            work.more |= listed.passed;
            for row in &listed.entries {
                work.note(&row.key);
            }
            match listed.rest {
                Some(rest) if counted < COUNTED_MAX => scan = rest,
                rest => {
                    work.more |= rest.is_some();
                    return Ok(work);
                }
            }
        }
    }

    fn note(&mut self, row: &[u8]) {
        let Some((time, kind)) = parse(row) else {
            return;
        };
        let of = self.kinds.entry(kind.to_owned()).or_default();
        of.entries += 1;
        // Rows come in the order of their times.
        of.oldest_at = of.oldest_at.or(number(time).map(Millis::new));
    }

    /// What is due of these kinds.
    pub(super) fn of(&self, kinds: &[&str]) -> Overdue {
        let mut sum = Overdue::default();
        for of in kinds.iter().filter_map(|kind| self.kinds.get(*kind)) {
            sum.entries += of.entries;
            sum.oldest_at = match (sum.oldest_at, of.oldest_at) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        sum
    }

    /// Whether there is, or may be, something due of these kinds.
    pub(super) fn may_hold(&self, kinds: &[&str]) -> bool {
        self.more || self.of(kinds).entries > 0
    }
}
