//! What keys and tenants say about their own entries: the index of a tenant's
//! keys, how many there are, and the index of due work.

use bytes::Bytes;
use windlass_store::Entry;
use windlass_store::check::{Auditor, Notes};
use windlass_store::key::segments;

use crate::key::KeyId;
use crate::layout::{self, Owner, parse_due};
use crate::record::{Head, KeyRecord, decode, encode};

/// An auditor of keys and tenants.
#[must_use]
pub fn auditor() -> impl Auditor {
    Rounds::default()
}

#[derive(Debug, Default)]
struct Rounds {
    owner: Option<Keeper>,
}

impl Auditor for Rounds {
    fn entry(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        let Some(parts) = segments(&entry.key) else {
            return;
        };
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match *parts.as_slice() {
            ["due", _, "access", ..] => match parse_due(&entry.key) {
                Some((_, id)) => found(&id, entry, notes),
                None => notes.wrong(&entry.key, "unreadable_key"),
            },
            ["system", "key", id] => key(id, entry, notes),
            ["system", "operator", ref rest @ ..] => {
                self.keeper(Owner::Operators, notes)
                    .take(rest, entry, notes);
            }
            ["system", "tenant", tenant, ref rest @ ..] => {
                if let Ok(tenant) = tenant.parse() {
                    let owner = Owner::Tenant(tenant);
                    self.keeper(owner, notes).take(rest, entry, notes);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, notes: &mut dyn Notes) {
        if let Some(keeper) = self.owner.take() {
            keeper.finish(notes);
        }
    }
}

impl Rounds {
    fn keeper(&mut self, owner: Owner, notes: &mut dyn Notes) -> &mut Keeper {
        if self.owner.as_ref().is_some_and(|open| open.owner != owner)
            && let Some(before) = self.owner.take()
        {
            before.finish(notes);
        }
        self.owner.get_or_insert_with(|| Keeper::new(owner))
    }
}

fn found(id: &KeyId, entry: &Entry, notes: &mut dyn Notes) {
    let by = [layout::key(id)];
    notes.found(&by, entry.key.clone(), entry.value.clone());
}

fn key(id: &str, entry: &Entry, notes: &mut dyn Notes) {
    let Ok(id) = id.parse::<KeyId>() else {
        return notes.wrong(&entry.key, "unreadable_key");
    };
    let Ok(record) = decode::<KeyRecord>("key", &entry.value) else {
        return notes.wrong(&entry.key, "corrupt_record");
    };
    let owner = Owner::of(&record.grant.scope);
    let by = [entry.key.clone()];
    notes.demand(&by, owner.listed(&id), Bytes::new());
    if let Some(time) = record.due() {
        notes.demand(&by, owner.due(time, &id), Bytes::new());
    }
}

/// Whose keys are counted, and how many were found.
#[derive(Debug)]
struct Keeper {
    owner: Owner,
    head: Option<Bytes>,
    keys: u64,
}

impl Keeper {
    const fn new(owner: Owner) -> Self {
        Self {
            owner,
            head: None,
            keys: 0,
        }
    }

    fn take(&mut self, rest: &[&str], entry: &Entry, notes: &mut dyn Notes) {
        match rest {
            ["head"] => self.head = Some(entry.value.clone()),
            ["key", id] => {
                self.keys += 1;
                match id.parse() {
                    Ok(id) => found(&id, entry, notes),
                    Err(_) => notes.wrong(&entry.key, "unreadable_key"),
                }
            }
            _ => {}
        }
    }

    fn finish(self, notes: &mut dyn Notes) {
        let key = self.owner.head();
        let head = match &self.head {
            Some(head) => match decode::<Head>("tenant head", head) {
                Ok(head) => head,
                Err(_) => return notes.wrong(&key, "corrupt_record"),
            },
            // Whether a tenant whose head is lost was in use, nothing says.
            None if self.keys > 0 => return notes.wrong(&key, "record_missing"),
            None => return,
        };
        if head.keys != self.keys {
            let right = Head {
                keys: self.keys,
                ..head
            };
            let below = [&*key.slice(..key.len() - "head".len())].concat();
            notes.miscounted(&key, "count_differs", below.into(), encode(&right));
        }
    }
}
