//! What an operator may want to know of an open store.

/// The server behind an open [`crate::PostgresStore`], as it was when the
/// store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Its version, such as `15.14`.
    pub server_version: String,
    /// Whether an acknowledged commit survives a power failure of the server.
    pub survives_power_loss: bool,
}
