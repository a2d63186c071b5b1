//! A caller that reaches its own sessions only: all others are as absent as
//! ones that never were.

mod one;
mod several;

use windlass_session::{Caller, Session, Sessions};

use crate::support::{caller_of, delegation, request, session_id};

/// One that reaches its own only.
pub(super) fn own(principal: &str) -> Caller {
    let all = caller_of("acme", principal);
    Caller::own(all.tenant, all.principal)
}

pub(super) fn all(principal: &str) -> Caller {
    caller_of("acme", principal)
}

pub(super) async fn create(sessions: &Sessions, caller: &Caller, id: &str) -> Session {
    let request = request(|request| request.id = Some(session_id(id)));
    let created = sessions.create(caller, request).await;
    created.expect("a session that may be created")
}

pub(super) async fn delegate(sessions: &Sessions, caller: &Caller, parent: &str, id: &str) {
    let asked = delegation(id, |_| {});
    let made = sessions.delegate(caller, &session_id(parent), asked).await;
    made.expect("within its parent");
}
