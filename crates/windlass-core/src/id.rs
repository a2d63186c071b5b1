//! Identifiers that are valid by construction.
//!
//! Every identifier a caller chooses is 1 to 128 characters of
//! `A-Z a-z 0-9 . _ ~ : -` and neither `.` nor `..`, so it can stand in a
//! key, a path of a URL and a log line without escaping. Identifiers that
//! Windlass makes are UUIDs of version 7 (RFC 9562), which sort by their time
//! of creation.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::ID_BYTES_MAX;
use crate::{Env, RandomError};

/// Why a text is no identifier. Never repeats the text itself: it may be
/// large or hostile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text has no character.
    #[error("`{what}` must not be empty")]
    Empty {
        /// Which identifier it was meant for.
        what: &'static str,
    },
    /// The text is longer than an identifier may be.
    #[error("`{what}` has {length} bytes; at most {ID_BYTES_MAX} are allowed")]
    TooLong {
        /// Which identifier it was meant for.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// A character outside the allowed set.
    #[error("`{what}` has a character at byte {position} that is none of A-Z a-z 0-9 . _ ~ : -")]
    Character {
        /// Which identifier it was meant for.
        what: &'static str,
        /// Where the first such character begins, in bytes.
        position: usize,
    },
    /// `.` and `..` mean something else in paths.
    #[error("`{what}` must not be `.` or `..`")]
    Dots {
        /// Which identifier it was meant for.
        what: &'static str,
    },
    /// The store keeps what is no tenant's under this name.
    #[error("`{what}` must not be `due` or `system`")]
    Reserved {
        /// Which identifier it was meant for.
        what: &'static str,
    },
}

/// First segments of keys that belong to no tenant: a tenant's rows begin
/// with its name, so none can have one of these.
const NO_TENANTS: [&str; 2] = ["due", "system"];

fn check(what: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what });
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong {
            what,
            length: text.len(),
        });
    }
    if let Some(position) = text.bytes().position(|byte| !is_allowed(byte)) {
        return Err(IdError::Character { what, position });
    }
    if text == "." || text == ".." {
        return Err(IdError::Dots { what });
    }
    Ok(())
}

fn check_tenant(what: &'static str, text: &str) -> Result<(), IdError> {
    check(what, text)?;
    if NO_TENANTS.contains(&text) {
        return Err(IdError::Reserved { what });
    }
    Ok(())
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b':' | b'-')
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 128 characters of `A-Z a-z 0-9 . _ ~ : -`, neither `.` nor
        /// `..`. Cloning shares the text.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                $check($what, text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                $check($what, &text)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

identifier!(
    /// The owner of data; nothing crosses it. Not `due` or `system` either:
    /// keys that begin with these are no tenant's.
    TenantId,
    "tenant",
    check_tenant
);
identifier!(
    /// Who calls.
    PrincipalId,
    "principal",
    check
);
identifier!(
    /// On whose behalf a session runs.
    AgentId,
    "agent",
    check
);
identifier!(
    /// The isolation label of an execution inside a session.
    GroupId,
    "group",
    check
);
identifier!(
    /// Who holds a lease or a claim.
    OwnerId,
    "owner",
    check
);
identifier!(
    /// One session of one tenant.
    SessionId,
    "session",
    check
);
identifier!(
    /// One stream of one tenant.
    StreamId,
    "stream",
    check
);
identifier!(
    /// One subscription of one principal.
    SubscriptionId,
    "subscription",
    check
);
identifier!(
    /// The caller's name for one change, which makes it safe to retry.
    OperationId,
    "operation",
    check
);

impl SessionId {
    /// A fresh identifier of our own making.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the environment has no random bytes.
    pub fn unique(env: &dyn Env) -> Result<Self, RandomError> {
        Ok(Self(unique_id(env)?.into()))
    }
}

impl StreamId {
    /// A fresh identifier of our own making.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the environment has no random bytes.
    pub fn unique(env: &dyn Env) -> Result<Self, RandomError> {
        Ok(Self(unique_id(env)?.into()))
    }
}

/// A UUID of version 7 (RFC 9562 section 5.7) from the environment's time and
/// 74 of its random bits.
///
/// # Errors
///
/// [`RandomError`] if the environment has no random bytes.
pub fn unique_id(env: &dyn Env) -> Result<String, RandomError> {
    let mut random = [0; 10];
    env.random(&mut random)?;
    let id = uuid::Builder::from_unix_timestamp_millis(env.now().get(), &random).into_uuid();
    Ok(id.hyphenated().to_string())
}
