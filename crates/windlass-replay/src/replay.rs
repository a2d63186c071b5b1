//! The driver: a session for every run, delegated where the run was, and for
//! every tool call a turn: a durable use and a commit of the run's state.
//!
//! What is stored at the end depends on the recording, the caller and the
//! restrictions only:
//!
//! 1. Sessions are created in the recording's order, one after the other, and
//!    closed likewise once all runs were played, each with all that was
//!    delegated from it: the records of their agents then change in one order.
//!    Between, runs may be played at a time, because they share nothing: what
//!    a delegated run may spend was set aside when its session was made.
//! 2. Every change has an operation id, or expects a revision that follows
//!    from the recording, so doing it again changes nothing.
//! 3. Ids and times come from [`RunEnv`](crate::names::RunEnv).

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use windlass::Windlass;
use windlass::checkpoint::Compression;
use windlass::session::Caller;

use crate::crew::Crew;
use crate::entries::Stored;
use crate::failure::ReplayError;
use crate::grant::Grant;
use crate::limits::JOBS_DEFAULT;
use crate::model::Recording;
use crate::observe::Observer;
use crate::output::Outputs;
use crate::report::{Report, RunReport, percentile_ms, refused};
use crate::restrict::Restrictions;
use crate::script::Commits;
use crate::stage::Stage;

/// How a replay is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayOptions {
    /// What sessions are denied.
    pub restrictions: Restrictions,
    /// Runs played at a time: at least 1. Changes how long it takes, not what
    /// comes of it.
    pub jobs: usize,
    /// How much of a run one commit of its state holds.
    pub commits: Commits,
    /// What of the states is compressed. Changes how they are stored, not
    /// what they hold.
    pub compression: Compression,
    /// What the outputs are that become streams.
    pub outputs: Outputs,
    /// Lets steps travel as queued work, in real time, done by workers. Their
    /// outputs are not stashed then, since no turn carries them, and a search
    /// that goes back branches its graph instead of being forked.
    pub crew: Option<Crew>,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            restrictions: Restrictions::default(),
            jobs: JOBS_DEFAULT,
            commits: Commits::default(),
            compression: Compression::default(),
            outputs: Outputs::default(),
            crew: None,
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
    /// was done is found in the runs' states and not done again.
    /// Dropping the future, or the end of the process, leaves such a store.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]. A refusal that the record demands is none.
    pub async fn run(&self, observer: &dyn Observer) -> Result<Report, ReplayError> {
        if let Some(crew) = &self.options.crew {
            return self.run_crew(crew, observer).await;
        }
        let grants = &self.options.restrictions.grants(self.recording);
        self.create(grants).await?;
        let played = stream::iter(0..grants.len())
            .map(|place| async move { self.stage(grants, place)?.play(observer).await })
            .buffered(self.options.jobs.max(1));
        let played: Vec<_> = played.try_collect().await?;
        self.close(grants).await?;
        self.report(played).await
    }

    /// Makes the sessions of all runs.
    pub(crate) async fn create(&self, grants: &[Grant<'_>]) -> Result<(), ReplayError> {
        for (place, grant) in grants.iter().enumerate() {
            let parent = grant.parent.map(|parent| &self.recording.runs[parent]);
            self.stage(grants, place)?.create(parent).await?;
        }
        Ok(())
    }

    /// Closes them. Closing a session closes all below it, so that a tree is
    /// over at once: no run can come to use what another one left.
    pub(crate) async fn close(&self, grants: &[Grant<'_>]) -> Result<(), ReplayError> {
        for (place, grant) in grants.iter().enumerate() {
            if grant.parent.is_none() {
                self.stage(grants, place)?.close().await?;
            }
        }
        Ok(())
    }

    /// Compares the states of all runs with the recording.
    pub(crate) async fn verify_states(&self) -> Result<u64, ReplayError> {
        let grants = &self.options.restrictions.grants(self.recording);
        let mut count = 0;
        for place in 0..grants.len() {
            count += self.stage(grants, place)?.verify().await?;
        }
        Ok(count)
    }

    /// Sees to it that the outputs of all runs are closed.
    pub(crate) async fn verify_ends(&self) -> Result<(), ReplayError> {
        let grants = &self.options.restrictions.grants(self.recording);
        for place in 0..grants.len() {
            let stage = self.stage(grants, place)?;
            stage.verify_end(&stage.found().await?).await?;
        }
        Ok(())
    }

    /// Compares the outputs of all runs with the recording, and counts their
    /// rows.
    pub(crate) async fn verify_outputs(&self) -> Result<u64, ReplayError> {
        let grants = &self.options.restrictions.grants(self.recording);
        let mut count = 0;
        for place in 0..grants.len() {
            let stage = self.stage(grants, place)?;
            let outcomes = stage.found().await?;
            count += stage.verify_output(&outcomes).await?;
        }
        Ok(count)
    }

    pub(crate) fn stage<'s>(
        &'s self,
        grants: &'s [Grant<'s>],
        place: usize,
    ) -> Result<Stage<'s>, ReplayError> {
        let run = &self.recording.runs[place];
        let grant = &grants[place];
        Stage::new(self.windlass, self.caller, run, grant, self.options)
    }

    pub(crate) async fn report(
        &self,
        played: Vec<(RunReport, Vec<Duration>)>,
    ) -> Result<Report, ReplayError> {
        let (by_run, times): (Vec<_>, Vec<_>) = played.into_iter().unzip();
        let mut times = times.concat();
        times.sort_unstable();
        let stored = Stored::of(self.windlass, &self.caller.tenant).await?;
        let sum = |figure: fn(&RunReport) -> u64| by_run.iter().map(figure).sum();
        Ok(Report {
            runs: sum(|_| 1),
            steps: sum(|run| run.steps),
            uses_allowed: sum(|run| run.allowed),
            uses_refused: refused(&by_run),
            steps_found: sum(|run| run.found),
            step_ms_p50: percentile_ms(&times, 50),
            step_ms_p99: percentile_ms(&times, 99),
            stash_puts: sum(|run| run.stash_puts),
            stash_bytes: sum(|run| run.stash_bytes),
            commits: sum(|run| run.commits),
            forks: sum(|run| run.forks),
            nodes: sum(|run| run.nodes),
            rows: sum(|run| run.rows),
            row_bytes: sum(|run| run.row_bytes),
            blobs: stored.blobs,
            state_bytes: stored.state_bytes,
            stored_bytes: stored.bytes,
            full_snapshot_bytes: self.recording.full_snapshot_bytes(),
            distinct_message_bytes: self.recording.distinct_message_bytes(),
            by_run,
        })
    }
}
