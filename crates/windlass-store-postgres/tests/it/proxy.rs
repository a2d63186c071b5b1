//! A way to the server that can be cut at a chosen moment.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What a commit looks like on its way to the server.
const COMMIT: &[u8] = b".commit($1";
/// What begins a request to cancel something.
const CANCEL: [u8; 8] = [0, 0, 0, 16, 4, 210, 22, 46];

/// What is done to the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing.
    None,
    /// It never gets to the server.
    Before,
    /// The server gets it, and its answer is lost with the connection.
    After,
    /// The server gets it, and its answer is kept back.
    Silence,
}

const CUTS: [Cut; 4] = [Cut::None, Cut::Before, Cut::After, Cut::Silence];

/// The proxy; ends with the test's runtime.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The place of the next cut in [`CUTS`].
    cut: AtomicU8,
    cancelled: AtomicBool,
}

impl State {
    fn take_cut(&self) -> Cut {
        CUTS[usize::from(self.cut.swap(0, Ordering::SeqCst))]
    }
}

impl Proxy {
    pub(crate) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server, Arc::clone(&shared)));
            }
        });
        Self { port, state }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Does something to the next commit that passes.
    pub(crate) fn cut_next(&self, cut: Cut) {
        let place = CUTS.iter().position(|one| *one == cut);
        let place = u8::try_from(place.expect("it is one of them")).expect("it is small");
        self.state.cut.store(place, Ordering::SeqCst);
    }

    /// Whether a client ever asked the server to cancel anything.
    pub(crate) fn was_cancelled(&self) -> bool {
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
        Cut::None | Cut::Before => {}
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
            state.take_cut()
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
