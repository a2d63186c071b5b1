//! How often the long tests repeat themselves: one table, three columns.
//!
//! Each such test reads its number from the environment and takes the value of
//! `ci` when it is not told one, so a plain `cargo test` proves as much as the
//! gate of a push does.

/// A test that repeats, and how often it does so in which gate.
#[derive(Debug)]
pub(crate) struct Loop {
    /// The environment variable that the test reads.
    pub(crate) variable: &'static str,
    /// What the number counts.
    pub(crate) unit: &'static str,
    /// For the inner loop.
    pub(crate) quick: u32,
    /// For each push.
    pub(crate) ci: u32,
    /// For the nightly run.
    pub(crate) nightly: u32,
    /// The crate whose tests read the variable.
    pub(crate) package: &'static str,
    /// What the names of those tests contain.
    pub(crate) tests: &'static str,
    /// How long the nightly run of it may take.
    pub(crate) nightly_seconds: u64,
}

/// Every loop there is.
pub(crate) const LOOPS: &[Loop] = &[];

/// Variables by which a test speaks to a process of its own: no loops.
pub(crate) const SIGNALS: &[&str] = &[];
