//! A store of a file and a table whose memory is taken before anything is
//! measured: what is measured is what streams hold.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_store::{
    Batch, Changes, Commit, Entry, Expect, Export, Incarnation, KeyRange, Order, Page, ReadBudget,
    Scan, Store, StoreError, StoreErrorKind, Take, Version, Write,
};

/// Longest key that is kept.
const KEY_BYTES: usize = 128;

/// Rows in the order of their keys, in a file.
#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
    incarnation: Incarnation,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    rows: Vec<Row>,
    /// Bytes of the file that are in use.
    end: u64,
    commits: u64,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    key: [u8; KEY_BYTES],
    key_length: usize,
    start: u64,
    length: usize,
    version: Version,
}

impl Row {
    fn key(&self) -> &[u8] {
        &self.key[..self.key_length]
    }
}

impl Disk {
    /// A store with room for so many rows.
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            file: tempfile::tempfile().expect("a place for files"),
            incarnation: Incarnation::draw().expect("random bits"),
            table: Mutex::new(Table {
                rows: Vec::with_capacity(rows),
                end: 0,
                commits: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scan(&self, table: &Table, scan: &Scan, budget: &mut ReadBudget) -> Page {
        let rows = &table.rows;
        let (start, end) = (&scan.range.start, &scan.range.end);
        let from = rows.partition_point(|row| row.key() < start.as_ref());
        let to = end.as_ref().map_or(rows.len(), |end| {
            rows.partition_point(|row| row.key() < end.as_ref())
        });
        let mut page = Page::default();
        let mut left = rows[from..to.max(from)].iter();
        loop {
            let row = match scan.order {
                Order::Ascending => left.next(),
                Order::Descending => left.next_back(),
            };
            let Some(row) = row else { break };
            let value = match scan.take {
                Take::Entries => row.length,
                Take::Keys => 0,
            };
            let full = page.entries.len() >= scan.limit;
            if full || !budget.admit(row.key_length + value) {
                page.more = true;
                break;
            }
            let mut read = vec![0; value];
            self.file
                .read_exact_at(&mut read, row.start)
                .expect("what was written");
            page.entries.push(Entry {
                key: Bytes::copy_from_slice(row.key()),
                value: read.into(),
                version: row.version,
            });
        }
        page
    }
}

impl Table {
    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| row.key().cmp(key))
    }

    fn holds(&self, key: &[u8], expect: Expect) -> bool {
        let version = self.find(key).ok().map(|place| self.rows[place].version);
        match expect {
            Expect::Absent => version.is_none(),
            Expect::Present => version.is_some(),
            Expect::Version(expected) => version == Some(expected),
        }
    }
}

#[async_trait]
impl Store for Disk {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        Scan::validate(scans)?;
        let table = self.lock();
        let mut budget = ReadBudget::new();
        let pages = scans
            .iter()
            .map(|scan| self.scan(&table, scan, &mut budget));
        Ok(pages.collect())
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        batch.validate()?;
        let mut table = self.lock();
        for check in &batch.checks {
            if !table.holds(&check.key, check.expect) {
                let key = check.key.clone();
                return Ok(Commit::Conflict { key });
            }
        }
        table.commits += 1;
        let version = Version::new(self.incarnation, table.commits);
        for write in &batch.writes {
            let place = table.find(write.key());
            let Write::Put { key, value } = write else {
                if let Ok(place) = place {
                    table.rows.remove(place);
                }
                continue;
            };
            let mut row = Row {
                key: [0; KEY_BYTES],
                key_length: key.len(),
                start: table.end,
                length: value.len(),
                version,
            };
            row.key[..key.len()].copy_from_slice(key);
            self.file
                .write_all_at(value, row.start)
                .expect("room for it");
            table.end += u64::try_from(value.len()).expect("a length fits in 64 bits");
            match place {
                Ok(place) => table.rows[place] = row,
                Err(place) => {
                    assert!(
                        table.rows.len() < table.rows.capacity(),
                        "more rows than said"
                    );
                    table.rows.insert(place, row);
                }
            }
        }
        Ok(Commit::Applied(version))
    }

    async fn export(&self, _: KeyRange) -> Result<Export, StoreError> {
        let why = "nobody asks for it here";
        Err(StoreError::new(StoreErrorKind::Invalid, "export", why))
    }

    fn subscribe(&self, _: &[u8]) -> Changes {
        Changes::silent()
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
