//! On whose behalf this process acts at the moment.
//!
//! A part knows the caller it was given and nothing of how that caller proved
//! who it is. Whoever let the caller in says so once, around all it does then.

use std::future::Future;

use windlass_core::PrincipalId;

tokio::task_local! {
    static WHO: Who;
}

/// Who asks, as whoever let them in knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The principal, for operations that are given no caller.
    pub principal: Option<PrincipalId>,
    /// The id of the key that proved it; never its secret.
    pub key: Option<String>,
    /// The request, under which its logs can be found.
    pub request: Option<String>,
}

/// Does `work` on behalf of `who`: each event that it tells on this task names
/// them.
pub fn on_behalf<F: Future>(who: Who, work: F) -> impl Future<Output = F::Output> {
    WHO.scope(who, work)
}

/// Who asks at the moment.
pub(super) fn now() -> Who {
    WHO.try_with(Clone::clone).unwrap_or_default()
}
