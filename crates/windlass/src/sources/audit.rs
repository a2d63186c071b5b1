//! The audit of the caller's tenant.
//!
//! It is of no session, so it is not among [`SourceOf`](super::SourceOf).
//! Whether the caller may read what everybody of its tenant did is for whoever
//! let it in to decide.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_core::{BoxFuture, Format};
use windlass_session::Caller;
use windlass_stream::{
    Cursor, Row, ScanReader, Source, SourceKind, SourcePage, Start, StreamError,
};

use super::{Order, Sources, streaming};
use crate::audit::{AuditError, AuditLog, AuditQuery, Chain, ChainHash};

/// Events of a page; each is at most a few KiB.
const PAGE_EVENTS_MAX: usize = 256;

/// A read of the audit: the events there were when it was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    v: Format,
    audit: Chain,
    order: Order,
    first: u64,
    last: u64,
    /// The hash of the last one, which tells the chain from a later one.
    hash: ChainHash,
}

/// The audit, as it is read.
#[derive(Debug)]
struct Events {
    log: AuditLog,
    request: Request,
}

impl Sources {
    /// Opens the audit of the caller's tenant for reading, up to `limit`
    /// events. A row is a line of the chain, as it is stored and hashed. Takes a
    /// slot first, as every read does.
    ///
    /// # Errors
    ///
    /// `Capacity`; `Source` for what the audit says.
    pub async fn scan_audit(
        &self,
        caller: &Caller,
        order: Order,
        limit: Option<u64>,
    ) -> Result<ScanReader, StreamError> {
        let source = async {
            let request = Request::of(&self.audit, caller, order).await?;
            Ok(self.events_of(request))
        };
        self.streams.scan(&streaming(caller), source, limit).await
    }

    /// Goes on with a read of the audit that was cut off, in its order and up
    /// to where it was to end.
    ///
    /// # Errors
    ///
    /// As [`Streams::resume_scan`](windlass_stream::Streams::resume_scan);
    /// `NotFound` also for a cursor of another source and where the chain is
    /// another one by now; `Source` with code `gap` where its events are no
    /// longer kept.
    pub async fn resume_audit(
        &self,
        caller: &Caller,
        cursor: &Cursor,
        start: Start,
    ) -> Result<ScanReader, StreamError> {
        let source = |request: &str| {
            let request = serde_json::from_str(request).map_err(|_| StreamError::NotFound);
            async move {
                let source = Events {
                    log: self.audit.clone(),
                    request: request?,
                };
                source.check_still_there().await?;
                Ok(Arc::new(source) as Arc<dyn Source>)
            }
        };
        let by = streaming(caller);
        self.streams.resume_scan(&by, cursor, start, source).await
    }

    fn events_of(&self, request: Request) -> Arc<dyn Source> {
        Arc::new(Events {
            log: self.audit.clone(),
            request,
        })
    }
}

impl Request {
    async fn of(log: &AuditLog, caller: &Caller, order: Order) -> Result<Self, StreamError> {
        let audit = Chain::Tenant(caller.tenant.clone());
        // What this process still holds was told before it was asked.
        log.flush().await;
        let head = log.head(&audit).await.map_err(StreamError::of_source)?;
        Ok(Self {
            v: Format,
            audit,
            order,
            first: head.first,
            last: head.last,
            hash: head.hash,
        })
    }
}

impl Events {
    /// Refuses to go on where the chain is another one by now.
    async fn check_still_there(&self) -> Result<(), StreamError> {
        let request = &self.request;
        if request.last < request.first {
            return Ok(());
        }
        let query = AuditQuery {
            after: Some(request.last - 1),
            limit: 1,
            newest_first: false,
        };
        let page = self.log.page(&request.audit, &query).await;
        let page = page.map_err(StreamError::of_source)?;
        match page.events.first() {
            Some(event) if event.seq == request.last && event.hash == request.hash => Ok(()),
            Some(event) if event.seq > request.last => Err(trimmed(event.seq)),
            _ => Err(StreamError::NotFound),
        }
    }

    async fn read(&self, after: Option<&str>, limit: usize) -> Result<SourcePage, StreamError> {
        let after = after.map(str::parse).transpose();
        let after: Option<u64> = after.map_err(|_| StreamError::Corrupt {
            record: "position in the audit",
            why: "it is no number".to_owned(),
        })?;
        let request = &self.request;
        let newest_first = request.order == Order::NewestFirst;
        let begin = match request.order {
            Order::OldestFirst => request.first - 1,
            Order::NewestFirst => request.last + 1,
        };
        let after = after.unwrap_or(begin);
        let query = AuditQuery {
            after: Some(after),
            limit: limit.clamp(1, PAGE_EVENTS_MAX),
            newest_first,
        };
        let page = self.log.lines(&request.audit, &query).await;
        let page = page.map_err(StreamError::of_source)?;
        let mut rows = Vec::new();
        let mut at = after;
        for (seq, line) in page.lines {
            let wanted = (request.first..=request.last).contains(&seq);
            if !wanted {
                break;
            }
            if seq.abs_diff(at) != 1 {
                return Err(trimmed(seq));
            }
            at = seq;
            rows.push((seq.to_string(), Row::json(line)?));
        }
        let end = match request.order {
            Order::OldestFirst => request.last,
            Order::NewestFirst => request.first,
        };
        let is_over = at == end || request.last < request.first;
        if rows.is_empty() && !is_over {
            return Err(trimmed(at));
        }
        let next = (!is_over).then(|| at.to_string());
        Ok(SourcePage { rows, next })
    }
}

/// Events that were to be read are no longer kept.
fn trimmed(seq: u64) -> StreamError {
    StreamError::of_source(AuditError::Trimmed { seq })
}

impl Source for Events {
    fn request(&self) -> String {
        serde_json::to_string(&self.request).expect("requests are made of text and numbers")
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
