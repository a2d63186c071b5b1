//! The bare side: the least that SQLite has to do for the same rows. A thread
//! takes everything that waits into one transaction, compares each hot
//! record's version while it replaces it, and answers after the commit.
//!
//! It decides nothing: no budget, no rate, no list of tools is looked at.
//! What it does once for many uses of one session is what ours does too: the
//! hot record is written once, and one row holds all their events.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::error::BenchError;
use crate::harness::contest::Side;
use crate::harness::throughput::{Caller, Throughput, drive};

use super::fixture::OperationIds;
use super::ours::{Spreading, Work};
use super::rows::{self, Head, Statements, event_key, head_key, operation_key};

/// What is written for one use, and who waits for it.
#[derive(Debug)]
enum Order {
    /// Every row, made by the caller; the answer is the new version.
    Rows {
        head: Row,
        expected: i64,
        others: Vec<Row>,
        answer: oneshot::Sender<i64>,
    },
    /// One more use of the session that everybody uses.
    Use {
        session: usize,
        operation: Option<String>,
        answer: oneshot::Sender<i64>,
    },
}

type Row = (Bytes, Vec<u8>);

/// The bare loop, with callers.
#[derive(Debug)]
pub struct Bare<'r> {
    runtime: &'r Runtime,
    spreading: Spreading,
    callers: Vec<User>,
    turn: usize,
    thread: Option<JoinHandle<Result<(), BenchError>>>,
}

impl<'r> Bare<'r> {
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
        let users = Self::users(&connection, work)?;
        let (orders, taken) = mpsc::channel();
        let serve = move || Loop::new(&connection)?.run(&taken);
        let thread = thread::Builder::new()
            .name("bare".into())
            .spawn(serve)
            .map_err(BenchError::io("start a thread"))?;
        let user = |(number, (head, version))| User::new(number, head, version, work, &orders);
        Ok(Self {
            runtime,
            spreading: work.spreading,
            callers: users.into_iter().enumerate().map(user).collect(),
            turn: 0,
            thread: Some(thread),
        })
    }

    fn users(connection: &Connection, work: Work) -> Result<Vec<(Head, i64)>, BenchError> {
        let mut statements = Statements::prepare(connection)?;
        let own = |number| match work.spreading {
            Spreading::OwnSession => number,
            Spreading::OneSession => 0,
        };
        let found = (0..work.callers).map(|number| statements.head(&head_key(own(number))));
        found.collect()
    }
}

impl Bare<'_> {
    /// Why the thread has ended, if that is why callers failed.
    fn cause(&mut self, error: BenchError) -> BenchError {
        let ended = self.thread.take_if(|thread| thread.is_finished());
        match ended.map(JoinHandle::join) {
            Some(Ok(Err(cause))) => cause,
            _ => error,
        }
    }
}

impl Side for Bare<'_> {
    type Sample = Throughput;

    fn name(&self) -> &'static str {
        "bare loop"
    }

    fn run(&mut self, span: Duration) -> Result<Throughput, BenchError> {
        let mut callers = std::mem::take(&mut self.callers);
        if self.spreading == Spreading::OneSession {
            for caller in &mut callers {
                caller.session = self.turn;
            }
        }
        self.turn += 1;
        let driven = drive(self.runtime, callers, span);
        let (throughput, callers) = driven.map_err(|error| self.cause(error))?;
        self.callers = callers;
        Ok(throughput)
    }
}

/// One caller of the bare loop.
#[derive(Debug)]
struct User {
    orders: Sender<Order>,
    spreading: Spreading,
    session: usize,
    head: Head,
    version: i64,
    operations: Option<OperationIds>,
}

impl User {
    fn new(number: usize, head: Head, version: i64, work: Work, orders: &Sender<Order>) -> Self {
        let seed = u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            orders: orders.clone(),
            spreading: work.spreading,
            session: number,
            head,
            version,
            operations: work.operations.then(|| OperationIds::of(seed)),
        }
    }

    fn order(&mut self, answer: oneshot::Sender<i64>) -> Order {
        let operation = self.operations.as_mut().map(OperationIds::text);
        match self.spreading {
            Spreading::OneSession => Order::Use {
                session: self.session,
                operation,
                answer,
            },
            Spreading::OwnSession => self.rows(operation.as_ref(), answer),
        }
    }

    fn rows(&mut self, operation: Option<&String>, answer: oneshot::Sender<i64>) -> Order {
        let (session, head) = (self.session, &mut self.head);
        head.count(1, operation.is_some());
        let event = head.event_value(head.events(), operation);
        let mut others = Vec::with_capacity(2);
        others.push((event_key(session, head.events()), event));
        if let Some(operation) = operation {
            let value = head.operation_value(session, head.made());
            others.push((operation_key(operation), value));
        }
        Order::Rows {
            head: (head_key(session), head.value()),
            expected: self.version,
            others,
            answer,
        }
    }
}

impl Caller for User {
    async fn call(&mut self) -> Result<(), BenchError> {
        let (answer, answered) = oneshot::channel();
        let order = self.order(answer);
        let gone = || BenchError::Process("the bare loop has ended".into());
        self.orders.send(order).map_err(|_| gone())?;
        self.version = answered.await.map_err(|_| gone())?;
        Ok(())
    }
}

/// The thread's state.
#[derive(Debug)]
struct Loop<'c> {
    statements: Statements<'c>,
    version: i64,
    /// The session that everybody uses, as it was written last.
    shared: Option<(usize, Head, i64)>,
}

impl<'c> Loop<'c> {
    fn new(connection: &'c Connection) -> Result<Self, BenchError> {
        Ok(Self {
            statements: Statements::prepare(connection)?,
            version: rows::last_version(connection)?,
            shared: None,
        })
    }

    /// Commits whatever waits until nobody can order any more. A failure ends
    /// the thread, which every caller notices.
    fn run(mut self, orders: &Receiver<Order>) -> Result<(), BenchError> {
        let mut group = Vec::new();
        while let Ok(first) = orders.recv() {
            group.push(first);
            group.extend(orders.try_iter());
            self.statements.begin()?;
            let answers = self.write(&mut group)?;
            self.statements.commit()?;
            for (answer, version) in answers {
                // Nobody may be waiting any more.
                let _ = answer.send(version);
            }
        }
        Ok(())
    }

    fn write(&mut self, group: &mut Vec<Order>) -> Result<Answers, BenchError> {
        let mut answers = Vec::with_capacity(group.len());
        let mut uses = Vec::new();
        for order in group.drain(..) {
            match order {
                Order::Rows {
                    head,
                    expected,
                    others,
                    answer,
                } => {
                    self.write_rows(&head, expected, &others)?;
                    answers.push((answer, self.version));
                }
                Order::Use {
                    session,
                    operation,
                    answer,
                } => {
                    uses.push((session, operation));
                    answers.push((answer, 0));
                }
            }
        }
        self.write_uses(&uses)?;
        Ok(answers)
    }

    fn write_rows(&mut self, head: &Row, expected: i64, others: &[Row]) -> Result<(), BenchError> {
        self.version += 1;
        for (key, value) in others {
            self.statements.insert(key, value, self.version)?;
        }
        self.replace(head, expected)
    }

    fn write_uses(&mut self, uses: &[(usize, Option<String>)]) -> Result<(), BenchError> {
        let Some((session, _)) = uses.first() else {
            return Ok(());
        };
        let (session, mut head, expected) = match self.shared.take() {
            Some(shared) if shared.0 == *session => shared,
            _ => {
                let (head, version) = self.statements.head(&head_key(*session))?;
                (*session, head, version)
            }
        };
        let first = head.events() + 1;
        let operations: Vec<String> = uses.iter().filter_map(|(_, id)| id.clone()).collect();
        let count = u64::try_from(uses.len()).unwrap_or(u64::MAX);
        head.count(count, !operations.is_empty());
        let event = (
            event_key(session, first),
            head.event_value(first, &operations),
        );
        let records = operations.iter().zip(first..).map(|(operation, call)| {
            (
                operation_key(operation),
                head.operation_value(session, call),
            )
        });
        let others: Vec<Row> = [event].into_iter().chain(records).collect();
        let row = (head_key(session), head.value());
        self.write_rows(&row, expected, &others)?;
        self.shared = Some((session, head, self.version));
        Ok(())
    }

    fn replace(&mut self, (key, value): &Row, expected: i64) -> Result<(), BenchError> {
        if self.statements.update(key, value, expected, self.version)? {
            return Ok(());
        }
        Err(BenchError::Unfair(
            "a session changed behind the bare loop".into(),
        ))
    }
}

type Answers = Vec<(oneshot::Sender<i64>, i64)>;
