//! What workers do: claim a wake, acknowledge, ask for more time, let go.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::book::{Decision, Seen, Subscriptions};
use super::error::SubscriptionError;
use super::limits::{WAKE_STREAMS_MAX, WORKER_BYTES_MAX};
use super::model::{Ack, Acked, Address, Delivery, Hold, Linked, Wake, refuse};
use super::paths::Tails;
use super::record::Link;
use super::rules::Lease;
use super::stored::Loaded;
use super::token::{WakeToken, wake_id};

impl Subscriptions {
    /// Gives the subscription to a worker until its lease runs out: under the
    /// wake that was appended, or a new one if something is pending and nobody
    /// was called yet.
    ///
    /// # Errors
    ///
    /// `NotFound`, `AlreadyClaimed`, `NothingPending`; `Invalid` for one that is
    /// delivered by webhook.
    pub async fn claim(&self, at: &Address, worker: &str) -> Result<Wake, SubscriptionError> {
        if worker.is_empty() || worker.len() > WORKER_BYTES_MAX {
            return refuse("worker", "has 1 to 128 bytes");
        }
        match self.claim_once(at, worker).await {
            // There may be streams that nobody has told of yet.
            Err(SubscriptionError::NothingPending) => {
                self.discover(at, None).await?;
                self.claim_once(at, worker).await
            }
            claimed => claimed,
        }
    }

    async fn claim_once(&self, at: &Address, worker: &str) -> Result<Wake, SubscriptionError> {
        let env = self.engine().env.as_ref();
        let (wake, token) = (wake_id(env)?, WakeToken::draw(env)?);
        let decide = |seen: &Seen| {
            let loaded = &seen.loaded;
            if let Delivery::Webhook(_) = loaded.config.delivery {
                return refuse("type", "is not `pull-wake`");
            }
            let pending = is_pending(loaded, &seen.tails);
            let lease = Lease {
                wake: Arc::clone(&wake),
                holder: worker.into(),
                token: token.hash(),
                until: seen.now.plus_ms(loaded.config.lease_ttl_ms),
            };
            let until = lease.until;
            let state = loaded.head.state.claimed(lease, pending, seen.now)?;
            let hold = Hold {
                wake: state.wake().unwrap_or_default(),
                generation: state.generation,
                token,
            };
            let answer = wake_of(at, loaded, &seen.tails, hold, until);
            let mut change = loaded.becoming(state);
            change.put = renewed(loaded, &seen.tails);
            Ok(Decision::Change(change, answer))
        };
        self.change(at, true, decide).await
    }

    /// Notes what a worker has done, and lets it keep the subscription for
    /// another lease, or not. What was acknowledged before stays so.
    ///
    /// # Errors
    ///
    /// `Fenced`, and nothing is acknowledged, if it has lost the subscription;
    /// `NotLinked`, `BeyondTail`; `NotFound`.
    pub async fn ack(
        &self,
        at: &Address,
        hold: &Hold,
        acks: &[Ack],
        done: bool,
    ) -> Result<Acked, SubscriptionError> {
        let decide = |seen: &Seen| {
            let loaded = &seen.loaded;
            let lease = loaded.head.state.held_by(hold, seen.now)?;
            let put = acknowledged(loaded, &seen.tails, acks)?;
            let is_pending = loaded.links.iter().any(|link| {
                let next = put.iter().find(|next| next.path == link.path);
                reaches_beyond(next.unwrap_or(link), &seen.tails)
            });
            let until = seen.now.plus_ms(loaded.config.lease_ttl_ms);
            let state = if done {
                loaded.head.state.released()
            } else {
                loaded.head.state.extended(lease, until)
            };
            let until = (!done).then_some(until.max(lease.until));
            let mut change = loaded.becoming(state);
            change.put = put;
            Ok(Decision::Change(change, Acked { is_pending, until }))
        };
        self.change(at, true, decide).await
    }

    /// Lets go of a subscription; what is pending wakes another worker.
    ///
    /// # Errors
    ///
    /// `Fenced`, `NotFound`.
    pub async fn release(&self, at: &Address, hold: &Hold) -> Result<(), SubscriptionError> {
        let decide = |seen: &Seen| {
            seen.loaded.head.state.held_by(hold, seen.now)?;
            let state = seen.loaded.head.state.released();
            Ok(Decision::Change(seen.loaded.becoming(state), ()))
        };
        self.change(at, false, decide).await
    }
}

/// Whether a stream has rows behind what was acknowledged of it.
fn reaches_beyond(link: &Link, tails: &Tails) -> bool {
    let tail = tails.get(&link.path);
    tail.is_some_and(|tail| tail.tail > link.acked_in(Some(tail)))
}

pub(super) fn is_pending(loaded: &Loaded, tails: &Tails) -> bool {
    let mut links = loaded.links.iter();
    links.any(|link| reaches_beyond(link, tails))
}

/// The links as they are after `acks`: never further back than before.
fn acknowledged(
    loaded: &Loaded,
    tails: &Tails,
    acks: &[Ack],
) -> Result<Vec<Link>, SubscriptionError> {
    let mut next: BTreeMap<&str, Link> = BTreeMap::new();
    for ack in acks {
        let link = next.get(&*ack.stream).or_else(|| loaded.link(&ack.stream));
        let link = link.ok_or(SubscriptionError::NotLinked)?;
        let Some(tail) = tails.get(&ack.stream) else {
            // It is gone: there is nothing to go on with.
            continue;
        };
        // What was worked on is not what the path leads to now.
        if link.stream.as_ref() != Some(&tail.stream) {
            continue;
        }
        if ack.offset > tail.tail {
            return Err(SubscriptionError::BeyondTail);
        }
        if ack.offset > link.acked {
            let link = Link {
                acked: ack.offset,
                ..link.clone()
            };
            next.insert(&ack.stream, link);
        }
    }
    Ok(next.into_values().collect())
}

/// Links to streams that were made since they were last looked at: a worker is
/// told of them from their beginning.
pub(super) fn renewed(loaded: &Loaded, tails: &Tails) -> Vec<Link> {
    let renewed = |link: &Link| {
        let tail = tails.get(&link.path)?;
        let same = link.stream.as_ref() == Some(&tail.stream);
        (!same).then(|| Link {
            acked: link.acked_in(Some(tail)),
            stream: Some(tail.stream.clone()),
            ..link.clone()
        })
    };
    loaded.links.iter().filter_map(renewed).collect()
}

/// What a worker is told.
pub(super) fn wake_of(
    at: &Address,
    loaded: &Loaded,
    tails: &Tails,
    hold: Hold,
    until: windlass_core::Millis,
) -> Wake {
    let mut streams = loaded.linked(tails);
    streams.sort_by_key(|link| !link.is_pending());
    streams.truncate(WAKE_STREAMS_MAX);
    Wake {
        caller: at.caller.clone(),
        subscription: at.id.clone(),
        hold,
        streams,
        lease_ttl_ms: loaded.config.lease_ttl_ms,
        until,
        delivery: loaded.config.delivery.clone(),
    }
}

/// The first stream that something is pending of.
pub(super) fn first_pending(loaded: &Loaded, tails: &Tails) -> Option<Linked> {
    let mut streams = loaded.linked(tails).into_iter();
    streams.find(Linked::is_pending)
}
