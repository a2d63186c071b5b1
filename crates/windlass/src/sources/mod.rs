//! What can be streamed without being recorded as a stream: data that the
//! parts keep anyway, read as rows in its own order.
//!
//! A read of a source is a read as any other: it takes a slot, has a lease and
//! a cursor, comes in chunks with marks and digests, and goes on after a cut.
//! It ends where its data ended when it was opened, whatever is added
//! meanwhile, so whoever goes on gets the very rows that were left. Nothing is
//! copied and nothing is held back for it: if what it reads is no longer kept,
//! it ends with an error, never with fewer rows.
//!
//! A source is there for whom its session is. To all others it is absent, as
//! one that never was.
//!
//! Whoever adds a source gives it a variant of [`SourceOf`], says in
//! `request.rs` where it begins and ends, and in a file of its own which rows
//! have which numbers.

mod audit;
mod commits;
mod graph;
mod request;
mod scanned;
mod usage;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_checkpoint::Checkpoints;
use windlass_core::SessionId;
use windlass_session::{Caller, Sessions};
use windlass_stream::{
    self as stream, Credential, Cursor, ScanReader, Start, StreamError, Streams,
};

use crate::Windlass;
use crate::audit::AuditLog;
use request::Request;
use scanned::Scanned;

/// Which data is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceOf {
    /// The recorded changes of a session: its uses, what they cost, and what
    /// else became of its budget. A row is an event, as
    /// [`Sessions::history`](windlass_session::Sessions::history) has it.
    Usage(SessionId),
    /// The commits of a session's state, those before a fork included. A row
    /// is an entry of the [log](windlass_checkpoint::Checkpoints::log).
    Commits(SessionId),
    /// The nodes of a session's graph, as they were appended, without those
    /// that are outside of it. A row has a node's number, parent, revision,
    /// kind and content: `json`, or `bytes` in base64, or `omitted_bytes` where
    /// it is longer than [`NODE_CONTENT_BYTES_MAX`].
    Graph(SessionId),
}

/// Content of a node that is longer is left out of its row, in bytes.
pub const NODE_CONTENT_BYTES_MAX: usize = 512 * 1_024;

impl SourceOf {
    /// The session whose data it is.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        match self {
            Self::Usage(session) | Self::Commits(session) | Self::Graph(session) => session,
        }
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Commits(_) => "commits",
            Self::Graph(_) => "graph",
        }
    }
}

/// In which order rows come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As they were added.
    #[default]
    OldestFirst,
    /// The other way round.
    NewestFirst,
}

/// What is to be read of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceQuery {
    /// Which data.
    pub of: SourceOf,
    /// In which order.
    pub order: Order,
    /// Only rows of this kind: of usage the kind of event (`use`, `settle`, …),
    /// of a graph the kind of node. Commits have none.
    pub kind: Option<String>,
    /// At most so many rows, over all of its parts if it is cut off.
    pub limit: Option<u64>,
}

impl SourceQuery {
    /// All of a source, oldest first.
    #[must_use]
    pub const fn all(of: SourceOf) -> Self {
        Self {
            of,
            order: Order::OldestFirst,
            kind: None,
            limit: None,
        }
    }
}

/// The sources of an engine.
#[derive(Clone, Debug)]
pub struct Sources {
    sessions: Sessions,
    checkpoints: Checkpoints,
    streams: Streams,
    audit: AuditLog,
}

impl Windlass {
    /// What can be streamed beside recorded streams.
    #[must_use]
    pub fn sources(&self) -> Sources {
        Sources {
            sessions: self.sessions().clone(),
            checkpoints: self.checkpoints().clone(),
            streams: self.streams().clone(),
            audit: self.audit().clone(),
        }
    }
}

impl Sources {
    /// The same sources, for reads of somebody who was let in with this.
    #[must_use]
    pub fn under(&self, credential: Credential) -> Self {
        Self {
            streams: self.streams.under(credential),
            ..self.clone()
        }
    }

    /// Opens a source for reading. Takes a slot first, as every read does. One
    /// commit and three reads at most; then each page of up to 256 rows costs
    /// the reads of its rows and two or three more, wherever it is.
    ///
    /// # Errors
    ///
    /// `Capacity`; `NotFound` for a session that is out of the caller's reach
    /// or not there; `Invalid` for a limit of 0 and a kind that there is not;
    /// `Source` for what the part that has the data says.
    pub async fn scan(
        &self,
        caller: &Caller,
        query: &SourceQuery,
    ) -> Result<ScanReader, StreamError> {
        let source = async {
            let request = Request::of(self, caller, query).await?;
            let source = Scanned::new(self, caller, request);
            Ok(Arc::new(source) as Arc<dyn stream::Source>)
        };
        let of = streaming(caller);
        self.streams.scan(&of, source, query.limit).await
    }

    /// Goes on with a read that was cut off, from any row on: with the order,
    /// kind and limit it was opened with, to where it was to end.
    ///
    /// # Errors
    ///
    /// As [`Streams::resume_scan`]; `NotFound` also for a cursor of another
    /// source and where the session is out of the caller's reach by now;
    /// `Gap` and `Expired` where what it was opened over is no longer kept.
    pub async fn resume(
        &self,
        caller: &Caller,
        of: &SourceOf,
        cursor: &Cursor,
        start: Start,
    ) -> Result<ScanReader, StreamError> {
        let source = |request: &str| {
            let request = Request::parse(request, of);
            async move {
                let source = Scanned::new(self, caller, request?);
                source.check_still_there().await?;
                Ok(Arc::new(source) as Arc<dyn stream::Source>)
            }
        };
        let by = streaming(caller);
        self.streams.resume_scan(&by, cursor, start, source).await
    }

    /// Ends a read of a source for good, by its cursor. Can be repeated.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Expired`, as [`Sources::resume`].
    pub async fn cancel(
        &self,
        caller: &Caller,
        of: &SourceOf,
        cursor: &Cursor,
    ) -> Result<(), StreamError> {
        let by = streaming(caller);
        match self.streams.scan_cursor(&by, cursor).await {
            Err(StreamError::Cancelled) => return Ok(()),
            view => drop(Request::parse(&view?.request, of)?),
        }
        self.streams.cancel(&by, cursor).await
    }
}

/// The same caller, for whom a read is its principal's.
fn streaming(caller: &Caller) -> stream::Caller {
    stream::Caller::new(caller.tenant.clone(), caller.principal.clone())
}
