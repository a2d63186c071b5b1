//! One step of a run as a worker does it.

use windlass::TurnError;
use windlass::checkpoint::Changes;
use windlass::core::{Coded, ErrorKind};
use windlass::queue::{Claim, QueueError, Under};
use windlass::session::{Agent, Use};

use crate::crew::{order, queue_caller};
use crate::failure::ReplayError;
use crate::keeping::Kept;
use crate::observe::Outcome;
use crate::report::RunReport;
use crate::script::{Act, Script};
use crate::stage::Stage;
use crate::verify::Difference;

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// The step has its outcome, and the next one is enqueued.
    Step(Outcome),
    /// The run is over.
    Run,
    /// The step is another's to do by now, or will be handed out again.
    Lost,
}

impl Stage<'_> {
    /// Does step `number` under `claim`, or what comes behind the last one.
    pub(crate) async fn perform(&self, claim: &Claim, number: usize) -> Result<Done, ReplayError> {
        let found = self.found().await?;
        let mut script = self.script();
        for (earlier, outcome) in (1..number).zip(&found) {
            if *outcome == Outcome::Allowed {
                script.step(earlier);
            }
        }
        if number > self.run.steps.len() {
            return self.end(claim, script).await;
        }
        if found.get(number - 1) == Some(&Outcome::Allowed) {
            // Handed out once more, long after it was done.
            self.pass_on(claim, number).await?;
            return Ok(Done::Lost);
        }
        let mut acts = script.step(number);
        let Some(Act::Commit { changes, .. }) = acts.pop() else {
            return Ok(Done::Lost);
        };
        if !self.keep_ahead(acts).await? {
            return Ok(Done::Lost);
        }
        self.make(claim, number, *changes).await
    }

    /// Makes the turn of a step.
    async fn make(
        &self,
        claim: &Claim,
        number: usize,
        changes: Changes,
    ) -> Result<Done, ReplayError> {
        let tool = self.run.steps[number - 1].tool.clone();
        let mut request = Use::one(Agent::Is(self.run.agent.clone()), tool);
        request.operation = Some(self.names.step(number));
        let next = order(number + 1).map_err(ReplayError::Queue)?;
        let turn = self
            .engine
            .turn(self.caller, &self.names.session)
            .state(changes)
            .uses(request)
            .complete(claim)
            .enqueue(self.names.session.clone(), next);
        match turn.commit().await {
            Ok(_) => Ok(Done::Step(Outcome::Allowed)),
            Err(TurnError::Session(error)) if error.kind() == ErrorKind::Refused => {
                let passed = self.pass_on(claim, number).await?;
                let outcome = Outcome::Refused(error.code());
                Ok(if passed {
                    Done::Step(outcome)
                } else {
                    Done::Lost
                })
            }
            Err(error) if is_lost(&error) => Ok(Done::Lost),
            Err(source) => {
                let run = self.run.id();
                Err(ReplayError::Turn { run, source })
            }
        }
    }

    /// Commits what one turn cannot carry; `false` if another was faster.
    async fn keep_ahead(&self, acts: Vec<Act>) -> Result<bool, ReplayError> {
        match self.keeper().keep(acts, true).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(ReplayError::state(self.run)(error)),
        }
    }

    /// Enqueues what comes behind a refused step, and completes it: in this
    /// order, so that the run is never without work before its end.
    async fn pass_on(&self, claim: &Claim, number: usize) -> Result<bool, ReplayError> {
        let (queue, caller) = (self.engine.queue(), queue_caller(self.caller));
        let next = order(number + 1).map_err(ReplayError::Queue)?;
        let enqueued = queue.enqueue(&caller, &claim.session, vec![next], Under::NOTHING);
        enqueued.await.map_err(ReplayError::Queue)?;
        self.complete(claim).await
    }

    async fn end(&self, claim: &Claim, mut script: Script<'_>) -> Result<Done, ReplayError> {
        let kept = self.keep_ahead(script.rest()).await?;
        Ok(if kept && self.complete(claim).await? {
            Done::Run
        } else {
            Done::Lost
        })
    }

    /// Completes a claim; `false` if it was lost.
    async fn complete(&self, claim: &Claim) -> Result<bool, ReplayError> {
        let (queue, caller) = (self.engine.queue(), queue_caller(self.caller));
        let settled = queue.settle(&caller, &claim.session, claim.completed(), Under::NOTHING);
        match settled.await {
            Ok(_) => Ok(true),
            Err(QueueError::ClaimExpired | QueueError::NotFound { .. }) => Ok(false),
            Err(error) => Err(ReplayError::Queue(error)),
        }
    }

    /// Whether the run's last piece of work was done: its state is as it is at
    /// the end, and nothing is queued.
    pub(crate) async fn is_over(&self) -> Result<bool, ReplayError> {
        let (queue, caller) = (self.engine.queue(), queue_caller(self.caller));
        let counts = queue.counts(&caller, &self.names.session).await;
        let counts = counts.map_err(ReplayError::Queue)?;
        if counts.dead > 0 {
            let session = self.names.session.clone();
            return Err(ReplayError::Differs(Difference::Work(session)));
        }
        if counts.pending + counts.claimed > 0 || !self.exists().await? {
            return Ok(false);
        }
        let mut script = self.script();
        for (number, outcome) in (1..).zip(self.found().await?) {
            if outcome == Outcome::Allowed {
                script.step(number);
            }
        }
        script.rest();
        let last = script.tracks()[0].revision;
        let revision = self.keeper().revision(&self.names.session).await;
        Ok(revision.map_err(ReplayError::state(self.run))? == last)
    }

    /// What the run came to, read back.
    pub(crate) async fn summary(&self) -> Result<RunReport, ReplayError> {
        let mut report = self.blank_report();
        let mut script = self.script();
        let mut kept = Kept::default();
        for (number, outcome) in (1..).zip(self.found().await?) {
            report.count(outcome, false);
            if outcome == Outcome::Allowed {
                kept.count(&script.step(number));
            }
        }
        kept.count(&script.rest());
        report.keep(kept);
        Ok(report)
    }
}

/// Whether a turn was not made because somebody else has gone on, or may have
/// been made: its claim tells.
fn is_lost(error: &TurnError) -> bool {
    let ended = matches!(
        error,
        TurnError::Queue(QueueError::ClaimExpired | QueueError::NotFound { .. }) | TurnError::Busy
    );
    let overtaken =
        matches!(error, TurnError::State(source) if source.code() == "head_revision_conflict");
    ended || overtaken || error.kind() == ErrorKind::Indeterminate
}
