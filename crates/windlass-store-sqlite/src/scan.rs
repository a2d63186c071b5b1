//! Scans over one connection.
//!
//! Every entry is checked before it is given out: its seal where the value is
//! read, the checksum of key and version where it is not.

use bytes::Bytes;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, Rows};
use windlass_store::{
    Entry, Incarnation, KeyRange, Order, Page, ReadBudget, Scan, Take, Version, seal,
};

use crate::error::Failure;
use crate::schema::key_crc;

/// Reads entries of one store through one connection.
#[derive(Debug)]
pub(crate) struct Scanner<'c> {
    connection: &'c Connection,
    incarnation: Incarnation,
}

/// The query for one key.
const POINT: &str = "SELECT key, version, key_crc, value FROM entry WHERE key = ?1";

/// Why a read failed.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// A row does not match its checksum; the connection is fine.
    Damaged(Failure),
    /// SQLite failed; the connection should not be used any further.
    Sqlite(Failure),
}

impl From<rusqlite::Error> for ReadError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Sqlite(cause.into())
    }
}

impl ReadError {
    pub(crate) const fn failure(&self) -> &Failure {
        match self {
            Self::Damaged(failure) | Self::Sqlite(failure) => failure,
        }
    }
}

impl<'c> Scanner<'c> {
    /// The statements stay prepared with the connection.
    pub(crate) const fn new(connection: &'c Connection, incarnation: Incarnation) -> Self {
        Self {
            connection,
            incarnation,
        }
    }

    /// Begins a transaction; the first read in it fixes its point in time.
    pub(crate) fn begin(&self) -> rusqlite::Result<()> {
        self.execute("BEGIN")
    }

    /// Ends the transaction.
    pub(crate) fn end(&self) -> rusqlite::Result<()> {
        self.execute("COMMIT")
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    /// All pages of one read.
    pub(crate) fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, ReadError> {
        let mut budget = ReadBudget::new();
        scans
            .iter()
            .map(|scan| self.page(scan, &mut budget))
            .collect()
    }

    fn page(&self, scan: &Scan, budget: &mut ReadBudget) -> Result<Page, ReadError> {
        if scan.range.is_empty() {
            return Ok(Page::default());
        }
        match scan.range.as_point() {
            Some(key) => self.point(key, scan.take, budget),
            None => self.range(scan, budget),
        }
    }

    fn point(&self, key: &Bytes, take: Take, budget: &mut ReadBudget) -> Result<Page, ReadError> {
        let incarnation = self.incarnation;
        let found = self
            .connection
            .prepare_cached(POINT)?
            .query_row([key.as_ref()], |row| Ok(entry(row, take, incarnation)))
            .optional()?;
        let Some(found) = found else {
            return Ok(Page::default());
        };
        let entry = found?;
        if budget.admit(size(&entry)) {
            Ok(Page {
                entries: vec![entry],
                more: false,
            })
        } else {
            Ok(Page {
                entries: Vec::new(),
                more: true,
            })
        }
    }

    fn range(&self, scan: &Scan, budget: &mut ReadBudget) -> Result<Page, ReadError> {
        let mut statement = self.connection.prepare_cached(range_sql(scan))?;
        let mut rows = query(&mut statement, &scan.range)?;
        let mut page = Page::default();
        while let Some(row) = rows.next()? {
            if page.entries.len() == scan.limit {
                page.more = true;
                break;
            }
            let entry = entry(row, scan.take, self.incarnation)?;
            if !budget.admit(size(&entry)) {
                page.more = true;
                break;
            }
            page.entries.push(entry);
        }
        Ok(page)
    }
}

/// Starts the query that [`range_sql`] gives for a range.
pub(crate) fn query<'s>(
    statement: &'s mut CachedStatement<'_>,
    range: &KeyRange,
) -> rusqlite::Result<Rows<'s>> {
    match &range.end {
        Some(end) => statement.query([range.start.as_ref(), end.as_ref()]),
        None => statement.query([range.start.as_ref()]),
    }
}

/// The query for a scan. Values are not named where they are not wanted, so
/// SQLite does not read them.
pub(crate) fn range_sql(scan: &Scan) -> &'static str {
    match (scan.take, scan.order, scan.range.end.is_some()) {
        (Take::Entries, Order::Ascending, true) => {
            "SELECT key, version, key_crc, value FROM entry WHERE key >= ?1 AND key < ?2 ORDER BY key"
        }
        (Take::Entries, Order::Ascending, false) => {
            "SELECT key, version, key_crc, value FROM entry WHERE key >= ?1 ORDER BY key"
        }
        (Take::Entries, Order::Descending, true) => {
            "SELECT key, version, key_crc, value FROM entry WHERE key >= ?1 AND key < ?2 ORDER BY key DESC"
        }
        (Take::Entries, Order::Descending, false) => {
            "SELECT key, version, key_crc, value FROM entry WHERE key >= ?1 ORDER BY key DESC"
        }
        (Take::Keys, Order::Ascending, true) => {
            "SELECT key, version, key_crc FROM entry WHERE key >= ?1 AND key < ?2 ORDER BY key"
        }
        (Take::Keys, Order::Ascending, false) => {
            "SELECT key, version, key_crc FROM entry WHERE key >= ?1 ORDER BY key"
        }
        (Take::Keys, Order::Descending, true) => {
            "SELECT key, version, key_crc FROM entry WHERE key >= ?1 AND key < ?2 ORDER BY key DESC"
        }
        (Take::Keys, Order::Descending, false) => {
            "SELECT key, version, key_crc FROM entry WHERE key >= ?1 ORDER BY key DESC"
        }
    }
}

/// The entry in a row, checked.
pub(crate) fn entry(
    row: &Row<'_>,
    take: Take,
    incarnation: Incarnation,
) -> Result<Entry, ReadError> {
    let key = Bytes::copy_from_slice(blob(row, 0)?);
    let stamp: i64 = row.get(1)?;
    let crc: i64 = row.get(2)?;
    if crc != key_crc(&key, stamp) {
        return Err(damaged("a stored key or version is damaged"));
    }
    let version = Version::new(incarnation, stamp.cast_unsigned());
    let value = match take {
        Take::Keys => Bytes::new(),
        Take::Entries => {
            let sealed = Bytes::copy_from_slice(blob(row, 3)?);
            seal::open(&key, stamp.cast_unsigned(), &sealed).map_err(|cause| {
                ReadError::Damaged(Failure::corrupt("a stored value is damaged").caused_by(cause))
            })?
        }
    };
    Ok(Entry {
        key,
        value,
        version,
    })
}

fn blob<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r [u8], ReadError> {
    let value = row.get_ref(column)?;
    value
        .as_blob()
        .map_err(|_| damaged("a stored row has a column of the wrong type"))
}

fn damaged(context: &'static str) -> ReadError {
    ReadError::Damaged(Failure::corrupt(context))
}

/// What an entry counts for in a [`ReadBudget`].
pub(crate) fn size(entry: &Entry) -> usize {
    entry.key.len() + entry.value.len()
}
