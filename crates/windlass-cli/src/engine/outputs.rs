//! Streams, of a store or of a server. Here the engine's own types are what is
//! asked and answered, and a read is lines as they go over the wire: so both
//! are checked alike.

use async_trait::async_trait;
use windlass::core::{OperationId, SessionId, StreamId};
use windlass::session::SessionError;
use windlass::stream::{
    Caller, Cursor, Ending, Mark, NewStream, Open, Placed, Reader, Row, StreamView, Streams,
};

use super::Here;
use crate::failure::Failure;

/// Where a read begins.
#[derive(Clone, Debug)]
pub(crate) enum From {
    /// Somewhere in a stream.
    Stream(Open),
    /// Behind what a read had received that was cut off.
    Cursor(Cursor, Option<Mark>),
}

/// Streams of one session, and whether there are more behind the last.
pub(crate) struct Listed {
    pub(crate) streams: Vec<StreamView>,
    pub(crate) more: bool,
}

/// A read, as NDJSON.
#[async_trait]
pub(crate) trait Lines: Send {
    /// The next bytes, of whatever length; `None` at the end.
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, Failure>;
}

/// The operations that commands about streams need.
#[async_trait]
pub(crate) trait Outputs: Send + Sync {
    /// Makes a stream.
    async fn create(
        &self,
        new: &NewStream,
        operation: Option<&OperationId>,
    ) -> Result<StreamView, Failure>;
    /// Some streams of a session, from after one on.
    async fn list(
        &self,
        session: &SessionId,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Listed, Failure>;
    /// One stream.
    async fn show(&self, stream: &StreamId) -> Result<StreamView, Failure>;
    /// Appends rows, durably.
    async fn append(&self, stream: &StreamId, rows: &[Row]) -> Result<Placed, Failure>;
    /// Closes a stream.
    async fn close(&self, stream: &StreamId, how: Ending) -> Result<Placed, Failure>;
    /// Ends a read, for good.
    async fn cancel(&self, cursor: &Cursor) -> Result<(), Failure>;
    /// Begins a read, or goes on with one.
    async fn read(&self, from: &From) -> Result<Box<dyn Lines>, Failure>;
}

impl Here {
    fn streams(&self) -> (&Streams, Caller) {
        let caller = self.caller();
        let caller = Caller::new(caller.tenant.clone(), caller.principal.clone());
        (self.windlass().streams(), caller)
    }

    /// Refuses a session that is not there.
    async fn check_session(&self, session: &SessionId) -> Result<(), Failure> {
        let found = self.windlass().sessions().get(self.caller(), session);
        match found.await? {
            Some(_) => Ok(()),
            None => Err(SessionError::NotFound.into()),
        }
    }
}

#[async_trait]
impl Outputs for Here {
    async fn create(
        &self,
        new: &NewStream,
        operation: Option<&OperationId>,
    ) -> Result<StreamView, Failure> {
        self.check_session(&new.session).await?;
        let (streams, caller) = self.streams();
        let made = streams.make(&caller, new, operation).await?;
        Ok(streams.show(&caller, &made.stream).await?)
    }

    async fn list(
        &self,
        session: &SessionId,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Listed, Failure> {
        self.check_session(session).await?;
        let (streams, caller) = self.streams();
        let page = streams.list(&caller, session, after, limit).await?;
        let mut listed = Listed {
            streams: Vec::with_capacity(page.streams.len()),
            more: page.more,
        };
        for stream in &page.streams {
            listed.streams.push(streams.show(&caller, stream).await?);
        }
        Ok(listed)
    }

    async fn show(&self, stream: &StreamId) -> Result<StreamView, Failure> {
        let (streams, caller) = self.streams();
        Ok(streams.show(&caller, stream).await?)
    }

    async fn append(&self, stream: &StreamId, rows: &[Row]) -> Result<Placed, Failure> {
        let (streams, caller) = self.streams();
        Ok(streams.append(&caller, stream, rows).await?)
    }

    async fn close(&self, stream: &StreamId, how: Ending) -> Result<Placed, Failure> {
        let (streams, caller) = self.streams();
        Ok(streams.close(&caller, stream, how).await?)
    }

    async fn cancel(&self, cursor: &Cursor) -> Result<(), Failure> {
        let (streams, caller) = self.streams();
        Ok(streams.cancel(&caller, cursor).await?)
    }

    async fn read(&self, from: &From) -> Result<Box<dyn Lines>, Failure> {
        let (streams, caller) = self.streams();
        let reader = match from {
            From::Stream(open) => streams.open(&caller, open).await?,
            From::Cursor(cursor, received) => streams.resume(&caller, cursor, *received).await?,
        };
        Ok(Box::new(reader))
    }
}

#[async_trait]
impl Lines for Reader {
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let frame = self.next().await?;
        Ok(frame.map(|frame| frame.ndjson().to_vec()))
    }
}
