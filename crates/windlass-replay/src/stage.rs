//! One run and the engine that plays it, in the run's own time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use windlass::core::{Coded, Env, ErrorKind};
use windlass::session::{
    Agent, Caller, Config, Create, Delegate, SessionError, Sessions, Use, limits,
};
use windlass::{Options, SystemEnv, Windlass, checkpoint};

use crate::failure::ReplayError;
use crate::grant::Grant;
use crate::keeping::{Keeper, Kept};
use crate::model::Run;
use crate::names::{Names, RunEnv};
use crate::observe::{Observer, Outcome, StepDone};
use crate::replay::ReplayOptions;
use crate::report::RunReport;
use crate::script::{Act, Commits, Script};
use crate::standing::Standing;
use crate::stashing::{Shelf, Stashed, roomy};
use crate::verify::Difference;

/// A run while it is played.
pub(crate) struct Stage<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) run: &'a Run,
    grant: &'a Grant<'a>,
    commits: Commits,
    /// Whether its steps are done by workers.
    queued: bool,
    pub(crate) names: Names,
    env: Arc<RunEnv>,
    pub(crate) engine: Windlass,
}

/// States of one run whose heads are remembered: a search goes back and forth
/// between a few.
const STATES: usize = 4;

/// Settings of an engine that sees a single session.
fn one_session(options: &ReplayOptions) -> Options {
    let checkpoints = checkpoint::Config {
        cached_states: STATES,
        compression: options.compression,
        ..checkpoint::Config::default()
    };
    let sessions = Config {
        cached_sessions: 1,
        ..Config::default()
    };
    Options {
        sessions,
        stashes: roomy(),
        checkpoints,
        ..Options::default()
    }
}

impl<'a> Stage<'a> {
    /// A stage over the store of `windlass`.
    pub(crate) fn new(
        windlass: &Windlass,
        caller: &'a Caller,
        run: &'a Run,
        grant: &'a Grant<'a>,
        options: &ReplayOptions,
    ) -> Result<Self, ReplayError> {
        let queued = options.crew.is_some();
        let env = Arc::new(if queued {
            RunEnv::real(run)
        } else {
            RunEnv::new(run, grant.begins, grant.ends)
        });
        let (store, shared) = (Arc::clone(windlass.store()), Arc::clone(&env));
        let engine = Windlass::over(store, &one_session(options), shared);
        let engine = engine.map_err(ReplayError::Engine)?;
        Ok(Self {
            caller,
            run,
            grant,
            commits: options.commits,
            queued,
            names: Names::new(run),
            env,
            engine,
        })
    }

    fn sessions(&self) -> &Sessions {
        self.engine.sessions()
    }

    fn failed(&self, verb: &'static str) -> impl FnOnce(SessionError) -> ReplayError {
        let run = self.run.id();
        move |source| ReplayError::Session { verb, run, source }
    }

    /// Makes the run's session: within that of `parent`, if another run
    /// delegated to it. All of a tree begin together, so that none makes time
    /// go on for the one above it.
    pub(crate) async fn create(&self, parent: Option<&Run>) -> Result<(), ReplayError> {
        self.env.enter(0);
        let (sessions, request) = (self.sessions(), self.request());
        let created = match parent {
            None => sessions.create(self.caller, request).await,
            Some(parent) => {
                let above = Names::new(parent).session;
                let mut delegation = Delegate::new(Agent::Is(parent.agent.clone()), request);
                delegation.ends_with_parent = true;
                sessions.delegate(self.caller, &above, delegation).await
            }
        };
        match created {
            Ok(_) => Ok(()),
            Err(SessionError::OperationConflict) => {
                Err(ReplayError::Otherwise { run: self.run.id() })
            }
            Err(error) => Err(self.failed("create")(error)),
        }
    }

    fn request(&self) -> Create {
        let run = self.run;
        // Another granularity is another replay, and refused as one.
        let how = match self.commits {
            Commits::Step => "",
            Commits::Message => ", a commit per message",
        };
        let who = if self.queued { ", by workers" } else { "" };
        let intent = format!("replay of {}{how}{who}", run.id());
        let mut request = Create::new(run.agent.clone(), intent);
        request.id = Some(self.names.session.clone());
        request.tools = self.grant.tools.clone();
        request.budget.calls = self.grant.calls + self.grant.calls_below;
        request.time_limit_ms = limits::TIME_LIMIT_MS_MAX;
        request.operation = Some(self.names.create());
        request
    }

    /// Closes the run's session and all below it.
    pub(crate) async fn close(&self) -> Result<(), ReplayError> {
        self.env.enter(self.run.steps.len() + 1);
        let operation = Some(self.names.close());
        let closed = self
            .sessions()
            .close(self.caller, &self.names.session, operation)
            .await;
        closed.map(|_| ()).map_err(self.failed("close"))
    }

    /// Plays the steps that were not done before, and counts all.
    pub(crate) async fn play(
        &self,
        observer: &dyn Observer,
    ) -> Result<(RunReport, Vec<Duration>), ReplayError> {
        let found = self.found().await?;
        let mut report = self.blank_report();
        let mut times = Vec::with_capacity(self.run.steps.len() - found.len());
        let shelf = Shelf::new(&self.engine, self.caller, &self.names, self.run);
        let mut script = self.script();
        let last = found
            .iter()
            .rposition(|outcome| *outcome == Outcome::Allowed);
        let mut allowed = Vec::with_capacity(self.run.steps.len());
        for number in 1..=self.run.steps.len() {
            let known = found.get(number - 1).copied();
            let outcome = match known {
                Some(outcome) => outcome,
                None => self.step(number, &mut times).await?,
            };
            report.count(outcome, known.is_some());
            allowed.push(outcome == Outcome::Allowed);
            if outcome == Outcome::Allowed {
                let found = known.map(|_| last == Some(number - 1));
                report.stash(self.stash(&shelf, number, &allowed, found).await?);
                let acts = script.step(number);
                report.keep(self.keep(number, acts, found).await?);
            }
            let done = StepDone {
                run: self.run,
                number,
                outcome,
                found: known.is_some(),
            };
            if let ControlFlow::Break(()) = observer.step(&done) {
                return Err(ReplayError::Stopped);
            }
        }
        // Whether an earlier replay came as far as this nobody knows: a run of
        // nothing but refusals leaves no trace before.
        let rest = self.keep(self.run.steps.len() + 1, script.rest(), Some(true));
        report.keep(rest.await?);
        Ok((report, times))
    }

    /// The states of the run before its first step.
    pub(crate) fn script(&self) -> Script<'_> {
        let script = Script::new(self.run, &self.names, self.commits);
        // A turn is of one session, so its state cannot be a fork's.
        if self.queued {
            script.unforked()
        } else {
            script
        }
    }

    /// The outcomes of the steps that an earlier replay had done.
    pub(crate) async fn found(&self) -> Result<Vec<Outcome>, ReplayError> {
        Ok(self.standing().await?.outcomes(self.run.steps.len()))
    }

    /// Whether the run has a session.
    pub(crate) async fn exists(&self) -> Result<bool, ReplayError> {
        let found = self.sessions().get(self.caller, &self.names.session).await;
        Ok(found.map_err(self.failed("read"))?.is_some())
    }

    pub(crate) async fn standing(&self) -> Result<Standing, ReplayError> {
        let budget = usize::try_from(self.grant.calls).unwrap_or(usize::MAX);
        let standing = Standing::read(self.sessions(), self.caller, &self.names, budget).await;
        standing.map_err(self.failed("read"))
    }

    async fn step(&self, number: usize, times: &mut Vec<Duration>) -> Result<Outcome, ReplayError> {
        self.env.enter(number);
        let tool = self.run.steps[number - 1].tool.clone();
        let mut request = Use::one(Agent::Is(self.run.agent.clone()), tool);
        request.operation = Some(self.names.step(number));
        let clock = SystemEnv::new();
        let answer = self
            .sessions()
            .use_tools(self.caller, &self.names.session, request)
            .await;
        times.push(clock.monotonic());
        match answer {
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

    pub(crate) fn keeper(&self) -> Keeper<'_> {
        let (tenant, principal) = (&self.caller.tenant, &self.caller.principal);
        Keeper {
            checkpoints: self.engine.checkpoints(),
            caller: checkpoint::Caller::new(tenant.clone(), principal.clone()),
            env: &self.env,
        }
    }

    /// Sees to it that the states are what they become by an authorised step.
    /// For one that was `found`, whether it is the last that was.
    async fn keep(
        &self,
        number: usize,
        acts: Vec<Act>,
        found: Option<bool>,
    ) -> Result<Kept, ReplayError> {
        let mut kept = Kept::default();
        kept.count(&acts);
        if found != Some(false) {
            self.env.enter(number);
            let keeper = self.keeper();
            let done = keeper.keep(acts, found.is_some()).await;
            done.map_err(ReplayError::state(self.run))?;
        }
        Ok(kept)
    }

    /// Compares every state of the run with the recording: after each step,
    /// and at the end. Answers how many revisions were compared.
    pub(crate) async fn verify(&self) -> Result<u64, ReplayError> {
        let keeper = self.keeper();
        let mut script = self.script();
        let mut count = 0;
        for (number, outcome) in (1..).zip(self.found().await?) {
            if outcome == Outcome::Allowed {
                script.step(number);
                let difference = keeper.after_step(self.run, &script, number).await;
                self.same(difference)?;
                count += 1;
            }
        }
        script.rest();
        for track in script.tracks() {
            self.same(keeper.at_the_end(self.run, track).await)?;
            count += 1;
        }
        Ok(count)
    }

    fn same(
        &self,
        difference: Result<Option<Difference>, checkpoint::CheckpointError>,
    ) -> Result<(), ReplayError> {
        match difference.map_err(ReplayError::state(self.run))? {
            Some(difference) => Err(ReplayError::Differs(difference)),
            None => Ok(()),
        }
    }

    pub(crate) fn blank_report(&self) -> RunReport {
        RunReport {
            source: self.run.source.name.clone(),
            run: self.run.key.clone(),
            parent: self.run.parent.as_ref().map(|parent| parent.key.clone()),
            session: self.names.session.clone(),
            agent: self.run.agent.clone(),
            budget: self.grant.calls,
            withheld: self.grant.withheld.map(ToString::to_string),
            steps: 0,
            found: 0,
            allowed: 0,
            refused: Default::default(),
            stash_puts: 0,
            stash_bytes: 0,
            commits: 0,
            forks: 0,
            nodes: 0,
        }
    }
}
