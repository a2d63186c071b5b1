//! The store against a private PostgreSQL: the contract, and what is special
//! about a server.

mod common;
mod conformance;
mod fixture;
