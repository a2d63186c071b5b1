//! The store against a private PostgreSQL: the contract, and what is special
//! about a server.

mod common;
mod conformance;
mod deaths;
mod exports;
mod failover;
mod fixture;
mod groups;
mod hints;
mod histories;
mod numbers;
mod opening;
mod pooler;
mod processes;
mod races;
mod reads;
mod runtimes;
mod settings;
mod unknown;
