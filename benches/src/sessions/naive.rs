//! The naive side: what one writes first. An async mutex around the one
//! connection, and for each call a transaction on a blocking thread that
//! reads the session, checks it and writes it back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::error::BenchError;
use crate::harness::contest::Side;
use crate::harness::throughput::{Caller, Throughput, drive};

use super::fixture::OperationIds;
use super::ours::{Spreading, Work};
use super::rows::{self, Statements, event_key, head_key, operation_key};

/// The naive design, with callers.
#[derive(Debug)]
pub struct Naive<'r> {
    runtime: &'r Runtime,
    spreading: Spreading,
    callers: Vec<User>,
    turn: usize,
}

/// The connection behind the mutex.
#[derive(Debug)]
struct Database {
    connection: Connection,
    version: i64,
}

impl<'r> Naive<'r> {
    /// Opens the database at `path`, over the named VFS if there is one.
    ///
    /// # Errors
    ///
    /// [`BenchError::Sqlite`].
    pub fn open(
        runtime: &'r Runtime,
        path: &Path,
        vfs: Option<&str>,
        work: Work,
    ) -> Result<Self, BenchError> {
        let connection = rows::open(path, vfs)?;
        let version = rows::last_version(&connection)?;
        let database = Arc::new(Mutex::new(Database {
            connection,
            version,
        }));
        let user = |number: usize| {
            let seed = u64::try_from(number).unwrap_or(u64::MAX);
            User {
                database: Arc::clone(&database),
                session: number,
                operations: work.operations.then(|| OperationIds::of(seed)),
            }
        };
        Ok(Self {
            runtime,
            spreading: work.spreading,
            callers: (0..work.callers).map(user).collect(),
            turn: 0,
        })
    }
}

impl Side for Naive<'_> {
    type Sample = Throughput;

    fn name(&self) -> &'static str {
        "naive"
    }

    fn run(&mut self, span: Duration) -> Result<Throughput, BenchError> {
        let mut callers = std::mem::take(&mut self.callers);
        if self.spreading == Spreading::OneSession {
            for caller in &mut callers {
                caller.session = self.turn;
            }
        }
        self.turn += 1;
        let (throughput, callers) = drive(self.runtime, callers, span)?;
        self.callers = callers;
        Ok(throughput)
    }
}

/// One caller of the naive design.
#[derive(Debug)]
struct User {
    database: Arc<Mutex<Database>>,
    session: usize,
    operations: Option<OperationIds>,
}

impl Caller for User {
    async fn call(&mut self) -> Result<(), BenchError> {
        let session = self.session;
        let operation = self.operations.as_mut().map(OperationIds::text);
        let mut database = Arc::clone(&self.database).lock_owned().await;
        let used = move || database.use_once(session, operation.as_ref());
        let used = tokio::task::spawn_blocking(used).await;
        used.map_err(|cause| BenchError::Process(cause.to_string()))?
    }
}

impl Database {
    fn use_once(&mut self, session: usize, operation: Option<&String>) -> Result<(), BenchError> {
        self.version += 1;
        let version = self.version;
        let immediate = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(immediate)?;
        use_within(&transaction, session, operation, version)?;
        transaction.commit()?;
        Ok(())
    }
}

fn use_within(
    connection: &Connection,
    session: usize,
    operation: Option<&String>,
    version: i64,
) -> Result<(), BenchError> {
    let mut statements = Statements::prepare(connection)?;
    let key = head_key(session);
    let (mut head, expected) = statements.head(&key)?;
    if !head.has_budget() {
        return Err(BenchError::Unfair(
            "the budget of a session is spent".into(),
        ));
    }
    head.count(1, operation.is_some());
    if let Some(operation) = operation {
        let key = operation_key(operation);
        if statements.has(&key)? {
            return Err(BenchError::Unfair("an operation id was used twice".into()));
        }
        statements.insert(&key, &head.operation_value(session, head.made()), version)?;
    }
    let event = head.event_value(head.events(), operation);
    statements.insert(&event_key(session, head.events()), &event, version)?;
    if !statements.update(&key, &head.value(), expected, version)? {
        return Err(BenchError::Unfair(
            "a session changed under the mutex".into(),
        ));
    }
    Ok(())
}
