//! Reading entries of the second tier: the record and the pieces of its blob
//! with one read of the store, at one point in time.
//!
//! What is given out is what was put: the store verifies each row, the record
//! says whose it is, and the blob has the length and the checksum that the
//! record says.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use windlass_store::{Page, Scan, StoreError, StoreErrorKind};

use super::cache::TieredCache;
use super::keys;
use super::record::{Chain, Kept, corrupt};
use crate::entry::{Entry, Life};
use crate::error::CacheError;
use crate::found::{Found, Freshness};
use crate::limits::{PIECE_BYTES, ROUNDS_MAX};
use crate::names::{Key, Wanted};
use crate::policy::Admission;
use crate::spaces::Era;

/// Entries that are read together.
pub(super) const TOGETHER: usize = windlass_store::limits::READ_SCANS_MAX / 2;

/// What the second tier has of a key.
pub(super) enum Fetched {
    Nothing,
    Entry {
        entry: Arc<Entry>,
        /// What the mark of its place was before the read.
        seen: u64,
    },
    /// There is something that is not what was put: of this stamp, or
    /// nobody knows what.
    Damaged {
        era: Arc<Era>,
        key: Key,
        stamp: Option<u64>,
    },
}

/// Why there is no entry.
enum Miss {
    /// It was replaced between two reads.
    Moved,
    Damaged(Option<u64>),
    Failed(StoreError),
}

impl From<StoreError> for Miss {
    fn from(error: StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::Corrupt => Self::Damaged(None),
            _ => Self::Failed(error),
        }
    }
}

fn scans(era: &Era, key: &Key) -> [Scan; 2] {
    let record = keys::entry(era.generation, key.as_str());
    let pieces = keys::blobs(era.generation, key);
    [Scan::point(record), Scan::new(pieces)]
}

impl TieredCache {
    fn seen(&self, era: &Era, key: &Key) -> u64 {
        let namespace = &era.namespace;
        self.shared.marks.look(Wanted { namespace, key })
    }

    pub(super) async fn fetch(&self, era: &Arc<Era>, key: &Key) -> Result<Fetched, CacheError> {
        for _ in 0..ROUNDS_MAX {
            let seen = self.seen(era, key);
            let pages = match self.shared.read(scans(era, key)).await {
                Ok(pages) => pages,
                Err(error) => return settle(era, key, error.into()),
            };
            match self.entry(era, key, pages).await {
                Ok(None) => return Ok(Fetched::Nothing),
                Ok(Some(entry)) => {
                    let entry = Arc::new(entry);
                    return Ok(Fetched::Entry { entry, seen });
                }
                Err(Miss::Moved) => {}
                Err(miss) => return settle(era, key, miss),
            }
        }
        // Replaced over and over: whatever was there is no longer.
        Ok(Fetched::Nothing)
    }

    /// Several, with one read; by themselves where one of them is damaged.
    pub(super) async fn fetch_many(
        &self,
        wanted: Vec<(Arc<Era>, Key)>,
    ) -> Result<Vec<Fetched>, CacheError> {
        let seen: Vec<u64> = wanted
            .iter()
            .map(|(era, key)| self.seen(era, key))
            .collect();
        let all = wanted.iter().flat_map(|(era, key)| scans(era, key));
        let all: Vec<Scan> = all.collect();
        let pages = match self.shared.store.read(&all).await {
            Ok(pages) if pages.len() == all.len() => pages,
            Ok(_) => Vec::new(),
            Err(error) if error.kind() == StoreErrorKind::Corrupt => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let mut pages = pages.into_iter();
        let mut fetched = Vec::with_capacity(wanted.len());
        for ((era, key), seen) in wanted.iter().zip(seen) {
            let pair = [pages.next(), pages.next()];
            let whole = match pair {
                [Some(record), Some(pieces)] if !(record.entries.is_empty() && record.more) => {
                    self.entry(era, key, [record, pieces]).await.ok()
                }
                _ => None,
            };
            fetched.push(match whole {
                Some(Some(entry)) => Fetched::Entry {
                    entry: Arc::new(entry),
                    seen,
                },
                Some(None) => Fetched::Nothing,
                None => self.fetch(era, key).await?,
            });
        }
        Ok(fetched)
    }

    /// The entry of what was read.
    async fn entry(
        &self,
        era: &Arc<Era>,
        key: &Key,
        [record, pieces]: [Page; 2],
    ) -> Result<Option<Entry>, Miss> {
        let Some(row) = record.entries.into_iter().next() else {
            return Ok(None);
        };
        let kept = Kept::read(era.generation, key, &row.value)?;
        let stamp = kept.record.stamp;
        let blob = match (kept.blob, kept.record.chain) {
            (Some(blob), _) => blob,
            (None, Some(chain)) => {
                let most = usize::try_from(chain.pieces).unwrap_or(usize::MAX);
                let length = usize::try_from(kept.record.length).unwrap_or(usize::MAX);
                let length = length.min(most.saturating_mul(PIECE_BYTES));
                self.blob(era, key, (stamp, chain, length), pieces).await?
            }
            (None, None) => return Err(Miss::Damaged(Some(stamp))),
        };
        let entry = kept.record.entry(era, blob);
        entry.map(Some).map_err(|_| Miss::Damaged(Some(stamp)))
    }

    /// The blob of a chain, of which the first pieces may be in `page`.
    async fn blob(
        &self,
        era: &Era,
        key: &Key,
        (stamp, chain, length): (u64, Chain, usize),
        mut page: Page,
    ) -> Result<Bytes, Miss> {
        let rows = keys::chain(era.generation, key, chain.id);
        let (mut blob, mut next) = (BytesMut::new(), 0);
        loop {
            for row in page.entries {
                if !rows.contains(&row.key) {
                    continue;
                }
                if row.key != keys::piece(era.generation, key, chain.id, next) {
                    return self.explain(era, key, stamp).await;
                }
                next += 1;
                if chain.pieces == 1 {
                    return Ok(row.value);
                }
                if blob.is_empty() {
                    blob.reserve(length);
                }
                blob.extend_from_slice(&row.value);
            }
            if next >= chain.pieces {
                return Ok(blob.freeze());
            }
            let mut rest = rows.clone();
            rest.start = keys::piece(era.generation, key, chain.id, next);
            [page] = self.shared.read([Scan::new(rest)]).await?;
            if page.entries.is_empty() {
                return self.explain(era, key, stamp).await;
            }
        }
    }

    /// Why a piece is missing: the entry was replaced, or it is damaged.
    async fn explain(&self, era: &Era, key: &Key, stamp: u64) -> Result<Bytes, Miss> {
        let row = keys::entry(era.generation, key.as_str());
        let [page] = self.shared.read([Scan::point(row)]).await?;
        let row = page.entries.first();
        let same = match row {
            Some(row) => Kept::read(era.generation, key, &row.value)?.record.stamp == stamp,
            None => false,
        };
        Err(if same {
            Miss::Damaged(Some(stamp))
        } else {
            Miss::Moved
        })
    }

    /// What a reader is given of an entry that was read from below.
    pub(super) fn show(&self, entry: &Arc<Entry>, seen: u64) -> Option<Found> {
        let (shared, now) = (&self.shared, self.shared.now());
        if !entry.era.is_live() {
            return None;
        }
        if entry.policy.idle_ms.is_some() {
            let known = shared.uses.last(entry.stamp);
            let above = shared
                .above()
                .used(&entry.era, &entry.place.key, entry.stamp);
            for at in [known, above].into_iter().flatten() {
                entry.note_use(at);
            }
        }
        let freshness = match entry.life(now) {
            Life::Gone => return None,
            Life::Fresh => Freshness::Fresh,
            Life::Stale => {
                shared.counters.stale_serves.add(1);
                let (until, renew) = shared.uses.claim(entry.stamp, now);
                entry.leave_renewal(until);
                Freshness::Stale { renew }
            }
        };
        entry.note_use(now);
        shared.uses.note(entry);
        if entry.policy.admission != Admission::Never && shared.first.inner.admits(entry) {
            shared.queue(entry, seen);
        }
        Some(Found::new(Arc::clone(entry), freshness))
    }
}

fn settle(era: &Arc<Era>, key: &Key, miss: Miss) -> Result<Fetched, CacheError> {
    match miss {
        Miss::Moved => Ok(Fetched::Nothing),
        Miss::Damaged(stamp) => Ok(Fetched::Damaged {
            era: Arc::clone(era),
            key: key.clone(),
            stamp,
        }),
        Miss::Failed(error) => Err(error.into()),
    }
}

impl From<Miss> for CacheError {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Failed(error) => error.into(),
            Miss::Moved | Miss::Damaged(_) => corrupt("entry", "it cannot be read").into(),
        }
    }
}
