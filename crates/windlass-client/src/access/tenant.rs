//! Tenants: what they may have, what they have, and the proof that nothing is
//! left of one that was erased.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use crate::schema::{Identifier, UnixMs};

/// The most a tenant may have; `null` is without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = TenantQuota))]
pub struct Quota {
    /// Active sessions.
    #[cfg_attr(feature = "schema", schema(required))]
    pub sessions: Option<u64>,
    /// Bytes in stashes.
    #[cfg_attr(feature = "schema", schema(required))]
    pub stash_bytes: Option<u64>,
}

/// A quota to be set in the place of the one there was. What is left out is
/// not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetQuota {
    /// Active sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// Bytes in stashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stash_bytes: Option<u64>,
}

/// What a tenant has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantUsage {
    /// Active sessions.
    pub sessions: u64,
    /// Bytes in stashes.
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
    /// Nothing of it is left but its record and the certificate.
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
    /// What it has; left out of lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TenantUsage>,
}

/// One page of a list of tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantPage {
    /// The tenants, in the order of their ids.
    pub tenants: Vec<Tenant>,
    /// Where to go on; `null` at the end.
    #[cfg_attr(feature = "schema", schema(required))]
    pub next_cursor: Option<String>,
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

/// The certificate of an erasure: what was removed, and that nothing is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Erasure {
    /// Whose data it was.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub tenant: String,
    /// When the erasure was asked for.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub started_at: u64,
    /// When the last row was removed; `null` while some are left.
    #[cfg_attr(feature = "schema", schema(value_type = Option<UnixMs>, required))]
    pub finished_at: Option<u64>,
    /// Rows removed.
    pub rows: u64,
    /// Bytes they had, keys included.
    pub bytes: u64,
    /// When the store was last looked through and nothing was found; `null` if
    /// that is still to come.
    #[cfg_attr(feature = "schema", schema(value_type = Option<UnixMs>, required))]
    pub checked_at: Option<u64>,
}
