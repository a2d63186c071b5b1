//! A batch in the form in which it is sent: a row for each key.

use bytes::Bytes;
use windlass_store::{Batch, Check, Expect, Version, Write, seal};

/// What the server is told of a check on any version.
const ANY: i64 = -1;
/// What it is told of a version that was never one of this store's: no row
/// has it.
const NONE: i64 = -2;

/// One key of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) key: Bytes,
    pub(crate) check: Option<Condition>,
    pub(crate) change: Option<Change>,
}

/// A check on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Its place in the batch, from 1.
    pub(crate) place: i32,
    /// What is expected: a version as the server counts it; `None` for
    /// nothing at all.
    pub(crate) expect: Option<i64>,
}

/// A write on a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Put { crc: i64, sealed: Vec<u8> },
    Delete,
}

/// A batch, ready to be sent under its number.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) number: i64,
    /// In the order of keys, each once.
    pub(crate) touches: Vec<Touch>,
}

impl Prepared {
    /// Seals the values of a valid batch for the version `number`.
    pub(crate) fn new(batch: &Batch, number: i64, incarnation: i64) -> Self {
        let mut touches: Vec<_> = batch
            .writes
            .iter()
            .map(|write| written(write, number))
            .collect();
        touches.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let mut only_checked = Vec::new();
        for (check, place) in batch.checks.iter().zip(1..) {
            let condition = Some(Condition {
                place,
                expect: expected(check, incarnation),
            });
            match touches.binary_search_by(|touch| touch.key.cmp(&check.key)) {
                Ok(found) => touches[found].check = condition,
                Err(_) => only_checked.push(Touch {
                    key: check.key.clone(),
                    check: condition,
                    change: None,
                }),
            }
        }
        touches.append(&mut only_checked);
        touches.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Self { number, touches }
    }
}

fn written(write: &Write, number: i64) -> Touch {
    let change = match write {
        Write::Put { key, value } => Change::Put {
            crc: key_crc(key, number),
            sealed: seal::seal(key, number.cast_unsigned(), value),
        },
        Write::Delete { .. } => Change::Delete,
    };
    Touch {
        key: write.key().clone(),
        check: None,
        change: Some(change),
    }
}

fn expected(check: &Check, incarnation: i64) -> Option<i64> {
    match check.expect {
        Expect::Absent => None,
        Expect::Present => Some(ANY),
        Expect::Version(version) => Some(counted(version, incarnation)),
    }
}

/// A version as the server counts it.
fn counted(version: Version, incarnation: i64) -> i64 {
    let ours = version.incarnation().number() == incarnation.cast_unsigned();
    let number = i64::try_from(version.sequence())
        .ok()
        .filter(|number| ours && *number > 0);
    number.unwrap_or(NONE)
}

/// The checksum beside a key: over its version and itself. It lets a scan of
/// keys alone notice damage without reading the value.
pub(crate) fn key_crc(key: &[u8], number: i64) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(key);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use windlass_store::Incarnation;

    use super::*;

    #[test]
    fn each_key_is_one_row_in_order() {
        let version = |incarnation, number| {
            Expect::Version(Version::new(Incarnation::from_number(incarnation), number))
        };
        let batch = Batch::new()
            .check("c", version(7, 5))
            .check("a", Expect::Present)
            .check("d", Expect::Absent)
            .check("e", version(8, 5))
            .put("d", "new")
            .delete("b")
            .put("c", "next");
        let prepared = Prepared::new(&batch, 9, 7);
        let rows: Vec<_> = prepared
            .touches
            .iter()
            .map(|touch| {
                let check = touch.check.map(|check| (check.place, check.expect));
                let deletes = touch
                    .change
                    .as_ref()
                    .map(|change| *change == Change::Delete);
                (touch.key.as_ref(), check, deletes)
            })
            .collect();
        let expected: [(&[u8], _, _); 5] = [
            (b"a", Some((2, Some(ANY))), None),
            (b"b", None, Some(true)),
            (b"c", Some((1, Some(5))), Some(false)),
            (b"d", Some((3, None)), Some(false)),
            (b"e", Some((4, Some(NONE))), None),
        ];
        assert_eq!(rows, expected);
    }
}
