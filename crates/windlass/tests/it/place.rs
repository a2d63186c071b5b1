//! New stores, for as long as a test has them.

use tempfile::TempDir;
use windlass::{Options, StoreLocation, Windlass};

/// Where a store is; nothing is left of it once this is dropped.
pub(crate) struct Place {
    location: String,
    #[cfg(feature = "postgres")]
    server: Option<std::sync::Arc<windlass_store_testing::postgres::Server>>,
    _directory: TempDir,
}

impl Place {
    /// A place for a store of one of [`SCHEMES`](crate::SCHEMES).
    pub(crate) fn new(scheme: &str) -> Self {
        #[cfg(feature = "postgres")]
        if scheme == "postgres" {
            return Self::on_server();
        }
        let directory = tempfile::tempdir().unwrap();
        let location = match scheme {
            "memory" => "memory:".to_owned(),
            _ => format!("{scheme}:{}", directory.path().join("store").display()),
        };
        Self {
            location,
            #[cfg(feature = "postgres")]
            server: None,
            _directory: directory,
        }
    }

    pub(crate) fn location(&self) -> StoreLocation {
        self.location.parse().unwrap()
    }

    pub(crate) async fn open(&self) -> Windlass {
        open(&self.location).await
    }

    /// What a child process is told to open.
    pub(crate) fn location_of_children(&self) -> String {
        #[cfg(feature = "postgres")]
        if self.server.is_some() {
            return format!("{}&application_name={CHILD}", self.location);
        }
        self.location.clone()
    }

    /// Waits until nothing is on its way that a killed child asked for: a
    /// server ends what it has begun.
    pub(crate) fn forget_children(&self) {
        #[cfg(feature = "postgres")]
        if let Some(server) = &self.server {
            let count =
                format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{CHILD}'");
            let gone = (0..LOOKS_MAX).any(|_| server.query(&count).unwrap() == "0");
            assert!(gone, "the server has not noticed that its client died");
        }
    }
}

/// Opens the store at a location.
pub(crate) async fn open(location: &str) -> Windlass {
    let location: StoreLocation = location.parse().unwrap();
    Windlass::open(&location, Options::default()).await.unwrap()
}

/// What children are called on a server.
#[cfg(feature = "postgres")]
const CHILD: &str = "child";

/// How often a server is asked whether a child has gone. A look takes a
/// process of its own, and with it more time than a commit.
#[cfg(feature = "postgres")]
const LOOKS_MAX: usize = 500;

#[cfg(feature = "postgres")]
mod servers {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use windlass_store_testing::postgres::{Proxy, Server};

    use super::Place;

    impl Place {
        /// A schema of its own on the server that the tests of this process
        /// share.
        pub(super) fn on_server() -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(1);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let server = Server::shared().unwrap();
            Self {
                location: format!("{}?schema=test_{number}", server.url()),
                server: Some(Arc::clone(&server)),
                _directory: tempfile::tempdir().unwrap(),
            }
        }

        /// A way to the server that can be cut, and the store's location by
        /// that way.
        pub(crate) async fn behind_proxy(&self) -> (Proxy, String) {
            let server = self.server.as_ref().expect("the store is on a server");
            let proxy = Proxy::start(server.port()).await.unwrap();
            let ports = [server.port(), proxy.port()].map(|port| format!(":{port}/"));
            let location = self.location.replace(&ports[0], &ports[1]);
            (proxy, location)
        }
    }
}
