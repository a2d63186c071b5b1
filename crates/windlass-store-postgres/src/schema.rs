//! The schema: how it is recognized, made and brought up to date.
//!
//! Formats are numbered from 1, and each has one file in `sql/` that leads
//! from the one before. All that are missing run in one transaction, under a
//! lock that ends with it, so that any number of servers may start at once
//! and a step that fails leaves nothing. The row of `store` says which code
//! may read and write; the function that commits looks at it each time.

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use windlass_store::{Incarnation, StoreError};

use crate::connect::{Connection, Pool};
use crate::error::Failure;
use crate::health::Health;
use crate::limits::SERVER_VERSION_MIN;
use crate::options::{Migrations, Options, UnsafeServers};
use crate::shared::within;

/// The format this code writes.
pub(crate) const FORMAT: i32 = 1;

/// What leads from each format to the next, the first from nothing.
const STEPS: [&str; 1] = [include_str!("sql/format_1.sql")];

/// The first half of the lock under which schemas are changed.
const LOCK_CLASS: i32 = 0x574e_444c;

/// How a schema stands to this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The format found; `None` where there is no store yet.
    pub found: Option<i32>,
    /// The format that this code brings about.
    pub expected: i32,
}

impl Status {
    /// Whether [`migrate`] has nothing to do.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.found.is_some_and(|found| found >= self.expected)
    }
}

/// One step of a migration that is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The format it leads to.
    pub format: i32,
    /// The format after the last step.
    pub last: i32,
}

/// Says how the schema stands, and changes nothing.
///
/// # Errors
///
/// `Environment` for a schema that is somebody else's, or that a newer code
/// made and this one may not read; otherwise as
/// [`PostgresStore::connect`](crate::PostgresStore::connect).
pub async fn check(options: &Options) -> Result<Status, StoreError> {
    options.validate()?;
    let found = async {
        let mut connection = Pool::new(options, 1)?.connection().await?;
        let transaction = connection.transaction().await?;
        let found = recognize(&transaction, &options.schema).await?;
        found.map(Header::verified).transpose()
    };
    let found: Result<_, Failure> = found.await;
    let found = found.map_err(|failure| failure.error("open"))?;
    Ok(Status {
        found: found.map(|header| header.format),
        expected: FORMAT,
    })
}

/// Makes the schema, or brings it up to date; `progress` hears of each step
/// before it begins. Safe while servers of the previous version run, and if
/// several processes do it at once. All steps happen or none.
///
/// # Errors
///
/// As [`check`]. Nothing has changed then, unless the connection was lost at
/// the very end: [`check`] tells, and doing it again is safe.
pub async fn migrate(
    options: &Options,
    progress: impl FnMut(Step) + Send,
) -> Result<Status, StoreError> {
    options.validate()?;
    let migrated = async {
        let mut connection = Pool::new(options, 1)?.connection().await?;
        bring_up(&mut connection, &options.schema, progress).await
    };
    let header = migrated.await.map_err(|failure| failure.error("open"))?;
    Ok(Status {
        found: Some(header.format),
        expected: FORMAT,
    })
}

/// The header of the store that the options name, which is made or brought up
/// to date if they say so. That may take long, and waits for others who do it.
pub(crate) async fn open(
    connection: &mut Connection,
    options: &Options,
) -> Result<(Header, Health), Failure> {
    let limit = options.unavailable_time_max;
    let (health, found) = within(limit, look(connection, options)).await?;
    let header = match (found, options.migrations) {
        (Some(header), _) if header.format >= FORMAT => header,
        (_, Migrations::Run) => bring_up(connection, &options.schema, |_| ()).await?,
        (found, Migrations::Require) => return Err(unmigrated(found)),
    };
    Ok((header, health))
}

/// What server and schema are like.
async fn look(
    connection: &mut Connection,
    options: &Options,
) -> Result<(Health, Option<Header>), Failure> {
    let health = ensure_durable(connection, options.unsafe_servers).await?;
    let transaction = connection.transaction().await?;
    let found = recognize(&transaction, &options.schema).await?;
    Ok((health, found.map(Header::verified).transpose()?))
}

fn unmigrated(found: Option<Header>) -> Failure {
    Failure::environment(match found {
        Some(header) => format!(
            "the schema has format {}, expected {FORMAT}; it has to be migrated first",
            header.format
        ),
        None => "the schema holds no store; it has to be migrated first".to_owned(),
    })
}

/// Refuses a server that is too old or that does not keep what it says.
async fn ensure_durable(
    connection: &Connection,
    servers: UnsafeServers,
) -> Result<Health, Failure> {
    let sql = "SELECT current_setting('fsync') = 'on', \
               current_setting('full_page_writes') = 'on', \
               current_setting('server_version_num')::int4, \
               split_part(current_setting('server_version'), ' ', 1)";
    let rows = connection.query_typed(sql, &[]).await?;
    let row = only(&rows)?;
    let version: i32 = row.try_get(2)?;
    if version < SERVER_VERSION_MIN {
        return Err(Failure::environment(format!(
            "the server has version {version}, expected {SERVER_VERSION_MIN} or newer"
        )));
    }
    let settings: [(&str, bool); 2] = [
        ("fsync", row.try_get(0)?),
        ("full_page_writes", row.try_get(1)?),
    ];
    for (name, is_on) in settings {
        if !is_on && servers == UnsafeServers::Refuse {
            return Err(Failure::environment(format!(
                "the server has `{name}` off and may lose what it acknowledged"
            )));
        }
    }
    Ok(Health {
        server_version: row.try_get(3)?,
        survives_power_loss: settings.iter().all(|(_, is_on)| *is_on),
    })
}

async fn bring_up(
    connection: &mut Connection,
    schema: &str,
    mut progress: impl FnMut(Step),
) -> Result<Header, Failure> {
    let transaction = connection.transaction().await?;
    let lock = "SELECT pg_advisory_xact_lock($1, hashtext($2))::text";
    let class = (&LOCK_CLASS as _, Type::INT4);
    transaction
        .query_typed(lock, &[class, (&schema, Type::TEXT)])
        .await?;
    let found = recognize(&transaction, schema).await?;
    let header = match found.map(Header::verified).transpose()? {
        Some(header) if header.format >= FORMAT => return Ok(header),
        Some(header) => header,
        None => Header::draw()?,
    };
    let quoted = quote(schema);
    transaction
        .batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {quoted}"))
        .await?;
    for (sql, format) in STEPS
        .iter()
        .zip(1..)
        .skip_while(|(_, to)| *to <= header.format)
    {
        progress(Step {
            format,
            last: FORMAT,
        });
        let sql = sql.replace("{schema}", &quoted);
        transaction.batch_execute(&sql).await?;
    }
    let header = header.brought_up();
    header.write(&transaction, &quoted).await?;
    transaction.commit().await?;
    Ok(header)
}

/// The header of a schema that is ours; `None` for one that is missing or
/// empty.
async fn recognize(transaction: &Transaction<'_>, schema: &str) -> Result<Option<Header>, Failure> {
    let sql = "SELECT count(*), \
                 count(*) FILTER (WHERE c.relname IN ('store', 'entry') AND c.relkind = 'r') \
               FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1";
    let rows = transaction
        .query_typed(sql, &[(&schema, Type::TEXT)])
        .await?;
    let row = only(&rows)?;
    let (all, ours): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    match (all, ours) {
        (0, _) => Ok(None),
        (_, 2) => Header::read(transaction, &quote(schema)).await.map(Some),
        _ => Err(Failure::environment(
            "the schema has tables of somebody else and no store",
        )),
    }
}

/// The row of `store`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// 0 before the first step.
    format: i32,
    readable_from: i32,
    incarnation: i64,
}

impl Header {
    fn draw() -> Result<Self, Failure> {
        let incarnation = Incarnation::draw().map_err(|cause| {
            Failure::environment("no incarnation can be drawn").caused_by(cause)
        })?;
        Ok(Self {
            format: 0,
            readable_from: 0,
            incarnation: incarnation.number().cast_signed(),
        })
    }

    /// The number that is part of every version.
    pub(crate) const fn incarnation(&self) -> i64 {
        self.incarnation
    }

    const fn brought_up(self) -> Self {
        Self {
            format: FORMAT,
            readable_from: FORMAT,
            ..self
        }
    }

    async fn read(transaction: &Transaction<'_>, quoted: &str) -> Result<Self, Failure> {
        let sql = format!("SELECT format, readable_from, incarnation FROM {quoted}.store");
        let rows = transaction.query_typed(&sql, &[]).await?;
        let row = only(&rows)?;
        Ok(Self {
            format: row.try_get(0)?,
            readable_from: row.try_get(1)?,
            incarnation: row.try_get(2)?,
        })
    }

    /// Writes the row. Code of format 1 may go on until a format says that it
    /// may not.
    async fn write(&self, transaction: &Transaction<'_>, quoted: &str) -> Result<(), Failure> {
        let sql = format!(
            "INSERT INTO {quoted}.store \
               (id, format, readable_from, writable_from, incarnation, versions_below) \
             VALUES (1, $1, $1, $1, $2, 1) ON CONFLICT (id) DO UPDATE SET format = $1"
        );
        let format = (&self.format as _, Type::INT4);
        let incarnation = (&self.incarnation as _, Type::INT8);
        transaction
            .execute_typed(&sql, &[format, incarnation])
            .await?;
        Ok(())
    }

    /// Refuses what this code must not read.
    fn verified(self) -> Result<Self, Failure> {
        if self.format < 1 || self.readable_from > FORMAT {
            return Err(Failure::environment(format!(
                "the schema has format {}, readable from format {}; expected format {FORMAT}",
                self.format, self.readable_from
            )));
        }
        Ok(self)
    }
}

/// A name as SQL wants it. Names are validated, so there is nothing to escape.
pub(crate) fn quote(schema: &str) -> String {
    format!("\"{schema}\"")
}

/// The one row of an answer.
fn only(rows: &[Row]) -> Result<&Row, Failure> {
    match rows {
        [row] => Ok(row),
        _ => Err(Failure::corrupt("the header of the store is missing")),
    }
}
