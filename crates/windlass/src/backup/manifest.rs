//! What a backup says of itself.
//!
//! `manifest.json` is one line, in exactly this form:
//!
//! ```text
//! {"manifest":{…},"sha256":"<64 digits>"}
//! ```
//!
//! The hash is that of the text of `manifest`, byte for byte as it stands
//! there. Nothing may be before, between or behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use windlass_core::Millis;

use super::BackupError;
use crate::transfer::hex;

/// The name of the file that has it.
pub(super) const FILE: &str = "manifest.json";
/// The most bytes it may have: far more than any has.
pub(super) const BYTES_MAX: u64 = 1_024 * 1_024;
/// The format of the manifest.
const FORMAT: u32 = 1;
/// The format of records and keys, as the page of the layout counts it.
const RECORDS: u32 = 1;
/// The format of the files.
const FILES: u32 = 1;

const BEFORE: &str = r#"{"manifest":"#;
const BETWEEN: &str = r#","sha256":""#;
const BEHIND: &str = "\"}\n";
const DIGITS: usize = 64;

/// Which of the stores a copy is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Slot {
    /// The store of the engine: all but the cache.
    Main,
    /// The store below the cache.
    Cache,
}

impl Slot {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Cache => "cache",
        }
    }

    /// The file that has its copy.
    pub(super) fn file(self) -> String {
        format!("{}.export", self.as_str())
    }
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The format of the manifest.
    pub v: u32,
    /// Its name: that of its directory, unless somebody renamed it.
    pub name: String,
    /// The version of the product that made it.
    pub product: String,
    /// The formats of what is in it: of `records` and of `files`.
    pub formats: BTreeMap<String, u32>,
    /// When it was begun. What was acknowledged before is in it.
    pub begun_at: Millis,
    /// When its last file was whole.
    pub finished_at: Millis,
    /// What was copied, each store as it was at one point in time.
    pub stores: Vec<StoreFigures>,
}

/// What a backup says of one store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoreFigures {
    /// Which one it is.
    pub store: Slot,
    /// Its incarnation, in 16 hexadecimal digits; `None` if it was empty.
    pub incarnation: Option<String>,
    /// The file's name.
    pub file: String,
    /// The file's length.
    pub file_bytes: u64,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// Entries in it.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// The SHA-256 of its content: what an export of the same content reports.
    pub digest: String,
    /// What of this is which part's.
    pub parts: BTreeMap<String, PartFigures>,
}

/// How much a part has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFigures {
    /// Entries.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

impl Manifest {
    pub(super) fn new(name: String, begun_at: Millis) -> Self {
        let formats = [("records".to_owned(), RECORDS), ("files".to_owned(), FILES)];
        Self {
            v: FORMAT,
            name,
            product: env!("CARGO_PKG_VERSION").to_owned(),
            formats: formats.into(),
            begun_at,
            finished_at: begun_at,
            stores: Vec::new(),
        }
    }

    /// What it says of one store, if that is in it.
    #[must_use]
    pub fn store(&self, slot: Slot) -> Option<&StoreFigures> {
        self.stores.iter().find(|figures| figures.store == slot)
    }

    /// Bytes of all files but the manifest's.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.stores.iter().map(|store| store.file_bytes).sum()
    }

    /// Entries of all stores.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.stores.iter().map(|store| store.entries).sum()
    }

    /// Bytes of all entries' keys and values.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.stores.iter().map(|store| store.bytes).sum()
    }

    /// The text of the file.
    pub(super) fn encode(&self) -> String {
        let text = serde_json::to_string(self).expect("texts and numbers can be written");
        let hash = hash(&text);
        format!("{BEFORE}{text}{BETWEEN}{hash}{BEHIND}")
    }

    /// Reads what [`Manifest::encode`] wrote, and refuses anything else.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BackupError> {
        let unlike = || BackupError::damaged(FILE, "it is no manifest");
        let text = str::from_utf8(bytes).map_err(|_| unlike())?;
        let text = text.strip_prefix(BEFORE).ok_or_else(unlike)?;
        let text = text.strip_suffix(BEHIND).ok_or_else(unlike)?;
        let at = text.len().checked_sub(DIGITS).ok_or_else(unlike)?;
        let (text, digits) = text.split_at_checked(at).ok_or_else(unlike)?;
        let text = text.strip_suffix(BETWEEN).ok_or_else(unlike)?;
        if hash(text) != digits {
            let why = "it has another hash than it says";
            return Err(BackupError::damaged(FILE, why));
        }
        let formats: Formats = serde_json::from_str(text).map_err(|_| unlike())?;
        formats.check()?;
        serde_json::from_str(text).map_err(|_| unlike())
    }
}

/// The formats alone: what a later release may have written beside is not
/// read before these are known.
#[derive(Deserialize)]
struct Formats {
    v: u32,
    #[serde(default)]
    formats: BTreeMap<String, u32>,
}

impl Formats {
    fn check(&self) -> Result<(), BackupError> {
        let known = [("records", RECORDS), ("files", FILES)];
        let of = |what: &str| known.iter().find(|(name, _)| *name == what);
        let rest = self.formats.iter().map(|(what, found)| {
            let expected = of(what).map_or(0, |(_, expected)| *expected);
            (what.as_str(), *found, expected)
        });
        let manifest = [("the manifest", self.v, FORMAT)];
        match manifest
            .into_iter()
            .chain(rest)
            .find(|(_, found, expected)| found != expected)
        {
            None => Ok(()),
            Some((what, found, expected)) => Err(BackupError::UnknownFormat {
                what: what.to_owned(),
                expected,
                found,
            }),
        }
    }
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// The part whose entry a key is, as the manifest names it.
pub(super) fn part(key: &[u8]) -> &'static str {
    let mut segments = key.split(|byte| *byte == b'/');
    let first = segments.next().unwrap_or_default();
    let second = segments.next().unwrap_or_default();
    match (first, second) {
        (b"due", _) => "due",
        (b"cache", _) => "cache",
        (b"system", b"audit") => "audit",
        (b"system", _) => "system",
        (_, b"session" | b"op" | b"agent" | b"created") => "session",
        (_, b"stash") => "stash",
        (_, b"checkpoint" | b"lineage") => "checkpoint",
        (_, b"queue" | b"queue-ready" | b"queue-op" | b"lease") => "queue",
        (_, b"audit") => "audit",
        (
            _,
            b"stream" | b"streams" | b"stream-op" | b"path" | b"input" | b"cursor" | b"scan"
            | b"subscription" | b"subscriptions",
        ) => "stream",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest::new("b1".to_owned(), Millis::new(7))
    }

    fn sealed(text: &str) -> String {
        format!("{BEFORE}{text}{BETWEEN}{}{BEHIND}", hash(text))
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_no_flipped_bit_is() {
        let bytes = manifest().encode().into_bytes();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest());
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&other).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [&bytes[..], b"\n"].concat();
        let refused = Manifest::decode(&longer).map_err(|error| error.to_string());
        let told =
            "`manifest.json` of the backup is damaged: it is no manifest; take another backup";
        assert_eq!(refused, Err(told.to_owned()));
    }

    #[test]
    fn a_later_format_is_named_before_the_rest_is_read() {
        let table = [
            (r#"{"v":2}"#, "the manifest of format 2", "format 1"),
            (
                r#"{"v":1,"formats":{"records":2}}"#,
                "records of format 2",
                "format 1",
            ),
            (
                r#"{"v":1,"formats":{"seals":1}}"#,
                "seals of format 1",
                "format 0",
            ),
        ];
        for (text, found, expected) in table {
            let refused = Manifest::decode(sealed(text).as_bytes()).unwrap_err();
            let told = refused.to_string();
            assert!(told.contains(found) && told.contains(expected), "{told}");
        }
        let bare = Manifest::decode(sealed(r#"{"v":1}"#).as_bytes());
        assert!(bare.unwrap_err().to_string().contains("no manifest"));
    }
}
