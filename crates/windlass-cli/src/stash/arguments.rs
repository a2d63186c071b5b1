//! Arguments that several commands share, and how their words become values.

use clap::Args;
use windlass::Windlass;
use windlass::core::SessionId;
use windlass::stash::Key;
use windlass::stash::durable::{Execution, Stash};

use crate::context::Context;
use crate::failure::Failure;
use crate::session::arguments::id;

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
    pub(super) fn stash(&self, windlass: &Windlass, context: &Context) -> Result<Stash, Failure> {
        stash(&self.session, windlass, context)
    }

    pub(super) fn execution(
        &self,
        windlass: &Windlass,
        context: &Context,
    ) -> Result<Execution, Failure> {
        let group = self.group.as_deref().map(id).transpose()?;
        Ok(self.stash(windlass, context)?.execution(group))
    }
}

/// The stash of a session of the tenant.
pub(super) fn stash(
    session: &str,
    windlass: &Windlass,
    context: &Context,
) -> Result<Stash, Failure> {
    let session: SessionId = id(session)?;
    let tenant = &context.caller().tenant;
    Ok(windlass.stashes().stash(tenant, &session))
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
