//! The recorded changes of a session.

use windlass_core::SessionId;
use windlass_session::{Caller, What};
use windlass_stream::StreamError;

use super::Sources;
use super::scanned::{Numbered, Window, row};

/// The kinds of events, as they are spelled.
pub(super) const KINDS: &[&str] = &[
    "use", "settle", "refund", "lapse", "top_up", "close", "delegate",
];

const fn kind(what: &What) -> &'static str {
    match what {
        What::Use { .. } => "use",
        What::Settle { .. } => "settle",
        What::Refund { .. } => "refund",
        What::Lapse { .. } => "lapse",
        What::TopUp { .. } => "top_up",
        What::Close => "close",
        What::Delegate { .. } => "delegate",
    }
}

impl Sources {
    /// The number of a session's last event.
    pub(super) async fn last_event(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<u64, StreamError> {
        let page = self.sessions.history(caller, session, u64::MAX, 1).await;
        let page = page.map_err(StreamError::of_source)?;
        Ok(page.ok_or(StreamError::NotFound)?.last)
    }

    /// Events from number `low` to number `high`.
    pub(super) async fn events(
        &self,
        caller: &Caller,
        session: &SessionId,
        (low, high): (u64, u64),
    ) -> Result<Window, StreamError> {
        let limit = usize::try_from(high - low + 1).unwrap_or(usize::MAX);
        let before = low.saturating_sub(1);
        let page = self.sessions.history(caller, session, before, limit).await;
        let page = page.map_err(StreamError::of_source)?;
        let events = page.ok_or(StreamError::NotFound)?.events;
        let numbered = events.into_iter().map(|event| {
            Ok(Numbered {
                number: event.number,
                kind: kind(&event.what).into(),
                row: row(&event)?,
            })
        });
        Ok(Window {
            rows: numbered.collect::<Result<_, StreamError>>()?,
            until: high,
        })
    }
}
