//! A private PostgreSQL for tests, from the binaries that are installed.
//!
//! [`Server::shared`] gives the tests of one process one server; it listens on
//! a free port of 127.0.0.1, has no Unix socket, and trusts whoever connects:
//! it is there for as long as the test is. Started by root, it runs as the
//! user `postgres` or `nobody`. It ends when its last handle is dropped, and
//! also when the test process is killed; what a killed test leaves on the
//! disk, the next one to start a server removes.
//!
//! This module knows no driver and no store. A store gets a schema or a
//! database of its own from whoever tests it.
//!
//! Cost: one `initdb` a machine (about a second), then 0.2 s a server.

mod error;
mod installation;
mod place;
mod pooler;
mod process;
mod proxy;
mod server;
mod template;

pub use error::ServerError;
pub use installation::Installation;
pub use pooler::Pooler;
pub use proxy::{Cut, Proxy};
pub use server::Server;
