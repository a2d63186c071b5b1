//! A primary with a synchronous standby, both on loopback, and callers that
//! use sessions. The primary is killed, the standby promoted, and the callers
//! go on by themselves. Whatever was acknowledged must be there, once.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;
use windlass::core::{Coded, Env, ErrorKind};
use windlass::session::Sessions;
use windlass::{Options, SystemEnv, Windlass};
use windlass_store_postgres::{Options as PostgresOptions, PostgresStore};
use windlass_store_testing::postgres::{Server, ServerError};

use crate::clock;
use crate::error::BenchError;
use crate::sessions::Bench;
use crate::sessions::fixture::{CALLS, OperationIds, caller, fill, one_use, session_id};

/// Callers, each with a session of its own.
const CALLERS: usize = 64;
/// How long callers work before the primary is killed, and after the first
/// of them was answered again.
const WORK: Duration = Duration::from_secs(2);
/// How long a caller asks again before the drill has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long two servers may take to agree that one follows the other.
const SETUP: Duration = Duration::from_secs(30);

/// What one fail-over showed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cycle {
    /// Uses that were answered before and after.
    pub acknowledged: u64,
    /// Of those, how many are not on record.
    pub lost: u64,
    /// Uses on record that nobody was told of.
    pub unasked: u64,
    /// From the kill to the promotion's end, in milliseconds.
    pub promoted_ms: u64,
    /// The longest time after the kill in which nobody was answered, in
    /// milliseconds.
    pub gap_ms: u64,
}

/// Runs so many fail-overs and tells of each; whether nothing was lost.
///
/// # Errors
///
/// Whatever keeps the drill from being one.
pub fn failover(
    bench: &Bench<'_>,
    cycles: usize,
    json: bool,
    output: &mut dyn Write,
) -> Result<bool, BenchError> {
    let mut all = Vec::new();
    for number in 0..cycles {
        bench
            .say
            .say(&format!("fail-over {} of {cycles}", number + 1));
        all.push(bench.runtime.block_on(cycle())?);
    }
    let text = if json { objects(&all) } else { table(&all) };
    let written = output.write_all(text.as_bytes());
    written.map_err(BenchError::io("print the table"))?;
    Ok(all.iter().all(|it| it.lost == 0 && it.unasked == 0))
}

fn objects(all: &[Cycle]) -> String {
    let lines = all.iter().map(serde_json::to_string);
    let lines = lines.map(|line| line.expect("numbers are JSON") + "\n");
    lines.collect()
}

fn table(all: &[Cycle]) -> String {
    let mut text = "acknowledged  lost  unasked  promoted ms  gap ms\n".to_owned();
    for it in all {
        text += &format!(
            "{:<12}  {:<4}  {:<7}  {:<11}  {}\n",
            it.acknowledged, it.lost, it.unasked, it.promoted_ms, it.gap_ms
        );
    }
    let sum = |of: fn(&Cycle) -> u64| all.iter().map(of).sum::<u64>();
    let (acknowledged, lost) = (sum(|it| it.acknowledged), sum(|it| it.lost));
    text + &format!("{acknowledged} acknowledged, {lost} lost\n")
}

fn failed(cause: &ServerError) -> BenchError {
    BenchError::Process(cause.to_string())
}

/// Two servers, the second a synchronous standby of the first.
fn servers() -> Result<[Server; 2], BenchError> {
    let primary = Server::start(&[]).map_err(|cause| failed(&cause))?;
    let standby = primary
        .standby("second", &[])
        .map_err(|cause| failed(&cause))?;
    let sql = |sql: &str| primary.query(sql).map_err(|cause| failed(&cause));
    sql("ALTER SYSTEM SET synchronous_standby_names = 'second'")?;
    sql("SELECT pg_reload_conf()")?;
    let begun = clock::now();
    while sql("SELECT sync_state FROM pg_stat_replication")? != "sync" {
        if begun.elapsed() > SETUP {
            return Err(BenchError::Process(
                "the standby does not follow".to_owned(),
            ));
        }
    }
    Ok([primary, standby])
}

async fn cycle() -> Result<Cycle, BenchError> {
    let [primary, standby] = servers()?;
    let (first, second) = (primary.port(), standby.port());
    let url = format!("postgres://postgres@127.0.0.1:{first},127.0.0.1:{second}/postgres");
    let store = Arc::new(PostgresStore::connect(PostgresOptions::from_url(&url)?).await?);
    let windlass = Windlass::over(store, &Options::default(), Arc::new(SystemEnv::new()));
    let windlass = windlass.map_err(|cause| BenchError::Unfair(cause.to_string()))?;
    fill(&windlass, CALLERS, CALLS).await?;

    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for number in 0..CALLERS {
        let user = User::new(windlass.sessions().clone(), number);
        tasks.spawn(user.work_until(Arc::clone(&stop)));
    }
    pass(WORK).await;
    let killed = clock::now();
    primary.kill().map_err(|cause| failed(&cause))?;
    standby.promote().map_err(|cause| failed(&cause))?;
    let promoted = killed.elapsed();
    pass(WORK).await;
    stop.store(true, Ordering::Relaxed);

    let mut told = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        told.push(ended.map_err(|cause| BenchError::Process(cause.to_string()))??);
    }
    let (lost, unasked) = compare(windlass.sessions(), &told).await?;
    let answered = told.iter().flat_map(|it| it.answered.iter().copied());
    let gap = longest_silence(killed, answered.collect());
    let gap = gap
        .ok_or_else(|| BenchError::Process("nobody was answered after the fail-over".to_owned()))?;
    windlass.store().close().await?;
    Ok(Cycle {
        acknowledged: told.iter().map(|it| it.acknowledged).sum(),
        lost,
        unasked,
        promoted_ms: milliseconds(promoted),
        gap_ms: milliseconds(gap),
    })
}

async fn pass(span: Duration) {
    let env = SystemEnv::new();
    env.sleep_until(env.monotonic() + span).await;
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What was answered but is not on record, and the other way round. Every use
/// was asked for until it was answered, so both must be nothing.
async fn compare(sessions: &Sessions, told: &[Told]) -> Result<(u64, u64), BenchError> {
    let (mut lost, mut unasked) = (0, 0);
    for it in told {
        let session = sessions.get(&caller(), &session_id(it.session)).await?;
        let session = session.ok_or_else(|| BenchError::Unfair("a session is lost".into()))?;
        // One was made when the session was.
        let made = session.budget.calls.used - 1;
        lost += it.acknowledged.saturating_sub(made);
        unasked += made.saturating_sub(it.acknowledged);
    }
    Ok((lost, unasked))
}

/// What a caller was told.
#[derive(Debug)]
struct Told {
    session: usize,
    acknowledged: u64,
    /// When each answer came.
    answered: Vec<Instant>,
}

/// The longest time from `moment` on, or between two answers after it, without
/// an answer; `None` if none came.
fn longest_silence(moment: Instant, mut answered: Vec<Instant>) -> Option<Duration> {
    answered.retain(|at| *at >= moment);
    answered.push(moment);
    answered.sort_unstable();
    let pauses = answered.windows(2).map(|pair| pair[1] - pair[0]);
    pauses.max()
}

/// One caller.
struct User {
    sessions: Sessions,
    ids: OperationIds,
    told: Told,
}

impl User {
    fn new(sessions: Sessions, number: usize) -> Self {
        Self {
            sessions,
            ids: OperationIds::of(u64::try_from(number).unwrap_or(u64::MAX)),
            told: Told {
                session: number,
                acknowledged: 0,
                answered: Vec::new(),
            },
        }
    }

    async fn work_until(mut self, stop: Arc<AtomicBool>) -> Result<Told, BenchError> {
        while !stop.load(Ordering::Relaxed) {
            let id = self.ids.text();
            let asked = clock::now();
            while !self.ask(&id).await? {
                if asked.elapsed() > PATIENCE {
                    return Err(BenchError::Process("nobody answers any more".to_owned()));
                }
            }
            self.told.acknowledged += 1;
            self.told.answered.push(clock::now());
        }
        Ok(self.told)
    }

    /// Asks once; whether it was answered. Asking again under the same id is
    /// safe, whatever has happened to this one.
    async fn ask(&self, id: &str) -> Result<bool, BenchError> {
        let operation = id.parse().expect("a valid operation id");
        let session = session_id(self.told.session);
        let (who, request) = (caller(), one_use(Some(operation)));
        match self.sessions.use_tools(&who, &session, request).await {
            Ok(_) => Ok(true),
            Err(error) => match error.kind() {
                ErrorKind::Unavailable | ErrorKind::Indeterminate => Ok(false),
                _ => Err(error.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CYCLE: Cycle = Cycle {
        acknowledged: 10,
        lost: 0,
        unasked: 0,
        promoted_ms: 40,
        gap_ms: 50,
    };

    #[test]
    fn the_table_ends_with_the_sums() {
        let text = table(&[CYCLE, Cycle { lost: 2, ..CYCLE }]);
        assert!(text.ends_with("\n20 acknowledged, 2 lost\n"), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
    }

    #[test]
    fn the_longest_silence_begins_with_the_kill() {
        let begun = clock::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let answered = vec![at(90), at(5), at(70), at(20)];
        let silence = |from: u64| longest_silence(at(from), answered.clone());
        assert_eq!(silence(10), Some(Duration::from_millis(50)));
        assert_eq!(silence(21), Some(Duration::from_millis(49)));
        assert_eq!(silence(91), None);
    }

    #[test]
    fn an_object_has_every_figure() {
        let expected =
            "{\"acknowledged\":10,\"lost\":0,\"unasked\":0,\"promoted_ms\":40,\"gap_ms\":50}\n";
        assert_eq!(objects(&[CYCLE]), expected);
    }
}
