//! Why there is no server.

use std::io;

/// A private PostgreSQL could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There are no binaries.
    #[error(
        "no PostgreSQL is installed: neither `/usr/lib/postgresql/*/bin` nor PATH has \
         `initdb` and `postgres` (Debian: `apt-get install postgresql`)"
    )]
    NotInstalled,
    /// Root must not run it, and nobody else is known.
    #[error("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")]
    NoAccount,
    /// The directory for servers belongs to somebody else.
    #[error("`{path}` belongs to another user")]
    Foreign {
        /// The directory.
        path: String,
    },
    /// The operating system refused something.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: String,
        /// What it said.
        source: io::Error,
    },
    /// One of PostgreSQL's programs failed.
    #[error("`{program}` failed: {output}")]
    Program {
        /// Its name.
        program: String,
        /// What it said.
        output: String,
    },
}

impl ServerError {
    /// Wraps what the operating system said when `action` was tried.
    pub(super) fn system(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::System { action, source }
    }
}
