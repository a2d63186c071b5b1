//! Every limit of this crate, with its unit in its name.

/// Longest identifier of a tenant, principal, agent, group, session or
/// operation, in bytes (which are characters: identifiers are ASCII).
pub const ID_BYTES_MAX: usize = 128;

/// Most requests one combined run takes; what waits beyond it goes into the
/// next run.
pub const COMBINED_REQUESTS_MAX: usize = 256;
