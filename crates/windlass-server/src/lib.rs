//! Windlass over HTTP: every part of the engine for every language.
//!
//! A [`Server`] serves an open engine: JSON over HTTP/1.1 under `/v1`, its
//! OpenAPI document at `/openapi.json` and a page to read it at `/docs`. It
//! knows nothing of a terminal, reads no environment, and decides nothing that
//! a part decides: it finds out who asks, what they may ask for, and passes
//! it on.
//!
//! Read first: [`Server`] (its life), [`Config`] (its limits), and in the
//! sources `route.rs` (what a route is) and `dispatch.rs` (the way of every
//! request).
//!
//! ```
//! use windlass::{Options, Windlass};
//! use windlass_server::{Config, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Windlass::open(&"memory:".parse()?, Options::default()).await?;
//! let mut config = Config::default();
//! config.listen = "127.0.0.1:0".parse()?;
//! let server = Server::bind(engine.clone(), config).await?;
//! println!("listening on http://{}", server.address());
//! // It serves until the first future is done; here it is at once.
//! let stopped = server.run(async {}, std::future::pending()).await;
//! assert_eq!(stopped.cut, 0);
//! engine.close().await?;
//! # Ok(())
//! # }
//! ```

mod app;
mod auth;
mod body;
mod call;
mod codes;
mod config;
mod connection;
mod console;
mod cors;
mod dispatch;
mod events;
mod figures;
mod held;
mod hooks;
mod lines;
mod metrics;
mod openapi;
mod page;
mod problem;
mod reading;
mod room;
mod route;
mod routes;
mod seal;
mod server;
mod trace;

pub use auth::{JwtConfig, JwtError};
pub use config::{Config, ConfigError, Patience};
pub use server::{ServeError, Server, Stopped};

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
