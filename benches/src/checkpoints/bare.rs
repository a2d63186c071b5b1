//! The bare side: the least that SQLite has to do for the same bytes. A thread
//! takes everything that waits into one transaction, replaces each head if it
//! has the version that was read, adds the row of the commit, and answers
//! after the commit. It decides nothing and packs nothing.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use windlass_store::key::Key;
use windlass_store::seal::SEAL_BYTES;

use crate::error::BenchError;
use crate::harness::contest::Side;
use crate::harness::throughput::{Caller, Throughput, drive};
use crate::sessions::fixture::{TENANT, session_id};
use crate::sessions::rows::{self, Statements};

use super::commits::{CHANGE_BYTES, SESSIONS};
use super::message;

/// One commit, and who waits for it; the answer is the new version.
struct Order {
    head: (Bytes, Vec<u8>),
    expected: i64,
    row: (Bytes, Vec<u8>),
    answer: oneshot::Sender<i64>,
}

/// The bare loop, with callers.
pub(super) struct Bare<'r> {
    runtime: &'r Runtime,
    callers: Vec<User>,
    _thread: JoinHandle<Result<(), BenchError>>,
}

impl<'r> Bare<'r> {
    pub(super) fn open(runtime: &'r Runtime, path: &Path) -> Result<Self, BenchError> {
        let connection = rows::open(path, None)?;
        let (orders, taken) = mpsc::channel();
        let user = |session| User::read(&connection, session, &orders);
        let callers = (0..SESSIONS).map(user).collect::<Result<Vec<_>, _>>()?;
        let serve = move || serve(&connection, &taken);
        let thread = thread::Builder::new().name("bare".into()).spawn(serve);
        Ok(Self {
            runtime,
            callers,
            _thread: thread.map_err(BenchError::io("start a thread"))?,
        })
    }
}

impl Side for Bare<'_> {
    type Sample = Throughput;

    fn name(&self) -> &'static str {
        "bare loop"
    }

    fn run(&mut self, span: Duration) -> Result<Throughput, BenchError> {
        let callers = std::mem::take(&mut self.callers);
        let (throughput, callers) = drive(self.runtime, callers, span)?;
        self.callers = callers;
        Ok(throughput)
    }
}

/// One caller of the bare loop: it writes the head it read over and over, and
/// rows as long as that of the first commit.
struct User {
    orders: Sender<Order>,
    session: usize,
    head: Vec<u8>,
    /// What a row holds beside the message.
    around: usize,
    version: i64,
    revision: u64,
}

fn key(session: usize) -> Key {
    Key::new(TENANT)
        .text("checkpoint")
        .text(session_id(session).as_str())
}

impl User {
    fn read(
        connection: &Connection,
        session: usize,
        orders: &Sender<Order>,
    ) -> Result<Self, BenchError> {
        let mut select = connection.prepare("SELECT value, version FROM entry WHERE key = ?1")?;
        let mut row = |key: Bytes| -> Result<(Vec<u8>, i64), BenchError> {
            let found = select.query_row([key.as_ref()], |row| Ok((row.get(0)?, row.get(1)?)));
            let (mut sealed, version): (Vec<u8>, i64) = found?;
            sealed.truncate(sealed.len().saturating_sub(SEAL_BYTES));
            Ok((sealed, version))
        };
        let (head, version) = row(key(session).text("head").finish())?;
        let (log, _) = row(key(session).text("log").number(1).finish())?;
        Ok(Self {
            orders: orders.clone(),
            session,
            head,
            around: log.len().saturating_sub(CHANGE_BYTES),
            version,
            revision: 1,
        })
    }
}

impl Caller for User {
    async fn call(&mut self) -> Result<(), BenchError> {
        self.revision += 1;
        let seed = u64::try_from(self.session).unwrap_or(0) << 32;
        let mut value = message(seed + self.revision, CHANGE_BYTES).to_vec();
        value.resize(value.len() + self.around, b' ');
        let (answer, answered) = oneshot::channel();
        let order = Order {
            head: (key(self.session).text("head").finish(), self.head.clone()),
            expected: self.version,
            row: (
                key(self.session).text("log").number(self.revision).finish(),
                value,
            ),
            answer,
        };
        let gone = || BenchError::Process("the bare loop has ended".into());
        self.orders.send(order).map_err(|_| gone())?;
        self.version = answered.await.map_err(|_| gone())?;
        Ok(())
    }
}

/// Commits whatever waits until nobody can order any more.
fn serve(connection: &Connection, orders: &Receiver<Order>) -> Result<(), BenchError> {
    let mut statements = Statements::prepare(connection)?;
    let mut version = rows::last_version(connection)?;
    let mut group = Vec::new();
    while let Ok(first) = orders.recv() {
        group.push(first);
        group.extend(orders.try_iter());
        statements.begin()?;
        let mut answers = Vec::with_capacity(group.len());
        for order in group.drain(..) {
            version += 1;
            let (key, value) = &order.head;
            if !statements.update(key, value, order.expected, version)? {
                return Err(BenchError::Unfair("a head changed behind the loop".into()));
            }
            statements.insert(&order.row.0, &order.row.1, version)?;
            answers.push((order.answer, version));
        }
        statements.commit()?;
        for (answer, version) in answers {
            // Nobody may be waiting any more.
            let _ = answer.send(version);
        }
    }
    Ok(())
}
