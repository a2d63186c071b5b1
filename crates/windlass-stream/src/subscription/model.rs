//! What callers say about a subscription, and what they are told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_core::{Millis, SubscriptionId};

use super::error::SubscriptionError;
use super::limits::{
    DESCRIPTION_BYTES_MAX, LEASE_TTL_MS_DEFAULT, LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN, LINKS_MAX,
    URL_BYTES_MAX,
};
use super::pattern::Pattern;
use super::token::WakeToken;
use crate::caller::Caller;
use crate::digest::hex;
use crate::durable::Path;
use crate::offset::Offset;

/// How a worker hears of a wake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// It is sent to this URL, by whoever hosts the subscriptions; the rules
    /// here know of no network.
    Webhook(Arc<str>),
    /// It is appended to the stream of this path, for any worker to claim.
    PullWake(Arc<str>),
}

/// A subscription to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewSubscription {
    /// How its worker is woken.
    pub delivery: Delivery,
    /// Which streams it follows: those that are there at first from where they
    /// stand, later ones from their beginning.
    pub pattern: Option<Pattern>,
    /// Paths of streams that it follows besides, in any order.
    pub streams: Vec<Arc<str>>,
    /// How long a worker holds a wake without a sign of life: 1,000 to 600,000.
    pub lease_ttl_ms: u64,
    /// For people.
    pub description: Option<Arc<str>>,
}

impl NewSubscription {
    /// One that follows nothing yet.
    #[must_use]
    pub const fn of(delivery: Delivery) -> Self {
        Self {
            delivery,
            pattern: None,
            streams: Vec::new(),
            lease_ttl_ms: LEASE_TTL_MS_DEFAULT,
            description: None,
        }
    }

    /// With its paths in order, each once.
    pub(crate) fn normal(mut self) -> Self {
        self.streams.sort_unstable();
        self.streams.dedup();
        self
    }

    /// SHA-256 of its normal form, by which it is confirmed.
    pub(crate) fn hash(&self) -> Arc<str> {
        let form = serde_json::to_vec(self).expect("text and numbers have a form in JSON");
        hex(&Sha256::digest(form)).into()
    }

    pub(crate) fn check(&self) -> Result<(), SubscriptionError> {
        if self.pattern.is_none() && self.streams.is_empty() {
            return refuse("pattern", "or `streams` is needed");
        }
        if !(LEASE_TTL_MS_MIN..=LEASE_TTL_MS_MAX).contains(&self.lease_ttl_ms) {
            return refuse("lease_ttl_ms", "is 1,000 to 600,000");
        }
        let description = self.description.as_ref();
        if description.is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX) {
            return refuse("description", "has at most 1,024 bytes");
        }
        match &self.delivery {
            Delivery::Webhook(url) if url.is_empty() || url.len() > URL_BYTES_MAX => {
                refuse("webhook.url", "has 1 to 2,048 bytes")
            }
            Delivery::PullWake(path) if !is_path(path) => refuse("wake_stream", NO_PATH),
            Delivery::Webhook(_) | Delivery::PullWake(_) => check_paths(&self.streams),
        }
    }
}

const NO_PATH: &str = "has to be a path of a stream";

/// The segment that control paths begin with.
const RESERVED: &str = "__ds";

pub(crate) fn check_paths(paths: &[Arc<str>]) -> Result<(), SubscriptionError> {
    if paths.len() > LINKS_MAX {
        return Err(SubscriptionError::TooManyLinks);
    }
    if paths.iter().all(|path| is_path(path)) {
        return Ok(());
    }
    refuse("streams", NO_PATH)
}

fn is_path(path: &str) -> bool {
    path.parse::<Path>().is_ok() && path.split('/').next() != Some(RESERVED)
}

pub(crate) const fn refuse<T>(
    field: &'static str,
    problem: &'static str,
) -> Result<T, SubscriptionError> {
    Err(SubscriptionError::Invalid { field, problem })
}

/// One stream of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Its path.
    pub path: Arc<str>,
    /// Whether it was named, and not only found by the pattern.
    pub explicit: bool,
    /// Everything before it was worked on.
    pub acked: Offset,
    /// Where the stream ends; its start if there is none yet.
    pub tail: Offset,
}

impl Linked {
    /// Whether there is something to work on.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.tail > self.acked
    }
}

/// A subscription as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionView {
    /// Its name.
    pub id: SubscriptionId,
    /// How its worker is woken.
    pub delivery: Delivery,
    /// Which streams it follows by their paths.
    pub pattern: Option<Pattern>,
    /// Its streams, in the order of their paths.
    pub streams: Vec<Linked>,
    /// Whether streams that the pattern stands for are left out because it has
    /// as many as it may.
    pub is_full: bool,
    /// How long a worker holds a wake without a sign of life.
    pub lease_ttl_ms: u64,
    /// For people.
    pub description: Option<Arc<str>>,
    /// When it was made.
    pub created: Millis,
    /// Of the last wake.
    pub generation: u64,
    /// Who holds it now.
    pub holder: Option<Arc<str>>,
    /// When a delivery that failed is tried again.
    pub retry_at: Option<Millis>,
}

/// A subscription that was made, or confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Whether it was made now.
    pub is_new: bool,
    /// What it is.
    pub subscription: SubscriptionView,
}

/// What a worker shows to act on a wake.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The wake's name.
    pub wake: Arc<str>,
    /// Its generation.
    pub generation: u64,
    /// Its secret.
    pub token: WakeToken,
}

/// Everything before `offset` of a stream was worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The stream's path.
    pub stream: Arc<str>,
    /// Where to go on; one that was reached before changes nothing.
    pub offset: Offset,
}

/// A wake in the hands of a worker.
#[derive(Clone, Debug)]
pub struct Wake {
    /// Whose subscription it is.
    pub caller: Caller,
    /// Which.
    pub subscription: SubscriptionId,
    /// How the worker proves that it has it.
    pub hold: Hold,
    /// Its streams: what is pending first, at most 256 in all.
    pub streams: Vec<Linked>,
    /// How long it lasts without a sign of life.
    pub lease_ttl_ms: u64,
    /// When it runs out.
    pub until: Millis,
    /// How it is to be delivered, if that is still to be done.
    pub delivery: Delivery,
}

impl Wake {
    /// What a worker acknowledges that has done all of it.
    #[must_use]
    pub fn all(&self) -> Vec<Ack> {
        let pending = self.streams.iter().filter(|link| link.is_pending());
        let all = pending.map(|link| Ack {
            stream: Arc::clone(&link.path),
            offset: link.tail,
        });
        all.collect()
    }
}

/// What a worker is told that acknowledged something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// Whether something is pending that it has not acknowledged.
    pub is_pending: bool,
    /// When its lease runs out, if it keeps it.
    pub until: Option<Millis>,
}

/// Names a subscription wherever it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Whose it is.
    pub caller: Caller,
    /// Its name.
    pub id: SubscriptionId,
}
