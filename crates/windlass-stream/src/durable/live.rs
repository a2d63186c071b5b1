//! Reading on while a stream is written.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::audit::CloseReason;
use crate::caller::Caller;
use crate::durable::about::Path;
use crate::durable::read::{From, Piece};
use crate::durable::{DurableStreams, Found};
use crate::error::StreamError;
use crate::lease::Lease;
use crate::model::Expiry;
use crate::offset::Offset;
use crate::rooms::Seat;

/// Reads one stream for as long as it is written, or as its reader likes.
///
/// Holds a slot until it is dropped. Dropping a future of it loses nothing: the
/// next call goes on where the reader was.
#[derive(Debug)]
pub struct Live {
    streams: DurableStreams,
    caller: Caller,
    found: Found,
    lease: Lease,
    seat: Seat,
    from: From,
    expiry: Expiry,
}

impl DurableStreams {
    /// Begins to read, now and whatever comes. Takes a slot.
    ///
    /// # Errors
    ///
    /// `Capacity`; otherwise as [`DurableStreams::read`].
    pub async fn live(
        &self,
        caller: &Caller,
        path: &Path,
        from: From,
    ) -> Result<Live, StreamError> {
        let engine = &self.engine;
        let settings = engine.settings();
        let mut lease = Lease::take(engine, settings, caller, &self.credential)?;
        let found = self.find(caller, path).await?;
        // Before anything is read, so that nothing is missed.
        let seat = engine.rooms.enter(engine, &found.keys);
        let (piece, loaded) = self.piece(caller, &found, from, 0).await?;
        lease.open(&engine.running, None, piece.tail, &piece.asked("live"));
        let expiry = loaded.head.expiry;
        self.touch(caller, &found.keys, loaded).await?;
        Ok(Live {
            streams: self.clone(),
            caller: caller.clone(),
            found,
            lease,
            seat,
            from: From::At(piece.start),
            expiry,
        })
    }
}

impl Live {
    /// The rows that follow, up to `bytes_max` and one at least; none if the
    /// stream has ended, or if none has come in the time that it may wait. A
    /// reader that waits keeps the stream from expiring.
    ///
    /// # Errors
    ///
    /// `Expired` if nobody asked for as long as a lease lasts, `Revoked`;
    /// otherwise as [`DurableStreams::read`].
    pub async fn next(&mut self, bytes_max: usize, wait: Duration) -> Result<Piece, StreamError> {
        self.lease.check().inspect_err(|error| self.fail(error))?;
        let until = self.streams.engine.env.monotonic().saturating_add(wait);
        loop {
            if let Err(error) = self.lease.go_on() {
                self.fail(&error);
                return Err(error);
            }
            let streams = self.streams.clone();
            let read = streams.piece(&self.caller, &self.found, self.from, bytes_max);
            let (piece, loaded) = read.await.inspect_err(|error| self.fail(error))?;
            let keys = &self.found.keys;
            streams.touch(&self.caller, keys, loaded).await?;
            let over = streams.engine.env.monotonic() >= until;
            if !piece.rows.is_empty() || piece.is_end() || over {
                self.give(&piece);
                return Ok(piece);
            }
            self.wait(piece.tail, until).await?;
        }
    }

    fn give(&mut self, piece: &Piece) {
        let lease = &mut self.lease;
        lease.renew();
        lease.rows += piece.next.since(piece.start);
        lease.bytes += piece.bytes();
        let end = piece.is_end();
        lease.reason = if end {
            CloseReason::Ok
        } else {
            CloseReason::Disconnected
        };
        self.from = From::At(piece.next);
    }

    fn fail(&mut self, error: &StreamError) {
        self.lease.reason = match error {
            StreamError::Revoked | StreamError::Cancelled => CloseReason::Cancelled,
            StreamError::Gap { .. } | StreamError::Expired => CloseReason::SnapshotExpired,
            _ => CloseReason::Error,
        };
    }

    /// The read has ended as its reader wanted, though the stream has not.
    pub fn finish(mut self) {
        self.lease.reason = CloseReason::Ok;
    }

    /// Waits for rows behind the tail, the end, or the next look.
    async fn wait(&self, tail: Offset, until: Duration) -> Result<(), StreamError> {
        let engine = &self.streams.engine;
        let env = &engine.env;
        let look = match self.expiry {
            // Before the time is over in which a read need not be noted.
            Expiry::SlidingMs(ms) => env.monotonic() + Duration::from_millis(ms.div_ceil(2)),
            Expiry::Never | Expiry::IdleMs(_) | Expiry::At(_) => until,
        };
        let look = env.sleep_until(look.min(until));
        let signal = self.lease.signal();
        let stopped = pin!(async {
            match &signal {
                Some(signal) => signal.wait().await,
                None => pending().await,
            }
        });
        let poll_ms = self.lease.settings.poll_ms;
        let grown = pin!(self.seat.wait(engine, poll_ms, tail));
        match select(grown, select(look, stopped)).await {
            Either::Left((seen, _)) => seen.map(drop),
            Either::Right(_) => Ok(()),
        }
    }
}
