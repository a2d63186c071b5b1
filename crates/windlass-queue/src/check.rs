//! What queues and leases say about their own entries: the work that a head
//! counts, and the rows of indexes that it calls for.

use bytes::Bytes;
use windlass_store::Entry;
use windlass_store::check::{Auditor, Notes};
use windlass_store::key::segments;

use crate::keys::{DuePart, QueueKeys, parse_due, place_of, ready_row};
use crate::record::{Head, ItemRow, RANKS, UntilRow, decode};

/// An auditor of queues and leases.
#[must_use]
pub fn auditor() -> impl Auditor {
    Rounds::default()
}

#[derive(Debug, Default)]
struct Rounds {
    queue: Option<Queue>,
    lease: Option<Lease>,
}

impl Auditor for Rounds {
    fn entry(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        let Some(parts) = segments(&entry.key) else {
            return;
        };
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match *parts.as_slice() {
            ["due", _, "queue" | "lease", ..] => due(entry, notes),
            [tenant, "queue-ready", ..] => {
                if let (Ok(tenant), Some((_, session))) = (tenant.parse(), ready_row(&entry.key)) {
                    let by = [QueueKeys { tenant, session }.head()];
                    notes.found(&by, entry.key.clone(), entry.value.clone());
                } else {
                    notes.wrong(&entry.key, "unreadable_key");
                }
            }
            [tenant, "queue", session, ref rest @ ..] => {
                if let (Ok(tenant), Ok(session)) = (tenant.parse(), session.parse()) {
                    let keys = QueueKeys { tenant, session };
                    self.queue(keys, notes).take(rest, entry, notes);
                }
            }
            [tenant, "lease", session, ref rest @ ..] => {
                if let (Ok(tenant), Ok(session)) = (tenant.parse(), session.parse()) {
                    let keys = QueueKeys { tenant, session };
                    self.lease(keys, notes).take(rest, entry);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, notes: &mut dyn Notes) {
        if let Some(queue) = self.queue.take() {
            queue.finish(notes);
        }
        if let Some(lease) = self.lease.take() {
            lease.finish(notes);
        }
    }
}

impl Rounds {
    fn queue(&mut self, keys: QueueKeys, notes: &mut dyn Notes) -> &mut Queue {
        if self.queue.as_ref().is_some_and(|open| open.keys != keys)
            && let Some(before) = self.queue.take()
        {
            before.finish(notes);
        }
        self.queue.get_or_insert_with(|| Queue::new(keys))
    }

    fn lease(&mut self, keys: QueueKeys, notes: &mut dyn Notes) -> &mut Lease {
        if self.lease.as_ref().is_some_and(|open| open.keys != keys)
            && let Some(before) = self.lease.take()
        {
            before.finish(notes);
        }
        self.lease.get_or_insert_with(|| Lease::new(keys))
    }
}

fn due(entry: &Entry, notes: &mut dyn Notes) {
    let Some((_, part, keys)) = parse_due(&entry.key) else {
        return notes.wrong(&entry.key, "unreadable_key");
    };
    let by = match part {
        DuePart::Queue => keys.head(),
        DuePart::Lease => keys.lease_until(),
    };
    notes.found(&[by], entry.key.clone(), entry.value.clone());
}

/// The rows of one queue, as they come: dead work, the head, then the others.
#[derive(Debug)]
struct Queue {
    keys: QueueKeys,
    head: Option<Head>,
    /// Whether what is counted cannot be held to the head.
    unknown: bool,
    dead: u64,
    lines: [u64; RANKS],
    notes: u64,
}

impl Queue {
    fn new(keys: QueueKeys) -> Self {
        Self {
            keys,
            head: None,
            unknown: false,
            dead: 0,
            lines: [0; RANKS],
            notes: 0,
        }
    }

    fn take(&mut self, rest: &[&str], entry: &Entry, notes: &mut dyn Notes) {
        match rest {
            ["head"] => match decode("queue head", &entry.value) {
                Ok(head) => self.head = Some(head),
                Err(_) => self.corrupt(entry, notes),
            },
            ["dead", ..] => self.dead += 1,
            ["item", ..] => self.item(entry, notes),
            ["note", ..] => self.notes += 1,
            _ => {}
        }
    }

    fn corrupt(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        self.unknown = true;
        notes.wrong(&entry.key, "corrupt_record");
    }

    fn item(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        let Some(place) = place_of(&entry.key) else {
            return notes.wrong(&entry.key, "unreadable_key");
        };
        let Ok(ItemRow { mut items, .. }) = decode("work", &entry.value) else {
            return self.corrupt(entry, notes);
        };
        if let Some(head) = &self.head {
            head.prune(place, &mut items);
        }
        if let Some(line) = self.lines.get_mut(usize::from(place.rank)) {
            *line += u64::try_from(items.len()).unwrap_or(u64::MAX);
        }
    }

    fn finish(self, notes: &mut dyn Notes) {
        let key = self.keys.head();
        let Some(head) = &self.head else {
            let rows = self.dead + self.lines.iter().sum::<u64>() + self.notes;
            if rows > 0 && !self.unknown {
                notes.wrong(&key, "record_missing");
            }
            return;
        };
        if head.removing {
            return notes.unsettled();
        }
        let by = [key.clone()];
        notes.demand(&by, self.keys.due(head.due), Bytes::new());
        for (class, time) in head.ready.entries() {
            notes.demand(&by, self.keys.ready(class, time), Bytes::new());
        }
        let noted = head.notes.last.saturating_sub(head.notes.gone);
        let counted = (head.dead, head.lines, noted);
        if !self.unknown && counted != (self.dead, self.lines, self.notes) {
            notes.wrong(&key, "rows_missing");
        }
    }
}

/// The rows of one lease.
#[derive(Debug)]
struct Lease {
    keys: QueueKeys,
    holder: bool,
    until: Option<Bytes>,
}

impl Lease {
    const fn new(keys: QueueKeys) -> Self {
        Self {
            keys,
            holder: false,
            until: None,
        }
    }

    fn take(&mut self, rest: &[&str], entry: &Entry) {
        match rest {
            ["holder"] => self.holder = true,
            ["until"] => self.until = Some(entry.value.clone()),
            _ => {}
        }
    }

    fn finish(self, notes: &mut dyn Notes) {
        let key = self.keys.lease_until();
        let Some(until) = &self.until else {
            return notes.wrong(&key, "record_missing");
        };
        let Ok(until) = decode::<UntilRow>("lease", until) else {
            return notes.wrong(&key, "corrupt_record");
        };
        let row = self.keys.lease_due(until.due);
        notes.demand(&[key], row, Bytes::new());
        if !self.holder {
            notes.wrong(&self.keys.lease_holder(), "record_missing");
        }
    }
}
