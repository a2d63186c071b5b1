//! What is stored of a subscription.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_core::{Format, Millis, StreamId, Writers};

use super::model::{Delivery, NewSubscription};
use super::pattern::Pattern;
use super::rules::State;
use crate::offset::Offset;

/// What every change of a subscription rewrites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) v: Format,
    /// How often it was written.
    pub(crate) rev: u64,
    pub(crate) state: State,
    /// How many links there are.
    pub(crate) links: usize,
    /// Whether there would be more, if there could.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) full: bool,
    /// Where the index of due work lists it; none while nothing is to happen by
    /// itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deleted: Option<Millis>,
    pub(crate) by: Writers,
}

/// What is said once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) v: Format,
    /// SHA-256 of what was asked for.
    pub(crate) hash: Arc<str>,
    pub(crate) delivery: Delivery,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<Pattern>,
    pub(crate) lease_ttl_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<Arc<str>>,
    pub(crate) created: Millis,
}

impl Config {
    pub(crate) fn new(new: &NewSubscription, now: Millis) -> Self {
        Self {
            v: Format,
            hash: new.hash(),
            delivery: new.delivery.clone(),
            pattern: new.pattern.clone(),
            lease_ttl_ms: new.lease_ttl_ms,
            description: new.description.clone(),
            created: now,
        }
    }

    /// Whether a stream is followed because of its path. Not the one that the
    /// wakes are appended to: it would wake for its own wakes.
    pub(crate) fn finds(&self, path: &str) -> bool {
        let own = matches!(&self.delivery, Delivery::PullWake(wakes) if **wakes == *path);
        let pattern = self.pattern.as_ref();
        !own && pattern.is_some_and(|pattern| pattern.matches(path))
    }
}

/// One stream of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    pub(crate) v: Format,
    pub(crate) path: Arc<str>,
    /// Whether it was named.
    pub(crate) explicit: bool,
    pub(crate) acked: Offset,
    /// The stream in which `acked` is an offset; none if there was none yet. One
    /// that was made anew under the path is worked on from its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<StreamId>,
}

impl Link {
    /// Where to go on in the stream as it is now.
    pub(crate) fn acked_in(&self, tail: Option<&Tail>) -> Offset {
        match tail {
            Some(tail) if self.stream.as_ref() == Some(&tail.stream) => self.acked,
            Some(_) => Offset::START,
            None => self.acked,
        }
    }
}

/// How far a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) stream: StreamId,
    pub(crate) tail: Offset,
}
