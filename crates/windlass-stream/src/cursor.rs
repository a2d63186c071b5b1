//! What a cursor stands for.

use windlass_core::{Millis, StreamId};

use crate::caller::Caller;
use crate::error::StreamError;
use crate::offset::Offset;
use crate::secret::Cursor;
use crate::streams::Streams;

/// A read that can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorView {
    /// What is read.
    pub stream: StreamId,
    /// What is kept for it begins here.
    pub at: Offset,
    /// Where it ends, unless it follows the stream.
    pub tail: Offset,
    /// Whether it follows the stream.
    pub follow: bool,
    /// When the cursor expires unless it is read on.
    pub expires: Millis,
}

impl Streams {
    /// What a cursor stands for. One read.
    ///
    /// # Errors
    ///
    /// `NotFound` for a cursor that is unknown or somebody else's, whatever
    /// became of it; then `Cancelled`, `Expired`.
    pub async fn cursor(
        &self,
        caller: &Caller,
        cursor: &Cursor,
    ) -> Result<CursorView, StreamError> {
        let hold = self.engine().resolve(caller, cursor).await?;
        Ok(CursorView {
            stream: hold.row.stream,
            at: hold.row.at,
            tail: hold.row.tail,
            follow: hold.row.follow,
            expires: hold.row.until,
        })
    }
}
