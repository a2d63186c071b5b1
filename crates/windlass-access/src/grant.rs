//! What a credential stands for: whose it is, and what it may do.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use windlass_core::{GroupId, PrincipalId, TenantId};

use crate::verb::{Noun, Verb, VerbPattern, Verbs};

/// Whose a credential is. A tenant's data is only for credentials of that
/// tenant: an operator's sees to keys, tenants and the store, and to no
/// session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "snake_case")]
pub enum Scope {
    /// Whoever runs the service.
    Operator,
    /// One principal of one tenant.
    Tenant {
        /// Whose data it is about.
        tenant: TenantId,
        /// Who calls.
        principal: PrincipalId,
    },
}

impl Scope {
    /// The tenant; `None` for an operator.
    #[must_use]
    pub const fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Operator => None,
            Self::Tenant { tenant, .. } => Some(tenant),
        }
    }

    /// Whether a credential of this scope can hold `verb` at all.
    #[must_use]
    pub const fn can_hold(&self, verb: Verb) -> bool {
        match self {
            Self::Operator => matches!(
                verb.noun(),
                Noun::Key | Noun::Tenant | Noun::Store | Noun::Audit
            ),
            Self::Tenant { .. } => {
                !matches!(verb.noun(), Noun::Store) && !matches!(verb, Verb::TenantManage)
            }
        }
    }

    /// Whether at least one of the verbs `pattern` stands for can be held.
    #[must_use]
    pub fn can_hold_any_of(&self, pattern: VerbPattern) -> bool {
        let mut all = Verb::ALL.iter();
        all.any(|verb| pattern.matches(*verb) && self.can_hold(*verb))
    }
}

/// Which sessions of its tenant a credential sees.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Those of its own principal.
    #[default]
    Own,
    /// Those of every principal of the tenant.
    Tenant,
}

/// As which groups a credential may act in a stash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Groups {
    /// As none: it sees and makes public entries only.
    #[default]
    None,
    /// As any of these.
    Only(BTreeSet<GroupId>),
    /// As any.
    All,
}

impl Groups {
    /// Whether it may act as `group`.
    #[must_use]
    pub fn allows(&self, group: &GroupId) -> bool {
        match self {
            Self::None => false,
            Self::Only(groups) => groups.contains(group),
            Self::All => true,
        }
    }

    /// Whether every group that `other` allows is allowed here too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) | (_, Self::None) => true,
            (_, Self::Only(groups)) => groups.iter().all(|group| self.allows(group)),
            (Self::None | Self::Only(_), Self::All) => false,
        }
    }

    /// The group to act as when none is named: the only one there is to
    /// choose from, otherwise none.
    #[must_use]
    pub fn unnamed(&self) -> Option<&GroupId> {
        match self {
            Self::Only(groups) if groups.len() == 1 => groups.first(),
            Self::None | Self::Only(_) | Self::All => None,
        }
    }
}

/// Whose a credential is and what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Whose it is.
    #[serde(flatten)]
    pub scope: Scope,
    /// Which sessions of the tenant it sees; without meaning for operators.
    #[serde(default)]
    pub reach: Reach,
    /// As which groups it may act; without meaning for operators.
    #[serde(default)]
    pub groups: Groups,
    /// What it may do, as far as its scope can hold it.
    pub verbs: Verbs,
}

impl Grant {
    /// Whether it may do what `verb` names.
    #[must_use]
    pub fn allows(&self, verb: Verb) -> bool {
        self.scope.can_hold(verb) && self.verbs.allows(verb)
    }

    /// Whether whoever holds this grant may give `other` away without making
    /// anything wider than it is: for a tenant, the same tenant, the same
    /// principal unless it reaches all of them, and reach, groups and verbs
    /// within its own. An operator may give any grant of any tenant, and to
    /// operators verbs within its own.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (&self.scope, &other.scope) {
            (Scope::Operator, Scope::Tenant { .. }) => true,
            (Scope::Operator, Scope::Operator) => self.verbs.covers(&other.verbs),
            (Scope::Tenant { .. }, Scope::Operator) => false,
            (
                Scope::Tenant { tenant, principal },
                Scope::Tenant {
                    tenant: theirs,
                    principal: they,
                },
            ) => {
                tenant == theirs
                    && (principal == they || self.reach == Reach::Tenant)
                    && self.reach >= other.reach
                    && self.groups.covers(&other.groups)
                    && self.verbs.covers(&other.verbs)
            }
        }
    }
}
