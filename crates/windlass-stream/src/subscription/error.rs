//! Every way in which an operation on subscriptions can fail.

use std::sync::Arc;

use windlass_core::{Coded, ErrorKind, RandomError};
use windlass_store::StoreError;

use super::limits::{LINKS_MAX, SUBSCRIPTIONS_MAX};
use crate::error::StreamError;

/// Why an operation on subscriptions failed. Unless it is
/// [`ErrorKind::Indeterminate`], nothing has changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// The caller has no such subscription: it never was, is another
    /// principal's, or was deleted.
    #[error("no such subscription")]
    NotFound,
    /// There is one of this name with other settings.
    #[error("a subscription of this name has other settings")]
    Differs,
    /// The wake is over: it was acknowledged, released, ran out, or another
    /// worker has the subscription.
    #[error("the wake is over")]
    Fenced,
    /// Another worker has the subscription.
    #[error("another worker holds the subscription")]
    AlreadyClaimed {
        /// Its name.
        holder: Arc<str>,
        /// The wake it works on.
        generation: u64,
    },
    /// There is nothing to be worked on.
    #[error("nothing is pending")]
    NothingPending,
    /// A stream that was acknowledged is not one of the subscription.
    #[error("the subscription is not linked to one of the streams")]
    NotLinked,
    /// What was acknowledged has not been appended yet.
    #[error("an acknowledged offset is beyond the tail of its stream")]
    BeyondTail,
    /// The principal has as many subscriptions as it may.
    #[error("there are {SUBSCRIPTIONS_MAX} subscriptions already")]
    TooMany,
    /// The subscription would be linked to more streams than it may.
    #[error("a subscription has at most {LINKS_MAX} streams")]
    TooManyLinks,
    /// A field of the request cannot be accepted.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it, in a few words.
        problem: &'static str,
    },
    /// A stream could not be read or written, or the store failed.
    #[error("the streams below failed")]
    Stream(#[source] StreamError),
}

impl From<StreamError> for SubscriptionError {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

impl From<StoreError> for SubscriptionError {
    fn from(error: StoreError) -> Self {
        Self::Stream(error.into())
    }
}

impl From<RandomError> for SubscriptionError {
    fn from(error: RandomError) -> Self {
        Self::Stream(error.into())
    }
}

impl Coded for SubscriptionError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Differs => "subscription_differs",
            Self::Fenced => "fenced",
            Self::AlreadyClaimed { .. } => "already_claimed",
            Self::NothingPending => "nothing_pending",
            Self::NotLinked => "stream_not_linked",
            Self::BeyondTail => "offset_beyond_tail",
            Self::TooMany => "too_many_subscriptions",
            Self::TooManyLinks => "too_many_links",
            Self::Invalid { .. } => "invalid_request",
            Self::Stream(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Differs | Self::Fenced | Self::AlreadyClaimed { .. } | Self::NothingPending => {
                ErrorKind::Conflict
            }
            Self::NotLinked | Self::BeyondTail | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::TooMany | Self::TooManyLinks => ErrorKind::Refused,
            Self::Stream(error) => error.kind(),
        }
    }
}
