//! What states tell of changes to whoever keeps the audit.

use std::fmt;

use windlass_core::audit::Subject;
use windlass_core::{Act, Detail, Ear, SessionId, TenantId};

use crate::checkpoints::Checkpoints;
use crate::error::CheckpointError;
use crate::model::Caller;
use crate::remove::Removal;

/// A change of a state that is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed<'a> {
    Commit,
    Rollback(u64),
    /// From another session.
    Fork(&'a SessionId),
    Tag(&'a dyn Named),
    Untag(&'a dyn Named),
}

/// What has a name.
pub(crate) trait Named: fmt::Display + fmt::Debug {}

impl<T: fmt::Display + fmt::Debug> Named for T {}

impl Checkpoints {
    /// The same states, of whose changes `ear` hears. Those of a turn are told
    /// by whoever commits it.
    #[must_use]
    pub fn heard_by(mut self, ear: Ear) -> Self {
        self.ear = ear;
        self
    }

    pub(crate) fn tell<T>(
        &self,
        caller: &Caller,
        session: &SessionId,
        deed: Deed<'_>,
        answer: &Result<T, CheckpointError>,
    ) {
        let who = (Some(&caller.tenant), Some(&caller.principal));
        let tell = |action, detail, more: Option<Subject<'_>>, figures| {
            let on = [Some(("session", session as &dyn fmt::Display)), more];
            let on: Vec<Subject<'_>> = on.into_iter().flatten().collect();
            let act = Act::new(action, who.0, who.1, &on);
            let act = Act {
                detail,
                figures,
                ..act
            };
            self.ear.tell(answer, &act);
        };
        let security = Detail::Security;
        match deed {
            Deed::Commit => tell("state.committed", Detail::Full, None, &[]),
            Deed::Rollback(to) => tell("state.rolled_back", security, None, &[("to", to)]),
            Deed::Fork(from) => tell("state.forked", security, Some(("from", from)), &[]),
            Deed::Tag(tag) => tell("state.tagged", security, Some(("tag", &tag)), &[]),
            Deed::Untag(tag) => tell("state.untagged", security, Some(("tag", &tag)), &[]),
        }
    }

    pub(crate) fn tell_of_removal(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        removed: &Result<Removal, CheckpointError>,
    ) {
        if matches!(removed, Ok(Removal::Absent)) {
            return;
        }
        let on: [Subject<'_>; 1] = [("session", session)];
        let act = Act::new("state.removed", Some(tenant), None, &on);
        self.ear.tell(removed, &act);
    }
}
