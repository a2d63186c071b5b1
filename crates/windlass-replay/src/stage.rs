//! One run and the engine that plays it, in the run's own time.

use std::sync::Arc;

use windlass::session::{Agent, Caller, Config, Create, Delegate, SessionError, Sessions, limits};
use windlass::{Options, Windlass, checkpoint};

use crate::failure::ReplayError;
use crate::grant::Grant;
use crate::keeping::Keeper;
use crate::model::Run;
use crate::names::{Names, RunEnv};
use crate::observe::Outcome;
use crate::output::{Outputs, patient};
use crate::replay::ReplayOptions;
use crate::report::RunReport;
use crate::script::{Commits, Script};
use crate::standing::{History, Standing};
use crate::stashing::roomy;
use crate::verify::Difference;

/// A run while it is played.
pub(crate) struct Stage<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) run: &'a Run,
    grant: &'a Grant<'a>,
    commits: Commits,
    pub(crate) outputs: Outputs,
    /// Whether its steps are done by workers.
    queued: bool,
    pub(crate) names: Names,
    pub(crate) env: Arc<RunEnv>,
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
        streams: patient(),
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
            outputs: options.outputs,
            queued,
            names: Names::new(run),
            env,
            engine,
        })
    }

    fn sessions(&self) -> &Sessions {
        self.engine.sessions()
    }

    pub(crate) fn failed(&self, verb: &'static str) -> impl FnOnce(SessionError) -> ReplayError {
        let run = self.run.id();
        move |source| ReplayError::Session { verb, run, source }
    }

    /// Makes the run's session: within that of `parent`, if another run
    /// delegated to it. All of a tree begin together, so that none makes time
    /// go on for the one above it.
    pub(crate) async fn create(&self, parent: Option<&Run>) -> Result<(), ReplayError> {
        self.env.enter(0);
        let (sessions, request) = (self.sessions(), self.creation());
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

    fn creation(&self) -> Create {
        let run = self.run;
        // What leaves something else is another replay, and refused as one.
        let how = match self.commits {
            Commits::Step => "",
            Commits::Message => ", a commit per message",
        };
        let who = if self.queued { ", by workers" } else { "" };
        let rows = match self.outputs {
            Outputs::Recorded => "",
            Outputs::Steps => ", a row per step",
        };
        let intent = format!("replay of {}{how}{who}{rows}", run.id());
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
        Ok(self.standing().await?.outcomes())
    }

    /// Whether the run has a session.
    pub(crate) async fn exists(&self) -> Result<bool, ReplayError> {
        let found = self.sessions().get(self.caller, &self.names.session).await;
        Ok(found.map_err(self.failed("read"))?.is_some())
    }

    /// How far the run has come.
    pub(crate) async fn standing(&self) -> Result<Standing<'_>, ReplayError> {
        let history = History::read(self.sessions(), self.caller, &self.names).await;
        let history = history.map_err(self.failed("read"))?;
        let counted = self.keeper().counted(&self.names.session).await;
        let (revision, turns) = counted.map_err(ReplayError::state(self.run))?;
        let standing = Standing::new(self.run, self.grant, turns, history);
        let played = self.script_after(&standing.outcomes());
        Ok(standing.ending(revision > played.tracks()[0].revision))
    }

    /// The states of the run after its first steps, which had these outcomes.
    pub(crate) fn script_after(&self, outcomes: &[Outcome]) -> Script<'_> {
        let mut script = self.script();
        for (number, outcome) in (1..).zip(outcomes) {
            if *outcome == Outcome::Allowed {
                script.step(number);
            }
        }
        script
    }

    pub(crate) fn keeper(&self) -> Keeper<'_> {
        let (tenant, principal) = (&self.caller.tenant, &self.caller.principal);
        Keeper {
            checkpoints: self.engine.checkpoints(),
            caller: checkpoint::Caller::new(tenant.clone(), principal.clone()),
            env: &self.env,
        }
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
            rows: 0,
            row_bytes: 0,
        }
    }
}
