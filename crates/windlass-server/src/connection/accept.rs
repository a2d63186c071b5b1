//! The loop that accepts connections, and the task of each.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
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

use super::guard::HeadLimits;
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
    handle: Handle,
    flights: Flights,
    _place: Place,
}

impl Connection {
    async fn run(mut self, socket: Socket, limits: HeadLimits) {
        let service = service_fn(|request| {
            let answer = (self.handle)(request, self.flights.begin());
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let mut builder = http1::Builder::new();
        builder
            .max_headers(limits.headers_max)
            .max_buf_size(BUFFER_BYTES_MAX.max(limits.bytes_max));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
        loop {
            tokio::select! {
                biased;
                done = connection.as_mut() => {
                    if let Err(error) = done {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                stage = self.stage.changed() => {
                    if stage.is_err() || *self.stage.borrow_and_update() == Stage::Closing {
                        return;
                    }
                    connection.as_mut().graceful_shutdown();
                }
                Ok(()) = self.crowd.changed() => {
                    if !self.flights.any() {
                        connection.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }
}
