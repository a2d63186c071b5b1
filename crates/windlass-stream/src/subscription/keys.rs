//! Every key of subscriptions.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use windlass_core::{Millis, SubscriptionId};
use windlass_store::KeyRange;
use windlass_store::key::{Key, number, segments};

use super::model::Address;
use crate::caller::Caller;
use crate::digest::hex;

/// The first segment of the index of what maintenance has to look at.
const DUE: &str = "due";
/// The part's name there.
const PART: &str = "subscription";

/// The time under which those are listed that nothing is due of: no clock gets
/// there.
const NEVER: Millis = Millis::new(u64::MAX);

impl Address {
    fn base(&self) -> Key {
        Key::new(self.caller.tenant.as_str())
            .text("subscription")
            .text(self.caller.principal.as_str())
            .text(self.id.as_str())
    }

    /// The record that every change rewrites.
    pub(crate) fn head(&self) -> Bytes {
        self.base().text("head").finish()
    }

    /// The record that never changes.
    pub(crate) fn config(&self) -> Bytes {
        self.base().text("config").finish()
    }

    /// The link to a stream. Its path may be longer than a key.
    pub(crate) fn link(&self, path: &str) -> Bytes {
        let name = hex(&Sha256::digest(path));
        self.base().text("link").text(&name).finish()
    }

    /// All links.
    pub(crate) fn links(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("link").below())
    }

    /// Its entry in the list of the principal's.
    pub(crate) fn listed(&self) -> Bytes {
        list_of(&self.caller).text(self.id.as_str()).finish()
    }

    /// Where somebody finds it who looks after all of them. Each has exactly
    /// one such row.
    pub(crate) fn due(&self, time: Option<Millis>) -> Bytes {
        Key::new(DUE)
            .number(time.unwrap_or(NEVER).get())
            .text(PART)
            .text(self.caller.tenant.as_str())
            .text(self.caller.principal.as_str())
            .text(self.id.as_str())
            .finish()
    }
}

/// The subscription that a row of due work is about, if it is about one.
pub(crate) fn address(row: &[u8]) -> Option<Address> {
    let [_, time, part, tenant, principal, id] = <[String; 6]>::try_from(segments(row)?).ok()?;
    number(&time)?;
    if part != PART {
        return None;
    }
    let caller = Caller::new(tenant.parse().ok()?, principal.parse().ok()?);
    let id = id.parse().ok()?;
    Some(Address { caller, id })
}

fn list_of(caller: &Caller) -> Key {
    Key::new(caller.tenant.as_str())
        .text("subscriptions")
        .text(caller.principal.as_str())
}

/// The list of a principal's subscriptions.
pub(crate) fn list(caller: &Caller) -> KeyRange {
    KeyRange::prefix(list_of(caller).below())
}

/// The name in an entry of that list.
pub(crate) fn listed_name(caller: &Caller, key: &[u8]) -> Option<SubscriptionId> {
    let rest = key.strip_prefix(list(caller).start.as_ref())?;
    std::str::from_utf8(rest).ok()?.parse().ok()
}

/// Everything of which something is due by `now`, of whatever part.
pub(crate) fn due_until(now: Millis) -> KeyRange {
    let end = Key::new(DUE).number(now.get().saturating_add(1)).finish();
    KeyRange::new(Key::new(DUE).below(), end)
}

/// All of which nothing is due.
pub(crate) fn resting() -> KeyRange {
    KeyRange::prefix(Key::new(DUE).number(NEVER.get()).text(PART).below())
}
