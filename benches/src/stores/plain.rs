//! PostgreSQL by hand: a table of keys and values, and three ways of writing
//! the rows of a use into it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deadpool_postgres::Pool;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls, Statement};
use windlass::store::seal;

use crate::error::BenchError;
use crate::harness::contest::Side;
use crate::harness::throughput::{Caller, Throughput, drive};
use crate::sessions::rows::{Head, event_key, head_key};

/// Most orders that one statement of the batched side takes.
const BATCH_MAX: usize = 1_024;

const UPDATE: &str = "UPDATE entry SET version = $2, value = $3 WHERE key = $1";
const INSERT: &str = "INSERT INTO entry (key, version, value) VALUES ($1, $2, $3)";
/// Both rows in one statement, if the head has not changed.
const BOTH: &str = "WITH head AS (UPDATE entry SET version = $2, value = $3 \
     WHERE key = $1 AND version = $4 RETURNING 1) \
     INSERT INTO entry (key, version, value) SELECT $5, $2, $6 FROM head";
/// Both rows of many uses, whatever the heads are.
const MANY: &str = "WITH heads AS (UPDATE entry SET version = new.version, value = new.value \
     FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) AS new (key, version, value) \
     WHERE entry.key = new.key) \
     INSERT INTO entry (key, version, value) \
     SELECT * FROM unnest($4::bytea[], $2::bigint[], $5::bytea[])";

/// What one use writes.
#[derive(Debug)]
pub struct Rows {
    /// The key of the session's hot record.
    pub head_key: Bytes,
    /// The hot record, sealed.
    pub head: Vec<u8>,
    /// The key of the row of events.
    pub event_key: Bytes,
    /// The row of events, sealed.
    pub event: Vec<u8>,
    /// The version of both.
    pub version: i64,
}

impl Rows {
    /// Writes both in one statement; 1 if the head was as it was expected.
    async fn write_both(
        &self,
        client: &Client,
        both: &Statement,
    ) -> Result<u64, tokio_postgres::Error> {
        let (head_key, event_key) = (self.head_key.as_ref(), self.event_key.as_ref());
        let expected = self.version - 1;
        let Self {
            version,
            head,
            event,
            ..
        } = self;
        client
            .execute(
                both,
                &[&head_key, version, head, &expected, &event_key, event],
            )
            .await
    }
}

/// A session as a caller remembers it.
#[derive(Clone, Debug)]
pub struct Remembered {
    session: usize,
    head: Head,
    version: i64,
}

impl Remembered {
    /// The session of this number, as it is stored.
    #[must_use]
    pub const fn new(session: usize, head: Head) -> Self {
        Self {
            session,
            head,
            version: 0,
        }
    }

    /// The rows of one more use of it.
    fn count(&mut self) -> Rows {
        self.version += 1;
        self.head.count(1, false);
        let (head_key, event_key) = (
            head_key(self.session),
            event_key(self.session, self.head.events()),
        );
        let number = self.version.cast_unsigned();
        let event = self.head.event_value(self.head.events(), None);
        Rows {
            head: seal::seal(&head_key, number, &self.head.value()),
            event: seal::seal(&event_key, number, &event),
            version: self.version,
            head_key,
            event_key,
        }
    }
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One connection behind a mutex, a transaction a use.
    Naive,
    /// A pool of eight connections, a statement a use.
    Pooled,
    /// One connection, a statement for all uses that wait; nothing is
    /// compared.
    Batched,
}

/// A table of its own, and callers that write into it.
#[derive(Debug)]
pub struct Plain<'r> {
    runtime: &'r Runtime,
    way: Way,
    callers: Vec<User>,
}

impl<'r> Plain<'r> {
    /// Makes the table in a schema of its own and fills it.
    ///
    /// # Errors
    ///
    /// [`BenchError::Process`] with what the server says.
    pub fn new(
        runtime: &'r Runtime,
        url: &str,
        way: Way,
        heads: &[Remembered],
    ) -> Result<Self, BenchError> {
        let schema = format!("plain_{way:?}").to_lowercase();
        let writer = runtime.block_on(async {
            let config: Config = url.parse().map_err(failed)?;
            fill(&connect(&config, None).await?, &schema, heads).await?;
            Writer::new(config, way, &schema).await
        })?;
        let user = |head: &Remembered| User {
            writer: writer.clone(),
            head: head.clone(),
        };
        Ok(Self {
            runtime,
            way,
            callers: heads.iter().map(user).collect(),
        })
    }
}

impl Side for Plain<'_> {
    type Sample = Throughput;

    fn name(&self) -> &'static str {
        match self.way {
            Way::Naive => "a transaction a call",
            Way::Pooled => "pool of 8",
            Way::Batched => "UPDATE FROM unnest",
        }
    }

    fn run(&mut self, span: Duration) -> Result<Throughput, BenchError> {
        let callers = std::mem::take(&mut self.callers);
        let (throughput, callers) = drive(self.runtime, callers, span)?;
        self.callers = callers;
        Ok(throughput)
    }
}

fn failed(cause: impl std::fmt::Display) -> BenchError {
    BenchError::Process(cause.to_string())
}

async fn connect(config: &Config, schema: Option<&str>) -> Result<Client, BenchError> {
    let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
    tokio::spawn(connection);
    if let Some(schema) = schema {
        let path = format!("SET search_path TO {schema}");
        client.batch_execute(&path).await.map_err(failed)?;
    }
    Ok(client)
}

async fn fill(client: &Client, schema: &str, heads: &[Remembered]) -> Result<(), BenchError> {
    let sql = format!(
        "CREATE SCHEMA {schema}; SET search_path TO {schema}; CREATE TABLE entry \
         (key bytea PRIMARY KEY, version bigint NOT NULL, value bytea NOT NULL)"
    );
    client.batch_execute(&sql).await.map_err(failed)?;
    for head in heads {
        let (key, value) = (head_key(head.session), head.head.value());
        let sealed = seal::seal(&key, 0, &value);
        let key = key.as_ref();
        let inserted = client.execute(INSERT, &[&key, &0_i64, &sealed]).await;
        inserted.map_err(failed)?;
    }
    Ok(())
}

/// One caller.
#[derive(Debug)]
struct User {
    writer: Writer,
    head: Remembered,
}

impl Caller for User {
    async fn call(&mut self) -> Result<(), BenchError> {
        let rows = self.head.count();
        self.writer.write(rows).await
    }
}

/// What all callers of a side share.
#[derive(Clone, Debug)]
enum Writer {
    Naive(Arc<Mutex<Naive>>),
    Pooled(Pool, Arc<str>),
    Batched(mpsc::UnboundedSender<Order>, Arc<Ended>),
}

type Order = (Rows, oneshot::Sender<()>);
type Ended = Mutex<Option<JoinHandle<Result<(), BenchError>>>>;

/// The one connection, with its statements prepared.
struct Naive {
    client: Client,
    select: Statement,
    update: Statement,
    insert: Statement,
}

impl std::fmt::Debug for Naive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Naive").finish_non_exhaustive()
    }
}

impl Writer {
    async fn new(mut config: Config, way: Way, schema: &str) -> Result<Self, BenchError> {
        match way {
            Way::Naive => {
                let client = connect(&config, Some(schema)).await?;
                let select = "SELECT version, value FROM entry WHERE key = $1 FOR UPDATE";
                Ok(Self::Naive(Arc::new(Mutex::new(Naive {
                    select: client.prepare(select).await.map_err(failed)?,
                    update: client.prepare(UPDATE).await.map_err(failed)?,
                    insert: client.prepare(INSERT).await.map_err(failed)?,
                    client,
                }))))
            }
            Way::Pooled => {
                config.options(format!("-c search_path={schema}"));
                let manager = deadpool_postgres::Manager::new(config, NoTls);
                let pool = Pool::builder(manager).max_size(8).build().map_err(failed)?;
                Ok(Self::Pooled(pool, BOTH.into()))
            }
            Way::Batched => {
                let client = connect(&config, Some(schema)).await?;
                let statement = client.prepare(MANY).await.map_err(failed)?;
                let (orders, taken) = mpsc::unbounded_channel();
                let serving = tokio::spawn(serve(client, statement, taken));
                Ok(Self::Batched(orders, Arc::new(Mutex::new(Some(serving)))))
            }
        }
    }

    async fn write(&self, rows: Rows) -> Result<(), BenchError> {
        match self {
            Self::Naive(naive) => naive.lock().await.write(&rows).await,
            Self::Pooled(pool, both) => {
                let client = pool.get().await.map_err(failed)?;
                let both = client.prepare_cached(both).await.map_err(failed)?;
                one(rows.write_both(&client, &both).await.map_err(failed)?)
            }
            Self::Batched(orders, ended) => {
                let (answer, answered) = oneshot::channel();
                let sent = orders.send((rows, answer)).is_ok();
                if sent && answered.await.is_ok() {
                    return Ok(());
                }
                let serving = ended.lock().await.take();
                match serving {
                    Some(serving) => serving.await.map_err(failed)?,
                    None => Err(failed("the batched side has ended")),
                }
            }
        }
    }
}

fn one(changed: u64) -> Result<(), BenchError> {
    let raced = || BenchError::Unfair("a session changed under its only caller".into());
    (changed == 1).then_some(()).ok_or_else(raced)
}

impl Naive {
    async fn write(&mut self, rows: &Rows) -> Result<(), BenchError> {
        let key = rows.head_key.as_ref();
        let transaction = self.client.transaction().await.map_err(failed)?;
        let found = transaction.query_one(&self.select, &[&key]).await;
        let found = found.map_err(failed)?;
        one(u64::from(found.get::<_, i64>(0) == rows.version - 1))?;
        let (version, event) = (&rows.version, rows.event_key.as_ref());
        let updated = transaction
            .execute(&self.update, &[&key, version, &rows.head])
            .await;
        one(updated.map_err(failed)?)?;
        let inserted = transaction
            .execute(&self.insert, &[&event, version, &rows.event])
            .await;
        one(inserted.map_err(failed)?)?;
        transaction.commit().await.map_err(failed)
    }
}

/// Writes whatever waits in one statement, over and over.
async fn serve(
    client: Client,
    statement: Statement,
    mut orders: mpsc::UnboundedReceiver<Order>,
) -> Result<(), BenchError> {
    let mut taken = Vec::new();
    while orders.recv_many(&mut taken, BATCH_MAX).await > 0 {
        let column = |of: fn(&Rows) -> &[u8]| -> Vec<&[u8]> {
            taken.iter().map(|(rows, _)| of(rows)).collect()
        };
        let versions: Vec<i64> = taken.iter().map(|(rows, _)| rows.version).collect();
        let (head_keys, heads) = (column(|rows| &rows.head_key), column(|rows| &rows.head));
        let (event_keys, events) = (column(|rows| &rows.event_key), column(|rows| &rows.event));
        let written = client
            .execute(
                &statement,
                &[&head_keys, &versions, &heads, &event_keys, &events],
            )
            .await;
        written.map_err(failed)?;
        for (_, answer) in taken.drain(..) {
            // Whoever asked may have gone.
            let _ = answer.send(());
        }
    }
    Ok(())
}
