//! How far a run had come when an earlier replay ended.

use std::collections::BTreeSet;

use windlass::core::Coded;
use windlass::session::{Caller, Event, Meter, SessionError, Sessions, What};

use crate::names::Names;
use crate::observe::Outcome;

/// Events asked for at a time.
const EVENTS: usize = 1_000;

/// What a session's history tells of its run.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The steps that were authorised.
    allowed: BTreeSet<usize>,
    /// Whether the run was played to its end.
    ended: bool,
    /// The calls the run may make.
    budget: usize,
    /// Uses in the history, whatever they are of.
    uses: usize,
}

impl Standing {
    /// Reads the session's history; nothing but the session where it has none.
    /// `budget` is what the run itself may spend of the session's.
    pub(crate) async fn read(
        sessions: &Sessions,
        caller: &Caller,
        names: &Names,
        budget: usize,
    ) -> Result<Self, SessionError> {
        let session = sessions
            .get(caller, &names.session)
            .await?
            .ok_or(SessionError::NotFound)?;
        let mut standing = Self {
            allowed: BTreeSet::new(),
            ended: session.ended_through.is_some(),
            budget,
            uses: 0,
        };
        let mut after = 0;
        let mut more = session.calls_made > 0 || session.ended_at.is_some();
        while more {
            let page = sessions
                .history(caller, &names.session, after, EVENTS)
                .await?;
            let page = page.ok_or(SessionError::NotFound)?;
            page.events
                .iter()
                .for_each(|event| standing.note(event, caller, names));
            after = page.events.last().map_or(u64::MAX, |event| event.number);
            more = page.more;
        }
        Ok(standing)
    }

    /// Whether every use is of a step, and of a step of its own.
    pub(crate) fn is_once(&self) -> bool {
        self.uses == self.allowed.len()
    }

    fn note(&mut self, event: &Event, caller: &Caller, names: &Names) {
        self.uses += usize::from(matches!(event.what, What::Use { .. }));
        let operation = event
            .operation
            .as_deref()
            .and_then(|label| label.split_once('/'));
        let ours = operation.filter(|(principal, _)| *principal == caller.principal.as_str());
        let Some((_, operation)) = ours else { return };
        match event.what {
            What::Use { .. } => self.allowed.extend(names.step_of(operation)),
            What::Close => self.ended |= operation == names.close().as_str(),
            _ => {}
        }
    }

    /// The outcomes of the first steps, as far as they are known: up to the
    /// last that was authorised, or of all `steps` if the run has ended.
    ///
    /// A refusal leaves no trace, but follows from what does: a step that was
    /// not authorised came after the budget was spent, which is checked
    /// first, or else asked for a tool that is not allowed.
    pub(crate) fn outcomes(&self, steps: usize) -> Vec<Outcome> {
        let known = if self.ended {
            steps
        } else {
            self.allowed.last().copied().unwrap_or(0)
        };
        let mut calls = 0;
        let outcome = |number| {
            if self.allowed.contains(&number) {
                calls += 1;
                Outcome::Allowed
            } else {
                self.refusal(calls)
            }
        };
        (1..=known.min(steps)).map(outcome).collect()
    }

    fn refusal(&self, calls: usize) -> Outcome {
        let error = if calls >= self.budget {
            SessionError::BudgetExceeded {
                meter: Meter::Calls,
                limit: 0,
                used: 0,
            }
        } else {
            SessionError::ToolNotAllowed
        };
        Outcome::Refused(error.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Outcome = Outcome::Refused("budget_exceeded");
    const TOOL: Outcome = Outcome::Refused("tool_not_allowed");

    fn outcomes(allowed: &[usize], ended: bool, budget: usize) -> Vec<Outcome> {
        Standing {
            allowed: allowed.iter().copied().collect(),
            ended,
            budget,
            uses: allowed.len(),
        }
        .outcomes(6)
    }

    #[test]
    fn nothing_is_known_before_the_first_authorised_step() {
        assert_eq!(outcomes(&[], false, 3), []);
    }

    #[test]
    fn a_gap_before_an_authorised_step_was_a_refused_tool() {
        assert_eq!(
            outcomes(&[1, 3], false, 3),
            [Outcome::Allowed, TOOL, Outcome::Allowed]
        );
    }

    #[test]
    fn an_ended_run_is_known_whole_and_the_budget_decides_before_the_tool() {
        let expected = [
            TOOL,
            Outcome::Allowed,
            Outcome::Allowed,
            BUDGET,
            BUDGET,
            BUDGET,
        ];
        assert_eq!(outcomes(&[2, 3], true, 2), expected);
        assert_eq!(outcomes(&[2, 3], true, 3)[3..], [TOOL, TOOL, TOOL]);
    }
}
