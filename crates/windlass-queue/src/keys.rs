//! Every key of the queue.

use bytes::Bytes;
use windlass_core::{Millis, OperationId, PrincipalId, SessionId, TenantId};
use windlass_store::key::{Key, number, segments};
use windlass_store::{KeyRange, Scan};

use crate::id::Place;
use crate::record::Class;

/// The first segment of the index of what maintenance has to look at.
pub(crate) const DUE: &str = "due";

/// The keys of one session's queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QueueKeys {
    pub(crate) tenant: TenantId,
    pub(crate) session: SessionId,
}

impl QueueKeys {
    pub(crate) fn new(tenant: &TenantId, session: &SessionId) -> Self {
        Self {
            tenant: tenant.clone(),
            session: session.clone(),
        }
    }

    fn base(&self) -> Key {
        queues(&self.tenant).text(self.session.as_str())
    }

    /// The record that every change of the queue rewrites.
    pub(crate) fn head(&self) -> Bytes {
        self.base().text("head").finish()
    }

    /// Every row of the queue but its entries in indexes.
    pub(crate) fn all(&self) -> KeyRange {
        KeyRange::prefix(self.base().below())
    }

    /// The row of work whose first number is the place's.
    pub(crate) fn item(&self, place: Place) -> Bytes {
        placed(self.base().text("item"), place)
    }

    fn rank(&self, rank: u8) -> Key {
        self.base().text("item").text(digit(rank))
    }

    /// All rows of work.
    pub(crate) fn items(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("item").below())
    }

    /// The rows of one rank, from after `last` on.
    pub(crate) fn items_after(&self, rank: u8, last: Option<Place>) -> Scan {
        let scan = Scan::new(KeyRange::prefix(self.rank(rank).below()));
        match last {
            Some(place) => scan.after(&self.item(place)),
            None => scan,
        }
    }

    /// The row that the work at `place` is in, if it is in any: the last one
    /// that begins with it or before it, at its time.
    pub(crate) fn item_at(&self, place: Place) -> Scan {
        let start = self.rank(place.rank).number(place.time.get()).below();
        let next = Place {
            number: place.number.saturating_add(1),
            ..place
        };
        let range = KeyRange::new(start, self.item(next));
        Scan::new(range).descending().limit(1)
    }

    /// Work that is not tried any more.
    pub(crate) fn dead(&self, place: Place) -> Bytes {
        placed(self.base().text("dead"), place)
    }

    pub(crate) fn all_dead(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("dead").below())
    }

    /// What a source key stands for.
    pub(crate) fn source(&self, key: &str) -> Bytes {
        self.base().text("source").text(key).finish()
    }

    /// What upkeep forgets a day after it was written.
    pub(crate) fn note(&self, note: u64) -> Bytes {
        self.base().text("note").number(note).finish()
    }

    pub(crate) fn notes(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("note").below())
    }

    pub(crate) fn sources(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("source").below())
    }

    /// The entry in the tenant's index of sessions with work.
    pub(crate) fn ready(&self, class: Class, time: Millis) -> Bytes {
        let base = ready(&self.tenant, class).number(time.get());
        base.text(self.session.as_str()).finish()
    }

    /// The index row that makes upkeep look at the queue at `time`.
    pub(crate) fn due(&self, time: Millis) -> Bytes {
        due(time, "queue", &self.tenant, &self.session)
    }

    /// Who holds the session's lease; written when it changes hands.
    pub(crate) fn lease_holder(&self) -> Bytes {
        self.lease().text("holder").finish()
    }

    /// How long it is held; written with each renewal.
    pub(crate) fn lease_until(&self) -> Bytes {
        self.lease().text("until").finish()
    }

    fn lease(&self) -> Key {
        Key::new(self.tenant.as_str())
            .text("lease")
            .text(self.session.as_str())
    }

    /// The index row that makes upkeep look at the lease at `time`.
    pub(crate) fn lease_due(&self, time: Millis) -> Bytes {
        due(time, "lease", &self.tenant, &self.session)
    }
}

fn queues(tenant: &TenantId) -> Key {
    Key::new(tenant.as_str()).text("queue")
}

fn digit(rank: u8) -> &'static str {
    const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    DIGITS[usize::from(rank).min(9)]
}

fn placed(key: Key, place: Place) -> Bytes {
    key.text(digit(place.rank))
        .number(place.time.get())
        .number(place.number)
        .finish()
}

/// The place that the key of a row of work, dead or not, ends with.
pub(crate) fn place_of(key: &[u8]) -> Option<Place> {
    let segments = segments(key)?;
    let [.., rank, time, first] = segments.as_slice() else {
        return None;
    };
    Some(Place {
        rank: rank.parse().ok().filter(|rank| *rank <= 9)?,
        time: Millis::new(number(time)?),
        number: number(first)?,
    })
}

fn ready(tenant: &TenantId, class: Class) -> Key {
    let class = match class {
        Class::Early => "early",
        Class::Turn => "turn",
    };
    Key::new(tenant.as_str()).text("queue-ready").text(class)
}

/// The prefix of a tenant's whole index of sessions with work.
pub(crate) fn all_ready(tenant: &TenantId) -> Bytes {
    Key::new(tenant.as_str()).text("queue-ready").below()
}

/// The index of a tenant's sessions with work of one class, the earliest first.
pub(crate) fn ready_of(tenant: &TenantId, class: Class) -> KeyRange {
    KeyRange::prefix(ready(tenant, class).below())
}

/// The end of the part of the index that has what is ready at `now`.
pub(crate) fn ready_until(tenant: &TenantId, class: Class, now: Millis) -> Bytes {
    let next = now.get().saturating_add(1);
    ready(tenant, class).number(next).finish()
}

/// The time and the session of an entry in the index of sessions with work.
pub(crate) fn ready_row(key: &[u8]) -> Option<(Millis, SessionId)> {
    let segments = segments(key)?;
    let [_, _, _, time, session] = segments.as_slice() else {
        return None;
    };
    Some((Millis::new(number(time)?), session.parse().ok()?))
}

/// Every row of every queue of a tenant.
pub(crate) fn all_queues(tenant: &TenantId) -> KeyRange {
    KeyRange::prefix(queues(tenant).below())
}

/// The session whose queue a row is of.
pub(crate) fn session_of(key: &[u8]) -> Option<SessionId> {
    segments(key)?.get(2)?.parse().ok()
}

/// The record of an operation id.
pub(crate) fn operation(tenant: &TenantId, principal: &PrincipalId, id: &OperationId) -> Bytes {
    Key::new(tenant.as_str())
        .text("queue-op")
        .text(principal.as_str())
        .text(id.as_str())
        .finish()
}

fn due(time: Millis, part: &str, tenant: &TenantId, session: &SessionId) -> Bytes {
    Key::new(DUE)
        .number(time.get())
        .text(part)
        .text(tenant.as_str())
        .text(session.as_str())
        .finish()
}

/// Everything due at `now`, earliest first.
pub(crate) fn due_until(now: Millis) -> KeyRange {
    let start = Key::new(DUE).number(0).finish();
    let end = Key::new(DUE).number(now.get().saturating_add(1)).finish();
    KeyRange::new(start, end)
}

/// What of this part is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DuePart {
    Queue,
    Lease,
}

/// What a key of the due index says; `None` if it is another part's.
pub(crate) fn parse_due(key: &[u8]) -> Option<(Millis, DuePart, QueueKeys)> {
    let segments = segments(key)?;
    let [due, time, part, tenant, session] = segments.as_slice() else {
        return None;
    };
    let part = match (due.as_str(), part.as_str()) {
        (DUE, "queue") => DuePart::Queue,
        (DUE, "lease") => DuePart::Lease,
        _ => return None,
    };
    let keys = QueueKeys {
        tenant: tenant.parse().ok()?,
        session: session.parse().ok()?,
    };
    Some((Millis::new(number(time)?), part, keys))
}
