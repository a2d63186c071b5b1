//! The servers that are compared, each with a runtime of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use windlass::access::{Grant, Groups, NewKey, Reach, Scope, Verbs};
use windlass::core::Sharing;
use windlass::{Options, StoreLocation, Windlass};
use windlass_server::{Config, Server};

use crate::error::BenchError;
use crate::harness::contest::Side;
use crate::harness::throughput::{Throughput, drive};
use crate::sessions::fixture::{CHARGE, PRINCIPAL, TENANT, TOOL, agent_id, session_id};

use super::CONNECTIONS;
use super::consoles::Consoles;
use super::line::{Line, Protocol};

/// Threads of a server.
const THREADS: usize = 2;

fn runtime() -> Result<Runtime, BenchError> {
    let built = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    built.map_err(BenchError::io("start a runtime"))
}

fn unfair(cause: impl std::fmt::Display) -> BenchError {
    BenchError::Unfair(cause.to_string())
}

/// The secret of a new key of the tenant's.
async fn key(engine: &Windlass, reach: Reach, verbs: &[&str]) -> Result<String, BenchError> {
    let grant = Grant {
        scope: Scope::Tenant {
            tenant: TENANT.parse().map_err(unfair)?,
            principal: PRINCIPAL.parse().map_err(unfair)?,
        },
        reach,
        groups: Groups::None,
        verbs: Verbs::of(verbs.iter().copied()).map_err(unfair)?,
    };
    let request = NewKey::new("the bench's", grant);
    let made = engine.keys().create(request).await.map_err(unfair)?;
    Ok(made.1.reveal().to_owned())
}

/// Windlass, serving a store, with keys.
#[derive(Debug)]
pub struct Served {
    runtime: Runtime,
    address: SocketAddr,
    token: String,
    /// Of one who may look at all there is of the tenant.
    looker: String,
}

impl Served {
    /// Serves the store at `path`.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub fn start(path: &Path, sharing: Sharing) -> Result<Self, BenchError> {
        let runtime = runtime()?;
        let (address, token, looker) = runtime.block_on(async {
            let options = Options {
                sharing,
                ..Options::default()
            };
            let location = StoreLocation::Sqlite(path.to_owned());
            let engine = Windlass::open(&location, options).await.map_err(unfair)?;
            let token = key(&engine, Reach::Own, &["session.*"]).await?;
            let looks = ["session.read", "queue.read", "stream.read"];
            let looker = key(&engine, Reach::Tenant, &looks).await?;
            let mut config = Config::default();
            config.listen = "127.0.0.1:0".parse().map_err(unfair)?;
            let server = Server::bind(engine, config).await.map_err(unfair)?;
            let address = server.address();
            tokio::spawn(server.run(std::future::pending(), std::future::pending()));
            Ok::<_, BenchError>((address, token, looker))
        })?;
        Ok(Self {
            runtime,
            address,
            token,
            looker,
        })
    }

    /// Opens so many consoles.
    ///
    /// # Errors
    ///
    /// The connections'.
    pub fn consoles(&self, runtime: &Runtime, count: usize) -> Result<Consoles, BenchError> {
        Consoles::open(runtime, self.address, &self.looker, count)
    }

    fn request(&self, line: &str, body: &str) -> Vec<u8> {
        let Self { address, token, .. } = self;
        let media = match body {
            "" => String::new(),
            _ => format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ),
        };
        format!(
            "{line} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{media}\r\n{body}"
        )
        .into_bytes()
    }

    fn get(&self, number: usize) -> Vec<u8> {
        self.request(&format!("GET /v1/sessions/{}", session_id(number)), "")
    }

    /// What it answers to who asks for one session.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub fn one_session(&self) -> Result<Vec<u8>, BenchError> {
        self.runtime.block_on(async {
            let mut line = Line::open(self.address, self.get(0), Protocol::Http).await?;
            line.ask().await
        })
    }
}

/// Connections to a server, all asking at once.
#[derive(Debug)]
pub struct Lines<'r> {
    runtime: &'r Runtime,
    name: &'static str,
    lines: Vec<Line>,
}

impl<'r> Lines<'r> {
    /// Opens the connections.
    ///
    /// # Errors
    ///
    /// The connections'.
    pub fn open(
        runtime: &'r Runtime,
        name: &'static str,
        address: SocketAddr,
        protocol: Protocol,
        request: impl Fn(usize) -> Vec<u8>,
    ) -> Result<Self, BenchError> {
        let lines = runtime.block_on(async {
            let mut lines = Vec::with_capacity(CONNECTIONS);
            for number in 0..CONNECTIONS {
                lines.push(Line::open(address, request(number), protocol).await?);
            }
            Ok::<_, BenchError>(lines)
        })?;
        Ok(Self {
            runtime,
            name,
            lines,
        })
    }

    /// Each connection uses a session of its own.
    ///
    /// # Errors
    ///
    /// The connections'.
    pub fn uses(
        runtime: &'r Runtime,
        name: &'static str,
        served: &Served,
    ) -> Result<Self, BenchError> {
        let request = |number| {
            let line = format!("POST /v1/sessions/{}/uses", session_id(number));
            let agent = agent_id(number);
            let (tokens, cost) = (CHARGE.tokens, CHARGE.cost_micros);
            let body = format!(
                r#"{{"agent":"{agent}","items":[{{"tool":"{TOOL}","charge":{{"tokens":{tokens},"cost_micros":{cost}}}}}]}}"#
            );
            served.request(&line, &body)
        };
        Self::open(runtime, name, served.address, Protocol::Http, request)
    }

    /// Each connection reads a session of its own.
    ///
    /// # Errors
    ///
    /// The connections'.
    pub fn gets(
        runtime: &'r Runtime,
        name: &'static str,
        served: &Served,
    ) -> Result<Self, BenchError> {
        let request = |number| served.get(number);
        Self::open(runtime, name, served.address, Protocol::Http, request)
    }
}

impl Side for Lines<'_> {
    type Sample = Throughput;

    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, span: Duration) -> Result<Throughput, BenchError> {
        let (throughput, lines) = drive(self.runtime, std::mem::take(&mut self.lines), span)?;
        self.lines = lines;
        Ok(throughput)
    }
}

/// The usual way to hand out bytes: a handler that has them.
#[derive(Debug)]
pub struct FromMemory {
    _runtime: Runtime,
    address: SocketAddr,
}

impl FromMemory {
    /// Serves `bytes`.
    ///
    /// # Errors
    ///
    /// [`BenchError::Io`].
    pub fn start(bytes: Vec<u8>) -> Result<Self, BenchError> {
        let runtime = runtime()?;
        let bytes = bytes::Bytes::from(bytes);
        let address = runtime.block_on(async {
            let handler = move || {
                let bytes = bytes.clone();
                async move { ([(header::CONTENT_TYPE, "application/json")], bytes) }
            };
            let router: Router = Router::new().route("/v1/sessions/{id}", get(handler));
            let failed = || BenchError::io("listen");
            let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed())?;
            let address = listener.local_addr().map_err(failed())?;
            tokio::spawn(async move { axum::serve(listener, router).await });
            Ok::<_, BenchError>(address)
        })?;
        Ok(Self {
            _runtime: runtime,
            address,
        })
    }

    /// Connections that ask for the bytes.
    ///
    /// # Errors
    ///
    /// The connections'.
    pub fn lines<'r>(&self, runtime: &'r Runtime) -> Result<Lines<'r>, BenchError> {
        let address = self.address;
        let request = |number| {
            let id = session_id(number);
            format!("GET /v1/sessions/{id} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
        };
        Lines::open(
            runtime,
            "axum from memory",
            address,
            Protocol::Http,
            request,
        )
    }
}
