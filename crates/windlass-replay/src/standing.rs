//! How far a run had come when an earlier replay ended.

use std::collections::BTreeSet;

use windlass::core::Coded;
use windlass::session::{Caller, Event, Meter, SessionError, Sessions, What};

use crate::grant::Grant;
use crate::model::{Run, Step};
use crate::names::Names;
use crate::observe::Outcome;

/// Events asked for at a time.
const EVENTS: usize = 1_000;

/// What a session's history tells of its run.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The steps whose uses have an operation id.
    named: BTreeSet<usize>,
    /// Whether the run was played to its end.
    ended: bool,
    /// The tools of all uses, whatever they are of.
    tools: Vec<String>,
}

impl History {
    /// Reads the session's history; nothing but the session where it has none.
    pub(crate) async fn read(
        sessions: &Sessions,
        caller: &Caller,
        names: &Names,
    ) -> Result<Self, SessionError> {
        let session = sessions
            .get(caller, &names.session)
            .await?
            .ok_or(SessionError::NotFound)?;
        let mut history = Self {
            ended: session.ended_through.is_some(),
            ..Self::default()
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
                .for_each(|event| history.note(event, caller, names));
            after = page.events.last().map_or(u64::MAX, |event| event.number);
            more = page.more;
        }
        Ok(history)
    }

    fn note(&mut self, event: &Event, caller: &Caller, names: &Names) {
        if let What::Use { tool, .. } = &event.what {
            self.tools.push(tool.clone());
        }
        let operation = event
            .operation
            .as_deref()
            .and_then(|label| label.split_once('/'));
        let ours = operation.filter(|(principal, _)| *principal == caller.principal.as_str());
        let Some((_, operation)) = ours else { return };
        match event.what {
            What::Use { .. } => self.named.extend(names.step_of(operation)),
            What::Close => self.ended |= operation == names.close().as_str(),
            _ => {}
        }
    }
}

/// What store and recording tell of a run together.
///
/// The state has counted the steps that were turns: those are the first of the
/// steps that the session may make at all. The others have operation ids. A
/// refusal leaves no trace, but follows from what does: a step that was not
/// authorised came after the budget was spent, which is checked first, or else
/// asked for a tool that is not allowed.
#[derive(Debug)]
pub(crate) struct Standing<'a> {
    run: &'a Run,
    grant: &'a Grant<'a>,
    turns: u64,
    history: History,
}

impl<'a> Standing<'a> {
    /// `turns` are the tool calls that the run's own state has counted.
    pub(crate) const fn new(
        run: &'a Run,
        grant: &'a Grant<'a>,
        turns: u64,
        history: History,
    ) -> Self {
        Self {
            run,
            grant,
            turns,
            history,
        }
    }

    /// The same, but of a run that was played to its end if the state has what
    /// was said `behind` its last step: the steps behind the last authorised
    /// one were refused.
    pub(crate) const fn ending(mut self, behind: bool) -> Self {
        self.history.ended |= behind;
        self
    }

    /// The outcomes of the first steps, as far as they are known: up to the
    /// last that was authorised, or of all if the run has ended.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let (mut turns, mut calls) = (self.turns, 0);
        let steps = (1..).zip(&self.run.steps);
        let outcome = |(number, step): (usize, &Step)| {
            let named = self.history.named.contains(&number);
            if !named && (turns == 0 || !self.grant.tools.allows(&step.tool)) {
                return self.refusal(calls);
            }
            turns -= u64::from(!named);
            calls += 1;
            Outcome::Allowed
        };
        let mut outcomes: Vec<_> = steps.map(outcome).collect();
        if !self.history.ended {
            let last = outcomes.iter().rposition(|it| *it == Outcome::Allowed);
            outcomes.truncate(last.map_or(0, |last| last + 1));
        }
        outcomes
    }

    /// Whether the uses in the history are those of the authorised steps, each
    /// once and in their order.
    pub(crate) fn is_once(&self) -> bool {
        let steps = self.run.steps.iter().zip(self.outcomes());
        let allowed = steps.filter(|(_, outcome)| *outcome == Outcome::Allowed);
        let wanted = allowed.map(|(step, _)| step.tool.as_str());
        wanted.eq(self.history.tools.iter().map(String::as_str))
    }

    fn refusal(&self, calls: u64) -> Outcome {
        let error = if calls >= self.grant.calls {
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
    use crate::model::Recording;
    use crate::restrict::{Percent, Restrictions, Withhold};
    use crate::script::tests::run;

    const BUDGET: Outcome = Outcome::Refused("budget_exceeded");
    const TOOL: Outcome = Outcome::Refused("tool_not_allowed");
    const ALLOWED: Outcome = Outcome::Allowed;

    /// What is told of a run of six steps, of which the first, the third and
    /// the last two call `look` and the others `ask`, after so many turns; and
    /// whether its uses are those of the tools given.
    fn told(restrictions: &Restrictions, turns: u64, history: History) -> (Vec<Outcome>, bool) {
        let mut run = run(&[None], &[0; 6]);
        for place in [1, 3] {
            run.steps[place].tool = "ask".parse().unwrap();
        }
        let recording = Recording { runs: vec![run] };
        let grants = restrictions.grants(&recording);
        let standing = Standing::new(&recording.runs[0], &grants[0], turns, history);
        (standing.outcomes(), standing.is_once())
    }

    fn without(tool: &str, percent: u64) -> Restrictions {
        Restrictions {
            withhold: Some(Withhold::Named(tool.parse().unwrap())),
            calls_percent: Percent::new(percent),
        }
    }

    fn history(tools: &[&str], named: &[usize], ended: bool) -> History {
        History {
            named: named.iter().copied().collect(),
            ended,
            tools: tools.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn nothing_is_known_before_the_first_authorised_step() {
        let none = history(&[], &[], false);
        assert_eq!(told(&without("look", 100), 0, none), (vec![], true));
    }

    #[test]
    fn a_gap_before_an_authorised_step_was_a_refused_tool() {
        let two = history(&["look", "look"], &[], false);
        let outcomes = vec![ALLOWED, TOOL, ALLOWED];
        assert_eq!(told(&without("ask", 100), 2, two), (outcomes, true));
    }

    #[test]
    fn an_ended_run_is_known_whole_and_the_budget_decides_before_the_tool() {
        let two = || history(&["ask", "ask"], &[], true);
        let outcomes = vec![TOOL, ALLOWED, TOOL, ALLOWED, BUDGET, BUDGET];
        assert_eq!(told(&without("look", 34), 2, two()), (outcomes, true));
        let outcomes = vec![TOOL, ALLOWED, TOOL, ALLOWED, TOOL, TOOL];
        assert_eq!(told(&without("look", 50), 2, two()), (outcomes, true));
    }

    #[test]
    fn steps_of_a_search_that_went_back_are_known_by_their_names() {
        let all = history(&["look"; 3], &[3, 5], false);
        let outcomes = vec![ALLOWED, TOOL, ALLOWED, TOOL, ALLOWED];
        assert_eq!(told(&without("ask", 100), 1, all), (outcomes, true));
    }

    #[test]
    fn uses_that_are_more_or_others_than_the_steps_are_not_once() {
        let default = Restrictions::default();
        for tools in [&["look"][..], &["look", "look"], &["look", "ask", "look"]] {
            let (_, once) = told(&default, 2, history(tools, &[], false));
            assert!(!once, "{tools:?}");
        }
        let (_, once) = told(&default, 2, history(&["look", "ask"], &[], false));
        assert!(once);
    }
}
