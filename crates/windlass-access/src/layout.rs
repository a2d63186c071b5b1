//! Every key of the store that is about access.

use bytes::Bytes;
use windlass_core::{Millis, OperationId, TenantId};
use windlass_store::KeyRange;
use windlass_store::key::{Key, number, segments};

use crate::grant::Scope;
use crate::key::KeyId;

/// The first segment of what belongs to no tenant's data. No tenant can have
/// this name.
const SYSTEM: &str = "system";
/// The first segment of the index of what upkeep has to look at. No tenant
/// can have this name either.
const DUE: &str = "due";
/// The segment that tells keys from other parts in that index.
const PART: &str = "access";

/// The row that is there once a key was ever made.
pub(crate) fn keyed() -> Bytes {
    Key::new(SYSTEM).text("keyed").finish()
}

/// The row of the store's own secret.
pub(crate) fn seal() -> Bytes {
    Key::new(SYSTEM).text("seal").finish()
}

/// The row of a key.
pub(crate) fn key(id: &KeyId) -> Bytes {
    Key::new(SYSTEM).text("key").text(id.as_str()).finish()
}

/// The prefix of the rows of all keys.
pub(crate) fn keys() -> Bytes {
    Key::new(SYSTEM).text("key").below()
}

/// The prefix of the rows that stand for tenants.
pub(crate) fn tenants() -> Bytes {
    Key::new(SYSTEM).text("tenant").below()
}

/// The rows of all that a tenant keeps in its name.
pub(crate) fn data(tenant: &TenantId) -> KeyRange {
    KeyRange::prefix(Key::new(tenant.as_str()).below())
}

/// Whose keys a row counts or lists: a tenant's, or those of operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Operators,
    Tenant(TenantId),
}

impl Owner {
    pub(crate) fn of(scope: &Scope) -> Self {
        match scope {
            Scope::Operator => Self::Operators,
            Scope::Tenant { tenant, .. } => Self::Tenant(tenant.clone()),
        }
    }

    fn base(&self) -> Key {
        match self {
            Self::Operators => Key::new(SYSTEM).text("operator"),
            Self::Tenant(tenant) => Key::new(SYSTEM).text("tenant").text(tenant.as_str()),
        }
    }

    /// The record that every change of the set of keys checks and rewrites.
    pub(crate) fn head(&self) -> Bytes {
        self.base().text("head").finish()
    }

    /// The record of an erasure.
    pub(crate) fn erasure(&self) -> Bytes {
        self.base().text("erasure").finish()
    }

    /// The index row of one of its keys.
    pub(crate) fn listed(&self, id: &KeyId) -> Bytes {
        self.base().text("key").text(id.as_str()).finish()
    }

    /// The prefix of those.
    pub(crate) fn listing(&self) -> Bytes {
        self.base().text("key").below()
    }

    /// The record of an operation that made a key.
    pub(crate) fn operation(&self, id: &OperationId) -> Bytes {
        self.base().text("op").text(id.as_str()).finish()
    }

    /// The prefix of those.
    pub(crate) fn operations(&self) -> Bytes {
        self.base().text("op").below()
    }

    /// The index row that makes upkeep look at a key at `time`.
    pub(crate) fn due(&self, time: Millis, id: &KeyId) -> Bytes {
        let owner = match self {
            Self::Operators => SYSTEM,
            Self::Tenant(tenant) => tenant.as_str(),
        };
        Key::new(DUE)
            .number(time.get())
            .text(PART)
            .text(owner)
            .text(id.as_str())
            .finish()
    }
}

/// The key that a row below `prefix` is named for.
pub(crate) fn key_below(prefix: &[u8], row: &[u8]) -> Option<KeyId> {
    let rest = row.strip_prefix(prefix)?;
    std::str::from_utf8(rest).ok()?.parse().ok()
}

/// The tenant whose rows a row below [`tenants`] is one of.
pub(crate) fn tenant_below(row: &[u8]) -> Option<TenantId> {
    tenant_of(row.strip_prefix(tenants().as_ref())?)
}

/// The tenant that the first segment of a row names.
pub(crate) fn tenant_of(row: &[u8]) -> Option<TenantId> {
    let first = row.split(|byte| *byte == b'/').next()?;
    std::str::from_utf8(first).ok()?.parse().ok()
}

/// The whole index of due work, of all parts.
pub(crate) fn due_rows() -> KeyRange {
    KeyRange::prefix(Key::new(DUE).below())
}

/// Everything that is no tenant's, as ranges to step over.
pub(crate) fn shared() -> [KeyRange; 2] {
    [DUE, SYSTEM].map(|first| KeyRange::prefix(Key::new(first).below()))
}

/// Whether a row of the index of due work, whichever part's, is about
/// `tenant`: every part names it in the fourth segment.
pub(crate) fn is_due_of(row: &[u8], tenant: &TenantId) -> bool {
    let named = row.split(|byte| *byte == b'/').nth(3);
    named == Some(tenant.as_str().as_bytes())
}

/// Everything due at `now`, earliest first, of this and other parts.
pub(crate) fn due_until(now: Millis) -> KeyRange {
    let start = Key::new(DUE).number(0).finish();
    KeyRange::new(
        start,
        Key::new(DUE).number(now.get().saturating_add(1)).finish(),
    )
}

/// The time and the key that a row of due work is about; `None` for a row of
/// another part.
pub(crate) fn parse_due(row: &[u8]) -> Option<(Millis, KeyId)> {
    let [due, time, part, _, id]: [String; 5] = segments(row)?.try_into().ok()?;
    if due != DUE || part != PART {
        return None;
    }
    Some((Millis::new(number(&time)?), id.parse().ok()?))
}
