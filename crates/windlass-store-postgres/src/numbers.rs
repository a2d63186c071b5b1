//! Numbers for versions.
//!
//! A store takes many at a time, by raising the row of the header in a
//! transaction that is as durable as a commit. So a number is never given out
//! twice, by whichever process, also after a crash (a sequence of PostgreSQL
//! can go back), and values can be sealed before they are sent.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_postgres::types::Type;

use crate::connect::{Pool, discard};
use crate::error::Failure;
use crate::limits::VERSION_NUMBERS;
use crate::options::Options;
use crate::schema::quote;
use crate::shared::within;

/// Gives out the numbers of one store.
#[derive(Debug)]
pub(crate) struct Numbers {
    left: Mutex<Range<i64>>,
    /// Held by who fetches more.
    fetching: tokio::sync::Mutex<()>,
    fetch: String,
    fetch_time_max: Duration,
    incarnation: i64,
}

impl Numbers {
    pub(crate) fn new(options: &Options, incarnation: i64) -> Self {
        // The settings are made where they cannot be left out.
        let fetch = format!(
            "UPDATE {}.store SET versions_below = versions_below + $1 \
             WHERE incarnation = $2 AND set_config('synchronous_commit', 'on', true) = 'on' \
               AND set_config('client_min_messages', 'warning', true) = 'warning' \
             RETURNING versions_below",
            quote(&options.schema)
        );
        Self {
            left: Mutex::new(0..0),
            fetching: tokio::sync::Mutex::new(()),
            fetch,
            fetch_time_max: options.commit_time_max,
            incarnation,
        }
    }

    /// A number that nobody had. Takes a round trip and a flush once in
    /// 2^20 times.
    pub(crate) async fn next(&self, pool: &Pool) -> Result<i64, Failure> {
        if let Some(number) = self.take() {
            return Ok(number);
        }
        let turn = async { Ok(self.fetching.lock().await) };
        let _turn = within(self.fetch_time_max, turn).await?;
        if let Some(number) = self.take() {
            return Ok(number);
        }
        let end = self.fetch(pool).await?;
        let first = end - VERSION_NUMBERS;
        *self.lock() = first + 1..end;
        Ok(first)
    }

    fn take(&self) -> Option<i64> {
        self.lock().next()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Range<i64>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, pool: &Pool) -> Result<i64, Failure> {
        let connection = pool.connection().await?;
        let count = (&VERSION_NUMBERS as _, Type::INT8);
        let incarnation = (&self.incarnation as _, Type::INT8);
        let warnings = pool.warnings();
        let parameters = [count, incarnation];
        let call = async { Ok(connection.query_typed(&self.fetch, &parameters).await?) };
        let rows = within(self.fetch_time_max, call).await;
        if rows.as_ref().is_err_and(Failure::is_passing) {
            discard(connection);
        }
        let rows = rows?;
        // A standby that was not waited for would give the same ones out.
        if pool.warnings() != warnings {
            return Err(Failure::unavailable(
                "the server warned that new numbers may not be on its standby",
            ));
        }
        match rows.as_slice() {
            [row] => Ok(row.try_get(0)?),
            _ => Err(Failure::environment(
                "the store was replaced; open it again",
            )),
        }
    }
}
