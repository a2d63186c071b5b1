//! Windlass, serving a store with streams.

use std::net::SocketAddr;

use tokio::runtime::{Builder, Runtime};
use windlass::Windlass;
use windlass::access::{Grant, Groups, NewKey, Reach, Scope, Verbs};
use windlass_server::{Config, Server};

use crate::error::BenchError;
use crate::sessions::fixture::{PRINCIPAL, TENANT};

use super::fetch::request;
use super::fixture::name;

/// Threads of a server.
const THREADS: usize = 2;

/// A runtime for a server.
///
/// # Errors
///
/// [`BenchError::Io`].
pub fn runtime() -> Result<Runtime, BenchError> {
    let built = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    built.map_err(BenchError::io("start a runtime"))
}

fn unfair(cause: impl std::fmt::Display) -> BenchError {
    BenchError::Unfair(cause.to_string())
}

/// The server and a key to it.
#[derive(Debug)]
pub struct Served {
    _runtime: Runtime,
    /// Where it listens.
    pub address: SocketAddr,
    token: String,
}

impl Served {
    /// Serves what `open` opens.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub fn start(
        open: impl Future<Output = Result<Windlass, BenchError>>,
    ) -> Result<Self, BenchError> {
        let runtime = runtime()?;
        let (address, token) = runtime.block_on(async {
            let engine = open.await?;
            let grant = Grant {
                scope: Scope::Tenant {
                    tenant: TENANT.parse().map_err(unfair)?,
                    principal: PRINCIPAL.parse().map_err(unfair)?,
                },
                reach: Reach::Own,
                groups: Groups::None,
                verbs: Verbs::of(["stream.*"]).map_err(unfair)?,
            };
            let made = engine.keys().create(NewKey::new("the bench's", grant));
            let (_, secret) = made.await.map_err(unfair)?;
            let mut config = Config::default();
            config.listen = "127.0.0.1:0".parse().map_err(unfair)?;
            let server = Server::bind(engine, config).await.map_err(unfair)?;
            let address = server.address();
            tokio::spawn(server.run(std::future::pending(), std::future::pending()));
            Ok::<_, BenchError>((address, secret.reveal().to_owned()))
        })?;
        Ok(Self {
            _runtime: runtime,
            address,
            token,
        })
    }

    /// What asks for all of a stream.
    #[must_use]
    pub fn request(&self, number: usize) -> Vec<u8> {
        self.asking(&format!("/v1/streams/{}/rows", name(number)))
    }

    /// What asks for a path.
    #[must_use]
    pub fn asking(&self, path: &str) -> Vec<u8> {
        request(self.address, path, Some(&self.token))
    }
}
