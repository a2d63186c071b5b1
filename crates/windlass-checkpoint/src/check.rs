//! What states and contents say about their own entries: commits without a
//! gap, tags that are counted, the contents that are pointed at, contents that
//! are what their name says, and the rows that a head calls for.

use bytes::Bytes;
use windlass_core::{SessionId, TenantId};
use windlass_store::Entry;
use windlass_store::check::{Auditor, Notes};
use windlass_store::key::{number, segments};

use crate::blob::{BlobId, Kind, LineageKeys};
use crate::blob::{Body, Decoder, Row};
use crate::keys::{StateKeys, parse_due};
use crate::record::{self, Head};

/// An auditor of states and contents.
#[must_use]
pub fn auditor() -> impl Auditor {
    Rounds::default()
}

#[derive(Default)]
struct Rounds {
    state: Option<State>,
    decoder: Decoder,
}

impl std::fmt::Debug for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rounds")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Auditor for Rounds {
    fn entry(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        let Some(parts) = segments(&entry.key) else {
            return;
        };
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match *parts.as_slice() {
            ["due", _, "checkpoint", ..] => match parse_due(&entry.key) {
                Some((_, keys)) => found(&keys, entry, notes),
                None => notes.wrong(&entry.key, "unreadable_key"),
            },
            [tenant, "checkpoint", session, ref rest @ ..] => {
                if let (Ok(tenant), Ok(session)) = (tenant.parse(), session.parse()) {
                    let keys = StateKeys { tenant, session };
                    self.state(keys, notes).take(rest, entry, notes);
                }
            }
            [tenant, "lineage", lineage, kind, name] => {
                if let Ok(tenant) = tenant.parse() {
                    let keys = LineageKeys::new(&tenant, lineage);
                    self.content(&keys, kind, name, entry, notes);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, notes: &mut dyn Notes) {
        if let Some(state) = self.state.take() {
            state.finish(notes);
        }
    }
}

impl Rounds {
    fn state(&mut self, keys: StateKeys, notes: &mut dyn Notes) -> &mut State {
        if self.state.as_ref().is_some_and(|open| open.keys != keys)
            && let Some(before) = self.state.take()
        {
            before.finish(notes);
        }
        self.state.get_or_insert_with(|| State::new(keys))
    }

    fn content(
        &mut self,
        keys: &LineageKeys,
        kind: &str,
        name: &str,
        entry: &Entry,
        notes: &mut dyn Notes,
    ) {
        let kind = match kind {
            "member" => {
                if let Ok(session) = name.parse::<SessionId>() {
                    found(&StateKeys::new(&keys.tenant, &session), entry, notes);
                }
                return;
            }
            "blob" => Kind::Blob,
            "list" => Kind::List,
            "chunk" => Kind::Chunk,
            _ => return,
        };
        let Ok(id) = name.parse::<BlobId>() else {
            return notes.wrong(&entry.key, "unreadable_key");
        };
        let Ok(row) = Row::decode(&entry.value) else {
            return notes.wrong(&entry.key, "corrupt_record");
        };
        let own = match &row.body {
            // What the top of a tree is named by is all that it lists.
            Body::List(_) if kind == Kind::Blob => id,
            Body::List(list) => list.id(),
            Body::Plain(_) | Body::Zstd(_) => match self.decoder.content(&row) {
                Ok(content) => BlobId::of(&content),
                Err(_) => return notes.wrong(&entry.key, "corrupt_record"),
            },
        };
        if own != id {
            notes.wrong(&entry.key, "digest_differs");
        }
        for child in row.children() {
            notes.refer(&entry.key, keys.row(child.name));
        }
    }
}

/// A row that the head of a state has to call for.
fn found(keys: &StateKeys, entry: &Entry, notes: &mut dyn Notes) {
    notes.found(&[keys.head()], entry.key.clone(), entry.value.clone());
}

/// The rows of one state, as they come: the head before commits and tags.
#[derive(Debug)]
struct State {
    keys: StateKeys,
    head: Option<Head>,
    rows: u64,
    unreadable: bool,
    logs: u64,
    gap: bool,
    tags: u64,
    forks: u64,
}

impl State {
    const fn new(keys: StateKeys) -> Self {
        Self {
            keys,
            head: None,
            rows: 0,
            unreadable: false,
            logs: 0,
            gap: false,
            tags: 0,
            forks: 0,
        }
    }

    fn take(&mut self, rest: &[&str], entry: &Entry, notes: &mut dyn Notes) {
        match rest {
            ["head"] => match record::head(&entry.value) {
                Ok(head) => self.head = Some(head),
                Err(_) => {
                    self.unreadable = true;
                    notes.wrong(&entry.key, "corrupt_record");
                }
            },
            ["log", revision] => {
                let before = self.head.as_ref().map(|head| head.packed.rev + self.logs);
                self.gap |= number(revision) != before.map(|before| before + 1);
                self.logs += 1;
                self.rows += 1;
            }
            ["fork", fork] => {
                self.forks += 1;
                if let Ok(fork) = fork.parse::<SessionId>() {
                    found(&self.keys.other(&fork), entry, notes);
                }
            }
            ["tag", _] => self.tags += 1,
            ["old" | "node", _] => self.rows += 1,
            _ => {}
        }
    }

    fn finish(self, notes: &mut dyn Notes) {
        let key = self.keys.head();
        let Some(head) = &self.head else {
            if self.rows > 0 && !self.unreadable {
                notes.wrong(&key, "record_missing");
            }
            return;
        };
        let tenant: &TenantId = &self.keys.tenant;
        let lineage = LineageKeys::new(tenant, &head.lineage);
        let by = [key.clone()];
        if let Some(due) = head.due {
            notes.demand(&by, self.keys.due(due), Bytes::new());
        }
        let member = lineage.member(&self.keys.session);
        notes.demand(&by, member, Bytes::new());
        if let Some(base) = &head.base {
            let fork = self.keys.other(&base.session).fork(&self.keys.session);
            notes.demand(&by, fork, Bytes::new());
        }
        if head.removed.is_some() {
            return self.finish_removed(head, notes);
        }
        for id in [head.points.manifest, head.points.hidden]
            .into_iter()
            .flatten()
        {
            notes.refer(&key, lineage.blob(id));
        }
        if !self.logs_fit(head) || self.tags != head.tags {
            notes.wrong(&key, "rows_missing");
        }
    }

    /// Of a state that was removed its commits stay while it has forks, which
    /// read them. Without forks they are just going.
    fn finish_removed(&self, head: &Head, notes: &mut dyn Notes) {
        if self.forks > 0 && !self.logs_fit(head) {
            notes.wrong(&self.keys.head(), "rows_missing");
        }
    }

    fn logs_fit(&self, head: &Head) -> bool {
        !self.gap && head.packed.rev + self.logs == head.rev
    }
}
