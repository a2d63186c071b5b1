//! The driver: a session for every run, a durable use for every tool call.
//!
//! What is stored at the end depends on the recording, the caller and the
//! restrictions only:
//!
//! 1. Sessions are created in the recording's order, one after the other, and
//!    closed likewise once all runs were played: the records of their agents
//!    then change in one order. Between, runs may be played at a time,
//!    because they share nothing.
//! 2. Every change has an operation id, so doing it again changes nothing.
//! 3. Ids and times come from [`RunEnv`].

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use windlass::core::{Coded, Env, ErrorKind};
use windlass::session::{Agent, Caller, Config, Create, SessionError, Sessions, Use, limits};
use windlass::{Options, SystemEnv, Windlass};

use crate::entries::stored_bytes;
use crate::failure::ReplayError;
use crate::limits::JOBS_DEFAULT;
use crate::model::{Recording, Run};
use crate::names::{Names, RunEnv};
use crate::observe::{Observer, Outcome, StepDone};
use crate::report::{Report, RunReport, percentile_ms, refused};
use crate::restrict::Restrictions;
use crate::standing::Standing;

/// How a replay is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayOptions {
    /// What sessions are denied.
    pub restrictions: Restrictions,
    /// Runs played at a time: at least 1. Changes how long it takes, not what
    /// comes of it.
    pub jobs: usize,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            restrictions: Restrictions::default(),
            jobs: JOBS_DEFAULT,
        }
    }
}

/// A recording and where it is played into.
#[derive(Clone, Copy, Debug)]
pub struct Replay<'a> {
    /// Where to.
    pub windlass: &'a Windlass,
    /// Whose sessions they become.
    pub caller: &'a Caller,
    /// What is played.
    pub recording: &'a Recording,
    /// How.
    pub options: &'a ReplayOptions,
}

impl Replay<'_> {
    /// Plays every run to its end.
    ///
    /// On a store where the same was begun before it goes on from there: what
    /// was done is found in the sessions' histories and not done again.
    /// Dropping the future, or the end of the process, leaves such a store.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]. A refusal that the record demands is none.
    pub async fn run(&self, observer: &dyn Observer) -> Result<Report, ReplayError> {
        let runs = &self.recording.runs;
        for run in runs {
            self.stage(run)?.create().await?;
        }
        let played = stream::iter(runs).map(|run| async { self.stage(run)?.play(observer).await });
        let played: Vec<_> = played
            .buffered(self.options.jobs.max(1))
            .try_collect()
            .await?;
        for run in runs {
            self.stage(run)?.close().await?;
        }
        self.report(played).await
    }

    fn stage<'s>(&'s self, run: &'s Run) -> Result<Stage<'s>, ReplayError> {
        let env = Arc::new(RunEnv::new(run));
        let (store, shared) = (Arc::clone(self.windlass.store()), Arc::clone(&env));
        let engine = Windlass::over(store, &one_session(), shared).map_err(ReplayError::Engine)?;
        let restrictions = &self.options.restrictions;
        let names = Names::new(run);
        Ok(Stage {
            caller: self.caller,
            run,
            restrictions,
            names,
            env,
            engine,
        })
    }

    async fn report(&self, played: Vec<(RunReport, Vec<Duration>)>) -> Result<Report, ReplayError> {
        let (by_run, times): (Vec<_>, Vec<_>) = played.into_iter().unzip();
        let mut times = times.concat();
        times.sort_unstable();
        let sum = |figure: fn(&RunReport) -> u64| by_run.iter().map(figure).sum();
        Ok(Report {
            runs: sum(|_| 1),
            steps: sum(|run| run.steps),
            uses_allowed: sum(|run| run.allowed),
            uses_refused: refused(&by_run),
            steps_found: sum(|run| run.found),
            step_ms_p50: percentile_ms(&times, 50),
            step_ms_p99: percentile_ms(&times, 99),
            stored_bytes: stored_bytes(self.windlass, &self.caller.tenant).await?,
            full_snapshot_bytes: self.recording.full_snapshot_bytes(),
            distinct_message_bytes: self.recording.distinct_message_bytes(),
            by_run,
        })
    }
}

/// Settings of an engine that sees a single session.
fn one_session() -> Options {
    let sessions = Config {
        cached_sessions: 1,
        ..Config::default()
    };
    Options {
        sessions,
        ..Options::default()
    }
}

/// One run and the engine that plays it, in the run's own time.
struct Stage<'a> {
    caller: &'a Caller,
    run: &'a Run,
    restrictions: &'a Restrictions,
    names: Names,
    env: Arc<RunEnv>,
    engine: Windlass,
}

impl Stage<'_> {
    fn sessions(&self) -> &Sessions {
        self.engine.sessions()
    }

    fn failed(&self, verb: &'static str) -> impl FnOnce(SessionError) -> ReplayError {
        let run = self.run.id();
        move |source| ReplayError::Session { verb, run, source }
    }

    async fn create(&self) -> Result<(), ReplayError> {
        let run = self.run;
        let mut request = Create::new(run.agent.clone(), format!("replay of {}", run.id()));
        request.id = Some(self.names.session.clone());
        request.tools = self.restrictions.tools(run);
        request.budget.calls = self.restrictions.calls(run);
        request.time_limit_ms = limits::TIME_LIMIT_MS_MAX;
        request.operation = Some(self.names.create());
        self.env.enter(0);
        match self.sessions().create(self.caller, request).await {
            Ok(_) => Ok(()),
            Err(SessionError::OperationConflict) => Err(ReplayError::Otherwise { run: run.id() }),
            Err(error) => Err(self.failed("create")(error)),
        }
    }

    async fn close(&self) -> Result<(), ReplayError> {
        self.env.enter(self.run.steps.len() + 1);
        let operation = Some(self.names.close());
        let closed = self
            .sessions()
            .close(self.caller, &self.names.session, operation)
            .await;
        closed.map(|_| ()).map_err(self.failed("close"))
    }

    /// Plays the steps that were not done before, and counts all.
    async fn play(
        &self,
        observer: &dyn Observer,
    ) -> Result<(RunReport, Vec<Duration>), ReplayError> {
        let standing = Standing::read(self.sessions(), self.caller, &self.names).await;
        let found = standing
            .map_err(self.failed("read"))?
            .outcomes(self.run.steps.len());
        let mut report = self.blank_report();
        let mut times = Vec::with_capacity(self.run.steps.len() - found.len());
        for number in 1..=self.run.steps.len() {
            let known = found.get(number - 1).copied();
            let outcome = match known {
                Some(outcome) => outcome,
                None => self.step(number, &mut times).await?,
            };
            report.count(outcome, known.is_some());
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
        Ok((report, times))
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

    fn blank_report(&self) -> RunReport {
        RunReport {
            source: self.run.source.name.clone(),
            run: self.run.key.clone(),
            session: self.names.session.clone(),
            agent: self.run.agent.clone(),
            budget: self.restrictions.calls(self.run),
            withheld: self
                .restrictions
                .withheld(self.run)
                .map(ToString::to_string),
            steps: 0,
            found: 0,
            allowed: 0,
            refused: Default::default(),
        }
    }
}
