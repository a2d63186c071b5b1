//! Tenants: what they may have, what they have, and the proof that nothing is
//! left of one that was erased.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use crate::schema::{Identifier, UnixMs};

/// The most a tenant may have; what is left out is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = TenantQuota))]
pub struct Quota {
    /// Sessions stored, ended ones included until their retention is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// Bytes of stash values, expired ones included until they are taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stash_bytes: Option<u64>,
}

/// A quota to be set in the place of the one there was. What is left out is
/// not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetQuota {
    /// Sessions stored, ended ones included until their retention is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// Bytes of stash values, expired ones included until they are taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stash_bytes: Option<u64>,
}

/// What a tenant has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantUsage {
    /// Sessions stored.
    pub sessions: u64,
    /// Bytes of stash values.
    pub stash_bytes: u64,
}

/// Where a tenant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TenantStatus {
    /// It can be used.
    Active,
    /// It is being erased: every request for it is refused.
    Erasing,
    /// It was erased whole. Its name is not used again.
    Erased,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Tenant {
    /// Which.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub tenant: String,
    /// Where it is in its life.
    pub status: TenantStatus,
    /// What it may have.
    pub quota: Quota,
    /// How many API keys it has, those that ended lately included.
    #[serde(default)]
    pub keys: u64,
    /// What it has; left out of lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TenantUsage>,
}

/// One page of a list of tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantPage {
    /// The tenants: those that have a record, and those that have data.
    pub tenants: Vec<Tenant>,
    /// Where to go on; `null` at the end.
    #[cfg_attr(feature = "schema", schema(required))]
    pub next_cursor: Option<String>,
    /// Tenants whose records cannot be read.
    #[serde(default)]
    pub unreadable: Vec<UnreadableTenant>,
}

/// A tenant whose record cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UnreadableTenant {
    /// Which tenant.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub tenant: String,
    /// What is wrong with it.
    pub why: String,
}

/// Asks for a tenant to be erased with everything it has, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Erase {
    /// The tenant once more, so that it is meant.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub confirm: String,
}

/// The proof that a tenant was erased whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Certificate {
    /// Whose data it was.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub tenant: String,
    /// When the tenant was closed for everybody.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub started_at: u64,
    /// When a complete pass had found nothing left.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub finished_at: u64,
    /// Rows erased.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// API keys among them.
    pub keys_revoked: u64,
    /// Passes made, the last of which found nothing.
    pub passes: u64,
    /// Rows among those erased whose values could not be read; left out if
    /// there were none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    /// A chain of SHA-256 over everything erased, in the order in which it
    /// was: 64 hex digits.
    pub digest: String,
    /// Rows left: 0.
    pub remaining: u64,
    /// Which store: 16 hex digits that no other and no restored one has.
    pub incarnation: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What is there of a tenant now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Verification {
    /// The tenant.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub tenant: String,
    /// Whether it is said to be erased.
    pub status: TenantStatus,
    /// What was answered when it was; `null` if it was not.
    #[cfg_attr(feature = "schema", schema(required))]
    pub certificate: Option<Certificate>,
    /// Rows of its data.
    pub rows: u64,
    /// Rows of the index of due work that name it.
    pub due_rows: u64,
    /// Its API keys, their index and the operations that made them.
    pub key_rows: u64,
}
