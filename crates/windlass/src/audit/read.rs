//! Reading a chain, page by page.

use bytes::Bytes;
use windlass_store::{Order, Scan};

use super::chain::{Chain, ChainHash, split};
use super::error::AuditError;
use super::event::{ChainedEvent, decode};
use super::layout;
use super::limits::PAGE_EVENTS_MAX;
use super::shelf::Shelf;

/// Which events to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only those behind this one, in the order asked for: later ones, or with
    /// `newest_first` earlier ones.
    pub after: Option<u64>,
    /// At most so many: 1 to 1,000.
    pub limit: usize,
    /// Whether the last comes first.
    pub newest_first: bool,
}

impl Default for AuditQuery {
    fn default() -> Self {
        Self {
            after: None,
            limit: 100,
            newest_first: false,
        }
    }
}

/// Some events of a chain, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditPage {
    /// The events.
    pub events: Vec<ChainedEvent>,
    /// Where to go on; `None` at the end.
    pub next: Option<u64>,
}

/// Some events of a chain as the lines that are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditLines {
    /// Number and line of each, without a line feed.
    pub lines: Vec<(u64, Bytes)>,
    /// Where to go on; `None` at the end.
    pub next: Option<u64>,
}

impl Shelf {
    pub(super) async fn lines(
        &self,
        chain: &Chain,
        query: &AuditQuery,
    ) -> Result<AuditLines, AuditError> {
        let limit = query.limit;
        if !(1..=PAGE_EVENTS_MAX).contains(&limit) {
            return Err(AuditError::Invalid {
                field: "limit",
                value: u64::try_from(limit).unwrap_or(u64::MAX),
                min: 1,
                max: u64::try_from(PAGE_EVENTS_MAX).unwrap_or(u64::MAX),
            });
        }
        let mut scan = Scan::new(layout::events(chain)).limit(limit);
        if query.newest_first {
            scan.order = Order::Descending;
        }
        if let Some(after) = query.after {
            scan = scan.after(&layout::event(chain, after));
        }
        let pages = self.store.read(&[scan]).await?;
        let page = pages.into_iter().next().unwrap_or_default();
        let rows = page.entries.into_iter();
        let lines: Vec<(u64, Bytes)> = rows
            .map(|row| {
                let seq = layout::seq_of(&row.key).ok_or_else(|| unreadable(0))?;
                Ok((seq, row.value))
            })
            .collect::<Result<_, AuditError>>()?;
        let last = lines.last().map(|(seq, _)| *seq);
        Ok(AuditLines {
            lines,
            next: last.filter(|_| page.more),
        })
    }

    pub(super) async fn events(
        &self,
        chain: &Chain,
        query: &AuditQuery,
    ) -> Result<AuditPage, AuditError> {
        let AuditLines { lines, next } = self.lines(chain, query).await?;
        let events = lines.iter().map(|(seq, line)| {
            let read: Option<(ChainHash, _)> =
                split(line).and_then(|(hash, text)| Some((hash, decode(text)?)));
            let (hash, (_, event)) = read.ok_or_else(|| unreadable(*seq))?;
            let seq = *seq;
            Ok(ChainedEvent { seq, hash, event })
        });
        Ok(AuditPage {
            events: events.collect::<Result<_, AuditError>>()?,
            next,
        })
    }
}

fn unreadable(seq: u64) -> AuditError {
    let why = format!("number {seq} is no line of a chain");
    AuditError::Corrupt { what: "event", why }
}
