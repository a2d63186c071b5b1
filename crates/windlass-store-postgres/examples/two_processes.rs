//! Two stores that share no memory, as two machines would have them, count up
//! one key; no increment is lost.
//!
//! `cargo run -p windlass-store-postgres --example two_processes` starts a
//! PostgreSQL of its own from the installed binaries; with an address, such as
//! `-- postgres://me@127.0.0.1/test?schema=example`, it uses that one.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use windlass_store::{Batch, Commit, Expect, Store, StoreError, StoreExt};
use windlass_store_postgres::{Options, PostgresStore};
use windlass_store_testing::postgres::Server;

const ROUNDS: u32 = 50;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = match std::env::args().nth(1) {
        Some(url) => Place::Given(url),
        None => Place::Own(Server::start(&[])?),
    };
    let options = Options::from_url(&server.url())?;
    let (one, other) = (open(&options).await?, open(&options).await?);
    let (lost, won) = tokio::try_join!(count_up(&one), count_up(&other))?;
    let counter = one.get(key()).await?.expect("it was counted up");
    println!(
        "{} after 2 × {ROUNDS} increments; {} races were lost on the way",
        String::from_utf8_lossy(&counter.value),
        lost + won
    );
    one.close().await?;
    other.close().await?;
    Ok(())
}

/// Where the server is.
enum Place {
    Given(String),
    Own(Server),
}

impl Place {
    fn url(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Own(server) => server.url(),
        }
    }
}

async fn open(options: &Options) -> Result<Arc<PostgresStore>, StoreError> {
    Ok(Arc::new(PostgresStore::connect(options.clone()).await?))
}

fn key() -> Bytes {
    Bytes::from_static(b"acme/counter")
}

/// Counts up, again and again where somebody else was faster; how often.
async fn count_up(store: &PostgresStore) -> Result<u32, StoreError> {
    let (mut done, mut lost) = (0, 0);
    while done < ROUNDS {
        let entry = store.get(key()).await?;
        let count: u64 = entry.as_ref().map_or(0, |entry| {
            String::from_utf8_lossy(&entry.value).parse().unwrap_or(0)
        });
        let expect = entry.map_or(Expect::Absent, |entry| Expect::Version(entry.version));
        let batch = Batch::new()
            .check(key(), expect)
            .put(key(), (count + 1).to_string());
        match store.commit(batch).await? {
            Commit::Applied(_) => done += 1,
            Commit::Conflict { .. } => lost += 1,
        }
    }
    Ok(lost)
}
