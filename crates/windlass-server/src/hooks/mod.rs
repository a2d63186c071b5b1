//! Webhooks and wakes: the part of subscriptions that has a clock and a
//! network.
//!
//! Whoever appends says so here, which takes a lookup in memory and is no
//! promise: each subscription is looked at now and then in any case. What is to
//! be delivered is decided by the store, once; see
//! [`windlass::stream::subscription`].

mod courier;
mod dispatcher;
mod figures;
mod inbox;
mod signer;
mod target;

use std::sync::Arc;

use windlass::core::Env;
use windlass::stream::Caller;
use windlass::stream::subscription::{Address, Hold, Linked, Wake, WakeToken};
use windlass_client::subscription::{DeliveredWake, LinkType, SubscribedStream};

pub(crate) use courier::{Courier, CourierError, Outcome};
pub(crate) use dispatcher::dispatch;
pub(crate) use figures::Figures;
pub(crate) use signer::Signer;
pub(crate) use target::{Reach, target};

use crate::seal::Seal;
use inbox::Inbox;

/// Where the protocol's control routes are, below the server's URL.
pub(crate) const CONTROL: &str = "/durable/v1/stream/__ds";

/// What a token of a wake is sealed for.
const LISTING: &[&str] = &["wake"];

/// What the routes and the dispatcher of subscriptions share.
#[derive(Debug)]
pub(crate) struct Hooks {
    pub(crate) signer: Signer,
    pub(crate) reach: Reach,
    pub(crate) figures: Figures,
    courier: Courier,
    inbox: Inbox,
    /// By which URL others reach the server, without a `/` behind it.
    url: String,
}

impl Hooks {
    /// # Errors
    ///
    /// [`CourierError`] if no client can be made.
    pub(crate) fn new(
        secret: &[u8; 32],
        reach: Reach,
        url: String,
        env: Arc<dyn Env>,
    ) -> Result<Self, CourierError> {
        Ok(Self {
            signer: Signer::new(secret),
            courier: Courier::new(reach)?,
            figures: Figures::default(),
            inbox: Inbox::new(env),
            reach,
            url,
        })
    }

    /// The stream of a path has changed. Costs nothing to speak of if its
    /// principal has no subscription.
    pub(crate) fn appended(&self, caller: &Caller, path: &str) {
        self.inbox.appended(caller, path);
    }

    /// A subscription has to be looked at.
    pub(crate) fn nudge(&self, at: &Address) {
        self.inbox.nudge(at);
    }

    /// Where the public keys are.
    pub(crate) fn jwks_url(&self) -> String {
        format!("{}{CONTROL}/jwks.json", self.url)
    }

    fn callback_url(&self, at: &Address) -> String {
        format!("{}{CONTROL}/subscriptions/{}/callback", self.url, at.id)
    }

    /// A wake as it is sent.
    fn letter(&self, seal: &Seal, at: &Address, wake: &Wake) -> Vec<u8> {
        let letter = DeliveredWake {
            subscription_id: at.id.to_string(),
            wake_id: wake.hold.wake.to_string(),
            generation: wake.hold.generation,
            streams: wake.streams.iter().map(subscribed).collect(),
            callback_url: self.callback_url(at),
            callback_token: token_of(seal, at, &wake.hold),
        };
        serde_json::to_vec(&letter).expect("text and numbers have a form in JSON")
    }
}

/// A stream of a subscription on the wire.
pub(crate) fn subscribed(link: &Linked) -> SubscribedStream {
    SubscribedStream {
        path: link.path.to_string(),
        link_type: match link.explicit {
            true => LinkType::Explicit,
            false => LinkType::Glob,
        },
        acked_offset: link.acked.to_string(),
        tail_offset: link.tail.to_string(),
        has_pending: link.is_pending(),
    }
}

/// The token of a wake: whose it is, sealed, and the secret.
pub(crate) fn token_of(seal: &Seal, at: &Address, hold: &Hold) -> String {
    let whose = format!("{}/{}/{}", at.caller.tenant, at.caller.principal, at.id);
    format!("{}.{}", seal.close(LISTING, &whose), hold.token)
}

/// Whose wake a token is of, and its secret; `None` for what was not made here.
pub(crate) fn token_in(seal: &Seal, token: &str) -> Option<(Address, WakeToken)> {
    let (sealed, secret) = token.split_once('.')?;
    let whose = seal.open(LISTING, sealed).ok()?;
    let mut parts = whose.split('/');
    let mut next = || parts.next();
    let caller = Caller::new(next()?.parse().ok()?, next()?.parse().ok()?);
    let id = next()?.parse().ok()?;
    Some((Address { caller, id }, secret.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tenant: &str) -> Address {
        let word = "an identifier";
        Address {
            caller: Caller::new(tenant.parse().expect(word), "ann".parse().expect(word)),
            id: "s1".parse().expect(word),
        }
    }

    #[test]
    fn a_token_says_whose_it_is_and_cannot_be_made_up() {
        let seal = Seal::new([3; 32]);
        let hold = Hold {
            wake: "w_1".into(),
            generation: 1,
            token: "0f".repeat(32).parse().expect("a token"),
        };
        let token = token_of(&seal, &at("acme"), &hold);
        let (whose, secret) = token_in(&seal, &token).expect("made here");
        assert_eq!(whose, at("acme"));
        assert_eq!(secret.to_string(), hold.token.to_string());
        let other = token_of(&Seal::new([4; 32]), &at("acme"), &hold);
        let (sealed, _) = token.split_once('.').expect("two parts");
        let cut = format!("{sealed}.{}", "0f".repeat(31));
        let swapped = token_of(&seal, &at("other"), &hold).replace('0', "1");
        for token in [
            other.as_str(),
            cut.as_str(),
            &swapped,
            sealed,
            "",
            ".",
            "wl_x",
        ] {
            assert!(token_in(&seal, token).is_none(), "{token}");
        }
    }
}
