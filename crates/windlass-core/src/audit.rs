//! What a part tells of an operation to whoever keeps the audit.
//!
//! A part knows what was asked for, by whom and how it ended. Who keeps that,
//! where and for how long is not its affair: it tells an [`Ear`], which may be
//! deaf.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::{Coded, ErrorKind, PrincipalId, TenantId};

/// How much of what happens is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detail {
    /// What a reader looks for after an incident: what was made, widened,
    /// ended, removed or given away, and what was refused.
    #[default]
    Security,
    /// Every change as well, however often there is one.
    Full,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// A rule refused it, with this error code.
    Refused(&'static str),
    /// It failed, with this error code; it may have happened.
    Failed(&'static str),
}

impl Outcome {
    /// The outcome that an answer stands for; `None` for one that is no event:
    /// the request could not be understood, or nothing happened and the same
    /// request may succeed later.
    pub fn of<T, E: Coded>(answer: &Result<T, E>) -> Option<Self> {
        let Err(error) = answer else {
            return Some(Self::Done);
        };
        match error.kind() {
            ErrorKind::Refused | ErrorKind::NotFound | ErrorKind::Conflict => {
                Some(Self::Refused(error.code()))
            }
            ErrorKind::Indeterminate | ErrorKind::Corrupt => Some(Self::Failed(error.code())),
            ErrorKind::Invalid
            | ErrorKind::Unavailable
            | ErrorKind::Environment
            | ErrorKind::Closed => None,
        }
    }
}

/// What was acted on, by its role: `("session", &id)`. Never a secret, a token
/// or contents.
pub type Subject<'a> = (&'static str, &'a dyn fmt::Display);

/// An operation, before it is known how it ends.
#[derive(Clone, Copy)]
pub struct Act<'a> {
    /// What was asked for: the part and the deed, as `session.closed`.
    pub action: &'static str,
    /// From which detail on its success is told; a refusal always is.
    pub detail: Detail,
    /// Whose data; `None` for what belongs to no tenant.
    pub tenant: Option<&'a TenantId>,
    /// Who asked, where the part knows.
    pub principal: Option<&'a PrincipalId>,
    /// What it was about.
    pub on: &'a [Subject<'a>],
    /// How many, how large.
    pub figures: &'a [(&'static str, u64)],
}

impl fmt::Debug for Act<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Act")
            .field("action", &self.action)
            .field("tenant", &self.tenant)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

impl<'a> Act<'a> {
    /// An act that is told at every detail, with no figures.
    #[must_use]
    pub const fn new(
        action: &'static str,
        tenant: Option<&'a TenantId>,
        principal: Option<&'a PrincipalId>,
        on: &'a [Subject<'a>],
    ) -> Self {
        Self {
            action,
            detail: Detail::Security,
            tenant,
            principal,
            on,
            figures: &[],
        }
    }

    /// The same act, whose success is told at full detail alone.
    #[must_use]
    pub const fn ordinary(mut self) -> Self {
        self.detail = Detail::Full;
        self
    }
}

/// Hears of operations after they have ended.
///
/// It is called on the caller's thread and must neither wait nor fail; if it
/// panics, the operation's answer is what it would have been without it.
pub trait Audit: fmt::Debug + Send + Sync {
    /// Whether it wants what is told at `detail`.
    fn hears(&self, detail: Detail) -> bool;

    /// Hears of one operation.
    fn record(&self, act: &Act<'_>, outcome: Outcome);
}

/// Whoever listens, if anybody does.
#[derive(Clone, Debug, Default)]
pub struct Ear(Option<Arc<dyn Audit>>);

impl Ear {
    /// An ear that passes on what it is told.
    #[must_use]
    pub fn new(audit: Arc<dyn Audit>) -> Self {
        Self(Some(audit))
    }

    /// Tells how an operation ended, if that is an event and anybody listens.
    /// Without a listener, or for a success that none wants, it costs a
    /// comparison or two.
    pub fn tell<T, E: Coded>(&self, answer: &Result<T, E>, act: &Act<'_>) {
        let Some(audit) = &self.0 else { return };
        let Some(outcome) = Outcome::of(answer) else {
            return;
        };
        if outcome == Outcome::Done && !audit.hears(act.detail) {
            return;
        }
        // A listener's panic is its own affair.
        let _ = catch_unwind(AssertUnwindSafe(|| audit.record(act, outcome)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Audit for Notes {
        fn hears(&self, detail: Detail) -> bool {
            detail == Detail::Security
        }

        fn record(&self, act: &Act<'_>, outcome: Outcome) {
            let mut notes = self.0.lock().expect("nobody panicked with it");
            notes.push(format!("{} {outcome:?}", act.action));
            assert!(act.action != "test.panics", "as asked");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("as a test wants it")]
    struct Ended(ErrorKind);

    impl Coded for Ended {
        fn code(&self) -> &'static str {
            "busy"
        }

        fn kind(&self) -> ErrorKind {
            self.0
        }
    }

    fn told(answer: &Result<(), Ended>, act: &Act<'_>) -> Vec<String> {
        let notes = Arc::new(Notes::default());
        let heard: Arc<dyn Audit> = notes.clone();
        Ear::new(heard).tell(answer, act);
        notes
            .0
            .lock()
            .map(|notes| notes.clone())
            .unwrap_or_else(|poisoned| poisoned.into_inner().clone())
    }

    #[test]
    fn a_refusal_is_told_at_every_detail_and_an_ordinary_success_is_not() {
        let act = Act::new("test.done", None, None, &[]);
        assert_eq!(told(&Ok(()), &act), ["test.done Done"]);
        assert_eq!(told(&Ok(()), &act.ordinary()), Vec::<String>::new());
        let refused = Err(Ended(ErrorKind::Refused));
        assert_eq!(
            told(&refused, &act.ordinary()),
            [r#"test.done Refused("busy")"#]
        );
    }

    #[test]
    fn what_may_have_happened_is_told_and_what_did_not_happen_is_not() {
        let act = Act::new("test.done", None, None, &[]);
        let doubtful = Err(Ended(ErrorKind::Indeterminate));
        assert_eq!(told(&doubtful, &act), [r#"test.done Failed("busy")"#]);
        for kind in [
            ErrorKind::Invalid,
            ErrorKind::Unavailable,
            ErrorKind::Closed,
        ] {
            assert_eq!(
                told(&Err(Ended(kind)), &act),
                Vec::<String>::new(),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_listener_that_panics_harms_nobody() {
        let act = Act::new("test.panics", None, None, &[]);
        assert_eq!(told(&Ok(()), &act), ["test.panics Done"]);
    }
}
