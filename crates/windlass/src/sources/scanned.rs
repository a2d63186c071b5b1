//! A source, page by page: rows that have numbers, in the order of these.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use windlass_core::BoxFuture;
use windlass_session::Caller;
use windlass_stream::limits::SOURCE_PAGE_BYTES_MAX;
use windlass_stream::{Row, Source, SourceKind, SourcePage, StreamError};

use super::request::Request;
use super::{Order, SourceOf, Sources};

/// Rows that are asked for before it is known how long they are.
const ROWS_AT_FIRST: u64 = 32;

/// A row that has a number.
#[derive(Clone, Debug)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) kind: Arc<str>,
    pub(super) row: Row,
}

/// The rows between two numbers, in the order of these. Where a number has no
/// row, none is missing.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) rows: Vec<Numbered>,
    /// The number up to which was looked: the higher one of the two, unless
    /// there was no room.
    pub(super) until: u64,
}

/// The row of what is written as JSON.
pub(super) fn row(content: &impl Serialize) -> Result<Row, StreamError> {
    let text = serde_json::to_vec(content).expect("rows have a form in JSON");
    Ok(Row::json(text)?)
}

/// A source that is being read.
#[derive(Debug)]
pub(super) struct Scanned {
    sources: Sources,
    caller: Caller,
    request: Request,
    /// How many numbers to look at next, for rows as long as the last ones.
    room: AtomicU64,
}

impl Scanned {
    pub(super) fn new(sources: &Sources, caller: &Caller, request: Request) -> Self {
        Self {
            sources: sources.clone(),
            caller: caller.clone(),
            request,
            room: AtomicU64::new(ROWS_AT_FIRST),
        }
    }

    /// Refuses to go on where the session is out of reach or another one by
    /// now, or what was read is no longer kept.
    pub(super) async fn check_still_there(&self) -> Result<(), StreamError> {
        let session = self.request.of.session();
        if self.sources.created(&self.caller, session).await? != self.request.created {
            return Err(StreamError::NotFound);
        }
        match &self.request.head {
            Some(head) => {
                let checked = self.sources.check_pinned(&self.caller, session, head);
                checked.await
            }
            None => Ok(()),
        }
    }

    /// The rows from one number to another.
    async fn window(&self, bounds: (u64, u64)) -> Result<Window, StreamError> {
        let (sources, caller, request) = (&self.sources, &self.caller, &self.request);
        match &request.of {
            SourceOf::Usage(session) => sources.events(caller, session, bounds).await,
            SourceOf::Commits(_) => sources.commits(caller, request, bounds).await,
            SourceOf::Graph(_) => sources.nodes(caller, request, bounds).await,
        }
    }

    /// The rows of the first numbers behind `after` in the order of the read,
    /// and the last number that was looked at.
    async fn behind(
        &self,
        after: Option<u64>,
        limit: u64,
    ) -> Result<Option<(Vec<Numbered>, u64)>, StreamError> {
        let mut count = self.room.load(Ordering::Relaxed).clamp(1, limit);
        loop {
            let Some((low, high)) = self.request.behind(after, count) else {
                return Ok(None);
            };
            let window = self.window((low, high)).await?;
            let mut rows = window.rows;
            match self.request.order {
                Order::OldestFirst => return Ok(Some((rows, window.until))),
                Order::NewestFirst if window.until == high => {
                    rows.reverse();
                    return Ok(Some((rows, low)));
                }
                // The rows that are wanted first had no room behind others.
                Order::NewestFirst => count = (high - low).div_ceil(2).max(1),
            }
        }
    }

    async fn read(&self, after: Option<&str>, limit: usize) -> Result<SourcePage, StreamError> {
        let after = after.map(str::parse).transpose();
        let after = after.map_err(|_| StreamError::Corrupt {
            record: "position in a source",
            why: "it is no number".to_owned(),
        })?;
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        let found = self.behind(after, limit).await?;
        // Only now is it known that all of it was of the same data.
        self.check_still_there().await?;
        let Some((rows, seen)) = found else {
            return Ok(SourcePage::default());
        };
        let (taken, at) = self.cut(rows, seen);
        let wanted = self.request.kind.as_deref();
        let is_wanted = |it: &Numbered| wanted.is_none_or(|wanted| *wanted == *it.kind);
        let rows = taken.into_iter().filter(is_wanted);
        Ok(SourcePage {
            rows: rows.map(|it| (it.number.to_string(), it.row)).collect(),
            next: self.request.behind(Some(at), 1).map(|_| at.to_string()),
        })
    }

    /// As many rows as a page has room for, and the number behind which the
    /// next one begins; the next window is as large as fits rows like these.
    fn cut(&self, mut rows: Vec<Numbered>, seen: u64) -> (Vec<Numbered>, u64) {
        let (count, mut bytes) = (rows.len(), 0);
        let fits = rows.iter().take_while(|it| {
            let fits = bytes < SOURCE_PAGE_BYTES_MAX;
            bytes += it.row.content().len();
            fits
        });
        rows.truncate(fits.count());
        let mean = (bytes / rows.len().max(1)).max(1);
        let room = u64::try_from(SOURCE_PAGE_BYTES_MAX / mean).unwrap_or(u64::MAX);
        self.room.store(room, Ordering::Relaxed);
        let at = match rows.last() {
            Some(last) if rows.len() < count => last.number,
            _ => seen,
        };
        (rows, at)
    }
}

impl Source for Scanned {
    fn request(&self) -> String {
        self.request.text()
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Ordered
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<SourcePage, StreamError>> {
        Box::pin(self.read(after, limit))
    }
}
