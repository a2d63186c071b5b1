//! The console: a page for the person who runs agents.

pub(crate) mod assets;
