//! The engine as a side: callers that use sessions through the facade.

use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;
use windlass::Windlass;
use windlass::core::SessionId;
use windlass::session::{Caller as Who, SessionError, Sessions};

use crate::error::BenchError;
use crate::harness::contest::Side;
use crate::harness::throughput::{Caller, Throughput, drive};

use super::fixture::{OperationIds, caller, one_use, open, session_id};

/// Which sessions the callers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spreading {
    /// Each caller has its own.
    OwnSession,
    /// All use the same one, another in each turn: a budget of a million
    /// calls would not last for all turns.
    OneSession,
}

/// What callers expect to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hope {
    /// Every use is granted.
    Grants,
    /// Every use is refused, because the budget is spent.
    Refusals,
}

/// What callers do.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// How many there are.
    pub callers: usize,
    /// Which sessions they use.
    pub spreading: Spreading,
    /// Whether each use has an operation id.
    pub operations: bool,
    /// What they expect to hear.
    pub hope: Hope,
}

/// The engine, with callers.
#[derive(Debug)]
pub struct Ours<'r> {
    runtime: &'r Runtime,
    windlass: Windlass,
    work: Work,
    callers: Vec<User>,
    turn: usize,
}

impl<'r> Ours<'r> {
    /// Opens the store at `path`, over the named VFS if there is one.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub fn open(
        runtime: &'r Runtime,
        path: &Path,
        vfs: Option<&str>,
        work: Work,
    ) -> Result<Self, BenchError> {
        let windlass = runtime.block_on(open(path, vfs))?;
        Ok(Self::over(runtime, windlass, work))
    }

    /// Callers of an engine that is open already.
    #[must_use]
    pub fn over(runtime: &'r Runtime, windlass: Windlass, work: Work) -> Self {
        let user = |number| User::new(windlass.sessions(), number, work);
        let callers = (0..work.callers).map(user).collect();
        Self {
            runtime,
            windlass,
            work,
            callers,
            turn: 0,
        }
    }

    /// Closes the store.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub fn close(self) -> Result<(), BenchError> {
        Ok(self.runtime.block_on(self.windlass.store().close())?)
    }
}

impl Side for Ours<'_> {
    type Sample = Throughput;

    fn name(&self) -> &'static str {
        "ours"
    }

    fn run(&mut self, span: Duration) -> Result<Throughput, BenchError> {
        let mut callers = std::mem::take(&mut self.callers);
        if self.work.spreading == Spreading::OneSession {
            for caller in &mut callers {
                caller.id = session_id(self.turn);
            }
        }
        self.turn += 1;
        let (throughput, callers) = drive(self.runtime, callers, span)?;
        self.callers = callers;
        Ok(throughput)
    }
}

/// One caller of the engine.
#[derive(Debug)]
pub struct User {
    sessions: Sessions,
    who: Who,
    id: SessionId,
    operations: Option<OperationIds>,
    hope: Hope,
}

impl User {
    /// Caller `number` of those that do `work`.
    #[must_use]
    pub fn new(sessions: &Sessions, number: usize, work: Work) -> Self {
        let seed = u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            sessions: sessions.clone(),
            who: caller(),
            id: session_id(number),
            operations: work.operations.then(|| OperationIds::of(seed)),
            hope: work.hope,
        }
    }
}

impl Caller for User {
    async fn call(&mut self) -> Result<(), BenchError> {
        let operation = self.operations.as_mut().map(OperationIds::text);
        let operation = operation.map(|text| text.parse().expect("a valid operation id"));
        let used = self
            .sessions
            .use_tools(&self.who, &self.id, one_use(operation));
        match (used.await, self.hope) {
            (Ok(_), Hope::Grants) => Ok(()),
            (Err(SessionError::BudgetExceeded { .. }), Hope::Refusals) => Ok(()),
            (Err(error), _) => Err(error.into()),
            (Ok(_), Hope::Refusals) => {
                Err(BenchError::Unfair("a spent budget was granted from".into()))
            }
        }
    }
}
