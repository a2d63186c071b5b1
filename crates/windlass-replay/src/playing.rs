//! A run as it is played: every step is one turn.
//!
//! A turn uses the tool and commits the state that comes of it, both or
//! neither, and it expects the revision that follows from the recording. So
//! whoever makes it once more finds it made, without an operation id and the
//! record that one leaves. It is the first commit of its step, so that a
//! refused step leaves nothing; what is more than one commit can hold follows
//! it.
//!
//! Once a search has gone back, its state is a fork, and a turn has the uses
//! and the state of one session. The use of such a step comes first, under an
//! operation id.

use std::ops::ControlFlow;
use std::time::Duration;

use windlass::SystemEnv;
use windlass::TurnError;
use windlass::checkpoint::{Changes, CheckpointError};
use windlass::core::{Coded, Env, ErrorKind};
use windlass::session::{Agent, Use};

use crate::failure::ReplayError;
use crate::keeping::Kept;
use crate::observe::{Observer, Outcome, StepDone};
use crate::report::RunReport;
use crate::script::Act;
use crate::stage::Stage;
use crate::stashing::{Shelf, Stashed};

/// What the state of a run becomes by a step whose use is durable.
struct Left {
    acts: Vec<Act>,
    /// How many acts of the step went before these.
    made: usize,
}

impl Stage<'_> {
    /// Plays the steps that were not done before, and counts all.
    pub(crate) async fn play(
        &self,
        observer: &dyn Observer,
    ) -> Result<(RunReport, Vec<Duration>), ReplayError> {
        let found = self.found().await?;
        // Of what was done before, only the last can be half done.
        let last = found.iter().rposition(|it| *it == Outcome::Allowed);
        let mut report = self.blank_report();
        let mut times = Vec::with_capacity(self.run.steps.len() - found.len());
        let shelf = Shelf::new(&self.engine, self.caller, &self.names, self.run);
        let mut script = self.script();
        let mut allowed = Vec::with_capacity(self.run.steps.len());
        let mut outcomes = Vec::with_capacity(self.run.steps.len());
        for number in 1..=self.run.steps.len() {
            let known = found.get(number - 1).copied();
            let mut next = script.clone();
            let acts = next.step(number);
            let kept = Kept::of(&acts);
            let (outcome, left) = match known {
                Some(outcome) => (outcome, Left { acts, made: 0 }),
                None => self.step(number, acts, &mut times).await?,
            };
            report.count(outcome, known.is_some());
            allowed.push(outcome == Outcome::Allowed);
            outcomes.push(outcome);
            if outcome == Outcome::Allowed {
                script = next;
                report.keep(kept);
                let found = known.map(|_| last == Some(number - 1));
                report.stash(self.stash(&shelf, number, &allowed, found).await?);
                if found != Some(false) {
                    self.keep(number, left).await?;
                }
            }
            self.tell(observer, number, outcome, known.is_some())?;
        }
        let acts = script.rest();
        report.keep(Kept::of(&acts));
        // Whether an earlier replay came as far as this nobody knows: a run of
        // nothing but refusals leaves no trace before.
        let rest = self.keep(self.run.steps.len() + 1, Left { acts, made: 0 });
        rest.await?;
        report.put_out(self.put_out(&outcomes).await?);
        Ok((report, times))
    }

    fn tell(
        &self,
        observer: &dyn Observer,
        number: usize,
        outcome: Outcome,
        found: bool,
    ) -> Result<(), ReplayError> {
        let done = StepDone {
            run: self.run,
            number,
            outcome,
            found,
        };
        match observer.step(&done) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ReplayError::Stopped),
        }
    }

    /// Makes the use of a step, and the first of its acts with it if one turn
    /// can have both. Answers which are left.
    async fn step(
        &self,
        number: usize,
        acts: Vec<Act>,
        times: &mut Vec<Duration>,
    ) -> Result<(Outcome, Left), ReplayError> {
        self.env.enter(number);
        let own = |act: &&Act| *act.session() == self.names.session;
        let clock = SystemEnv::new();
        let (outcome, made) = match acts.first().filter(own) {
            Some(Act::Commit { changes, .. }) => (self.turn(number, changes).await, 1),
            _ => (self.use_alone(number).await, 0),
        };
        times.push(clock.monotonic());
        let acts = acts.into_iter().skip(made).collect();
        Ok((outcome?, Left { acts, made }))
    }

    /// The use that is step `number`.
    pub(crate) fn request(&self, number: usize) -> Use {
        let tool = self.run.steps[number - 1].tool.clone();
        Use::one(Agent::Is(self.run.agent.clone()), tool)
    }

    /// Uses the tool of a step and commits what is to be changed with it.
    async fn turn(&self, number: usize, changes: &Changes) -> Result<Outcome, ReplayError> {
        self.env.enter_commit(1);
        let mut made = self.try_turn(number, changes).await;
        if let Err(error) = &made
            && error.kind() == ErrorKind::Indeterminate
        {
            // If it was made after all, the state has gone on.
            made = self.try_turn(number, changes).await;
        }
        match made {
            Ok(()) => Ok(Outcome::Allowed),
            Err(TurnError::Session(error)) if error.kind() == ErrorKind::Refused => {
                Ok(Outcome::Refused(error.code()))
            }
            Err(source) => self.overtaken(number, source).await,
        }
    }

    /// What became of a step whose turn failed: if the state has gone on, it
    /// was this run that did, played by somebody else.
    async fn overtaken(&self, number: usize, source: TurnError) -> Result<Outcome, ReplayError> {
        if let TurnError::State(CheckpointError::HeadRevisionConflict { .. }) = &source
            && let Some(outcome) = self.found().await?.get(number - 1)
        {
            return Ok(*outcome);
        }
        let run = self.run.id();
        Err(ReplayError::Turn { run, source })
    }

    async fn try_turn(&self, number: usize, changes: &Changes) -> Result<(), TurnError> {
        let turn = self.engine.turn(self.caller, &self.names.session);
        let turn = turn.state(changes.clone()).uses(self.request(number));
        turn.commit().await.map(drop)
    }

    /// Uses the tool of a step whose state is a fork.
    async fn use_alone(&self, number: usize) -> Result<Outcome, ReplayError> {
        let mut request = self.request(number);
        request.operation = Some(self.names.step(number));
        let sessions = self.engine.sessions();
        let used = sessions.use_tools(self.caller, &self.names.session, request);
        match used.await {
            Ok(_) => Ok(Outcome::Allowed),
            Err(error) if error.kind() == ErrorKind::Refused => Ok(Outcome::Refused(error.code())),
            Err(error) => Err(self.failed("use")(error)),
        }
    }

    /// Sees to it that the output of an authorised step is in the stash. For
    /// one that was `found`, whether it is the last that was.
    async fn stash(
        &self,
        shelf: &Shelf<'_>,
        number: usize,
        allowed: &[bool],
        found: Option<bool>,
    ) -> Result<Stashed, ReplayError> {
        self.env.enter(number);
        let stashed = match found {
            None => shelf.put(number, allowed).await,
            Some(last) => shelf.find(number, allowed, last).await,
        };
        stashed.map_err(|source| ReplayError::Stash {
            run: self.run.id(),
            source,
        })
    }

    /// Sees to it that the states are what they become by an authorised step.
    async fn keep(&self, number: usize, left: Left) -> Result<(), ReplayError> {
        self.env.enter(number);
        let kept = self.keeper().keep(left.made + 1, left.acts).await;
        kept.map_err(ReplayError::state(self.run))
    }
}
