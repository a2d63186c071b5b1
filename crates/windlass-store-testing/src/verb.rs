//! What a wrapper can name of a call.

/// A verb of the storage trait that can be waited for and can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// [`Store::read`](windlass_store::Store::read).
    Read,
    /// [`Store::commit`](windlass_store::Store::commit).
    Commit,
    /// [`Store::export`](windlass_store::Store::export).
    Export,
    /// [`Store::close`](windlass_store::Store::close).
    Close,
}

impl Verb {
    /// The name of the method.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Commit => "commit",
            Self::Export => "export",
            Self::Close => "close",
        }
    }
}

/// When, in a call to a wrapper, something is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Before the store below is called: it knows nothing of the call.
    Before,
    /// After the store below answered, before the caller gets the answer.
    After,
}
