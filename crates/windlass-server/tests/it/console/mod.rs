//! The console, as far as the server is concerned.

mod files;
mod looking;
