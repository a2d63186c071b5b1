//! The chains in the store: appending to them, reading them, and forgetting the
//! oldest events.
//!
//! A chain is a head and a row an event. A commit appends a group: it checks
//! and rewrites the head, so of two processes that append at a time one decides
//! again, and its events come after the other's.

use std::sync::Arc;

use bytes::Bytes;
use windlass_access::{Status, Tenants};
use windlass_core::{BoxFuture, Coded, Env, ErrorKind, Millis, Writer, Written, back_off};
use windlass_store::{Batch, Bookmark, Commit, Entry, Expect, Scan, Store, StoreErrorKind};

use super::chain::{Chain, ChainHash, line};
use super::error::AuditError;
use super::event::{AuditEvent, encode};
use super::layout;
use super::limits::ROUNDS_MAX;
use super::record::Head;
use super::sink::{AuditSink, SinkFailure};

/// How long events are kept; each bound for itself, and none if `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditKeep {
    /// Milliseconds after which an event is forgotten: 1 to ten years.
    pub ms: Option<u64>,
    /// Events of a chain of which the newest are kept: 1 and more.
    pub events: Option<u64>,
}

impl Default for AuditKeep {
    /// 400 days, and ten million events of a tenant.
    fn default() -> Self {
        Self {
            ms: Some(400 * 24 * 60 * 60 * 1_000),
            events: Some(10_000_000),
        }
    }
}

/// The chains of a store.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) store: Arc<dyn Store>,
    pub(super) env: Arc<dyn Env>,
    pub(super) keep: AuditKeep,
    tenants: Tenants,
    writer: Writer,
    pub(super) bookmark: Bookmark,
}

/// How an attempt to change a chain ended.
pub(super) enum Attempt {
    Applied,
    /// Look again, and decide again.
    Again,
}

impl Shelf {
    pub(super) fn new(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        tenants: Tenants,
        keep: AuditKeep,
    ) -> Result<Self, AuditError> {
        let writer = Writer::draw(env.as_ref())?;
        Ok(Self {
            store,
            env,
            keep,
            tenants,
            writer,
            bookmark: Bookmark::default(),
        })
    }

    /// The head of a chain, and what a commit that rewrites it expects.
    pub(super) async fn head(&self, chain: &Chain) -> Result<(Head, Expect), AuditError> {
        let scan = Scan::point(layout::head(chain));
        let pages = self.store.read(&[scan]).await?;
        head_of(chain, pages.first().and_then(|page| page.entries.first()))
    }

    /// Appends a group, after whatever others have appended meanwhile.
    async fn append(&self, chain: &Chain, events: &[Arc<AuditEvent>]) -> Result<(), AuditError> {
        for lost in 0..ROUNDS_MAX {
            back_off(self.env.as_ref(), lost).await?;
            let (head, expect) = self.head(chain).await?;
            if expect == Expect::Absent {
                self.ensure_may_begin(chain).await?;
            }
            let (batch, next) = self.plan(chain, &head, expect, events);
            if let Attempt::Applied = self.commit(chain, batch, &next).await? {
                return Ok(());
            }
        }
        Err(AuditError::Busy)
    }

    /// Refuses to begin a chain for a tenant that has been erased: what was told
    /// of it late would be the only thing that is left of it.
    async fn ensure_may_begin(&self, chain: &Chain) -> Result<(), AuditError> {
        let Chain::Tenant(tenant) = chain else {
            return Ok(());
        };
        match self.tenants.status(tenant).await {
            Ok(Status::Active) => Ok(()),
            Ok(_) => Err(AuditError::Erased),
            Err(error) if error.kind() == ErrorKind::Unavailable => Err(AuditError::Busy),
            Err(error) => Err(AuditError::Tenant(error)),
        }
    }

    fn plan(
        &self,
        chain: &Chain,
        head: &Head,
        expect: Expect,
        events: &[Arc<AuditEvent>],
    ) -> (Batch, Head) {
        let mut next = head.clone();
        let mut batch = Batch::new().check(layout::head(chain), expect);
        for event in events {
            let text = encode(next.next, event);
            next.hash = next.hash.next(&text);
            let row = layout::event(chain, next.next);
            batch = batch.put(row, line(&next.hash, &text));
            next.next += 1;
        }
        let oldest = events.first().map_or(self.env.now(), |event| event.at);
        let due = self.due(head.due, next.events(), oldest);
        self.rewrite(chain, batch, head, next, due)
    }

    /// When upkeep has to look at a chain next, whose oldest event is of
    /// `oldest` if it was not due before.
    fn due(&self, before: Option<Millis>, events: u64, oldest: Millis) -> Option<Millis> {
        if self.keep.events.is_some_and(|max| events > max) {
            return Some(before.map_or(self.env.now(), |due| due.min(self.env.now())));
        }
        before.or_else(|| self.keep.ms.map(|ms| oldest.plus_ms(ms)))
    }

    /// Completes a batch by the head that it leaves, and that one's row in the
    /// index of upkeep.
    pub(super) fn rewrite(
        &self,
        chain: &Chain,
        mut batch: Batch,
        head: &Head,
        mut next: Head,
        due: Option<Millis>,
    ) -> (Batch, Head) {
        if head.due != due {
            if let Some(before) = head.due {
                batch = batch.delete(layout::due(before, chain));
            }
            if let Some(due) = due {
                batch = batch.put(layout::due(due, chain), Bytes::new());
            }
        }
        next.due = due;
        next.rev = head.rev + 1;
        next.by.note(&self.writer.id(), next.rev);
        let batch = batch.put(layout::head(chain), next.encode());
        (batch, next)
    }

    /// Commits a change of a chain; one of unknown outcome is looked up.
    pub(super) async fn commit(
        &self,
        chain: &Chain,
        batch: Batch,
        next: &Head,
    ) -> Result<Attempt, AuditError> {
        let error = match self.store.commit(batch).await {
            Ok(Commit::Applied(_)) => return Ok(Attempt::Applied),
            Ok(Commit::Conflict { .. }) => return Ok(Attempt::Again),
            Err(error) => error,
        };
        if error.kind() != StoreErrorKind::Indeterminate {
            return Err(error.into());
        }
        let ours = self.writer.leave_id();
        for lost in 0..ROUNDS_MAX {
            back_off(self.env.as_ref(), lost).await?;
            match self.head(chain).await {
                Ok((now, _)) => {
                    return match now.by.of(next.rev, now.rev) {
                        Written::By(writer) if *writer == ours => Ok(Attempt::Applied),
                        Written::Forgotten => Err(error.into()),
                        Written::By(_) | Written::NotYet => Ok(Attempt::Again),
                    };
                }
                Err(failed) if failed.kind() == ErrorKind::Unavailable => {}
                Err(failed) => return Err(failed),
            }
        }
        Err(error.into())
    }
}

/// A chain's head as it was read, and what a commit that rewrites it expects.
pub(super) fn head_of(chain: &Chain, entry: Option<&Entry>) -> Result<(Head, Expect), AuditError> {
    match entry {
        None => Ok((Head::new(chain), Expect::Absent)),
        Some(entry) => Ok((Head::decode(entry)?, Expect::Version(entry.version))),
    }
}

impl AuditSink for Shelf {
    fn write<'a>(
        &'a self,
        events: &'a [Arc<AuditEvent>],
    ) -> BoxFuture<'a, Result<(), SinkFailure>> {
        Box::pin(async move {
            let Some(first) = events.first() else {
                return Ok(());
            };
            let appended = self.append(&first.chain, events).await;
            appended.map_err(|error| match error.kind() {
                // Nothing happened, and it may be better soon.
                ErrorKind::Unavailable | ErrorKind::Environment => SinkFailure::later(error),
                _ => SinkFailure::never(error),
            })
        })
    }
}

/// Where a chain stands, for whoever keeps a copy of it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChainHead {
    /// The number of the oldest event that is kept.
    pub first: u64,
    /// The hash before that one.
    pub anchor: ChainHash,
    /// The number of the last event; one less than `first` if there is none.
    pub last: u64,
    /// The hash of that one; the anchor if there is none.
    pub hash: ChainHash,
}

impl ChainHead {
    pub(super) fn of(head: &Head) -> Self {
        Self {
            first: head.first,
            anchor: head.anchor,
            last: head.next - 1,
            hash: head.hash,
        }
    }

    /// How many events are kept.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.last + 1 - self.first
    }
}
