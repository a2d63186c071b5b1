//! Error kinds, named by what the caller can do about them.

use std::error::Error;

/// What an error asks of its receiver. Each maps to one process exit code
/// and one class of HTTP status, whichever part it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong; sending it again cannot help.
    Invalid,
    /// What was named does not exist, or not for this caller.
    NotFound,
    /// Somebody else changed the state first, or the state forbids the change.
    Conflict,
    /// A rule refused: authorisation, budget, rate or quota.
    Refused,
    /// Nothing happened; the same request may succeed later.
    Unavailable,
    /// It may have happened; read before retrying, or retry under the same
    /// operation id.
    Indeterminate,
    /// Nothing happened, and an operator must act first (disk full,
    /// read-only file, unknown format version).
    Environment,
    /// Stored data is damaged.
    Corrupt,
    /// The store was closed.
    Closed,
}

/// An error with a stable code, which programs may match on, and a kind.
pub trait Coded: Error {
    /// The stable name of this error, in `snake_case`. Never reused for
    /// another meaning.
    fn code(&self) -> &'static str;

    /// What the receiver can do about it.
    fn kind(&self) -> ErrorKind;
}
