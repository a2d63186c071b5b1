//! A socket that is read through the [`Guard`] and never waited for without
//! an end.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::guard::{Guard, HeadLimits, Waiting};
use crate::config::Patience;

/// Requests of one connection that are being answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    begun: AtomicUsize,
    /// Whether the body that is being received is waited for piece by piece.
    pieces: AtomicBool,
    /// Whether something was written since everything was last sent.
    unsent: AtomicBool,
}

/// One of them; over when it is dropped.
#[derive(Debug)]
pub(crate) struct Flight(Flights);

impl Flights {
    pub(crate) fn begin(&self) -> Flight {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        self.0.begun.fetch_add(1, Ordering::AcqRel);
        Flight(self.clone())
    }

    pub(crate) fn any(&self) -> bool {
        self.0.open.load(Ordering::Acquire) > 0
    }

    /// Waits for each piece of the body of this request, not for the whole.
    pub(crate) fn wait_for_pieces(&self) {
        self.0.pieces.store(true, Ordering::Release);
    }

    fn waits_for_pieces(&self) -> bool {
        self.0.pieces.load(Ordering::Acquire)
    }

    /// Whether all that was ever written has been sent.
    pub(crate) fn are_sent(&self) -> bool {
        !self.0.unsent.load(Ordering::Acquire)
    }

    fn sent(&self, all: bool) {
        self.0.unsent.store(!all, Ordering::Release);
    }

    /// How many there ever were.
    fn begun(&self) -> usize {
        self.0.begun.load(Ordering::Acquire)
    }
}

impl Flight {
    /// Those of its connection.
    pub(crate) fn flights(&self) -> Flights {
        self.0.clone()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.0.pieces.store(false, Ordering::Release);
        self.0.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The server's end of one connection.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    guard: Guard,
    /// What was received, and comes again before anything else does.
    unread: Bytes,
    flights: Flights,
    patience: Patience,
    /// What is waited for, and until when.
    waiting: Waiting,
    deadline: Pin<Box<Sleep>>,
    /// When the last piece of a body came that is waited for piece by piece.
    heard: Instant,
    /// Until when the peer has to take what was written.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether anything was ever received: a new connection has to hurry.
    has_spoken: bool,
    /// Whether it was said why the connection is closed: the last answer.
    has_refused: bool,
}

impl Socket {
    pub(crate) fn new(
        stream: TcpStream,
        limits: HeadLimits,
        patience: Patience,
        flights: Flights,
    ) -> Self {
        let deadline = Box::pin(sleep_until(Instant::now() + patience.head()));
        Self {
            stream,
            guard: Guard::new(limits),
            unread: Bytes::new(),
            flights,
            patience,
            waiting: Waiting::Request,
            deadline,
            heard: Instant::now(),
            stalled: None,
            has_spoken: false,
            has_refused: false,
        }
    }

    const fn allowed(&self, waiting: Waiting) -> Duration {
        match waiting {
            Waiting::Request if self.has_spoken => self.patience.idle(),
            Waiting::Request | Waiting::Head => self.patience.head(),
            Waiting::Body => self.patience.body(),
        }
    }

    fn wait_for(&mut self, waiting: Waiting) {
        self.waiting = waiting;
        let deadline = Instant::now() + self.allowed(waiting);
        self.deadline.as_mut().reset(deadline);
    }

    /// Ends the connection if it was waited for long enough.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.deadline.as_mut().poll(cx));
            match self.waiting {
                // While a request is answered nothing is owed.
                Waiting::Request if self.flights.any() => self.wait_for(Waiting::Request),
                // The end of a connection that was not used.
                Waiting::Request => return Poll::Ready(Ok(())),
                Waiting::Body if self.hears_pieces() => {
                    let deadline = self.heard + self.patience.idle();
                    self.deadline.as_mut().reset(deadline);
                }
                Waiting::Head | Waiting::Body => {
                    let detail = "the request did not arrive in time";
                    self.refuse(408, "request_timeout", detail);
                    let error = io::Error::from(io::ErrorKind::TimedOut);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// Whether a body is waited for piece by piece, and the last one came not
    /// too long ago.
    fn hears_pieces(&self) -> bool {
        self.flights.waits_for_pieces() && self.heard.elapsed() < self.patience.idle()
    }

    /// Says why the connection is closed, where nothing else has been said
    /// that it could be taken for a part of.
    fn refuse(&mut self, status: u16, code: &str, detail: &str) {
        let is_next = match self.guard.waiting() {
            // The request is being answered, its handler wants the body, and no
            // earlier one is being answered instead.
            Waiting::Body => self.flights.any() && self.flights.begun() == self.guard.heads(),
            Waiting::Request | Waiting::Head => !self.flights.any(),
        };
        if is_next && self.stalled.is_none() {
            self.has_refused = true;
            // Whoever does not read it is closed all the same.
            let _ = self.stream.try_write(&refusal(status, code, detail));
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        if new.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.has_spoken = true;
        let was = self.guard.waiting();
        if let Err(violation) = self.guard.feed(new) {
            let (status, code) = violation.answer();
            self.refuse(status, code, &violation.to_string());
            buf.set_filled(before);
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::InvalidData)));
        }
        let now = self.guard.waiting();
        if now == Waiting::Body {
            self.heard = Instant::now();
        }
        if now != was || now == Waiting::Request {
            self.wait_for(now);
        }
        Poll::Ready(Ok(()))
    }

    /// Gives back what was received and not used. Copied: even of nothing, the
    /// whole buffer would be kept that it was received in.
    pub(super) fn give_back(&mut self, unread: &[u8]) {
        self.unread = Bytes::copy_from_slice(unread);
    }

    /// Completes once there is something to receive, be it the end, or
    /// nothing is waited for any more.
    pub(super) async fn readable(&mut self) {
        // Whoever reads next is told what it was.
        poll_fn(|cx| match self.stream.poll_read_ready(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => self.poll_deadline(cx).map(drop),
        })
        .await;
    }

    /// Completes once there is nobody any more to answer. What is received
    /// meanwhile is kept; after the first piece nothing more is looked at.
    pub(super) async fn broken(&mut self) -> io::Error {
        poll_fn(|cx| self.poll_broken(cx)).await
    }

    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.unread.is_empty() {
            return Poll::Pending;
        }
        let mut bytes = [0; 256];
        let mut piece = ReadBuf::new(&mut bytes);
        let received = match self.poll_fill(cx, &mut piece) {
            Poll::Ready(received) => received,
            Poll::Pending => ready!(self.poll_deadline(cx)),
        };
        match received {
            Ok(()) if piece.filled().is_empty() => {
                Poll::Ready(io::Error::from(io::ErrorKind::UnexpectedEof))
            }
            Ok(()) => {
                self.unread = Bytes::copy_from_slice(piece.filled());
                Poll::Pending
            }
            Err(error) => Poll::Ready(error),
        }
    }

    /// Refuses to write a second answer to a request that was refused.
    fn check_open(&self) -> io::Result<()> {
        match self.has_refused {
            true => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
            false => Ok(()),
        }
    }

    /// Passes on what writing came to; an end of patience if it came to
    /// nothing for too long.
    fn poll_stall<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience.write();
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)))
    }
}

/// A whole answer that closes the connection, for whom no request was made
/// out.
pub(crate) fn refusal(status: u16, code: &str, detail: &str) -> Vec<u8> {
    let problem = crate::problem::Problem::new(status, code, detail);
    let body = problem.to_json();
    let reason = axum::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Refused");
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/problem+json\r\n\
         content-length: {length}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
    );
    let mut answer = head.into_bytes();
    answer.extend_from_slice(&body);
    answer
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.unread.is_empty() {
            let length = this.unread.len().min(buf.remaining());
            buf.put_slice(&this.unread.split_to(length));
            return Poll::Ready(Ok(()));
        }
        match this.poll_fill(cx, buf) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => this.poll_deadline(cx),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_open()?;
        this.flights.sent(false);
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.poll_stall(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_open()?;
        this.flights.sent(false);
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.poll_stall(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Whoever writes calls this when it has nothing left to write.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.flights.sent(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
