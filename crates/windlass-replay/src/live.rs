//! Outputs as they came, in real time, for whoever follows them.
//!
//! One run after the other: its session is made, its stream, and each row is
//! appended when it is due: of a run of tool calls one a step. Where the record has times these are the times of
//! its steps; where it has none, rows come evenly. What is stored has real
//! times in it, and a replay that is begun again goes on behind the last row
//! that is there.

use std::time::Duration;

use windlass::core::{Env, SessionId, StreamId};
use windlass::session::{Create, SessionError};
use windlass::stream::{Ending, NewStream, Row, StreamError, StreamWriter};
use windlass::{SystemEnv, Windlass, session, stream};

use crate::failure::ReplayError;
use crate::limits::ROW_MS;
use crate::model::{Recording, Run};
use crate::names::Names;
use crate::observe::Outcome;
use crate::output::Outputs;

/// A recording whose outputs are played in real time.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    /// Where to.
    pub windlass: &'a Windlass,
    /// Whose sessions and streams they become.
    pub caller: &'a session::Caller,
    /// What is played.
    pub recording: &'a Recording,
    /// How many times faster than it was; 0 counts as 1.
    pub speed: u64,
}

/// The output of one run while it is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// Its stream.
    pub stream: StreamId,
    /// The rows that it has in the end.
    pub rows: u64,
}

impl Live<'_> {
    /// What there is to play, in order; runs without any output are left out.
    #[must_use]
    pub fn outputs(&self) -> Vec<Played> {
        let runs = self.runs().map(|(run, rows)| Played {
            stream: Names::new(run).stream(),
            rows: u64::try_from(rows.len()).unwrap_or(u64::MAX),
        });
        runs.collect()
    }

    /// Makes the sessions and streams of all outputs, so that they can be
    /// followed from the beginning.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; what is there stays.
    pub async fn prepare(&self) -> Result<(), ReplayError> {
        for (run, _) in self.runs() {
            self.create(run).await?;
            self.writer(run).await?;
        }
        Ok(())
    }

    /// Plays all outputs to their ends, and tells of each that has come to it.
    /// Dropping the future leaves what was played; it goes on from there.
    ///
    /// # Errors
    ///
    /// [`ReplayError`].
    pub async fn play(&self, mut done: impl FnMut(&Played)) -> Result<(), ReplayError> {
        self.prepare().await?;
        for ((run, rows), played) in self.runs().zip(self.outputs()) {
            if let Some(mut writer) = self.writer(run).await? {
                let pace = Pace::new(run, self.speed);
                let wrote = pace.write(&mut writer, &rows).await;
                wrote.map_err(failed(run))?;
            }
            self.close(run).await?;
            done(&played);
        }
        Ok(())
    }

    fn runs(&self) -> impl Iterator<Item = (&Run, Vec<Row>)> {
        let runs = self.recording.runs.iter().map(|run| {
            let all = vec![Outcome::Allowed; run.steps.len()];
            (run, run.output(Outputs::Steps, &all))
        });
        runs.filter(|(_, rows)| !rows.is_empty())
    }

    async fn create(&self, run: &Run) -> Result<(), ReplayError> {
        let names = Names::new(run);
        let intent = format!("replay of {} in real time", run.id());
        let mut request = Create::new(run.agent.clone(), intent);
        request.id = Some(names.session.clone());
        request.time_limit_ms = session::limits::TIME_LIMIT_MS_MAX;
        request.operation = Some(names.create());
        match self.sessions().create(self.caller, request).await {
            Ok(_) => Ok(()),
            Err(SessionError::OperationConflict) => Err(ReplayError::Otherwise { run: run.id() }),
            Err(source) => Err(session_failed("create", run)(source)),
        }
    }

    async fn close(&self, run: &Run) -> Result<(), ReplayError> {
        let names = Names::new(run);
        let session: &SessionId = &names.session;
        let operation = Some(names.close());
        let closed = self.sessions().close(self.caller, session, operation);
        closed.await.map(drop).map_err(session_failed("close", run))
    }

    const fn sessions(&self) -> &session::Sessions {
        self.windlass.sessions()
    }

    /// What writes the run's stream, which is made if it was not; `None` if it
    /// was played to its end.
    async fn writer(&self, run: &Run) -> Result<Option<StreamWriter>, ReplayError> {
        let (tenant, principal) = (&self.caller.tenant, &self.caller.principal);
        let caller = stream::Caller::new(tenant.clone(), principal.clone());
        let names = Names::new(run);
        let streams = self.windlass.streams();
        let writer = match streams.writer(&caller, &names.stream()).await {
            Err(StreamError::NotFound) => {
                let new = NewStream {
                    id: Some(names.stream()),
                    ..NewStream::of(names.session.clone())
                };
                streams.create(&caller, &new).await
            }
            writer => writer,
        };
        match writer {
            Err(StreamError::Closed) => Ok(None),
            writer => writer.map(Some).map_err(failed(run)),
        }
    }
}

fn failed(run: &Run) -> impl FnOnce(StreamError) -> ReplayError {
    let run = run.id();
    |source| ReplayError::Stream { run, source }
}

fn session_failed(verb: &'static str, run: &Run) -> impl FnOnce(SessionError) -> ReplayError {
    let run = run.id();
    move |source| ReplayError::Session { verb, run, source }
}

/// When the rows of a run are due.
struct Pace<'a> {
    run: &'a Run,
    speed: u64,
}

impl<'a> Pace<'a> {
    fn new(run: &'a Run, speed: u64) -> Self {
        let speed = speed.max(1);
        Self { run, speed }
    }

    /// How long after the beginning row `number` is due, counted from 1.
    fn due(&self, number: usize) -> Duration {
        let recorded = number.saturating_sub(self.run.rows.len());
        let ms = if recorded > 0 {
            self.run.times.at(recorded).since(self.run.times.began())
        } else {
            u64::try_from(number)
                .unwrap_or(u64::MAX)
                .saturating_mul(ROW_MS)
        };
        let speed = u32::try_from(self.speed).unwrap_or(u32::MAX);
        Duration::from_millis(ms) / speed
    }

    /// Appends what is missing of `rows`, each when it is due, and closes the
    /// stream.
    async fn write(&self, writer: &mut StreamWriter, rows: &[Row]) -> Result<(), StreamError> {
        let env = SystemEnv::new();
        let there = writer.flush().await?.tail.number();
        let there = usize::try_from(there).unwrap_or(usize::MAX);
        let missed = self.due(there);
        let began = env.monotonic();
        for (number, row) in (1..).zip(rows).skip(there) {
            let due = began + self.due(number).saturating_sub(missed);
            env.sleep_until(due).await;
            writer.append(row).await.map_err(|it| it.error)?;
            writer.flush().await?;
        }
        writer.close(Ending::Finished).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::tests::run;

    fn due(run: &Run, speed: u64, numbers: &[usize]) -> Vec<u128> {
        let pace = Pace::new(run, speed);
        let due = numbers.iter().map(|number| pace.due(*number).as_millis());
        due.collect()
    }

    #[test]
    fn steps_are_due_when_they_were_made_and_rows_without_times_evenly() {
        let mut run = run(&[None], &[0, 0, 0]);
        assert_eq!(due(&run, 1, &[0, 1, 3]), [0, 50, 150]);
        assert_eq!(due(&run, 10, &[1, 3]), [5, 15]);
        run.rows = vec!["1".to_owned(); 8];
        run.steps.clear();
        let row_ms = u128::from(ROW_MS);
        assert_eq!(due(&run, 1, &[1, 8]), [row_ms, 8 * row_ms]);
        assert_eq!(
            due(&run, 0, &[1]),
            [row_ms],
            "no speed is the speed of then"
        );
    }
}
