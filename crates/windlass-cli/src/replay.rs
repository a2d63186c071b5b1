//! `windlass replay`: drives the engine with recorded agent runs.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use windlass::core::AgentId;
use windlass_replay::{
    Arrivals, Commits, Crew, Format, Observer, Outputs, Percent, ReadOptions, Recording, Replay,
    ReplayError, ReplayOptions, Report, Restrictions, RunReport, StepDone, Verified, Withhold,
    limits,
};

use crate::context::Context;
use crate::failure::Failure;
use crate::live::{self, LiveArgs};
use crate::output::Output;
use crate::table;

/// Drives the engine with recorded agent runs.
///
/// Every run becomes a session, every tool call a turn: a durable use and a
/// commit of the run's state in one. A replay that was interrupted goes on
/// where it was when it is started again on the same store.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// The recording: a file, or a directory of files; compressed with
    /// Zstandard or not
    path: PathBuf,
    /// The format of every file, instead of judging each by its content
    #[arg(long, value_parser = format())]
    format: Option<Format>,
    /// The agent of runs whose record names none
    #[arg(long, value_name = "ID")]
    agent: Option<AgentId>,
    /// A tool that no session may call: `most-used` for the one that each run
    /// calls most often, or a name
    #[arg(long, value_name = "TOOL")]
    withhold_tool: Option<Withhold>,
    /// Let each session make so many percent of its run's calls, rounded
    /// down, at least 1
    #[arg(long, value_name = "PERCENT")]
    calls_percent: Option<Percent>,
    /// How much of a run one commit of its state holds
    #[arg(long, value_name = "WHAT", default_value = "step", value_parser = commits())]
    commits: Commits,
    /// What becomes a stream: outputs that were `recorded` as such, or also a
    /// row for each of the `steps`
    #[arg(long, value_name = "WHAT", default_value = "recorded", value_parser = outputs())]
    outputs: Outputs,
    #[command(flatten)]
    crew: CrewArgs,
    #[command(flatten)]
    live: LiveArgs,
    /// Runs played at a time
    #[arg(long, value_name = "N", default_value_t = default_jobs(), value_parser = jobs())]
    jobs: u64,
    /// Print each step as soon as its outcome is durable
    #[arg(long)]
    trace: bool,
    /// Report each run before the whole
    #[arg(long)]
    runs: bool,
    /// Compare the store with an uninterrupted replay in memory; exit code 1
    /// if they differ
    #[arg(long)]
    verify: bool,
}

/// Steps as queued work.
#[derive(Args, Debug)]
struct CrewArgs {
    /// Let the steps travel as queued work, done by so many workers, in real
    /// time
    #[arg(long, value_name = "N", value_parser = jobs(), conflicts_with = "jobs")]
    workers: Option<u64>,
    /// Only work, beside a replay of the same in another process, until that
    /// has nothing left to do
    #[arg(long, requires = "workers", conflicts_with = "verify")]
    worker: bool,
    /// How long a step may take before it is handed out again
    #[arg(long, value_name = "MS", default_value_t = limits::CLAIM_MS_DEFAULT, value_parser = milliseconds())]
    claim_ms: u64,
    /// Let runs begin as the requests of this trace arrived, a table whose
    /// first column is the time
    #[arg(long, value_name = "FILE", requires = "workers")]
    arrivals: Option<PathBuf>,
    /// How many times faster they arrive
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    compress: u64,
}

impl CrewArgs {
    fn crew(&self) -> Result<Option<Crew>, Failure> {
        let Some(workers) = self.workers else {
            return Ok(None);
        };
        let arrivals = self.arrivals.as_deref();
        let arrivals = arrivals.map(|path| Arrivals::read(path, self.compress));
        Ok(Some(Crew {
            workers: usize::try_from(workers).unwrap_or(limits::JOBS_MAX),
            claim_ms: self.claim_ms,
            arrivals: arrivals.transpose()?,
        }))
    }
}

/// As long as a claim may last.
fn milliseconds() -> ValueParser {
    clap::value_parser!(u64)
        .range(1..=limits::CLAIM_MS_MAX)
        .into()
}

/// Understands the formats, and lists them in the help.
fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::as_str))
        .map(|text| text.parse().expect("only spelled formats are let through"))
}

/// Understands how much a commit holds.
fn commits() -> impl TypedValueParser<Value = Commits> {
    PossibleValuesParser::new(["message", "step"]).map(|text| match text.as_str() {
        "message" => Commits::Message,
        _ => Commits::Step,
    })
}

/// Understands what the outputs are.
fn outputs() -> impl TypedValueParser<Value = Outputs> {
    PossibleValuesParser::new(["recorded", "steps"]).map(|text| match text.as_str() {
        "steps" => Outputs::Steps,
        _ => Outputs::Recorded,
    })
}

fn default_jobs() -> u64 {
    count(limits::JOBS_DEFAULT)
}

fn jobs() -> ValueParser {
    clap::value_parser!(u64)
        .range(1..=count(limits::JOBS_MAX))
        .into()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl ReplayArgs {
    /// Whether it goes on until it is told to stop.
    pub(crate) const fn serves(&self) -> bool {
        self.live.is_live()
    }

    fn reading(&self) -> ReadOptions {
        ReadOptions {
            format: self.format,
            agent: self.agent.clone(),
        }
    }

    fn options(&self) -> Result<ReplayOptions, Failure> {
        let restrictions = Restrictions {
            withhold: self.withhold_tool.clone(),
            calls_percent: self.calls_percent,
        };
        let jobs = usize::try_from(self.jobs).unwrap_or(limits::JOBS_MAX);
        Ok(ReplayOptions {
            restrictions,
            jobs,
            commits: self.commits,
            outputs: self.outputs,
            crew: self.crew.crew()?,
            ..ReplayOptions::default()
        })
    }
}

/// Replays a recording and reports what came of it.
pub(crate) async fn run(args: ReplayArgs, context: &Context) -> Result<(), Failure> {
    let recording = Recording::read(&args.path, &args.reading())?;
    let options = ReplayOptions {
        compression: context.options().checkpoints.compression,
        ..args.options()?
    };
    if args.live.is_live() {
        return live::run(&args.live, &recording, context).await;
    }
    if args.crew.worker {
        return work(&args, context, &recording, &options).await;
    }
    let (report, verified) = context
        .with_store("`replay`", async |windlass| {
            let caller = context.caller();
            let replay = Replay {
                windlass,
                caller,
                recording: &recording,
                options: &options,
            };
            let watch = Watch::new(context.output(), &args, recording.steps());
            let report = watch.over(&replay).await?;
            let verified = if args.verify {
                Some(replay.verify().await)
            } else {
                None
            };
            Ok((report, verified))
        })
        .await?;
    let (verified, differs) = match verified.transpose() {
        Ok(verified) => (verified, None),
        Err(error) => (None, Some(error)),
    };
    tell(context.output(), &args, &report, verified)?;
    differs.map_or(Ok(()), |error| Err(disproved(error)))
}

/// Works beside a replay in another process, and tells how much.
async fn work(
    args: &ReplayArgs,
    context: &Context,
    recording: &Recording,
    options: &ReplayOptions,
) -> Result<(), Failure> {
    let steps = context
        .with_store("`replay`", async |windlass| {
            let caller = context.caller();
            let replay = Replay {
                windlass,
                caller,
                recording,
                options,
            };
            let watch = Watch::new(context.output(), args, recording.steps());
            let joined = replay.join(&watch).await;
            let steps = watch.bar.position();
            watch.ended(joined)?;
            Ok(steps)
        })
        .await?;
    context
        .output()
        .answer(&json!({ "steps_done": steps }), || {
            table::fields([("steps_done", steps.to_string())])
        })
}

/// A store that is not as it should be fails the check; all else that can
/// happen while checking is an error like any other.
fn disproved(error: ReplayError) -> Failure {
    match error {
        ReplayError::Differs(_) => Failure::Check(Box::new(error)),
        error => error.into(),
    }
}

/// Shows how far the replay is: as a bar, or step by step.
struct Watch<'a> {
    output: &'a Output,
    trace: bool,
    bar: ProgressBar,
    /// Why a step could not be printed, which ended the replay.
    failure: Mutex<Option<Failure>>,
}

impl<'a> Watch<'a> {
    fn new(output: &'a Output, args: &ReplayArgs, steps: usize) -> Self {
        let silent = output.json() || args.trace;
        let target = if silent {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template("{pos}/{len} steps {wide_bar} {eta} left");
        let style = style.expect("the template is well formed");
        let bar = ProgressBar::with_draw_target(Some(count(steps)), target).with_style(style);
        Self {
            output,
            trace: args.trace,
            bar,
            failure: Mutex::new(None),
        }
    }

    async fn over(self, replay: &Replay<'_>) -> Result<Report, Failure> {
        let played = replay.run(&self).await;
        self.ended(played)
    }

    /// What a replay came to that was watched.
    fn ended<T>(self, played: Result<T, ReplayError>) -> Result<T, Failure> {
        self.bar.finish_and_clear();
        let unprinted = self
            .failure
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match (unprinted, played) {
            (Some(failure), _) => Err(failure),
            (None, played) => Ok(played?),
        }
    }

    fn print(&self, done: &StepDone<'_>) -> Result<(), Failure> {
        let (source, run) = (&done.run.source.name, &done.run.key);
        let tool = done.run.steps[done.number - 1].tool.as_str();
        let line = json!({
            "source": source,
            "run": run,
            "step": done.number,
            "tool": tool,
            "outcome": done.outcome.as_str(),
            "found": done.found,
        });
        self.output.answer(&line, || {
            let words = [table::plain(source), run.clone(), done.number.to_string()];
            format!(
                "{} {} {}",
                words.join(" "),
                table::plain(tool),
                done.outcome.as_str()
            )
        })
    }
}

impl Observer for Watch<'_> {
    fn step(&self, done: &StepDone<'_>) -> ControlFlow<()> {
        self.bar.inc(1);
        if !self.trace {
            return ControlFlow::Continue(());
        }
        match self.print(done) {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                ControlFlow::Break(())
            }
        }
    }
}

/// The report, and what was verified.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// Entries that were compared and found equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries_verified: Option<u64>,
    /// Revisions of states that hold what the recording says.
    #[serde(skip_serializing_if = "Option::is_none")]
    states_verified: Option<u64>,
    /// Rows of outputs that are what the recording says.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_verified: Option<u64>,
}

fn tell(
    output: &Output,
    args: &ReplayArgs,
    report: &Report,
    verified: Option<Verified>,
) -> Result<(), Failure> {
    if args.runs && output.json() {
        report
            .by_run
            .iter()
            .try_for_each(|run| output.object(run))?;
    } else if args.runs {
        output.text(&runs(&report.by_run))?;
    }
    let told = Told {
        report,
        entries_verified: verified.map(|verified| verified.entries),
        states_verified: verified.map(|verified| verified.states),
        rows_verified: verified.map(|verified| verified.rows),
    };
    output.answer(&told, || whole(&told))
}

/// Every run, one a row.
fn runs(runs: &[RunReport]) -> String {
    let shown = runs.iter().map(|run| {
        [
            table::plain(&run.source),
            run.run.clone(),
            run.agent.to_string(),
            run.budget.to_string(),
            run.withheld
                .as_deref()
                .map_or_else(|| "-".to_owned(), table::plain),
            run.steps.to_string(),
            run.allowed.to_string(),
            refused(run.refused.iter()),
        ]
    });
    let header = [
        "SOURCE", "RUN", "AGENT", "BUDGET", "WITHHELD", "STEPS", "ALLOWED", "REFUSED",
    ];
    table::rows(header, shown)
}

/// The whole replay, figure by figure.
fn whole(told: &Told<'_>) -> String {
    let report = told.report;
    let ms = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.3}"));
    let mut shown = vec![
        ("runs", report.runs.to_string()),
        ("steps", report.steps.to_string()),
        ("uses_allowed", report.uses_allowed.to_string()),
        ("uses_refused", refused(report.uses_refused.iter())),
        ("steps_found", report.steps_found.to_string()),
        ("step_ms_p50", ms(report.step_ms_p50)),
        ("step_ms_p99", ms(report.step_ms_p99)),
        ("stash_puts", report.stash_puts.to_string()),
        ("stash_bytes", report.stash_bytes.to_string()),
        ("commits", report.commits.to_string()),
        ("forks", report.forks.to_string()),
        ("nodes", report.nodes.to_string()),
        ("rows", report.rows.to_string()),
        ("row_bytes", report.row_bytes.to_string()),
        ("blobs", report.blobs.to_string()),
        ("state_bytes", report.state_bytes.to_string()),
        ("stored_bytes", report.stored_bytes.to_string()),
        (
            "full_snapshot_bytes",
            report.full_snapshot_bytes.to_string(),
        ),
        (
            "distinct_message_bytes",
            report.distinct_message_bytes.to_string(),
        ),
    ];
    shown.extend(
        told.entries_verified
            .map(|entries| ("entries_verified", entries.to_string())),
    );
    shown.extend(
        told.states_verified
            .map(|states| ("states_verified", states.to_string())),
    );
    shown.extend(
        told.rows_verified
            .map(|rows| ("rows_verified", rows.to_string())),
    );
    table::fields(shown)
}

fn refused<'a>(codes: impl Iterator<Item = (&'a &'static str, &'a u64)>) -> String {
    let shown: Vec<String> = codes
        .map(|(code, number)| format!("{code}={number}"))
        .collect();
    if shown.is_empty() {
        "none".to_owned()
    } else {
        shown.join(" ")
    }
}
