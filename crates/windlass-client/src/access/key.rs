//! API keys, and what a credential allows.

use std::fmt;

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use crate::schema::{Identifier, Identifiers, UnixMs, Verb};

/// Whose data a credential is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One tenant's.
    Tenant,
    /// Nobody's: it runs the server and sees no sessions.
    Operator,
}

/// Which sessions of its tenant a credential sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Those that its own principal created.
    #[default]
    Own,
    /// All of them.
    Tenant,
}

/// Within which groups a credential may use stashes: `"none"`, `"all"`, or
/// `{"only": […]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Groups {
    /// Within none: it sees public entries only.
    #[default]
    None,
    /// Within any.
    All,
    /// Within these.
    #[cfg_attr(feature = "schema", schema(value_type = Identifiers))]
    Only(Vec<String>),
}

/// What kind of credential a request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// An API key of this server.
    ApiKey,
    /// A signed token of another party.
    Jwt,
    /// None: the server has no keys yet and listens to this machine only.
    Open,
}

/// What the credential of a request allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Whoami {
    /// What kind of credential it is.
    pub credential: CredentialKind,
    /// The id of the API key; `null` for other credentials.
    #[cfg_attr(feature = "schema", schema(required))]
    pub key: Option<String>,
    /// Whose data it is about.
    pub scope: Scope,
    /// The tenant; left out for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub tenant: Option<String>,
    /// Who asks; left out for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub principal: Option<String>,
    /// Which sessions of its tenant it sees.
    pub reach: Reach,
    /// Within which groups it may use stashes.
    pub groups: Groups,
    /// What it may do.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Verb>))]
    pub verbs: Vec<String>,
    /// When it stops being good; `null` if never.
    #[cfg_attr(feature = "schema", schema(value_type = Option<UnixMs>, required))]
    pub expires_at: Option<u64>,
}

/// An API key to be made, no wider than the credential that makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// What it is for, for those who read the list: 1 to 128 bytes.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 128))]
    pub label: String,
    /// Whose data it is about. Left out, that is the maker's tenant; an
    /// operator who leaves it out makes another operator's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>))]
    pub tenant: Option<String>,
    /// As whom its holder acts; needed for a tenant's key, refused for an
    /// operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>))]
    pub principal: Option<String>,
    /// Which sessions of its tenant it sees; its own if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// Within which groups it may use stashes; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Groups>,
    /// What it may do: 1 to 64 verbs.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Verb>, min_items = 1, max_items = 64))]
    pub verbs: Vec<String>,
    /// For how long it is good, in milliseconds: 1 s to ten years; for ever if
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schema(minimum = 1_000, maximum = 315_360_000_000_u64)
    )]
    pub expires_in_ms: Option<u64>,
}

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ApiKey {
    /// Its id, which is also the middle of the token: 16 hex digits.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// Whose data it is about.
    pub scope: Scope,
    /// The tenant; left out for an operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub tenant: Option<String>,
    /// As whom its holder acts; left out for an operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub principal: Option<String>,
    /// Which sessions of its tenant it sees.
    pub reach: Reach,
    /// Within which groups it may use stashes.
    pub groups: Groups,
    /// What it may do.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Verb>))]
    pub verbs: Vec<String>,
    /// When it was made.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub created_at: u64,
    /// When it stops being good; `null` if never.
    #[cfg_attr(feature = "schema", schema(value_type = Option<UnixMs>, required))]
    pub expires_at: Option<u64>,
    /// When it was revoked; `null` if it was not.
    #[cfg_attr(feature = "schema", schema(value_type = Option<UnixMs>, required))]
    pub revoked_at: Option<u64>,
    /// When it last got a new secret; `null` if it still has its first.
    #[cfg_attr(feature = "schema", schema(value_type = Option<UnixMs>, required))]
    pub rotated_at: Option<u64>,
    /// Until when the secret before the last still works, or worked.
    #[cfg_attr(feature = "schema", schema(value_type = Option<UnixMs>, required))]
    pub overlap_until: Option<u64>,
}

/// An API key that was just made or rotated, with its secret, which is shown
/// this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CreatedKey {
    /// The key.
    pub key: ApiKey,
    /// The token to send as `Authorization: Bearer …`: `wl_`, the key's id,
    /// `_` and 64 hex digits.
    pub secret: String,
}

impl fmt::Debug for CreatedKey {
    /// Leaves out the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedKey")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Which keys to list, and how many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct ApiKeysQuery {
    /// Those of this tenant, for operators; everybody's if left out. A tenant's
    /// credential sees its own tenant's either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(value_type = Option<Identifier>))]
    pub tenant: Option<String>,
    /// At most so many: 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1000, default = 100))]
    pub limit: Option<u64>,
    /// The `next_cursor` of an earlier page of the same query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(min_length = 1, max_length = 4096))]
    pub cursor: Option<String>,
}

/// One page of a list of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ApiKeyPage {
    /// The keys, ended ones included until they are dropped.
    pub api_keys: Vec<ApiKey>,
    /// Where to go on; `null` at the end.
    #[cfg_attr(feature = "schema", schema(required))]
    pub next_cursor: Option<String>,
    /// Keys whose records cannot be read; they are left out.
    #[serde(default)]
    pub unreadable: Vec<UnreadableKey>,
}

/// A key whose record cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UnreadableKey {
    /// Which key.
    pub id: String,
    /// What is wrong with it, for operators.
    pub why: String,
}

/// Asks for a new secret of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// For how long the old secret stays good beside the new one, in
    /// milliseconds: at most 30 days; not at all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(maximum = 2_592_000_000_u64))]
    pub overlap_ms: Option<u64>,
}
