//! The loop that accepts connections, and the task of each.

use std::convert::Infallible;
use std::future::{Future as _, pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::door::{Door, Entry};
use super::guard::HeadLimits;
use super::lasting::{Answer, Desk, Terms};
use super::places::{Place, Places};
use super::socket::{Flight, Flights, Socket, refusal};
use crate::config::Patience;

/// What the server is about to do with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It serves.
    Serving,
    /// It finishes what was begun and takes no more.
    Draining,
    /// It closes whatever is left.
    Closing,
}

/// Answers one request.
pub(crate) type Handle =
    Arc<dyn Fn(Request<Incoming>, Flight) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// Bytes of a connection's read buffer, beyond a head.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// How long to leave the system alone that has no more files to give.
const RETRY: Duration = Duration::from_millis(50);

/// Accepts until the server drains.
pub(crate) async fn accept(
    listener: TcpListener,
    places: Places,
    limits: HeadLimits,
    patience: Patience,
    stage: watch::Receiver<Stage>,
    handle: Handle,
) {
    let (crowd, _) = watch::channel(());
    let door = Door::default();
    let mut ending = stage.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = ending.wait_for(|stage| *stage != Stage::Serving) => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                if !is_of_peer(&error) {
                    tracing::warn!(%error, "cannot accept connections");
                    sleep_until(Instant::now() + RETRY).await;
                }
                continue;
            }
        };
        if places.is_crowded() {
            // Connections that are not in use make room.
            crowd.send_replace(());
        }
        let Some(place) = places.take() else {
            turn_away(&stream);
            continue;
        };
        // Answers are written whole: waiting for more to send helps nobody.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            stage: stage.clone(),
            crowd: crowd.subscribe(),
            door: door.clone(),
            handle: Arc::clone(&handle),
            flights: Flights::default(),
            _place: place,
        };
        let socket = Socket::new(stream, limits, patience, connection.flights.clone());
        tokio::spawn(connection.run(socket, limits));
    }
}

/// Whether it is the peer's doing that there is no connection.
fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

fn turn_away(stream: &TcpStream) {
    let detail = "the server has as many connections as it may; try again later";
    let _ = stream.try_write(&refusal(503, "too_many_connections", detail));
}

struct Connection {
    stage: watch::Receiver<Stage>,
    crowd: watch::Receiver<()>,
    door: Door,
    handle: Handle,
    flights: Flights,
    _place: Place,
}

impl Connection {
    async fn run(mut self, mut socket: Socket, limits: HeadLimits) {
        let Some(mut entry) = self.enter(&mut socket).await else {
            return;
        };
        while let Some((free, answer)) = self.serve(socket, limits, entry).await {
            entry = Entry::default();
            socket = free;
            if !self.write(&mut socket, answer).await {
                return;
            }
        }
    }

    /// Waits for the first request, and for its turn: until then a connection
    /// costs next to nothing. `None` if nobody is waited for any more.
    async fn enter(&mut self, socket: &mut Socket) -> Option<Entry> {
        let entered = async {
            socket.readable().await;
            self.door.enter().await
        };
        tokio::select! {
            biased;
            entry = entered => Some(entry),
            _ = self.stage.changed() => None,
            Ok(()) = self.crowd.changed() => None,
        }
    }

    /// Has requests answered by the HTTP library, until one has an answer that
    /// lasts; `None` at the end of the connection.
    async fn serve(
        &mut self,
        socket: Socket,
        limits: HeadLimits,
        entry: Entry,
    ) -> Option<(Socket, Answer)> {
        let desk = Desk::default();
        let service = service_fn(|request| {
            let terms = Terms::of(&request);
            let answer = (self.handle)(request, self.flights.begin());
            let (desk, flights, entry) = (desk.clone(), self.flights.clone(), entry.clone());
            async move {
                let response = answer.await;
                entry.leave();
                if terms.fit(&response) && flights.are_sent() {
                    desk.put(Answer::new(response, terms));
                    return pending().await;
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .max_headers(limits.headers_max)
            .max_buf_size(BUFFER_BYTES_MAX.max(limits.bytes_max));
        // Not in place, where its room would stay taken while an answer lasts.
        let mut connection = Box::new(builder.serve_connection(TokioIo::new(socket), service));
        let answer = loop {
            let served = poll_fn(|cx| {
                let done = Pin::new(&mut *connection).poll(cx);
                match desk.take() {
                    Some(answer) if done.is_pending() => Poll::Ready(Ok(Some(answer))),
                    _ => done.map_ok(|()| None),
                }
            });
            tokio::select! {
                biased;
                served = served => match served {
                    Ok(Some(answer)) => break answer,
                    Ok(None) => return None,
                    Err(error) => {
                        tracing::debug!(%error, "a connection ended early");
                        return None;
                    }
                },
                stage = self.stage.changed() => {
                    if stage.is_err() || *self.stage.borrow_and_update() == Stage::Closing {
                        return None;
                    }
                    Pin::new(&mut *connection).graceful_shutdown();
                }
                Ok(()) = self.crowd.changed() => {
                    if !self.flights.any() {
                        Pin::new(&mut *connection).graceful_shutdown();
                    }
                }
                () = entry.over() => entry.leave(),
            }
        };
        let parts = connection.into_parts();
        let mut socket = parts.io.into_inner();
        socket.give_back(&parts.read_buf);
        Some((socket, answer))
    }

    /// Writes an answer for as long as it lasts; whether more may follow.
    async fn write(&mut self, socket: &mut Socket, answer: Answer) -> bool {
        let written = tokio::select! {
            biased;
            written = answer.write(socket) => written,
            _ = self.stage.wait_for(|stage| *stage == Stage::Closing) => return false,
        };
        if let Err(error) = &written {
            tracing::debug!(%error, "a connection ended early");
        }
        // It was in use while room was made.
        self.crowd.mark_unchanged();
        written.unwrap_or_default() && *self.stage.borrow_and_update() == Stage::Serving
    }
}
