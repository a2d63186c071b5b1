//! One step of a run as a worker does it.

use windlass::TurnError;
use windlass::core::{Coded, ErrorKind};
use windlass::queue::{Claim, QueueError, Under};
use windlass::session::Use;

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
        let mut script = self.script_after(&found[..found.len().min(number - 1)]);
        if number > self.run.steps.len() {
            return self.end(claim, script).await;
        }
        let known = found.get(number - 1).copied();
        let mut acts = script.step(number);
        // Whoever had it before may have died between two of its turns.
        let revision = self.keeper().revision(&self.names.session).await;
        let revision = revision.map_err(ReplayError::state(self.run))?;
        acts.retain(|act| act.revision() > revision);
        match known {
            None => {
                let request = Some(self.request(number));
                self.make(claim, number, request, acts).await
            }
            Some(Outcome::Allowed) if !acts.is_empty() => {
                self.make(claim, number, None, acts).await
            }
            // Handed out once more, long after it was done.
            Some(_) => {
                self.pass_on(claim, number).await?;
                Ok(Done::Lost)
            }
        }
    }

    /// Makes what is left of a step, which forks nothing: as a rule one turn,
    /// more if it has more commits. The use travels with the first, so that a
    /// step that is refused leaves nothing, and the work with the last.
    async fn make(
        &self,
        claim: &Claim,
        number: usize,
        mut request: Option<Use>,
        acts: Vec<Act>,
    ) -> Result<Done, ReplayError> {
        let session = &self.names.session;
        let mut acts = acts.into_iter().peekable();
        while let Some(Act::Commit { changes, .. }) = acts.next() {
            let mut turn = self.engine.turn(self.caller, session).state(*changes);
            if let Some(request) = request.take() {
                turn = turn.uses(request);
            }
            if acts.peek().is_none() {
                let next = order(number + 1).map_err(ReplayError::Queue)?;
                turn = turn.complete(claim).enqueue(session.clone(), next);
            }
            match turn.commit().await {
                Ok(_) => {}
                Err(TurnError::Session(error)) if error.kind() == ErrorKind::Refused => {
                    return self.refuse(claim, number, error.code()).await;
                }
                Err(error) if is_lost(&error) => return Ok(Done::Lost),
                Err(source) => {
                    let run = self.run.id();
                    return Err(ReplayError::Turn { run, source });
                }
            }
        }
        Ok(Done::Step(Outcome::Allowed))
    }

    async fn refuse(
        &self,
        claim: &Claim,
        number: usize,
        code: &'static str,
    ) -> Result<Done, ReplayError> {
        let passed = self.pass_on(claim, number).await?;
        Ok(if passed {
            Done::Step(Outcome::Refused(code))
        } else {
            Done::Lost
        })
    }

    /// Commits what was said besides; `false` if another was faster.
    async fn keep_rest(&self, acts: Vec<Act>) -> Result<bool, ReplayError> {
        match self.keeper().keep(1, acts).await {
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
        let kept = self.keep_rest(script.rest()).await?;
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
        let mut script = self.script_after(&self.found().await?);
        script.rest();
        let last = script.tracks()[0].revision;
        let revision = self.keeper().revision(&self.names.session).await;
        Ok(revision.map_err(ReplayError::state(self.run))? == last)
    }

    /// What the run came to, read back.
    pub(crate) async fn summary(&self) -> Result<RunReport, ReplayError> {
        let mut report = self.blank_report();
        let mut script = self.script();
        for (number, outcome) in (1..).zip(self.found().await?) {
            report.count(outcome, false);
            if outcome == Outcome::Allowed {
                report.keep(Kept::of(&script.step(number)));
            }
        }
        report.keep(Kept::of(&script.rest()));
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
