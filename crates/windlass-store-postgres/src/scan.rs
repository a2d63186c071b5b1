//! Reads: all scans of one as one statement, which sees one point in time.
//!
//! Nothing is prepared under a name, so that connections may be a pooler's.
//! Every entry is checked before it is given out: its seal where the value is
//! read, the checksum of key and version where it is not.
//!
//! The server sends one entry more than a scan may give, so that `more` is
//! exact, and stops once a page has more bytes than a read may give. Whatever
//! the scans say, it sends at most what one read may give for each of them.

use std::fmt::Write;

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use windlass_store::limits::READ_BYTES_MAX;
use windlass_store::seal::{self, SEAL_BYTES};
use windlass_store::{Entry, Incarnation, Order, Page, ReadBudget, Scan, Take, Version};

use crate::connect::Connection;
use crate::error::Failure;
use crate::limits::SMALL_SCAN_LIMIT_MAX;
use crate::prepared::key_crc;

/// All pages of one read.
pub(crate) async fn read(
    connection: &Connection,
    quoted_schema: &str,
    scans: &[Scan],
) -> Result<Vec<Page>, Failure> {
    let query = Query::new(quoted_schema, scans);
    if query.is_empty() {
        return Ok(vec![Page::default(); scans.len()]);
    }
    let rows = connection
        .query_typed(&query.sql, &query.parameters())
        .await?;
    pages(scans, &rows)
}

/// The statement for a read, and the bounds it names.
struct Query<'s> {
    sql: String,
    bounds: Vec<&'s [u8]>,
}

impl<'s> Query<'s> {
    fn new(schema: &str, scans: &'s [Scan]) -> Self {
        let mut query = Self {
            sql: format!("SELECT s.*, (SELECT incarnation FROM {schema}.store) FROM ("),
            bounds: Vec::new(),
        };
        let mut glue = "";
        for (number, scan) in scans.iter().enumerate() {
            if scan.range.is_empty() {
                continue;
            }
            query.sql.push_str(glue);
            query.add(schema, number, scan);
            glue = " UNION ALL ";
        }
        query.sql.push_str(") s");
        query
    }

    fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        let bound = |bound| (bound as &(dyn ToSql + Sync), Type::BYTEA);
        self.bounds.iter().map(bound).collect()
    }

    fn add(&mut self, schema: &str, number: usize, scan: &'s Scan) {
        let value = match scan.take {
            Take::Entries => "value",
            Take::Keys => "''::bytea AS value",
        };
        let columns = format!("key, version, key_crc, {value}");
        if let Some(key) = scan.range.as_point() {
            let place = self.bound(key);
            self.push(format_args!(
                "SELECT {number}::int4, {columns} FROM {schema}.entry WHERE key = ${place}"
            ));
            return;
        }
        let descending = match scan.order {
            Order::Ascending => "",
            Order::Descending => " DESC",
        };
        let rows = self.rows(schema, scan, &columns, descending);
        if scan.take == Take::Keys || scan.limit <= SMALL_SCAN_LIMIT_MAX {
            self.push(format_args!("(SELECT {number}::int4, r.* FROM ({rows}) r)"));
        } else {
            // What stands before a row, without the seals.
            let size = format!("octet_length(key) + octet_length(value) - {SEAL_BYTES}");
            self.push(format_args!(
                "(SELECT {number}::int4, key, version, key_crc, value FROM (\
                   SELECT *, sum({size}) OVER (ORDER BY key{descending} \
                     ROWS UNBOUNDED PRECEDING) - ({size}) AS before \
                   FROM ({rows}) r) r \
                 WHERE before <= {READ_BYTES_MAX} ORDER BY key{descending})"
            ));
        }
    }

    /// The rows of a range, one more than the scan may give.
    fn rows(&mut self, schema: &str, scan: &'s Scan, columns: &str, descending: &str) -> String {
        let start = self.bound(&scan.range.start);
        let mut rows = format!("SELECT {columns} FROM {schema}.entry WHERE key >= ${start}");
        if let Some(end) = &scan.range.end {
            let end = self.bound(end);
            rows.push_str(&format!(" AND key < ${end}"));
        }
        rows.push_str(&format!(
            " ORDER BY key{descending} LIMIT {}",
            scan.limit + 1
        ));
        rows
    }

    fn bound(&mut self, bound: &'s [u8]) -> usize {
        self.bounds.push(bound);
        self.bounds.len()
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.sql.write_fmt(text).expect("a string takes any text");
    }
}

/// Fills the pages from rows. Those of one scan come in its order.
fn pages(scans: &[Scan], rows: &[Row]) -> Result<Vec<Page>, Failure> {
    let mut of_scan: Vec<Vec<&Row>> = vec![Vec::new(); scans.len()];
    for row in rows {
        let number: i32 = row.try_get(0)?;
        let place = usize::try_from(number)
            .ok()
            .and_then(|place| of_scan.get_mut(place));
        place
            .ok_or_else(|| Failure::corrupt("a row of no scan"))?
            .push(row);
    }
    let mut budget = ReadBudget::new();
    let scans = scans.iter().zip(of_scan);
    scans
        .map(|(scan, rows)| page(scan, &rows, &mut budget))
        .collect()
}

fn page(scan: &Scan, rows: &[&Row], budget: &mut ReadBudget) -> Result<Page, Failure> {
    let mut page = Page::default();
    for row in rows {
        if page.entries.len() == scan.limit {
            page.more = true;
            break;
        }
        let entry = entry(row, scan.take)?;
        if !budget.admit(entry.key.len() + entry.value.len()) {
            page.more = true;
            break;
        }
        page.entries.push(entry);
    }
    Ok(page)
}

/// The entry in a row, checked. The columns are those of [`Query`]: the number
/// of the scan, then what is stored, then the incarnation.
pub(crate) fn entry(row: &Row, take: Take) -> Result<Entry, Failure> {
    let key = Bytes::copy_from_slice(row.try_get(1)?);
    let number: i64 = row.try_get(2)?;
    let crc: i64 = row.try_get(3)?;
    if crc != key_crc(&key, number) {
        return Err(Failure::corrupt("a stored key or version is damaged"));
    }
    let incarnation: Option<i64> = row.try_get(5)?;
    let incarnation =
        incarnation.ok_or_else(|| Failure::corrupt("the header of the store is missing"))?;
    let stamp = number.cast_unsigned();
    let value = match take {
        Take::Keys => Bytes::new(),
        Take::Entries => {
            let sealed = Bytes::copy_from_slice(row.try_get(4)?);
            seal::open(&key, stamp, &sealed)
                .map_err(|cause| Failure::corrupt("a stored value is damaged").caused_by(cause))?
        }
    };
    Ok(Entry {
        key,
        value,
        version: Version::new(Incarnation::from_number(incarnation.cast_unsigned()), stamp),
    })
}
