//! Exports: a transaction that sees one point in time, read page by page.

use std::slice;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use windlass_store::{Entry, ExportSource, KeyRange, Page, Scan, StoreError};

use crate::clock;
use crate::connect::{Connection, discard};
use crate::error::Failure;
use crate::scan;
use crate::schema::quote;
use crate::shared::{Shared, within};

/// Begins an export of `range`; the point in time is fixed when this answers.
pub(crate) async fn start(shared: &Shared, range: KeyRange) -> Result<Source, Failure> {
    let limit = shared.options.export_time_max;
    let schema = quote(&shared.options.schema);
    // The server ends a transaction that nobody goes on with. The statement
    // after that takes the snapshot.
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
         SET LOCAL idle_in_transaction_session_timeout = {}; \
         SELECT 1 FROM {schema}.store",
        limit.as_millis().clamp(1, 2_000_000_000),
    );
    let source = Source {
        transaction: Some(Transaction::new(shared.exports.connection().await?)),
        schema,
        rest: Some(Scan::new(range)),
        deadline: clock::now() + limit,
    };
    source.run(limit, &begin).await?;
    Ok(source)
}

/// An export under way.
#[derive(Debug)]
pub(crate) struct Source {
    /// `None` at the end.
    transaction: Option<Transaction>,
    schema: String,
    /// `None` once everything was read.
    rest: Option<Scan>,
    deadline: Instant,
}

/// A connection with an open transaction: dropped, it closes, so that the
/// server ends the transaction.
#[derive(Debug)]
struct Transaction {
    connection: Option<Connection>,
}

impl Transaction {
    const fn new(connection: Connection) -> Self {
        Self {
            connection: Some(connection),
        }
    }

    fn connection(&self) -> &Connection {
        let connection = self.connection.as_ref();
        connection.expect("it is there until the transaction is dropped")
    }

    /// Gives the connection back, its transaction ended.
    fn release(mut self) {
        drop(self.connection.take());
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            discard(connection);
        }
    }
}

impl Source {
    /// Runs statements without an answer, if the export has not ended.
    async fn run(&self, limit: Duration, sql: &str) -> Result<(), Failure> {
        let Some(transaction) = &self.transaction else {
            return Ok(());
        };
        let run = async { Ok(transaction.connection().batch_execute(sql).await?) };
        within(limit, run).await
    }

    /// The next page; `None` at the end.
    async fn page(&self) -> Result<Option<Page>, Failure> {
        let (Some(transaction), Some(rest)) = (&self.transaction, &self.rest) else {
            return Ok(None);
        };
        let left = self.left();
        if left == Duration::ZERO {
            return Err(Failure::unavailable("the export took longer than it may"));
        }
        let scans = slice::from_ref(rest);
        let reading = scan::read(transaction.connection(), &self.schema, scans);
        Ok(within(left, reading).await?.pop())
    }

    /// Ends the transaction. Everything was read by then, so it does not
    /// matter how.
    async fn end(&mut self) {
        let Some(transaction) = self.transaction.take() else {
            return;
        };
        let commit = async { Ok(transaction.connection().batch_execute("COMMIT").await?) };
        if within(self.left(), commit).await.is_ok() {
            transaction.release();
        }
    }

    /// How long the export may still take.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(clock::now())
    }
}

#[async_trait]
impl ExportSource for Source {
    /// A page is given out before the transaction is ended, so that nothing
    /// is lost if this is dropped and asked again.
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        match self.page().await {
            Ok(Some(page)) => {
                let rest = self.rest.take().filter(|_| page.more);
                let last = page.entries.last();
                self.rest = rest.zip(last).map(|(rest, last)| rest.after(&last.key));
                Ok(Some(page.entries))
            }
            Ok(None) => {
                self.end().await;
                Ok(None)
            }
            Err(failure) => {
                self.transaction = None;
                Err(failure.error("export"))
            }
        }
    }
}
