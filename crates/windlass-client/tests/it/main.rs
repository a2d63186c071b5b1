//! The client against a server that misbehaves on purpose, and the wire types
//! against their spelling.

#[cfg(feature = "client")]
mod answers;
#[cfg(feature = "client")]
mod errors;
#[cfg(feature = "client")]
mod events;
#[cfg(feature = "client")]
mod repeats;
#[cfg(feature = "client")]
mod routes;
#[cfg(feature = "client")]
mod secrets;
#[cfg(feature = "client")]
mod server;
#[cfg(feature = "client")]
mod tls;
mod wire;
