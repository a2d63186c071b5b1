//! What a credential may do: verbs, and sets of them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is neither a verb nor a pattern of verbs. Does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no verb, no `noun.*` and not `*`")]
pub struct UnknownVerb;

macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident = $noun:ident $text:literal,)*) => {
        /// One thing that a credential may do.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(try_from = "String", into = "&'static str")]
        #[non_exhaustive]
        pub enum Verb {
            $($(#[$doc])* $name,)*
        }

        impl Verb {
            /// Every verb, in the order of their names' nouns.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its stable name, such as `session.use`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What it is about.
            #[must_use]
            pub const fn noun(self) -> Noun {
                match self {
                    $(Self::$name => Noun::$noun,)*
                }
            }
        }
    };
}

verbs! {
    /// Create sessions, delegated ones included.
    SessionCreate = Session "session.create",
    /// Read sessions, their trees and their histories.
    SessionRead = Session "session.read",
    /// Use tools within a session, and settle what was reserved.
    SessionUse = Session "session.use",
    /// Close sessions and top them up.
    SessionManage = Session "session.manage",
    /// Read a stash.
    StashRead = Stash "stash.read",
    /// Change entries of a stash.
    StashWrite = Stash "stash.write",
    /// Clear whole stashes.
    StashManage = Stash "stash.manage",
    /// Read the states of sessions, and their histories.
    StateRead = State "state.read",
    /// Commit to states, fork them, tag them, take them back.
    StateWrite = State "state.write",
    /// Remove states for good.
    StateManage = State "state.manage",
    /// Look at the queues of sessions, and at who holds their leases.
    QueueRead = Queue "queue.read",
    /// Enqueue work and cancel it.
    QueueWrite = Queue "queue.write",
    /// Claim work, renew and settle claims; hold leases.
    QueueWork = Queue "queue.work",
    /// Try dead work again, or drop it; remove whole queues.
    QueueManage = Queue "queue.manage",
    /// Look at streams and read them; end reads.
    StreamRead = Stream "stream.read",
    /// Make streams, append to them and close them.
    StreamWrite = Stream "stream.write",
    /// Trim streams, and remove them for good.
    StreamManage = Stream "stream.manage",
    /// Make, list, revoke and rotate keys.
    KeyManage = Key "key.manage",
    /// Read tenants, their quotas and what they use.
    TenantRead = Tenant "tenant.read",
    /// Set quotas, and erase tenants.
    TenantManage = Tenant "tenant.manage",
    /// Read how the store is.
    StoreRead = Store "store.read",
    /// Run upkeep, and export the store.
    StoreManage = Store "store.manage",
    /// Read what everybody of a tenant did, and verify that record.
    AuditRead = Audit "audit.read",
}

/// What verbs are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Noun {
    /// Sessions.
    Session,
    /// Stashes.
    Stash,
    /// The states of sessions.
    State,
    /// The queues of sessions.
    Queue,
    /// Streams.
    Stream,
    /// API keys.
    Key,
    /// Tenants.
    Tenant,
    /// The store as a whole.
    Store,
    /// The audit.
    Audit,
}

impl Noun {
    /// Its name, the first half of its verbs'.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Stash => "stash",
            Self::State => "state",
            Self::Queue => "queue",
            Self::Stream => "stream",
            Self::Key => "key",
            Self::Tenant => "tenant",
            Self::Store => "store",
            Self::Audit => "audit",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Verb> for &'static str {
    fn from(verb: Verb) -> Self {
        verb.as_str()
    }
}

impl FromStr for Verb {
    type Err = UnknownVerb;

    fn from_str(text: &str) -> Result<Self, UnknownVerb> {
        let mut all = Self::ALL.iter().copied();
        all.find(|verb| verb.as_str() == text).ok_or(UnknownVerb)
    }
}

impl TryFrom<String> for Verb {
    type Error = UnknownVerb;

    fn try_from(text: String) -> Result<Self, UnknownVerb> {
        text.parse()
    }
}

/// A verb, or all of a kind: `session.use`, `session.*` or `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum VerbPattern {
    /// Every verb, also those that later versions add: `*`.
    Any,
    /// Every verb about one thing, also those to come: `session.*`.
    About(Noun),
    /// Just this one.
    One(Verb),
}

impl VerbPattern {
    /// Whether it stands for `verb` among others.
    #[must_use]
    pub fn matches(self, verb: Verb) -> bool {
        self.covers(Self::One(verb))
    }

    /// Whether all that `other` stands for, now and later, it stands for too.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::About(noun), Self::About(other)) => noun == other,
            (Self::About(noun), Self::One(verb)) => noun == verb.noun(),
            (Self::One(verb), Self::One(other)) => verb == other,
            (Self::About(_) | Self::One(_), Self::Any) | (Self::One(_), Self::About(_)) => false,
        }
    }
}

impl fmt::Display for VerbPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::About(noun) => write!(f, "{}.*", noun.as_str()),
            Self::One(verb) => verb.fmt(f),
        }
    }
}

impl FromStr for VerbPattern {
    type Err = UnknownVerb;

    fn from_str(text: &str) -> Result<Self, UnknownVerb> {
        if text == "*" {
            return Ok(Self::Any);
        }
        match text.strip_suffix(".*") {
            None => text.parse().map(Self::One),
            Some(noun) => Verb::ALL
                .iter()
                .map(|verb| verb.noun())
                .find(|known| known.as_str() == noun)
                .map(Self::About)
                .ok_or(UnknownVerb),
        }
    }
}

impl TryFrom<String> for VerbPattern {
    type Error = UnknownVerb;

    fn try_from(text: String) -> Result<Self, UnknownVerb> {
        text.parse()
    }
}

impl From<VerbPattern> for String {
    fn from(pattern: VerbPattern) -> Self {
        pattern.to_string()
    }
}

/// A set of verbs, kept as the patterns it was given as: `session.*` also
/// allows what later versions add to it. An empty one allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Verbs(BTreeSet<VerbPattern>);

impl Verbs {
    /// Every verb.
    #[must_use]
    pub fn all() -> Self {
        Self([VerbPattern::Any].into())
    }

    /// Those that the texts name.
    ///
    /// # Errors
    ///
    /// [`UnknownVerb`] if one of them is no verb and no pattern.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownVerb> {
        let patterns: Result<_, _> = texts.into_iter().map(str::parse).collect();
        patterns.map(Self)
    }

    /// Whether `verb` is among them.
    #[must_use]
    pub fn allows(&self, verb: Verb) -> bool {
        self.0.iter().any(|pattern| pattern.matches(verb))
    }

    /// Whether every verb that `other` allows, now or in a later version, is
    /// allowed by these too. Decided pattern by pattern: naming every verb of
    /// `session` does not cover `session.*`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let covered = |wanted: &VerbPattern| self.0.iter().any(|pattern| pattern.covers(*wanted));
        other.0.iter().all(covered)
    }

    /// The patterns, sorted.
    pub fn patterns(&self) -> impl Iterator<Item = VerbPattern> + '_ {
        self.0.iter().copied()
    }

    /// How many patterns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it allows nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<VerbPattern> for Verbs {
    fn from_iter<I: IntoIterator<Item = VerbPattern>>(patterns: I) -> Self {
        Self(patterns.into_iter().collect())
    }
}
