//! Numbers for versions.
//!
//! A store takes many at a time, by raising the row of the header in a
//! transaction that is as durable as a commit. So a number is never given out
//! twice, by whichever process, also after a crash (a sequence of PostgreSQL
//! can go back), and values can be sealed before they are sent.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use tokio_postgres::types::Type;

use crate::connect::Pool;
use crate::error::Failure;
use crate::limits::VERSION_NUMBERS;
use crate::schema::quote;

/// Gives out the numbers of one store.
#[derive(Debug)]
pub(crate) struct Numbers {
    left: Mutex<Range<i64>>,
    /// Held by who fetches more.
    fetching: tokio::sync::Mutex<()>,
    fetch: String,
    incarnation: i64,
}

impl Numbers {
    pub(crate) fn new(schema: &str, incarnation: i64) -> Self {
        // The setting is made where it cannot be left out.
        let fetch = format!(
            "UPDATE {}.store SET versions_below = versions_below + $1 \
             WHERE incarnation = $2 AND set_config('synchronous_commit', 'on', true) = 'on' \
             RETURNING versions_below",
            quote(schema)
        );
        Self {
            left: Mutex::new(0..0),
            fetching: tokio::sync::Mutex::new(()),
            fetch,
            incarnation,
        }
    }

    /// A number that nobody had. Takes a round trip and a flush once in
    /// 2^20 times.
    pub(crate) async fn next(&self, pool: &Pool) -> Result<i64, Failure> {
        if let Some(number) = self.take() {
            return Ok(number);
        }
        let _turn = self.fetching.lock().await;
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
        let rows = connection
            .query_typed(&self.fetch, &[count, incarnation])
            .await?;
        match rows.as_slice() {
            [row] => Ok(row.try_get(0)?),
            _ => Err(Failure::environment(
                "the store was replaced; open it again",
            )),
        }
    }
}
