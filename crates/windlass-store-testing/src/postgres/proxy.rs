//! A way to the server that can be cut at a chosen moment.

use std::collections::VecDeque;
use std::mem;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::ServerError;

/// What a commit looks like on its way to the server.
const COMMIT: &[u8] = b".commit($1";
/// What begins a request to cancel something.
const CANCEL: [u8; 8] = [0, 0, 0, 16, 4, 210, 22, 46];

/// What is done to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    None,
    /// It never gets to the server.
    Before,
    /// It is sent, and the connection is cut at once: the server works on it
    /// while its client already knows that it has no answer.
    During,
    /// The server gets it, and its answer is lost with the connection.
    After,
    /// The server gets it, and its answer is kept back.
    Silence,
}

/// A way to a server on 127.0.0.1 that can be cut at a chosen moment; ends
/// with the runtime it was started in.
///
/// It knows a commit of the store by the call of its function.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    cuts: Mutex<VecDeque<Cut>>,
    cancelled: AtomicBool,
}

impl State {
    fn cuts(&self) -> MutexGuard<'_, VecDeque<Cut>> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Starts one in front of the port of a server.
    ///
    /// # Errors
    ///
    /// What kept it from listening.
    pub async fn start(server: u16) -> Result<Self, ServerError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(ServerError::system("listen on a free port"))?;
        let address = listener.local_addr();
        let address = address.map_err(ServerError::system("tell the port of a proxy"))?;
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server, Arc::clone(&shared)));
            }
        });
        let port = address.port();
        Ok(Self { port, state })
    }

    /// Its own port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Does something to the next commit that passes, or to the one after
    /// those of which it was said before.
    pub fn cut_next(&self, cut: Cut) {
        self.state.cuts().push_back(cut);
    }

    /// Lets pass whatever comes; what was to be done and met no commit.
    pub fn let_pass(&self) -> Vec<Cut> {
        mem::take(&mut *self.state.cuts()).into()
    }

    /// Whether a client ever asked the server to cancel anything.
    #[must_use]
    pub fn was_cancelled(&self) -> bool {
        self.state.cancelled.load(Ordering::SeqCst)
    }
}

/// Passes on what both sides say, until a cut.
async fn serve(client: TcpStream, server: u16, state: Arc<State>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let cut = tokio::select! {
        cut = pass_requests(&mut from_client, &mut to_server, &state) => cut,
        _ = tokio::io::copy(&mut from_server, &mut to_client) => return,
    };
    match cut {
        Cut::None | Cut::Before | Cut::During => {}
        Cut::After => drop(from_server.read(&mut [0; 1]).await),
        Cut::Silence => drop(swallow(from_server, from_client).await),
    }
}

/// Passes on what a client says up to a commit that is to be cut.
async fn pass_requests(
    client: &mut OwnedReadHalf,
    server: &mut OwnedWriteHalf,
    state: &State,
) -> Cut {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let Ok(count @ 1..) = client.read(&mut buffer).await else {
            return Cut::None;
        };
        let said = &buffer[..count];
        if said.starts_with(&CANCEL) {
            state.cancelled.store(true, Ordering::SeqCst);
        }
        let is_commit = said.windows(COMMIT.len()).any(|window| window == COMMIT);
        let cut = if is_commit {
            state.cuts().pop_front().unwrap_or(Cut::None)
        } else {
            Cut::None
        };
        if cut == Cut::Before {
            return cut;
        }
        if server.write_all(said).await.is_err() || cut != Cut::None {
            return cut;
        }
    }
}

/// Keeps what the server answers until the client has gone.
async fn swallow(mut server: OwnedReadHalf, mut client: OwnedReadHalf) -> std::io::Result<usize> {
    let (mut answer, mut more) = ([0; 1_024], [0; 1_024]);
    loop {
        tokio::select! {
            gone = client.read(&mut more) => return gone,
            answered = server.read(&mut answer) => drop(answered?),
        }
    }
}
