//! How a subscription is read and written.
//!
//! Invariants:
//!
//! 1. Whatever changes a subscription checks and rewrites its head, links
//!    included: the head says how many there are, so none is lost unnoticed.
//! 2. Each has exactly one row in the index of due work, written by the commit
//!    that makes it due: whoever looks after all of them finds it, also after
//!    a restart and from another process.
//! 3. A commit whose outcome is unknown is resolved by who wrote its revision;
//!    a second attempt wants to write the same one, so at most one applies.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Millis, Writer, WriterId, Written};
use windlass_store::{Batch, Commit, Entry, Expect, Page, Scan, StoreErrorKind, Version};

use super::error::SubscriptionError;
use super::limits::TOMBSTONE_MS;
use super::model::{Address, Linked, SubscriptionView};
use super::paths::Tails;
use super::record::{Config, Head, Link};
use super::rules::{Phase, State};
use crate::engine::Engine;
use crate::error::StreamError;
use crate::limits::ROUNDS_MAX;
use crate::offset::Offset;
use crate::record::{decode, encode};

/// What is stored under an address.
#[derive(Debug)]
pub(crate) enum Stored {
    Absent,
    /// One that was deleted: its head alone is left.
    Deleted(Head, Version),
    Live(Loaded),
}

/// A subscription as it was read, all of it at one time.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) head: Head,
    pub(crate) version: Version,
    pub(crate) config: Config,
    pub(crate) links: Vec<Link>,
}

/// What one commit makes of a subscription.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) state: State,
    /// Links as they are from now on, new ones among them.
    pub(crate) put: Vec<Link>,
    /// Paths that are linked no more.
    pub(crate) remove: Vec<Arc<str>>,
    pub(crate) full: bool,
    /// What is committed along with it.
    pub(crate) join: Batch,
}

impl Loaded {
    pub(crate) fn paths(&self) -> Vec<Arc<str>> {
        let path = |link: &Link| Arc::clone(&link.path);
        self.links.iter().map(path).collect()
    }

    pub(crate) fn link(&self, path: &str) -> Option<&Link> {
        self.links.iter().find(|link| *link.path == *path)
    }

    /// A change of the state alone.
    pub(crate) fn becoming(&self, state: State) -> Change {
        Change {
            state,
            put: Vec::new(),
            remove: Vec::new(),
            full: self.head.full,
            join: Batch::new(),
        }
    }

    /// Its streams, in the order of their paths.
    pub(crate) fn linked(&self, tails: &Tails) -> Vec<Linked> {
        let linked = |link: &Link| {
            let tail = tails.get(&link.path);
            Linked {
                path: Arc::clone(&link.path),
                explicit: link.explicit,
                acked: link.acked_in(tail),
                tail: tail.map_or(Offset::START, |tail| tail.tail),
            }
        };
        let mut streams: Vec<Linked> = self.links.iter().map(linked).collect();
        streams.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        streams
    }

    pub(crate) fn view(&self, at: &Address, tails: &Tails) -> SubscriptionView {
        let holder = match &self.head.state.phase {
            Phase::Leased(lease) => Some(Arc::clone(&lease.holder)),
            Phase::Idle | Phase::Waking { .. } => None,
        };
        SubscriptionView {
            id: at.id.clone(),
            delivery: self.config.delivery.clone(),
            pattern: self.config.pattern.clone(),
            streams: self.linked(tails),
            is_full: self.head.full,
            lease_ttl_ms: self.config.lease_ttl_ms,
            description: self.config.description.clone(),
            created: self.config.created,
            generation: self.head.state.generation,
            holder,
            retry_at: self.head.state.retry.map(|retry| retry.at),
        }
    }

    /// The commit that makes `change`.
    pub(crate) fn plan(&self, at: &Address, change: Change, writer: &WriterId) -> Batch {
        let mut paths: HashSet<&str> = self.links.iter().map(|link| &*link.path).collect();
        let mut batch = Batch::new().check(at.head(), Expect::Version(self.version));
        for path in &change.remove {
            paths.remove(&**path);
            batch = batch.delete(at.link(path));
        }
        for link in &change.put {
            paths.insert(&link.path);
            batch = batch.put(at.link(&link.path), encode(link));
        }
        let mut head = self.head.clone();
        head.links = paths.len();
        head.full = change.full;
        head.state = change.state;
        batch.append(written(at, &self.head, head, writer));
        batch.append(change.join);
        batch
    }

    /// The commit that deletes it.
    pub(crate) fn tombstone(&self, at: &Address, now: Millis, writer: &WriterId) -> Batch {
        let mut batch = Batch::new()
            .check(at.head(), Expect::Version(self.version))
            .delete(at.config())
            .delete(at.listed());
        for link in &self.links {
            batch = batch.delete(at.link(&link.path));
        }
        let mut head = self.head.clone();
        head.links = 0;
        head.full = false;
        head.state = self.head.state.released();
        head.deleted = Some(now);
        batch.append(written(at, &self.head, head, writer));
        batch
    }
}

/// When something is to be done about it.
fn due(head: &Head) -> Option<Millis> {
    let deleted = head.deleted.map(|at| at.plus_ms(TOMBSTONE_MS));
    deleted.or_else(|| head.state.due())
}

/// The writes of the next head, and of its place in the index.
fn written(at: &Address, before: &Head, mut head: Head, writer: &WriterId) -> Batch {
    head.rev = before.rev + 1;
    head.by.note(writer, head.rev);
    head.due = due(&head);
    let mut batch = Batch::new().put(at.head(), encode(&head));
    if head.due != before.due {
        batch = batch.delete(at.due(before.due));
        batch = batch.put(at.due(head.due), Bytes::new());
    }
    batch
}

impl Engine {
    /// What is stored under an address: one read, and one more for each page of
    /// links beyond the first.
    pub(super) async fn stored(&self, at: &Address) -> Result<Stored, SubscriptionError> {
        let mut lost = 0;
        loop {
            let scans = [
                Scan::point(at.head()),
                Scan::point(at.config()),
                Scan::new(at.links()),
            ];
            let mut pages = self.store.read(&scans).await?.into_iter();
            let mut next = || pages.next().unwrap_or_default();
            let (head, config, links) = (next(), next(), next());
            let Some(entry) = head.entries.into_iter().next() else {
                return Ok(Stored::Absent);
            };
            let head: Head = decode("subscription head", &entry.value)?;
            if head.deleted.is_some() {
                return Ok(Stored::Deleted(head, entry.version));
            }
            if let Some(links) = self.all_links(at, entry.version, links).await? {
                return Ok(Stored::Live(Loaded {
                    config: config_of(config)?,
                    links: counted(&head, links)?,
                    version: entry.version,
                    head,
                }));
            }
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    /// All links of which `page` are the first; `None` if the subscription has
    /// changed meanwhile.
    async fn all_links(
        &self,
        at: &Address,
        version: Version,
        mut page: Page,
    ) -> Result<Option<Vec<Link>>, SubscriptionError> {
        let mut links = Vec::new();
        loop {
            for entry in &page.entries {
                links.push(decode("subscription link", &entry.value)?);
            }
            let Some(last) = page.entries.last().filter(|_| page.more) else {
                return Ok(Some(links));
            };
            let scans = [
                Scan::point(at.head()).keys(),
                Scan::new(at.links()).after(&last.key),
            ];
            let mut pages = self.store.read(&scans).await?.into_iter();
            let head = pages.next().unwrap_or_default();
            if head.entries.first().map(|entry| entry.version) != Some(version) {
                return Ok(None);
            }
            page = pages.next().unwrap_or_default();
        }
    }

    /// One that is there.
    pub(super) async fn loaded(&self, at: &Address) -> Result<Loaded, SubscriptionError> {
        match self.stored(at).await? {
            Stored::Live(loaded) => Ok(loaded),
            Stored::Absent | Stored::Deleted(..) => Err(SubscriptionError::NotFound),
        }
    }
}

fn config_of(page: Page) -> Result<Config, SubscriptionError> {
    let missing = || StreamError::corrupt("subscription", "its settings are missing");
    let entry: Entry = page.entries.into_iter().next().ok_or_else(missing)?;
    Ok(decode("subscription", &entry.value)?)
}

/// Links, all of them: a missing one would be a stream that nobody works on.
fn counted(head: &Head, links: Vec<Link>) -> Result<Vec<Link>, SubscriptionError> {
    if links.len() == head.links {
        return Ok(links);
    }
    let why = format!("{} of {} are there", links.len(), head.links);
    Err(StreamError::corrupt("subscription link", why).into())
}

/// Attempts at one change, the answers to those of which nothing is known.
#[derive(Debug)]
pub(crate) struct Attempts<T> {
    writer: Writer,
    doubts: Vec<(WriterId, u64, T)>,
    lost: u32,
}

impl<T: Clone> Attempts<T> {
    pub(crate) fn new(engine: &Engine) -> Result<Self, SubscriptionError> {
        Ok(Self {
            writer: Writer::draw(engine.env.as_ref())?,
            doubts: Vec::new(),
            lost: 0,
        })
    }

    pub(crate) fn writer(&self) -> WriterId {
        self.writer.id()
    }

    /// The answer to an attempt that turns out to have been applied.
    pub(crate) fn applied(&mut self, head: &Head) -> Result<Option<T>, SubscriptionError> {
        for (writer, rev, answer) in &self.doubts {
            match head.by.of(*rev, head.rev) {
                Written::By(by) if by == writer => return Ok(Some(answer.clone())),
                Written::Forgotten => return Err(StreamError::forgotten().into()),
                Written::By(_) | Written::NotYet => {}
            }
        }
        self.doubts.retain(|(_, rev, _)| *rev > head.rev);
        Ok(None)
    }

    /// The error of a change of which an attempt may have been applied.
    pub(crate) fn blame(&self, error: SubscriptionError) -> SubscriptionError {
        if self.doubts.is_empty() {
            return error;
        }
        StreamError::forgotten().into()
    }

    /// Commits an attempt under [`Attempts::writer`] that writes revision `rev`;
    /// `None` if it has to be decided anew.
    pub(crate) async fn commit(
        &mut self,
        engine: &Engine,
        rev: u64,
        batch: Batch,
        answer: T,
    ) -> Result<Option<T>, SubscriptionError> {
        match engine.store.commit(batch).await {
            Ok(Commit::Applied(_)) => return Ok(Some(answer)),
            Ok(Commit::Conflict { .. }) => {}
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => {
                self.doubts.push((self.writer.leave_id(), rev, answer));
            }
            Err(error) => return Err(self.blame(error.into())),
        }
        self.lost += 1;
        if self.lost >= ROUNDS_MAX {
            return Err(self.blame(StreamError::Busy.into()));
        }
        engine.back_off(self.lost).await?;
        Ok(None)
    }
}
