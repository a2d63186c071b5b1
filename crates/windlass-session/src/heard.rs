//! What sessions tell of changes to whoever keeps the audit.

use windlass_core::audit::Subject;
use windlass_core::{Act, AgentId, Coded, Detail, Ear, ErrorKind, SessionId};

use crate::caller::Caller;
use crate::cell::Reply;
use crate::close::CloseAgentError;
use crate::error::SessionError;
use crate::keys::SessionKeys;
use crate::names::Name;
use crate::record::{Answer, Ended};
use crate::rules::Change;
use crate::sessions::Sessions;
use crate::view::Session;

/// What is told of a change, before it is known how it ends.
pub(crate) struct Heard {
    action: &'static str,
    detail: Detail,
    /// The first tool that is asked for.
    tool: Option<Name>,
    calls: u64,
}

impl Heard {
    /// What is told of `change`.
    pub(crate) fn of(change: &Change) -> Self {
        let (action, detail) = match change {
            Change::Use(_) => ("session.used", Detail::Full),
            Change::Settle(_) => ("session.settled", Detail::Full),
            Change::TopUp(_) => ("session.topped_up", Detail::Security),
            Change::Close => ("session.closed", Detail::Security),
            Change::Delegate(_) => ("session.delegated", Detail::Security),
            // What nobody asked for: the time was over, or one above ended.
            Change::Cut(_) => ("session.closed", Detail::Full),
            Change::Expire => ("session.expired", Detail::Full),
        };
        let items = match change {
            Change::Use(request) => request.items.as_slice(),
            _ => &[],
        };
        Self {
            action,
            detail,
            tool: items.first().map(|item| item.tool.clone()),
            calls: u64::try_from(items.len()).unwrap_or(u64::MAX),
        }
    }

    pub(crate) fn tell<T>(
        &self,
        ear: &Ear,
        caller: &Caller,
        id: &SessionId,
        answer: &Result<T, SessionError>,
    ) {
        let on: &[Subject<'_>] = match &self.tool {
            Some(tool) => &[("session", id), ("tool", tool)],
            None => &[("session", id)],
        };
        let figures: &[(&'static str, u64)] = match self.calls {
            0 => &[],
            calls => &[("calls", calls)],
        };
        let act = Act::new(
            self.action,
            Some(&caller.tenant),
            Some(&caller.principal),
            on,
        );
        let detail = self.detail;
        ear.tell(
            answer,
            &Act {
                detail,
                figures,
                ..act
            },
        );
    }
}

impl Heard {
    /// Tells that upkeep marked a session ended: nothing of one that was marked
    /// before, so each is told once, and nothing of one that could not be
    /// marked, which upkeep reports.
    pub(crate) fn tell_of_end(
        &self,
        ear: &Ear,
        keys: &SessionKeys,
        marked: &Result<Reply, SessionError>,
    ) {
        let action = match marked.as_ref().map(|reply| &reply.answer) {
            Ok(Answer::Ended(Some(Ended::Expired(_)))) => "session.expired",
            Ok(Answer::Ended(Some(_))) => "session.closed",
            Err(error) if error.kind() == ErrorKind::Indeterminate => self.action,
            Ok(_) | Err(_) => return,
        };
        let on: [Subject<'_>; 1] = [("session", &keys.id)];
        let detail = self.detail;
        let act = Act::new(action, Some(&keys.tenant), None, &on);
        ear.tell(marked, &Act { detail, ..act });
    }
}

/// Tells of a session that was made, or refused.
pub(crate) fn tell_of_birth(
    ear: &Ear,
    caller: &Caller,
    (id, agent, parent): (&SessionId, &AgentId, Option<&SessionId>),
    born: &Result<Session, SessionError>,
) {
    let who = (Some(&caller.tenant), Some(&caller.principal));
    match parent {
        Some(parent) => {
            let on: [Subject<'_>; 3] = [("session", id), ("agent", agent), ("parent", parent)];
            ear.tell(born, &Act::new("session.delegated", who.0, who.1, &on));
        }
        None => {
            let on: [Subject<'_>; 2] = [("session", id), ("agent", agent)];
            ear.tell(born, &Act::new("session.created", who.0, who.1, &on));
        }
    }
}

/// Tells of an agent whose sessions were closed.
pub(crate) fn tell_of_agent(
    ear: &Ear,
    caller: &Caller,
    agent: &AgentId,
    closed: &Result<u64, CloseAgentError>,
) {
    let figures = [("sessions", *closed.as_ref().unwrap_or(&0))];
    let on: [Subject<'_>; 1] = [("agent", agent)];
    let act = Act::new(
        "agent.closed",
        Some(&caller.tenant),
        Some(&caller.principal),
        &on,
    );
    let figures = &figures;
    ear.tell(closed, &Act { figures, ..act });
}

impl Sessions {
    /// The same sessions, of whose changes `ear` hears. Those of a turn are
    /// told by whoever commits it.
    #[must_use]
    pub fn heard_by(mut self, ear: Ear) -> Self {
        self.ear = ear;
        self
    }
}
