//! What a store remembers of its last backup.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::Millis;
use windlass_store::key::Key;
use windlass_store::{Store, StoreExt};

use super::{BackupError, Made};

/// The format of the record.
const FORMAT: u32 = 1;

/// What a store remembers of its backups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupStatus {
    /// The last that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastBackup>,
    /// The last that failed, if that was later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<LastFailure>,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastBackup {
    /// Its name.
    pub name: String,
    /// When it was begun. What was acknowledged before is in it.
    pub begun_at: Millis,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Entries in it.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Bytes of its files.
    pub file_bytes: u64,
    /// Whether it was read back.
    pub verified: bool,
}

/// A backup that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastFailure {
    /// When.
    pub at: Millis,
    /// The code of the error.
    pub code: String,
}

impl From<&Made> for LastBackup {
    fn from(made: &Made) -> Self {
        Self {
            name: made.manifest.name.clone(),
            begun_at: made.manifest.begun_at,
            took_ms: made.took_ms,
            entries: made.manifest.entries(),
            bytes: made.manifest.bytes(),
            file_bytes: made.manifest.file_bytes(),
            verified: made.verified,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Row {
    v: u32,
    #[serde(flatten)]
    status: BackupStatus,
}

/// Where the record is.
fn key() -> Bytes {
    Key::new("system").text("backup").finish()
}

/// What `store` remembers; nothing if none was ever tried.
pub(super) async fn read(store: &dyn Store) -> Result<BackupStatus, BackupError> {
    let found = store.get(key()).await;
    let found = found.map_err(|source| BackupError::Note {
        verb: "read",
        source,
    })?;
    match found {
        Some(entry) => decode(&entry.value).ok_or(BackupError::NoteDamaged),
        None => Ok(BackupStatus::default()),
    }
}

fn decode(bytes: &[u8]) -> Option<BackupStatus> {
    let row: Row = serde_json::from_slice(bytes).ok()?;
    (row.v == FORMAT).then_some(row.status)
}

/// Notes a backup that was made; later ones stay what they are.
pub(super) async fn note_made(store: &dyn Store, made: &Made) -> Result<(), BackupError> {
    let last = LastBackup::from(made);
    note(store, |status| {
        let earlier = status.last.as_ref();
        if earlier.is_none_or(|earlier| earlier.begun_at <= last.begun_at) {
            status.last = Some(last.clone());
            status.failed = None;
        }
    })
    .await
}

/// Notes one that failed.
pub(super) async fn note_failed(
    store: &dyn Store,
    at: Millis,
    code: &str,
) -> Result<(), BackupError> {
    note(store, |status| {
        status.failed = Some(LastFailure {
            at,
            code: code.to_owned(),
        });
    })
    .await
}

async fn note(
    store: &dyn Store,
    change: impl Fn(&mut BackupStatus) + Send + Sync,
) -> Result<(), BackupError> {
    let change = |entry: Option<&windlass_store::Entry>| {
        let mut status = entry
            .and_then(|entry| decode(&entry.value))
            .unwrap_or_default();
        change(&mut status);
        let row = Row { v: FORMAT, status };
        let bytes = serde_json::to_vec(&row).expect("texts and numbers can be written");
        Some(bytes.into())
    };
    let noted = store.update(key(), change).await;
    noted.map(drop).map_err(|source| BackupError::Note {
        verb: "write",
        source,
    })
}
