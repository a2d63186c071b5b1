//! The client against a server that misbehaves on purpose, and the wire types
//! against their spelling.

mod answers;
mod errors;
mod events;
mod repeats;
mod routes;
mod secrets;
mod server;
mod tls;
mod wire;
