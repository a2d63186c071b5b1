//! Whether a chain is what was written.
//!
//! The rules are pure: a [`Verifier`] is given line after line and says where
//! the chain breaks. Around it, pages are read together with the head, at one
//! point in time each, so that events that come or are trimmed meanwhile are no
//! break.

use std::fmt;

use serde::Serialize;
use windlass_store::{Page, Scan};

use super::chain::{Chain, ChainHash, split};
use super::error::AuditError;
use super::event::{AuditEvent, decode};
use super::layout;
use super::record::Head;
use super::shelf::{Shelf, head_of};
use super::waiting::LOST_ACTION;

/// Events that are read at a time.
const PAGE_EVENTS: usize = 500;

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BreakKind {
    /// There is no event of this number, and there should be.
    Missing,
    /// The event is not the one whose hash was chained, or the hash is not.
    Changed,
    /// In the place of the event stands one of another number or chain: they
    /// were reordered, doubled, or brought from elsewhere.
    Misplaced,
    /// The store says that the event's row is damaged.
    Damaged,
    /// The chain ends before the event that its head says is the last.
    CutOff,
    /// There are events behind the one that the head says is the last.
    Surplus,
    /// The head is missing, cannot be read, or is that of another chain.
    Head,
    /// The event has another hash than was noted elsewhere: the chain was
    /// written anew.
    Rewritten,
    /// What was to be a line of an export is none. Said of lines alone: in a
    /// store such an event counts as changed.
    NoLine,
}

impl BreakKind {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Misplaced => "misplaced",
            Self::Damaged => "damaged",
            Self::CutOff => "cut_off",
            Self::Surplus => "surplus",
            Self::Head => "head",
            Self::Rewritten => "rewritten",
            Self::NoLine => "no_line",
        }
    }
}

/// The first place where a chain is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ChainBreak {
    /// The number of the event.
    pub seq: u64,
    /// What is wrong there.
    pub kind: BreakKind,
}

impl fmt::Display for ChainBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.kind {
            BreakKind::Missing => write!(f, "event {seq} is missing"),
            BreakKind::Changed => write!(f, "event {seq} was changed"),
            BreakKind::Misplaced => write!(f, "in the place of event {seq} stands another"),
            BreakKind::Damaged => write!(f, "the row of event {seq} is damaged"),
            BreakKind::CutOff => write!(f, "the chain is cut off before event {seq}"),
            BreakKind::Surplus => write!(f, "event {seq} is behind the end of the chain"),
            BreakKind::Head => f.write_str("the head of the chain is not what was written"),
            BreakKind::Rewritten => write!(f, "event {seq} has another hash than was noted"),
            BreakKind::NoLine => write!(f, "event {seq} is no line of an export"),
        }
    }
}

/// Follows a chain, line by line.
#[derive(Clone, Debug)]
pub struct Verifier {
    chain: Chain,
    first: u64,
    next: u64,
    hash: ChainHash,
    noted: Option<(u64, ChainHash)>,
    events: u64,
    lost: u64,
}

impl Verifier {
    /// Begins at event `first`, before which stands the hash `before`.
    #[must_use]
    pub const fn new(chain: Chain, first: u64, before: ChainHash) -> Self {
        Self {
            chain,
            first,
            next: first,
            hash: before,
            noted: None,
            events: 0,
            lost: 0,
        }
    }

    /// Holds the chain to a hash that was noted elsewhere, of the event before
    /// the first or of one that is still to come.
    ///
    /// # Errors
    ///
    /// A break if it is of an earlier event, or the one before the first has
    /// another.
    pub fn held_to(mut self, noted: Option<(u64, ChainHash)>) -> Result<Self, ChainBreak> {
        self.noted = noted;
        match noted {
            Some((seq, _)) if seq.saturating_add(1) < self.next => {
                let kind = BreakKind::Missing;
                Err(ChainBreak { seq, kind })
            }
            Some((seq, hash)) if seq.saturating_add(1) == self.next && hash != self.hash => {
                let kind = BreakKind::Rewritten;
                Err(ChainBreak { seq, kind })
            }
            _ => Ok(self),
        }
    }

    /// Follows the chain by one line, and answers its event.
    ///
    /// # Errors
    ///
    /// Where the chain breaks, if it does.
    pub fn follow(&mut self, line: &[u8]) -> Result<AuditEvent, ChainBreak> {
        let (said, text) = split(line).ok_or(self.broken(BreakKind::Changed))?;
        self.link(said, text, decode(text))
    }

    /// The same for a line that was taken apart: the hash that it says, the
    /// text, and what that says.
    pub(super) fn link(
        &mut self,
        said: ChainHash,
        text: &[u8],
        read: Option<(u64, AuditEvent)>,
    ) -> Result<AuditEvent, ChainBreak> {
        let seq = self.next;
        let broken = |kind| ChainBreak { seq, kind };
        let is_other =
            |(found, event): &(u64, AuditEvent)| *found != seq || event.chain != self.chain;
        if read.as_ref().is_some_and(is_other) {
            return Err(broken(BreakKind::Misplaced));
        }
        if self.hash.next(text) != said {
            return Err(broken(BreakKind::Changed));
        }
        let Some((_, event)) = read else {
            return Err(broken(BreakKind::Changed));
        };
        if self
            .noted
            .is_some_and(|(at, hash)| at == seq && hash != said)
        {
            return Err(broken(BreakKind::Rewritten));
        }
        self.hash = said;
        self.next += 1;
        self.events += 1;
        self.lost += lost(&event);
        Ok(event)
    }

    /// The number of the event that is followed next.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The hash of the event that was followed last.
    #[must_use]
    pub const fn hash(&self) -> ChainHash {
        self.hash
    }

    pub(super) const fn chain(&self) -> &Chain {
        &self.chain
    }

    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// A break at the event that comes next.
    const fn broken(&self, kind: BreakKind) -> ChainBreak {
        ChainBreak {
            seq: self.next,
            kind,
        }
    }
}

/// How many events an event says were lost.
fn lost(event: &AuditEvent) -> u64 {
    match event.action.as_ref() {
        LOST_ACTION => event.figures.iter().map(|(_, figure)| figure).sum(),
        _ => 0,
    }
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// The chain.
    pub chain: Chain,
    /// The first event that was verified.
    pub from: u64,
    /// The last one; one less if there was none.
    pub through: u64,
    /// How many were verified.
    pub events: u64,
    /// How many of the chain's events have been forgotten, as was set.
    pub trimmed: u64,
    /// How many events these say were lost before they were written.
    pub lost: u64,
    /// The hash of the last that was verified: note it elsewhere, and the next
    /// verification can be held to it.
    pub hash: ChainHash,
    /// The first break, if there is one. Nothing behind it was looked at.
    #[serde(rename = "break")]
    pub broken: Option<ChainBreak>,
}

/// From where a chain is verified, and what it is held to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verify {
    /// The first event, whose predecessor's hash is taken for granted; the
    /// oldest that is kept if `None`.
    pub from: Option<u64>,
    /// The number and the hash of an event that were noted elsewhere; the
    /// verification begins there at the latest. One that was trimmed, or that
    /// the chain does not reach, is a break.
    pub noted: Option<(u64, ChainHash)>,
}

/// Told after each page how far it is: the number of the last event that was
/// verified, and of the last that there is.
pub type Observe<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

impl Shelf {
    pub(super) async fn verify(
        &self,
        chain: &Chain,
        asked: Verify,
        observe: Observe<'_>,
    ) -> Result<Verified, AuditError> {
        let mut verifier = match self.begin(chain, asked).await {
            Ok(Ok(verifier)) => verifier,
            Ok(Err(broken)) => return Ok(self.report_of_none(chain, broken)),
            Err(error) => return Err(error),
        };
        let from = verifier.next;
        let mut page_events = PAGE_EVENTS;
        let mut trimmed = 0;
        let broken = loop {
            let read = self.page(chain, &verifier, page_events).await;
            let (head, page) = match read {
                Ok(read) => read,
                // One row of them is damaged: which, single reads tell.
                Err(error) if error.is_damage() && page_events > 1 => {
                    page_events = 1;
                    continue;
                }
                Err(error) if error.is_damage() => {
                    break Some(verifier.broken(BreakKind::Damaged));
                }
                Err(error) => return Err(error),
            };
            let Ok(head) = head else {
                break Some(verifier.broken(BreakKind::Head));
            };
            trimmed = head.first - 1;
            match follow_page(&mut verifier, &head, &page) {
                Err(broken) => break Some(broken),
                Ok(true) => observe(verifier.next - 1, head.next - 1),
                Ok(false) => break at_end(&verifier, &head),
            }
        };
        Ok(Verified {
            chain: chain.clone(),
            from,
            through: verifier.next - 1,
            events: verifier.events,
            trimmed,
            lost: verifier.lost,
            hash: verifier.hash,
            broken,
        })
    }

    fn report_of_none(&self, chain: &Chain, broken: ChainBreak) -> Verified {
        Verified {
            chain: chain.clone(),
            from: broken.seq,
            through: broken.seq.saturating_sub(1),
            events: 0,
            trimmed: 0,
            lost: 0,
            hash: ChainHash::genesis(chain),
            broken: Some(broken),
        }
    }

    /// Where to begin: at the anchor, or behind the event before the one that
    /// was asked for.
    async fn begin(
        &self,
        chain: &Chain,
        asked: Verify,
    ) -> Result<Result<Verifier, ChainBreak>, AuditError> {
        let head = match self.head(chain).await {
            Ok((head, _)) => head,
            Err(error) if error.is_damage() || matches!(error, AuditError::Corrupt { .. }) => {
                let kind = BreakKind::Head;
                return Ok(Err(ChainBreak { seq: 0, kind }));
            }
            Err(error) => return Err(error),
        };
        let noted = |verifier: Verifier| Ok(verifier.held_to(asked.noted));
        // An event that was noted is among those that are verified.
        let latest = asked.noted.map_or(u64::MAX, |(seq, _)| seq);
        let from = asked.from.unwrap_or(head.first).min(latest).max(head.first);
        if from == head.first {
            return noted(Verifier::new(chain.clone(), from, head.anchor));
        }
        if from > head.next {
            return Err(AuditError::Invalid {
                field: "from",
                value: from,
                min: head.first,
                max: head.next,
            });
        }
        let broken = |kind| {
            Ok(Err(ChainBreak {
                seq: from - 1,
                kind,
            }))
        };
        let scan = Scan::point(layout::event(chain, from - 1));
        let pages = match self.store.read(&[scan]).await.map_err(AuditError::from) {
            Err(error) if error.is_damage() => return broken(BreakKind::Damaged),
            pages => pages?,
        };
        let Some(before) = pages.first().and_then(|page| page.entries.first()) else {
            return broken(BreakKind::Missing);
        };
        match split(&before.value) {
            Some((hash, _)) => noted(Verifier::new(chain.clone(), from, hash)),
            None => broken(BreakKind::Changed),
        }
    }

    /// The head, if it can be read, and the next events, at one point in time.
    async fn page(
        &self,
        chain: &Chain,
        verifier: &Verifier,
        limit: usize,
    ) -> Result<(Result<Head, AuditError>, Page), AuditError> {
        let scans = [
            Scan::point(layout::head(chain)),
            Scan::new(layout::events_from(chain, verifier.next)).limit(limit),
        ];
        let mut pages = self.store.read(&scans).await?.into_iter();
        let head = pages.next().unwrap_or_default();
        let rows = pages.next().unwrap_or_default();
        let head = head_of(chain, head.entries.first()).map(|(head, _)| head);
        Ok((head, rows))
    }
}

/// Follows the chain by a page; whether there is more.
fn follow_page(verifier: &mut Verifier, head: &Head, page: &Page) -> Result<bool, ChainBreak> {
    let is_own = |head: &Head| head.first > 1 || head.anchor == ChainHash::genesis(&verifier.chain);
    if !is_own(head) {
        return Err(verifier.broken(BreakKind::Head));
    }
    if verifier.next < head.first {
        // What was to be followed has been trimmed meanwhile.
        verifier.next = head.first;
        verifier.hash = head.anchor;
    }
    for row in &page.entries {
        let seq = layout::seq_of(&row.key);
        if seq.is_some_and(|seq| seq < verifier.next) {
            continue;
        }
        if verifier.next >= head.next {
            return Err(verifier.broken(BreakKind::Surplus));
        }
        if seq != Some(verifier.next) {
            return Err(verifier.broken(BreakKind::Missing));
        }
        verifier.follow(&row.value)?;
    }
    Ok(page.more)
}

/// What is wrong at the end of all rows, if something is.
fn at_end(verifier: &Verifier, head: &Head) -> Option<ChainBreak> {
    if verifier.next < head.next {
        return Some(verifier.broken(BreakKind::CutOff));
    }
    if verifier.hash != head.hash {
        return Some(verifier.broken(BreakKind::Head));
    }
    let (seq, _) = verifier.noted?;
    let kind = BreakKind::CutOff;
    (seq >= head.next).then_some(ChainBreak { seq, kind })
}
