//! What a store is, said as plainly as it can be: the sequential
//! specification that random histories are compared with.
//!
//! It shares no code with any store, and none of the rules stores share: it
//! looks at every row for every question, and takes its time.

use std::collections::BTreeMap;

use bytes::Bytes;
use windlass_store::limits::{READ_BYTES_MAX, READ_ENTRIES_MAX};
use windlass_store::{
    Batch, Check, Commit, Entry, Expect, KeyRange, Order, Page, Scan, Take, Version, Write,
};

/// A key space without concurrency, durability, limits or errors.
///
/// It is told which version a commit has, so that a store's own versions can
/// be used and compared as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    rows: BTreeMap<Bytes, (Bytes, Version)>,
}

impl Model {
    /// A model without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides a batch and applies it if all its checks hold; what it puts
    /// then has `version`.
    pub fn commit(&mut self, batch: &Batch, version: Version) -> Commit {
        if let Some(key) = self.first_failing(batch) {
            return Commit::Conflict { key };
        }
        for write in &batch.writes {
            self.write(write, version);
        }
        Commit::Applied(version)
    }

    /// The key of the first check of `batch` that does not hold.
    #[must_use]
    pub fn first_failing(&self, batch: &Batch) -> Option<Bytes> {
        batch
            .checks
            .iter()
            .find(|check| !self.holds(check))
            .map(|check| check.key.clone())
    }

    /// Whether a check holds.
    #[must_use]
    pub fn holds(&self, check: &Check) -> bool {
        match (check.expect, self.rows.get(&check.key)) {
            (Expect::Absent, row) => row.is_none(),
            (Expect::Present, row) => row.is_some(),
            (Expect::Version(_), None) => false,
            (Expect::Version(expected), Some((_, version))) => expected == *version,
        }
    }

    /// Applies one write without any check.
    pub fn write(&mut self, write: &Write, version: Version) {
        match write {
            Write::Put { key, value } => {
                self.rows.insert(key.clone(), (value.clone(), version));
            }
            Write::Delete { key } => {
                self.rows.remove(key);
            }
        }
    }

    /// The entry of a key.
    #[must_use]
    pub fn entry(&self, key: &Bytes) -> Option<Entry> {
        self.rows.get_key_value(key).map(entry)
    }

    /// Every entry of a range in ascending order.
    #[must_use]
    pub fn range(&self, range: &KeyRange) -> Vec<Entry> {
        self.rows(range).map(entry).collect()
    }

    /// How many entries a range has.
    #[must_use]
    pub fn count(&self, range: &KeyRange) -> usize {
        self.rows(range).count()
    }

    /// Every entry a scan is about, in its order and as it takes them, as if
    /// there were no limit to a page.
    #[must_use]
    pub fn matching(&self, scan: &Scan) -> Vec<Entry> {
        self.first_matching(scan, usize::MAX)
    }

    /// The first `count` entries a scan is about, in its order and as it
    /// takes them.
    #[must_use]
    pub fn first_matching(&self, scan: &Scan, count: usize) -> Vec<Entry> {
        let rows = self.rows(&scan.range);
        let mut entries: Vec<Entry> = match scan.order {
            Order::Ascending => rows.take(count).map(entry).collect(),
            Order::Descending => rows.rev().take(count).map(entry).collect(),
        };
        if scan.take == Take::Keys {
            for entry in &mut entries {
                entry.value = Bytes::new();
            }
        }
        entries
    }

    /// The rows of a range, found by looking at all there are.
    fn rows(&self, range: &KeyRange) -> impl DoubleEndedIterator<Item = Row<'_>> {
        self.rows.iter().filter(|(key, _)| {
            let below = key.as_ref() < range.start.as_ref();
            let beyond = range
                .end
                .as_ref()
                .is_some_and(|end| key.as_ref() >= end.as_ref());
            !below && !beyond
        })
    }

    /// The longest pages that are legal.
    #[must_use]
    pub fn read(&self, scans: &[Scan]) -> Vec<Page> {
        let (mut count, mut bytes) = (0, 0);
        let mut pages = Vec::new();
        for scan in scans {
            let mut page = Page::default();
            for entry in self.matching(scan) {
                if page.entries.len() == scan.limit || !fits(count, bytes, size(&entry)) {
                    page.more = true;
                    break;
                }
                count += 1;
                bytes += size(&entry);
                page.entries.push(entry);
            }
            pages.push(page);
        }
        pages
    }
}

/// A key with its value and version.
type Row<'a> = (&'a Bytes, &'a (Bytes, Version));

fn entry((key, (value, version)): Row<'_>) -> Entry {
    Entry {
        key: key.clone(),
        value: value.clone(),
        version: *version,
    }
}

/// What an entry counts in a read; keys alone have empty values.
pub(crate) fn size(entry: &Entry) -> usize {
    entry.key.len() + entry.value.len()
}

/// Whether a read that holds `count` entries of `bytes` bytes may take one
/// more of `size` bytes.
pub(crate) fn fits(count: usize, bytes: usize, size: usize) -> bool {
    count == 0 || (count < READ_ENTRIES_MAX && bytes + size <= READ_BYTES_MAX)
}
