//! Arguments that several commands share, and how their words become values.

use clap::Args;
use windlass::stash::Key;

use crate::engine::StashOf;
use crate::failure::Failure;
use crate::session::arguments::{Retry, id};

/// Whose entries are meant.
#[derive(Args, Debug)]
pub(super) struct Within {
    /// The session
    #[arg(value_name = "SESSION")]
    session: String,
    /// Act within this group; without it, in none
    #[arg(long, value_name = "ID")]
    group: Option<String>,
}

impl Within {
    /// The stash of the session, and the group that asks.
    pub(super) fn stash(&self) -> Result<StashOf, Failure> {
        let group = self.group.as_deref().map(id).transpose()?;
        let session = id(&self.session)?;
        Ok(StashOf {
            session,
            group,
            operation: None,
        })
    }

    /// The same for a change that may be made under an operation id.
    pub(super) fn changed(&self, retry: &Retry) -> Result<StashOf, Failure> {
        let operation = retry.operation()?;
        let of = self.stash()?;
        Ok(StashOf { operation, ..of })
    }
}

/// The stash of a session, for whoever asks on behalf of no group.
pub(super) fn stash(session: &str) -> Result<StashOf, Failure> {
    Ok(StashOf {
        session: id(session)?,
        group: None,
        operation: None,
    })
}

/// One entry.
#[derive(Args, Debug)]
pub(super) struct OneEntry {
    #[command(flatten)]
    pub(super) within: Within,
    /// The key: 1 to 256 characters of `A-Z a-z 0-9 _ - . :`
    #[arg(value_name = "KEY")]
    key: String,
}

impl OneEntry {
    pub(super) fn key(&self) -> Result<Key, Failure> {
        Ok(self.key.parse()?)
    }
}
