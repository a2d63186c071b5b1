//! Reading on past rows that the store finds damaged: one of them must not
//! stop what goes over many.

use bytes::Bytes;
use windlass_store::{Scan, StoreError, StoreErrorKind, Version};

use super::desk::Run;
use super::keys;
use super::record::{IndexRow, Kept, OpenRow, decode};
use super::shared::Shared;
use crate::error::CacheError;
use crate::limits::PAST_BYTES;
use crate::names::Key;
use crate::policy::Priority;

/// A row of a scan.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: Bytes,
    /// `None` if it cannot be read.
    pub(super) value: Option<Bytes>,
    pub(super) version: Version,
}

/// Some rows of a scan, in their order.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) more: bool,
}

impl Shared {
    /// Reads a page; where something in it is damaged, row by row, so that
    /// only that is missing.
    ///
    /// # Errors
    ///
    /// Those of the store; `Corrupt` only if it cannot list the keys.
    pub(super) async fn read_past(&self, scan: Scan) -> Result<Rows, StoreError> {
        match self.read([scan.clone()]).await {
            Ok([page]) => {
                let rows = page.entries.into_iter().map(|entry| Row {
                    key: entry.key,
                    value: Some(entry.value),
                    version: entry.version,
                });
                Ok(Rows {
                    rows: rows.collect(),
                    more: page.more,
                })
            }
            Err(error) if error.kind() == StoreErrorKind::Corrupt => self.read_each(scan).await,
            Err(error) => Err(error),
        }
    }

    async fn read_each(&self, scan: Scan) -> Result<Rows, StoreError> {
        let [page] = self.read([scan.keys()]).await?;
        let mut read = Rows {
            more: page.more,
            ..Rows::default()
        };
        let mut bytes = 0;
        for entry in page.entries {
            if bytes >= PAST_BYTES {
                read.more = true;
                break;
            }
            let point = Scan::point(entry.key.clone());
            let (value, version) = match self.read([point]).await {
                Ok([page]) => match page.entries.into_iter().next() {
                    Some(now) => (Some(now.value), now.version),
                    // It went meanwhile.
                    None => continue,
                },
                Err(error) if error.kind() == StoreErrorKind::Corrupt => (None, entry.version),
                Err(error) => return Err(error),
            };
            bytes += value.as_ref().map_or(0, Bytes::len);
            read.rows.push(Row {
                key: entry.key,
                value,
                version,
            });
        }
        Ok(read)
    }
}

impl Row {
    /// What a row of an index says, if it can be read.
    pub(super) fn index(&self) -> Option<IndexRow> {
        let value = self.value.as_ref()?;
        decode("index", value).ok()
    }

    /// Whose pieces are open, if it can be read.
    pub(super) fn open(&self) -> Option<OpenRow> {
        decode("open blob", self.value.as_ref()?).ok()
    }

    /// What the record of a key says, if it can be read.
    pub(super) fn kept(&self, generation: u64, key: &Key) -> Option<Kept> {
        Kept::read(generation, key, self.value.as_ref()?).ok()
    }
}

impl Run {
    /// Where a row of an index leads to, also where it cannot be read itself:
    /// every entry of a stamp has a row by which it is found when room is
    /// needed.
    pub(super) async fn lead(&self, row: &Row) -> Result<Option<IndexRow>, CacheError> {
        if let Some(index) = row.index() {
            return Ok(Some(index));
        }
        let Some(stamp) = keys::stamp_of(&row.key) else {
            return Ok(None);
        };
        for priority in [Priority::Low, Priority::Normal, Priority::High] {
            let scan = Scan::point(keys::rank(priority, stamp));
            let ranked = self.shared.read_past(scan).await?;
            if let Some(index) = ranked.rows.first().and_then(Row::index) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }
}
