//! Listing the keys of a range past rows that cannot even be listed.

use std::slice;

use bytes::Bytes;

use crate::limits::KEY_BYTES_MAX;
use crate::{Entry, KeyRange, Scan, Store, StoreError, StoreErrorKind};

/// Reads that are spent on finding the next row behind a damaged one: enough
/// to tell apart what differs in 128 bytes.
const SEARCHES_MAX: usize = 1_024;

/// Some keys of a range, in ascending order.
#[derive(Debug, Default)]
pub struct Listed {
    /// The rows, without their values.
    pub entries: Vec<Entry>,
    /// What is left of the range; `None` at its end.
    pub rest: Option<Scan>,
    /// Whether something was passed over that cannot be listed.
    pub passed: bool,
}

impl Listed {
    /// Lists what `scan` asks for, without values; ascending. A row whose key
    /// is damaged is passed over, and with it what may stand so close behind
    /// it that it was not told apart.
    ///
    /// A read; near a damaged row ten more, and to go past it eight for each
    /// byte in which keys there may differ, up to 1,024.
    ///
    /// # Errors
    ///
    /// The store's failures, of which damage is none.
    pub async fn read(store: &dyn Store, scan: Scan) -> Result<Self, StoreError> {
        let mut scan = scan.keys();
        let asked = scan.limit;
        loop {
            match read(store, &scan).await? {
                Some((entries, more)) => {
                    let last = entries.last().filter(|_| more);
                    let rest = last.map(|last| scan.clone().limit(asked).after(&last.key));
                    return Ok(Self {
                        entries,
                        rest,
                        passed: false,
                    });
                }
                None if scan.limit > 1 => scan.limit /= 2,
                None => {
                    let start = behind(store, &scan.range).await?;
                    let rest = start.map(|start| Scan {
                        range: KeyRange {
                            start,
                            end: scan.range.end.clone(),
                        },
                        limit: asked,
                        ..scan
                    });
                    return Ok(Self {
                        entries: Vec::new(),
                        rest,
                        passed: true,
                    });
                }
            }
        }
    }
}

/// The rows of a scan, and whether there are more; `None` where one of them is
/// damaged.
async fn read(store: &dyn Store, scan: &Scan) -> Result<Option<(Vec<Entry>, bool)>, StoreError> {
    match store.read(slice::from_ref(scan)).await {
        Err(error) if error.kind() == StoreErrorKind::Corrupt => Ok(None),
        pages => {
            let page = pages?.into_iter().next().unwrap_or_default();
            Ok(Some((page.entries, page.more)))
        }
    }
}

/// Where it goes on behind the first row of a range, which cannot be listed;
/// `None` if nothing can be behind it. Halves the keys in between until they
/// are too close together.
async fn behind(store: &dyn Store, range: &KeyRange) -> Result<Option<Bytes>, StoreError> {
    let last_before = |start: &Bytes, end: Option<Bytes>| {
        let start = start.clone();
        let scan = Scan::new(KeyRange { start, end });
        scan.keys().limit(1).descending()
    };
    // The damaged row is one of these, and the first.
    let (mut low, mut high) = (range.start.clone(), range.end.clone());
    let mut middle = high.clone();
    for _ in 0..SEARCHES_MAX {
        match read(store, &last_before(&low, middle.clone())).await? {
            None => high = middle,
            Some((entries, _)) => match (entries.into_iter().next(), middle) {
                (Some(sound), _) => high = Some(sound.key),
                (None, Some(middle)) => low = middle,
                // It went meanwhile.
                (None, None) => return Ok(None),
            },
        }
        middle = between(&low, high.as_deref());
        if middle.is_none() {
            break;
        }
    }
    Ok(high.filter(|high| range.contains(high)))
}

/// A key in the middle between two; `None` if there is none. Without a second
/// one there is no end.
fn between(low: &[u8], high: Option<&[u8]>) -> Option<Bytes> {
    let longest = high.map_or(0, <[u8]>::len).max(low.len());
    let width = (longest + 1).min(KEY_BYTES_MAX);
    let digit = |key: &[u8], at: usize| u16::from(key.get(at).copied().unwrap_or(0));
    let (mut sum, mut carry) = (vec![0; width], 0);
    for (at, place) in sum.iter_mut().enumerate().rev() {
        let both = digit(low, at) + high.map_or(0, |high| digit(high, at)) + carry;
        (*place, carry) = (both % 256, both / 256);
    }
    carry += u16::from(high.is_none());
    let mut middle = Vec::with_capacity(width);
    for digit in sum {
        let whole = carry * 256 + digit;
        middle.push(u8::try_from(whole / 2).unwrap_or(u8::MAX));
        carry = whole % 2;
    }
    while middle.last() == Some(&0) {
        middle.pop();
    }
    let is_between = *middle > *low && high.is_none_or(|high| *middle < *high);
    is_between.then(|| middle.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_two_keys_is_between_them_down_to_the_last_bit() {
        let middle = |low: &[u8], high: Option<&[u8]>| between(low, high).map(|it| it.to_vec());
        assert_eq!(middle(b"", None), Some(vec![128]));
        assert_eq!(middle(b"b", Some(b"d")), Some(b"c".to_vec()));
        assert_eq!(middle(b"a", Some(b"b")), Some(vec![b'a', 128]));
        assert_eq!(middle(&[255, 255], None), Some(vec![255, 255, 128]));
        assert_eq!(middle(b"a", Some(b"a\0")), None, "nothing is between");
        assert_eq!(middle(b"b", Some(b"a")), None);
        let (low, mut high) = (Bytes::from_static(b"due/1"), Bytes::from_static(b"due/2"));
        let mut steps = 0;
        while let Some(middle) = between(&low, Some(&high)) {
            assert!(low < middle && middle < high, "{middle:?}");
            (high, steps) = (middle, steps + 1);
            if steps == SEARCHES_MAX {
                break;
            }
        }
        assert_eq!(high.len(), 5 + SEARCHES_MAX / 8);
    }
}
