//! What callers say about a stream, and what they are told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_core::{Millis, PrincipalId, SessionId, StreamId};

use crate::digest::Digest;
use crate::error::StreamError;
use crate::limits::{CODE_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::offset::Offset;
use crate::operation::Fingerprint;

/// A stream to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStream {
    /// Whose output it is.
    pub session: SessionId,
    /// Its name within the tenant; drawn if there is none given.
    pub id: Option<StreamId>,
    /// When it goes.
    pub expiry: Expiry,
}

impl NewStream {
    /// A stream of `session` with a name that is drawn, which stays until it is
    /// removed.
    #[must_use]
    pub const fn of(session: SessionId) -> Self {
        Self {
            session,
            id: None,
            expiry: Expiry::Never,
        }
    }

    /// All that it asks.
    pub(crate) fn asked(&self) -> Fingerprint {
        let Self {
            session,
            id,
            expiry,
        } = self;
        Fingerprint::new("make")
            .text(session.as_str())
            .json(id)
            .json(expiry)
    }
}

/// When a stream expires. One that is read does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// Not by itself.
    #[default]
    Never,
    /// So many milliseconds after the last change, its closing included: at
    /// least 1.
    IdleMs(u64),
    /// So many milliseconds after the last read or change: at least 1. It may
    /// stay for an eighth longer, so that not every read has to be noted.
    SlidingMs(u64),
    /// At this time.
    At(Millis),
}

impl Expiry {
    pub(crate) const fn is_never(&self) -> bool {
        matches!(self, Self::Never)
    }

    pub(crate) const fn check(self) -> Result<(), StreamError> {
        match self {
            Self::IdleMs(0) | Self::SlidingMs(0) => Err(StreamError::Invalid {
                field: "idle_ms",
                problem: "must not be 0",
            }),
            Self::Never | Self::IdleMs(_) | Self::SlidingMs(_) | Self::At(_) => Ok(()),
        }
    }
}

/// How a stream ended. Final, and shown to readers after the last row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its writer had no more rows.
    Finished,
    /// Its writer gave up.
    Failed {
        /// A name for programs: 1 to 64 bytes.
        code: Arc<str>,
        /// A sentence for people: up to 512 bytes.
        message: Arc<str>,
    },
    /// Its owner did not want it any more.
    Cancelled,
}

impl Ending {
    pub(crate) fn check(&self) -> Result<(), StreamError> {
        let refuse = |field, problem| Err(StreamError::Invalid { field, problem });
        match self {
            Self::Failed { code, .. } if code.is_empty() || code.len() > CODE_BYTES_MAX => {
                refuse("code", "has 1 to 64 bytes")
            }
            Self::Failed { message, .. } if message.len() > MESSAGE_BYTES_MAX => {
                refuse("message", "has at most 512 bytes")
            }
            Self::Finished | Self::Failed { .. } | Self::Cancelled => Ok(()),
        }
    }
}

/// When and how a stream was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// When.
    pub at: Millis,
    /// How.
    pub how: Ending,
}

/// Where a stream stands after a change, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Where the rows of the change begin.
    pub first: Offset,
    /// After them.
    pub tail: Offset,
    /// The digest there.
    pub digest: Digest,
}

impl Placed {
    /// Before the first row.
    pub(crate) const NOWHERE: Self = Self {
        first: Offset::START,
        tail: Offset::START,
        digest: Digest::START,
    };
}

/// A stream as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamView {
    /// Its name.
    pub id: StreamId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// Whose output it is; `None` if it was made by path, for no session.
    pub session: Option<SessionId>,
    /// When it was made.
    pub created: Millis,
    /// When it last changed.
    pub changed: Millis,
    /// The first offset that can be read from.
    pub earliest: Offset,
    /// After the last row.
    pub tail: Offset,
    /// The digest at the tail.
    pub digest: Digest,
    /// Bytes of all rows ever appended, as framed.
    pub bytes: u64,
    /// When it goes.
    pub expiry: Expiry,
    /// How it ended, if it did.
    pub closed: Option<Closed>,
}
