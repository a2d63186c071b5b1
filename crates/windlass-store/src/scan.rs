//! What is read: ranges of keys, and the pages that come back.

use bytes::Bytes;

use crate::limits::{KEY_BYTES_MAX, READ_BYTES_MAX, READ_ENTRIES_MAX, READ_SCANS_MAX};
use crate::{StoreError, Version};

/// A half-open range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key that may be in it.
    pub start: Bytes,
    /// The first key that is beyond it; `None` for no end.
    pub end: Option<Bytes>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            start: Bytes::new(),
            end: None,
        }
    }

    /// From `start` up to but not including `end`.
    #[must_use]
    pub fn new(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self {
            start: start.into(),
            end: Some(end.into()),
        }
    }

    /// Every key that begins with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start = prefix.into();
        let end = prefix_end(&start);
        Self { start, end }
    }

    /// Just `key`.
    #[must_use]
    pub fn point(key: impl Into<Bytes>) -> Self {
        let start = key.into();
        let mut end = Vec::with_capacity(start.len() + 1);
        end.extend_from_slice(&start);
        end.push(0);
        Self {
            start,
            end: Some(end.into()),
        }
    }

    /// Whether `key` is in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_ref() && self.end.as_ref().is_none_or(|end| key < end.as_ref())
    }

    /// Whether no key can be in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// The one key in the range, if it was made by [`KeyRange::point`] or
    /// covers the same keys. Lets a store answer by a plain look-up.
    #[must_use]
    pub fn as_point(&self) -> Option<&Bytes> {
        let end = self.end.as_ref()?;
        let longer = end.len() == self.start.len() + 1;
        (longer && end.starts_with(&self.start) && end.ends_with(&[0])).then_some(&self.start)
    }
}

/// The first key after all keys that begin with `prefix`.
fn prefix_end(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end.into())
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Lowest key first.
    #[default]
    Ascending,
    /// Highest key first.
    Descending,
}

/// How much of each entry a scan wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Take {
    /// Keys, values and versions.
    #[default]
    Entries,
    /// Keys and versions; the values come back empty.
    Keys,
}

/// One range to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Which keys.
    pub range: KeyRange,
    /// At most so many entries: 1 to [`READ_ENTRIES_MAX`].
    pub limit: usize,
    /// From which end.
    pub order: Order,
    /// How much of each.
    pub take: Take,
}

impl Scan {
    /// All of `range`, ascending, whole entries, as many as a read allows.
    #[must_use]
    pub const fn new(range: KeyRange) -> Self {
        Self {
            range,
            limit: READ_ENTRIES_MAX,
            order: Order::Ascending,
            take: Take::Entries,
        }
    }

    /// The entry of `key`, if it has one.
    #[must_use]
    pub fn point(key: impl Into<Bytes>) -> Self {
        Self::new(KeyRange::point(key)).limit(1)
    }

    /// The entries whose keys begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        Self::new(KeyRange::prefix(prefix))
    }

    /// The same scan with another limit.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The same scan in descending order.
    #[must_use]
    pub const fn descending(mut self) -> Self {
        self.order = Order::Descending;
        self
    }

    /// The same scan without values.
    #[must_use]
    pub const fn keys(mut self) -> Self {
        self.take = Take::Keys;
        self
    }

    /// Refuses a read that no store may take. Every store calls this before
    /// anything else.
    ///
    /// # Errors
    ///
    /// `Invalid` for no scan, more than [`READ_SCANS_MAX`], a limit outside
    /// 1 to [`READ_ENTRIES_MAX`], or a bound longer than a key may be (plus
    /// the one byte that [`KeyRange::point`] adds).
    pub fn validate(scans: &[Self]) -> Result<(), StoreError> {
        let count = scans.len();
        if count == 0 || count > READ_SCANS_MAX {
            return Err(invalid(format!(
                "{count} scans; 1 to {READ_SCANS_MAX} are allowed"
            )));
        }
        for scan in scans {
            if scan.limit == 0 || scan.limit > READ_ENTRIES_MAX {
                let limit = scan.limit;
                return Err(invalid(format!(
                    "a limit of {limit} entries; 1 to {READ_ENTRIES_MAX} are allowed"
                )));
            }
            scan.range.validate("read")?;
        }
        Ok(())
    }
}

impl KeyRange {
    /// Refuses a range with a bound longer than any key.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the length.
    pub fn validate(&self, operation: &'static str) -> Result<(), StoreError> {
        let longest = self
            .start
            .len()
            .max(self.end.as_ref().map_or(0, Bytes::len));
        if longest > KEY_BYTES_MAX + 1 {
            return Err(StoreError::invalid(
                operation,
                format!("a bound has {longest} bytes; at most {KEY_BYTES_MAX} and one are allowed"),
            ));
        }
        Ok(())
    }
}

fn invalid(context: String) -> StoreError {
    StoreError::invalid("read", context)
}

/// One stored key with its value and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// Its value, unsealed; empty if the scan took keys only.
    pub value: Bytes,
    /// The version of the commit that wrote it.
    pub version: Version,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries, in the order of the scan.
    pub entries: Vec<Entry>,
    /// Exactly whether the range holds entries beyond the last one given.
    /// A page without entries has more only if the pages before it used up
    /// what one read may give.
    pub more: bool,
}

/// The one rule for how much a read gives, shared by all stores.
///
/// Pages are filled in the order of their scans. An entry is taken while the
/// read as a whole stays within [`READ_ENTRIES_MAX`] entries and
/// [`READ_BYTES_MAX`] bytes of keys and (if the scan takes them) values; the
/// first entry of a read is taken whatever its size. At the first entry that
/// does not fit its page ends, with more to come; later, smaller pages may
/// still fit.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadBudget {
    entries: usize,
    bytes: usize,
}

impl ReadBudget {
    /// A budget of which nothing is used.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: 0,
            bytes: 0,
        }
    }

    /// Whether an entry of this size still fits; if so it is counted.
    #[must_use]
    pub const fn admit(&mut self, size: usize) -> bool {
        let fits =
            self.entries < READ_ENTRIES_MAX && size <= READ_BYTES_MAX.saturating_sub(self.bytes);
        if fits || self.entries == 0 {
            self.entries += 1;
            self.bytes += size;
            return true;
        }
        false
    }
}
