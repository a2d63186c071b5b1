//! Which subscriptions have to be looked at.

use bytes::Bytes;
use windlass_core::Millis;
use windlass_store::{KeyRange, Scan};

use super::book::Subscriptions;
use super::error::SubscriptionError;
use super::keys;
use super::model::Address;
use crate::limits::PASSED_ROWS_MAX;

/// Some of the subscriptions of a store, of all tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Which.
    pub subscriptions: Vec<Address>,
    /// Where the next part begins; `None` after the last.
    pub next: Option<Bytes>,
}

impl Subscriptions {
    /// Those of which a lease has run out or a retry is due, from `after` on:
    /// at most `limit`, and a bounded number of rows of other parts.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub async fn due(
        &self,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Round, SubscriptionError> {
        let now: Millis = self.engine().env.now();
        self.round(keys::due_until(now), after, limit).await
    }

    /// Those of which nothing is due: idle ones, of which an append may have
    /// gone unnoticed, and ones that wait for a worker.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub async fn resting(
        &self,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Round, SubscriptionError> {
        self.round(keys::resting(), after, limit).await
    }

    async fn round(
        &self,
        range: KeyRange,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Round, SubscriptionError> {
        let mut scan = Scan::new(range).keys();
        if let Some(after) = after {
            scan = scan.after(after);
        }
        let (mut round, mut passed) = (Round::default(), 0);
        loop {
            let pages = self
                .engine()
                .store
                .read(std::slice::from_ref(&scan))
                .await?;
            let page = pages.into_iter().next().unwrap_or_default();
            for row in &page.entries {
                match keys::address(&row.key) {
                    Some(address) => round.subscriptions.push(address),
                    None => passed += 1,
                }
                if round.subscriptions.len() >= limit || passed >= PASSED_ROWS_MAX {
                    round.next = Some(row.key.clone());
                    return Ok(round);
                }
            }
            let Some(last) = page.entries.last().filter(|_| page.more) else {
                return Ok(round);
            };
            scan = scan.after(&last.key);
        }
    }
}
