//! What a read of a source was opened over, so that it can be made again: kept
//! with its cursor.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_checkpoint::{self as checkpoint};
use windlass_core::{Format, Millis, SessionId};
use windlass_session::Caller;
use windlass_stream::StreamError;

use super::{Order, SourceOf, SourceQuery, Sources, usage};

/// Longest name of a kind, in bytes.
const KIND_BYTES_MAX: usize = windlass_checkpoint::limits::KIND_BYTES_MAX;

/// A read of a source: numbered rows from a first one to a last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    v: Format,
    pub(super) of: SourceOf,
    pub(super) order: Order,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    pub(super) first: u64,
    /// Below the first one if there is none.
    pub(super) last: u64,
    /// Tells the session from a later one of its name.
    pub(super) created: Millis,
    /// Tells the state from a later one of the session, and pins it; none for
    /// what is not of a state, or before its first commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) head: Option<Pinned>,
}

/// The commit that was the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pinned {
    pub(super) revision: u64,
    pub(super) commit: Arc<str>,
}

impl Request {
    /// What the query means now.
    pub(super) async fn of(
        sources: &Sources,
        caller: &Caller,
        query: &SourceQuery,
    ) -> Result<Self, StreamError> {
        check(query)?;
        let session = query.of.session();
        let created = sources.created(caller, session).await?;
        let (head, first, last) = match &query.of {
            SourceOf::Usage(_) => (None, 1, sources.last_event(caller, session).await?),
            SourceOf::Commits(_) => sources.commits_now(caller, session).await?,
            SourceOf::Graph(_) => sources.graph_now(caller, session).await?,
        };
        Ok(Self {
            v: Format,
            of: query.of.clone(),
            order: query.order,
            kind: query.kind.clone(),
            first,
            last,
            created,
            head,
        })
    }

    /// What is kept with a cursor. That of another source is not there.
    pub(super) fn parse(text: &str, of: &SourceOf) -> Result<Self, StreamError> {
        let request: Self = serde_json::from_str(text).map_err(|error| StreamError::Corrupt {
            record: "request of a source",
            why: error.to_string(),
        })?;
        match request.of == *of {
            true => Ok(request),
            false => Err(StreamError::NotFound),
        }
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("requests are made of text and numbers")
    }

    /// Up to `count` numbers behind `after`, lowest and highest; `None` at the
    /// end.
    pub(super) fn behind(&self, after: Option<u64>, count: u64) -> Option<(u64, u64)> {
        let more = count.saturating_sub(1);
        let (low, high) = match self.order {
            Order::OldestFirst => {
                let low = after.map_or(self.first, |after| after.saturating_add(1));
                (low, low.saturating_add(more).min(self.last))
            }
            Order::NewestFirst => {
                let high = after.map_or(self.last, |after| after.saturating_sub(1));
                (high.saturating_sub(more).max(self.first), high)
            }
        };
        (low <= high).then_some((low, high))
    }
}

fn check(query: &SourceQuery) -> Result<(), StreamError> {
    let refuse = |field, problem| Err(StreamError::Invalid { field, problem });
    if query.limit == Some(0) {
        return refuse("limit", "is at least 1");
    }
    let Some(kind) = query.kind.as_deref() else {
        return Ok(());
    };
    match query.of {
        SourceOf::Usage(_) if !usage::KINDS.contains(&kind) => {
            refuse("kind", "is no kind of event")
        }
        SourceOf::Commits(_) => refuse("kind", "is of events and nodes; commits have none"),
        _ if kind.is_empty() || kind.len() > KIND_BYTES_MAX => refuse("kind", "has 1 to 128 bytes"),
        SourceOf::Usage(_) | SourceOf::Graph(_) => Ok(()),
    }
}

impl Sources {
    /// When a session was created that is there for the caller.
    pub(super) async fn created(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<Millis, StreamError> {
        let found = self.sessions.get(caller, session).await;
        let found = found.map_err(StreamError::of_source)?;
        Ok(found.ok_or(StreamError::NotFound)?.created_at)
    }

    /// The last commit of a session's state, and its graph's last node.
    pub(super) async fn head_now(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<Option<(Pinned, u64)>, StreamError> {
        let head = self.checkpoints.head(&committing(caller), session).await;
        let head = head.map_err(StreamError::of_source)?;
        Ok(head.map(|head| {
            let (revision, commit) = (head.revision, head.commit);
            (Pinned { revision, commit }, head.nodes)
        }))
    }
}

/// The same caller, for whom a session's state is whoever's its session is.
pub(super) fn committing(caller: &Caller) -> checkpoint::Caller {
    checkpoint::Caller::new(caller.tenant.clone(), caller.principal.clone())
}
