//! Stored records: small JSON objects, each with a format version.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use windlass_core::{Format, Millis, OperationId};
use windlass_store::{Entry, Incarnation};

use crate::error::AccessError;
use crate::grant::Grant;
use crate::key::{ApiKey, KeyId, NewKey};
use crate::limits::RETENTION_MS;
use crate::tenant::{Certificate, Progress, Quota, Status, Tenant};
use crate::token::{SecretHash, hex, unhex};
use windlass_core::TenantId;

/// A hash, written as hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Hash(pub(crate) SecretHash);

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hex(&hash.0)
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let bytes = unhex(&text).map(Self);
        bytes.ok_or("a hash has 64 lower-case hexadecimal digits")
    }
}

/// The secret before the last, while it still works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Former {
    pub(crate) secret: Hash,
    pub(crate) until: Millis,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRecord {
    pub(crate) v: Format,
    pub(crate) label: String,
    pub(crate) grant: Grant,
    pub(crate) secret: Hash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) former: Option<Former>,
    pub(crate) created_at: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revoked_at: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rotated_at: Option<Millis>,
    /// The operation it was made under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operation: Option<OperationId>,
    /// The operation of its last rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rotation: Option<OperationId>,
}

impl KeyRecord {
    pub(crate) fn new(request: &NewKey, secret: SecretHash, now: Millis) -> Self {
        Self {
            v: Format,
            label: request.label.clone(),
            grant: request.grant.clone(),
            secret: Hash(secret),
            former: None,
            created_at: now,
            expires_at: request.ttl_ms.map(|ttl| now.plus_ms(ttl)),
            revoked_at: None,
            rotated_at: None,
            operation: request.operation.clone(),
            rotation: None,
        }
    }

    /// When upkeep drops it: some time after it ended, whichever way; `None`
    /// while it has no end.
    pub(crate) fn due(&self) -> Option<Millis> {
        let ends = [self.expires_at, self.revoked_at];
        let end = ends.into_iter().flatten().min()?;
        Some(end.plus_ms(RETENTION_MS))
    }

    pub(crate) fn has_ended(&self, now: Millis) -> bool {
        let expired = self.expires_at.is_some_and(|at| at.has_passed(now));
        expired || self.revoked_at.is_some()
    }

    pub(crate) fn view(&self, id: &KeyId) -> ApiKey {
        ApiKey {
            id: id.clone(),
            label: self.label.clone(),
            grant: self.grant.clone(),
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            rotated_at: self.rotated_at,
            overlap_until: self.former.map(|former| former.until),
        }
    }
}

/// The first key made under an operation id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperationRecord {
    pub(crate) v: Format,
    pub(crate) key: KeyId,
    /// What was asked for.
    pub(crate) request: Hash,
}

impl OperationRecord {
    pub(crate) fn new(id: &KeyId, request: &NewKey) -> Self {
        #[derive(Serialize)]
        struct Asked<'a> {
            label: &'a str,
            grant: &'a Grant,
            ttl_ms: Option<u64>,
        }
        let asked = Asked {
            label: &request.label,
            grant: &request.grant,
            ttl_ms: request.ttl_ms,
        };
        Self {
            v: Format,
            key: id.clone(),
            request: Hash(Sha256::digest(encode(&asked)).into()),
        }
    }
}

/// What is to be known of a tenant, or of operators: how many keys they have,
/// and of a tenant its quota and whether it is being erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) v: Format,
    #[serde(default)]
    pub(crate) keys: u64,
    #[serde(default, skip_serializing_if = "is_active")]
    pub(crate) status: Status,
    #[serde(default, skip_serializing_if = "Quota::is_unlimited")]
    pub(crate) quota: Quota,
}

impl Head {
    /// Of somebody nobody has said anything about.
    pub(crate) const fn new() -> Self {
        Self {
            v: Format,
            keys: 0,
            status: Status::Active,
            quota: Quota {
                sessions: None,
                stash_bytes: None,
            },
        }
    }

    pub(crate) const fn ensure_active(&self) -> Result<(), AccessError> {
        match self.status {
            Status::Active => Ok(()),
            status => Err(AccessError::TenantNotActive { status }),
        }
    }

    pub(crate) fn view(&self, tenant: &TenantId) -> Tenant {
        Tenant {
            tenant: tenant.clone(),
            status: self.status,
            quota: self.quota,
            keys: self.keys,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_active(status: &Status) -> bool {
    *status == Status::Active
}

/// A row that is to be erased.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) row: Entry,
    /// Whether its value cannot be read.
    pub(crate) is_damaged: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How far the erasure of a tenant is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erasure {
    pub(crate) v: Format,
    pub(crate) started_at: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at: Option<Millis>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) keys_revoked: u64,
    pub(crate) passes: u64,
    /// Rows among them whose values could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) unreadable: u64,
    pub(crate) digest: Hash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) incarnation: Option<String>,
}

impl Erasure {
    pub(crate) const fn begin(now: Millis) -> Self {
        Self {
            v: Format,
            started_at: now,
            finished_at: None,
            rows: 0,
            bytes: 0,
            keys_revoked: 0,
            passes: 0,
            unreadable: 0,
            digest: Hash([0; 32]),
            incarnation: None,
        }
    }

    /// Notes a row as erased; one that could not be read with its key alone.
    pub(crate) fn note(&mut self, found: &Found) {
        let row = &found.row;
        let bytes = |part: &[u8]| u64::try_from(part.len()).unwrap_or(u64::MAX);
        let size = bytes(&row.key).saturating_add(bytes(&row.value));
        self.rows = self.rows.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
        let mut hasher = Sha256::new();
        hasher.update(self.digest.0);
        hasher.update(bytes(&row.key).to_be_bytes());
        hasher.update(&row.key);
        if found.is_damaged {
            self.unreadable = self.unreadable.saturating_add(1);
            hasher.update([0; 32]);
        } else {
            hasher.update(Sha256::digest(&row.value));
        }
        self.digest = Hash(hasher.finalize().into());
    }

    pub(crate) fn finish(&mut self, now: Millis, incarnation: Incarnation) {
        self.passes = self.passes.saturating_add(1);
        self.finished_at = Some(now);
        self.incarnation = Some(format!("{:016x}", incarnation.number()));
    }

    /// The same, not finished: something has turned up.
    pub(crate) fn reopened(self) -> Self {
        Self {
            finished_at: None,
            incarnation: None,
            ..self
        }
    }

    pub(crate) const fn progress(&self) -> Progress {
        Progress {
            passes: self.passes,
            rows: self.rows,
            bytes: self.bytes,
            keys_revoked: self.keys_revoked,
        }
    }

    /// The proof, once it is finished.
    pub(crate) fn certificate(&self, tenant: &TenantId) -> Option<Certificate> {
        Some(Certificate {
            tenant: tenant.clone(),
            started_at: self.started_at,
            finished_at: self.finished_at?,
            rows: self.rows,
            bytes: self.bytes,
            keys_revoked: self.keys_revoked,
            passes: self.passes,
            unreadable: self.unreadable,
            digest: hex(&self.digest.0),
            remaining: 0,
            incarnation: self.incarnation.clone()?,
        })
    }
}

/// A record as it is stored.
pub(crate) fn encode<T: Serialize>(record: &T) -> Bytes {
    serde_json::to_vec(record)
        .expect("records have text keys and whole numbers only")
        .into()
}

/// A stored record; `name` is what it is called in errors.
pub(crate) fn decode<T: DeserializeOwned>(
    name: &'static str,
    bytes: &[u8],
) -> Result<T, AccessError> {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(rename = "v")]
        _format: Format,
    }
    serde_json::from_slice(bytes).map_err(|cause| {
        // A record of another format is better named than its first new field.
        let other = serde_json::from_slice::<Versioned>(bytes).err();
        AccessError::Corrupt {
            record: name,
            why: other.unwrap_or(cause).to_string(),
        }
    })
}
