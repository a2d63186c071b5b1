//! Commands that remove much do it only when told so.

use clap::Args;

use crate::failure::{CommandError, Failure};

/// Whether it is meant.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct Consent {
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Only say how much it would be
    #[arg(long)]
    dry_run: bool,
}

impl Consent {
    /// Refuses what was neither confirmed nor asked for as a rehearsal.
    pub(crate) fn check(&self, what: &'static str) -> Result<(), Failure> {
        if self.yes || self.dry_run {
            Ok(())
        } else {
            Err(CommandError::Unconfirmed { what }.into())
        }
    }

    /// Whether it is only to be said how much it would be.
    pub(crate) const fn is_rehearsal(&self) -> bool {
        self.dry_run
    }
}
