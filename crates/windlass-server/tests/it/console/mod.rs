//! The console, as far as the server is concerned.

mod enduring;
mod files;
mod looking;
