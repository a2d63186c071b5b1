//! Reads. Those of single keys that wait at the same time are answered by one
//! statement, and so at one point in time, later than each was asked.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use windlass_store::limits::READ_BYTES_MAX;
use windlass_store::{Page, ReadBudget, Scan, StoreErrorKind, Take};

use crate::connect::discard;
use crate::error::Failure;
use crate::limits::POINT_READS_MAX;
use crate::scan;
use crate::schema::quote;
use crate::shared::{Shared, within};

/// A read of single keys, and who waits for the answer.
#[derive(Debug)]
pub(crate) struct Request {
    scans: Vec<Scan>,
    answer: oneshot::Sender<Result<Vec<Page>, Failure>>,
    /// Its place among those that may wait.
    _room: OwnedSemaphorePermit,
}

/// The rows of a statement.
struct Rows<'r> {
    by_key: HashMap<&'r [u8], &'r Row>,
    /// Whether the index led to a row of a key that nobody asked for: its key
    /// is damaged, and somebody's is missing.
    have_stray: bool,
}

impl<'r> Rows<'r> {
    fn new(rows: &'r [Row], requests: &[Request]) -> Result<Self, Failure> {
        let by_key = rows.iter().map(|row| Ok((row.try_get(1)?, row)));
        let by_key: HashMap<&[u8], _> = by_key.collect::<Result<_, Failure>>()?;
        let asked: HashSet<&[u8]> = keys(requests).collect();
        let have_stray = by_key.keys().any(|key| !asked.contains(key));
        Ok(Self { by_key, have_stray })
    }
}

/// All keys that are asked for.
fn keys(requests: &[Request]) -> impl Iterator<Item = &[u8]> {
    let scans = requests.iter().flat_map(|request| &request.scans);
    scans.filter_map(|scan| scan.range.as_point().map(AsRef::as_ref))
}

/// Whether a read is of single keys only.
pub(crate) fn can_share(scans: &[Scan]) -> bool {
    scans.iter().all(|scan| scan.range.as_point().is_some())
}

/// Reads single keys, with others who do so.
pub(crate) async fn share(shared: &Shared, scans: &[Scan]) -> Result<Vec<Page>, Failure> {
    let closed = || Failure::new(StoreErrorKind::Closed, "the store is closed");
    let room = Arc::clone(&shared.reading_room).acquire_owned().await;
    let (answer, answered) = oneshot::channel();
    let request = Request {
        scans: scans.to_vec(),
        answer,
        _room: room.map_err(|_| closed())?,
    };
    if !shared.points.push(request) {
        return Err(closed());
    }
    answered.await.unwrap_or_else(|_| Err(closed()))
}

/// Reads with a statement of its own.
pub(crate) async fn alone(shared: &Shared, scans: &[Scan]) -> Result<Vec<Page>, Failure> {
    let connection = shared.reads.connection().await?;
    let schema = quote(&shared.options.schema);
    let reading = scan::read(&connection, &schema, scans);
    let pages = within(shared.options.read_time_max, reading).await;
    if pages.as_ref().is_err_and(Failure::is_passing) {
        discard(connection);
    }
    pages
}

/// Answers reads of single keys until the store is closed.
pub(crate) async fn run(shared: Arc<Shared>) {
    let count = |waiting: &VecDeque<Request>| waiting.len().min(POINT_READS_MAX);
    while let Some(mut requests) = shared.points.take(count).await {
        // Nobody reads for those who have gone.
        requests.retain(|request| !request.answer.is_closed());
        if requests.is_empty() {
            continue;
        }
        if let [_] = requests.as_slice() {
            answer_alone(&shared, requests.remove(0)).await;
        } else {
            answer_together(&shared, requests).await;
        }
    }
}

async fn answer_alone(shared: &Shared, request: Request) {
    let pages = alone(shared, &request.scans).await;
    // Whoever asked may have gone.
    let _ = request.answer.send(pages);
}

async fn answer_together(shared: &Shared, requests: Vec<Request>) {
    let rows = match look_up(shared, &requests).await {
        Ok(rows) => rows,
        Err(failure) => {
            for request in requests {
                let _ = request.answer.send(Err(failure.clone()));
            }
            return;
        }
    };
    let rows = Rows::new(&rows, &requests);
    for request in requests {
        let rows = rows.as_ref().map_err(Clone::clone);
        match rows.and_then(|rows| pages(&request.scans, rows)) {
            Ok(Some(pages)) => drop(request.answer.send(Ok(pages))),
            Ok(None) => answer_alone(shared, request).await,
            Err(failure) => drop(request.answer.send(Err(failure))),
        }
    }
}

/// The rows of all keys that are asked for. Once they have as many bytes as
/// one read may give, the others come without their values.
async fn look_up(shared: &Shared, requests: &[Request]) -> Result<Vec<Row>, Failure> {
    let keys: Vec<&[u8]> = keys(requests).collect();
    let schema = quote(&shared.options.schema);
    let sql = format!(
        "SELECT 0::int4, key, version, key_crc, \
           CASE WHEN before <= {READ_BYTES_MAX} THEN value END, \
           (SELECT incarnation FROM {schema}.store) \
         FROM (SELECT *, sum(octet_length(value)) OVER (ROWS UNBOUNDED PRECEDING) \
                 - octet_length(value) AS before \
               FROM {schema}.entry WHERE key = ANY ($1)) e"
    );
    let connection = shared.reads.connection().await?;
    let parameters = [(&keys as _, Type::BYTEA_ARRAY)];
    let reading = async { Ok(connection.query_typed(&sql, &parameters).await?) };
    let rows = within(shared.options.read_time_max, reading).await;
    if rows.as_ref().is_err_and(Failure::is_passing) {
        discard(connection);
    }
    rows
}

/// The pages of one read; `None` if a value was left out that it wants, or a
/// row may be missing.
fn pages(scans: &[Scan], rows: &Rows<'_>) -> Result<Option<Vec<Page>>, Failure> {
    let mut budget = ReadBudget::new();
    let mut pages = Vec::with_capacity(scans.len());
    for scan in scans {
        let key = scan.range.as_point();
        let row = key.and_then(|key| rows.by_key.get(key.as_ref()));
        let Some(row) = row else {
            if rows.have_stray {
                return Ok(None);
            }
            pages.push(Page::default());
            continue;
        };
        let is_left_out = row.try_get::<_, Option<&[u8]>>(4)?.is_none();
        if is_left_out && scan.take == Take::Entries {
            return Ok(None);
        }
        let entry = scan::entry(row, scan.take)?;
        let more = !budget.admit(entry.key.len() + entry.value.len());
        let entries = if more { Vec::new() } else { vec![entry] };
        pages.push(Page { entries, more });
    }
    Ok(Some(pages))
}
