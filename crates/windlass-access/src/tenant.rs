//! Tenants as operators see them.

use std::fmt;

use serde::{Deserialize, Serialize};
use windlass_core::{Millis, TenantId};

/// Whether a tenant's data is there to be worked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is.
    #[default]
    Active,
    /// It is being erased; nothing of it is to be read or written any more.
    Erasing,
    /// It was erased whole. Its name is not used again.
    Erased,
}

impl Status {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Erasing => "erasing",
            Self::Erased => "erased",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Erasing => "being erased",
            Self::Erased => "erased",
        })
    }
}

/// How much of the service a tenant may use; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Sessions stored, ended ones included until their retention is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// Bytes of stash values, entries that expired included until upkeep
    /// takes them back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stash_bytes: Option<u64>,
}

impl Quota {
    /// Whether it limits nothing.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.sessions.is_none() && self.stash_bytes.is_none()
    }
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name.
    pub tenant: TenantId,
    /// Whether it is there to be worked with.
    pub status: Status,
    /// How much it may use.
    pub quota: Quota,
    /// How many API keys it has, those that ended lately included.
    pub keys: u64,
}

/// Which tenants to list, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantQuery {
    /// At most so many on the page, unreadable ones included: 1 to 1,000.
    pub limit: usize,
    /// Go on after this tenant, the last of an earlier page.
    pub after: Option<TenantId>,
}

impl Default for TenantQuery {
    /// The first 100.
    fn default() -> Self {
        Self {
            limit: 100,
            after: None,
        }
    }
}

/// One page of tenants, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TenantPage {
    /// The tenants: those that have a record, and those that have data.
    pub tenants: Vec<Tenant>,
    /// Where to go on; `None` at the end.
    pub next: Option<TenantId>,
    /// Tenants whose records cannot be read.
    pub unreadable: Vec<UnreadableTenant>,
}

/// A tenant whose record cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadableTenant {
    /// Which tenant.
    pub tenant: TenantId,
    /// What is wrong with it.
    pub why: String,
}

/// What an erasure has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Whole passes made before this one.
    pub passes: u64,
    /// Rows erased.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// API keys among them.
    pub keys_revoked: u64,
}

/// The proof that a tenant was erased whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whose data it was.
    pub tenant: TenantId,
    /// When the tenant was closed for everybody.
    pub started_at: Millis,
    /// When a complete pass had found nothing left.
    pub finished_at: Millis,
    /// Rows erased: data, entries of the index of due work, keys and their
    /// index.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// API keys among them.
    pub keys_revoked: u64,
    /// Passes made, the last of which found nothing.
    pub passes: u64,
    /// Rows among those erased whose values could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    /// A chain over everything erased, in the order in which it was: 64
    /// hexadecimal digits. It begins with 32 zero bytes; each row makes
    /// SHA-256(what was before, length of the key in 8 bytes big-endian, the
    /// key, SHA-256 of the value); in place of the last, 32 zero bytes for a
    /// value that could not be read.
    pub digest: String,
    /// Rows left: 0.
    pub remaining: u64,
    /// Which store: 16 hexadecimal digits that no other and no restored one
    /// has.
    pub incarnation: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What is there of a tenant now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The tenant.
    pub tenant: TenantId,
    /// Whether it is said to be erased.
    pub status: Status,
    /// What was answered when it was; `None` if it was not.
    pub certificate: Option<Certificate>,
    /// Rows of its data.
    pub rows: u64,
    /// Rows of the index of due work that name it.
    pub due_rows: u64,
    /// Its API keys, their index and the operations that made them.
    pub key_rows: u64,
}

impl Verification {
    /// Rows of any kind.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.rows
            .saturating_add(self.due_rows)
            .saturating_add(self.key_rows)
    }
}
