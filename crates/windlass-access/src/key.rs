//! Keys as their owners see them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_core::{Env, Millis, OperationId, RandomError, TenantId};

use crate::error::{AccessError, Problem};
use crate::grant::Grant;
use crate::token;

/// The name of a key: 16 lower-case hexadecimal digits. It identifies, and
/// proves nothing: it may stand in a log or a URL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Draws 64 random bits.
    pub(crate) fn draw(env: &dyn Env) -> Result<Self, RandomError> {
        let mut bytes = [0; token::ID_BYTES];
        env.random(&mut bytes)?;
        Ok(Self(token::hex(&bytes).into()))
    }
}

impl FromStr for KeyId {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        if text.len() == 2 * token::ID_BYTES && token::is_hex(text) {
            Ok(Self(text.into()))
        } else {
            Err(AccessError::invalid("key", Problem::Character))
        }
    }
}

impl TryFrom<String> for KeyId {
    type Error = AccessError;

    fn try_from(text: String) -> Result<Self, AccessError> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.0)
    }
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its name.
    pub id: KeyId,
    /// What its owner calls it.
    pub label: String,
    /// What it stands for.
    #[serde(flatten)]
    pub grant: Grant,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends by itself; `None` for never.
    pub expires_at: Option<Millis>,
    /// When it was revoked; `None` if it was not.
    pub revoked_at: Option<Millis>,
    /// When it last got a new secret; `None` if it still has its first.
    pub rotated_at: Option<Millis>,
    /// Until when the secret before the last still works, or worked.
    pub overlap_until: Option<Millis>,
}

impl ApiKey {
    /// Whether it is neither revoked nor expired at `now`.
    #[must_use]
    pub fn is_usable(&self, now: Millis) -> bool {
        let expired = self.expires_at.is_some_and(|at| at.has_passed(now));
        self.revoked_at.is_none() && !expired
    }
}

/// A key that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// What its owner calls it: 1 to 128 bytes without control characters.
    pub label: String,
    /// What it is to stand for. Whether the caller may give that away is for
    /// the caller's own grant to say: [`Grant::covers`].
    pub grant: Grant,
    /// How long it is to last: 1 s to ten years; `None` for ever.
    pub ttl_ms: Option<u64>,
    /// Makes the request safe to send again: a second key is not made.
    pub operation: Option<OperationId>,
}

impl NewKey {
    /// A key that lasts for ever, under no operation.
    #[must_use]
    pub fn new(label: impl Into<String>, grant: Grant) -> Self {
        Self {
            label: label.into(),
            grant,
            ttl_ms: None,
            operation: None,
        }
    }
}

/// A new secret for a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotate {
    /// How long the present secret still works: up to 30 days; 0 ends it at
    /// once.
    pub overlap_ms: u64,
    /// Makes the request safe to send again: the key is not rotated twice.
    pub operation: Option<OperationId>,
}

/// Whose keys to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeysOf {
    /// Everybody's.
    #[default]
    All,
    /// Those of operators.
    Operators,
    /// Those of one tenant.
    Tenant(TenantId),
}

/// Which keys to list, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyQuery {
    /// Whose.
    pub of: KeysOf,
    /// At most so many on the page, unreadable ones included: 1 to 1,000.
    pub limit: usize,
    /// Go on after this key, the last of an earlier page of the same query.
    pub after: Option<KeyId>,
}

impl Default for KeyQuery {
    /// The first 100 keys of everybody.
    fn default() -> Self {
        Self {
            of: KeysOf::All,
            limit: 100,
            after: None,
        }
    }
}

/// One page of keys, in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyPage {
    /// The keys, ended ones included.
    pub keys: Vec<ApiKey>,
    /// Where to go on; `None` at the end.
    pub next: Option<KeyId>,
    /// Keys whose records cannot be read; they are left out, and
    /// authenticate nobody.
    pub unreadable: Vec<UnreadableKey>,
}

/// A key whose record cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadableKey {
    /// Which key.
    pub id: KeyId,
    /// What is wrong with it, for operators.
    pub why: String,
}
