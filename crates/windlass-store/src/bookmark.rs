//! Walking over the same range again and again, a bounded stretch at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::{Entry, KeyRange, Listed, Scan, Store, StoreError};

/// Where the last walk over a range ended, so that rows that stay where they
/// are do not keep the next one from those behind them.
///
/// It is in memory only: after a restart a walk begins at the beginning.
#[derive(Debug, Default)]
pub struct Bookmark(Mutex<Option<Bytes>>);

impl Bookmark {
    /// A walk over the keys of `range`: from the bookmark to the end, and then
    /// from the start to the bookmark. Who ends it early says
    /// [where](Walk::stop_at); it begins at the start the next time otherwise.
    pub fn walk(&self, range: KeyRange) -> Walk<'_> {
        let inside = |row: &Bytes| *row != range.start && range.contains(row);
        let bookmark = self.lock().take().filter(inside);
        let (rest, before) = match bookmark {
            Some(row) => {
                let rest = KeyRange {
                    start: row.clone(),
                    end: range.end,
                };
                (rest, Some(KeyRange::new(range.start, row)))
            }
            None => (range, None),
        };
        Walk {
            bookmark: self,
            scan: Some(keys_of(rest)),
            before,
            round: false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A walk over a range, once round.
#[derive(Debug)]
pub struct Walk<'a> {
    bookmark: &'a Bookmark,
    scan: Option<Scan>,
    before: Option<KeyRange>,
    /// Whether it has come round to the rows before the bookmark.
    round: bool,
}

impl Walk<'_> {
    /// The next rows, without their values; `None` once all were given. A
    /// read each; past rows that cannot be listed as [`Listed::read`] says.
    ///
    /// # Errors
    ///
    /// The store's failures, of which damage is none.
    pub async fn next(&mut self, store: &dyn Store) -> Result<Option<Vec<Entry>>, StoreError> {
        loop {
            let Some(scan) = self.scan.take() else {
                let Some(before) = self.before.take() else {
                    return Ok(None);
                };
                self.round = true;
                self.scan = Some(keys_of(before));
                continue;
            };
            let start = scan.range.start.clone();
            let listed = Listed::read(store, scan).await;
            // The next walk begins where this one was ended.
            let listed = listed.inspect_err(|_| self.stop_at(&start))?;
            self.scan = listed.rest;
            if !listed.entries.is_empty() {
                return Ok(Some(listed.entries));
            }
        }
    }

    /// Has the next walk begin with this row.
    pub fn stop_at(&self, row: &Bytes) {
        *self.bookmark.lock() = Some(row.clone());
    }

    /// Ends the walk among rows that are none of the walker's business.
    /// Whether any were left that no walk has come to: the next one begins
    /// with this row then. Rows before the bookmark the last one has seen.
    #[must_use]
    pub fn stop_among_others(&self, row: &Bytes) -> bool {
        if !self.round {
            self.stop_at(row);
        }
        !self.round
    }
}

const fn keys_of(range: KeyRange) -> Scan {
    Scan::new(range).keys()
}
