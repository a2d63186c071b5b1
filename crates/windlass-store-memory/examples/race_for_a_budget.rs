//! Eight tasks spend one budget of a hundred calls, by compare-and-set.
//!
//! `cargo run -p windlass-store-memory --example race_for_a_budget`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use windlass_store::{Batch, Commit, Entry, Expect, Store, StoreError, StoreErrorKind, StoreExt};
use windlass_store_memory::MemoryStore;

const KEY: Bytes = Bytes::from_static(b"acme/budget");

#[tokio::main]
async fn main() -> Result<(), StoreError> {
    let store = Arc::new(MemoryStore::new()?);
    let birth = Batch::new().check(KEY, Expect::Absent).put(KEY, "100");
    assert!(
        matches!(store.commit(birth).await?, Commit::Applied(_)),
        "nobody else is here"
    );

    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        tasks.spawn(spend_all(Arc::clone(&store)));
    }
    let spent: Result<Vec<u64>, StoreError> = tasks.join_all().await.into_iter().collect();
    let spent = spent?;
    println!("spent by task: {spent:?}");
    assert_eq!(
        spent.iter().sum::<u64>(),
        100,
        "not one call more than the budget"
    );
    store.close().await
}

/// Spends calls until none is left; answers how many it got.
async fn spend_all(store: Arc<MemoryStore>) -> Result<u64, StoreError> {
    let mut spent = 0;
    loop {
        match store.update(KEY, one_less).await {
            Ok(Some(_)) => spent += 1,
            Ok(None) => return Ok(spent),
            // Too many races lost in a row: nothing happened, try again later.
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {}
            Err(error) => return Err(error),
        }
        tokio::task::yield_now().await;
    }
}

/// The budget after one call; none if nothing is left.
fn one_less(entry: Option<&Entry>) -> Option<Bytes> {
    let text = std::str::from_utf8(&entry?.value).ok()?;
    let left: u64 = text.parse().ok()?;
    Some((left.checked_sub(1)?).to_string().into())
}
