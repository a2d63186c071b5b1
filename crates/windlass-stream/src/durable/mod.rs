//! Streams that are named by a path and speak the rules of the Durable Streams
//! protocol: attributes, producers, writer sequences, closing, forks, and names
//! that are free again.
//!
//! A path belongs to its principal, and leads to a stream with a name that was
//! drawn for it: what is made anew under a path is another stream. The row of
//! the path says all that never changes, so whoever asks reads that row, then
//! the stream, and nothing else.
//!
//! Read first: [`DurableStreams`] (what can be done), `producer.rs` (why a retry
//! appends once), `fork.rs` (how rows are shared).

mod about;
mod append;
mod body;
mod create;
mod delete;
mod fork;
mod input;
mod live;
mod producer;
mod read;

use std::sync::Arc;

use windlass_core::StreamId;
use windlass_store::{StoreExt, Version};

pub(crate) use about::{About, INPUT};
pub use about::{ContentType, Path, Withdrawn};
pub use append::{Post, Posted};
pub use create::{ForkFrom, Put, Wanted};
pub use input::{InputId, InputState, InputView, NewInput};
pub use live::Live;
pub use producer::{PRODUCER_NUMBER_MAX, Producer};
pub use read::{From, Piece};

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::StreamError;
use crate::keys::{StreamKeys, path_of};
use crate::model::Expiry;
use crate::offset::Offset;
use crate::record::{Head, decode};
use crate::running::Credential;
use crate::streams::Streams;

/// The streams of a store, by path.
#[derive(Clone, Debug)]
pub struct DurableStreams {
    engine: Arc<Engine>,
    credential: Credential,
}

/// A stream of a path as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurableView {
    /// The stream's name: another one after the path was used anew.
    pub stream: StreamId,
    /// What its rows are.
    pub content_type: ContentType,
    /// After the last row.
    pub tail: Offset,
    /// Whether nothing will ever follow.
    pub closed: bool,
    /// When it goes.
    pub expiry: Expiry,
}

/// What a path leads to.
#[derive(Clone, Debug)]
struct Found {
    about: About,
    keys: StreamKeys,
    /// Of the path's row.
    version: Version,
}

impl Streams {
    /// The same streams, by path.
    #[must_use]
    pub fn durable(&self) -> DurableStreams {
        DurableStreams {
            engine: Arc::clone(self.engine()),
            credential: self.credential().clone(),
        }
    }
}

impl DurableStreams {
    /// A stream as it is now. Two reads; does not keep it from expiring.
    ///
    /// # Errors
    ///
    /// `NotFound`, also for one that has expired or is another principal's;
    /// `Deleted`.
    pub async fn show(&self, caller: &Caller, path: &Path) -> Result<DurableView, StreamError> {
        let found = self.find(caller, path).await?;
        let loaded = self.engine.head(caller, &found.keys).await;
        Ok(view(&found.about, &loaded.map_err(hidden)?.head))
    }

    /// What a path leads to.
    async fn find(&self, caller: &Caller, path: &Path) -> Result<Found, StreamError> {
        let found = self.look_up(caller, path).await?;
        found.ok_or(StreamError::NotFound)
    }

    async fn look_up(&self, caller: &Caller, path: &Path) -> Result<Option<Found>, StreamError> {
        let key = path_of(&caller.tenant, &caller.principal, path.as_str());
        let Some(entry) = self.engine.store.get(key).await? else {
            return Ok(None);
        };
        let about: About = decode("path", &entry.value)?;
        let keys = StreamKeys::new(&caller.tenant, &about.stream);
        let version = entry.version;
        Ok(Some(Found {
            about,
            keys,
            version,
        }))
    }
}

/// A path whose stream has expired leads nowhere.
fn hidden(error: StreamError) -> StreamError {
    match error {
        StreamError::Expired => StreamError::NotFound,
        other => other,
    }
}

fn view(about: &About, head: &Head) -> DurableView {
    DurableView {
        stream: about.stream.clone(),
        content_type: about.content_type.clone(),
        tail: head.tail,
        closed: head.closed.is_some(),
        expiry: head.expiry,
    }
}
