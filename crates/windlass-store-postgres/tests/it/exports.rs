//! What an export holds, and for how long.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use windlass_store::{Batch, KeyRange, Store, StoreErrorKind};

use crate::common::{Place, apply, kind};

const OPEN: &str = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";

async fn fill(store: &dyn Store) {
    let put = |batch: Batch, number: usize| batch.put(format!("acme/{number:04}"), "x");
    for start in [0, 1_000] {
        apply(store, (start..start + 1_000).fold(Batch::new(), put)).await;
    }
}

/// Waits until no transaction is left open.
async fn ensure_all_end(place: &Place) {
    while place.sql(OPEN) != "0" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_is_dropped_leaves_no_transaction() {
    let place = Place::alone(&[]);
    let store = place.open().await;
    fill(&store).await;
    let mut export = store.export(KeyRange::all()).await.expect("it begins");
    let first = export.next().await.expect("it goes on");
    assert_eq!(first.map(|entries| entries.len()), Some(1_000));
    assert_eq!(place.sql(OPEN), "1");
    drop(export);
    apply(&store, Batch::new().put("acme/new", "x")).await;
    let export = store.export(KeyRange::all()).await.expect("it begins");
    let entries = export.collect().await.expect("it ends");
    assert_eq!(entries.len(), 2_001, "what the next export shows");
    ensure_all_end(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_is_finished_leaves_no_transaction() {
    let place = Place::alone(&[]);
    let store = place.open().await;
    fill(&store).await;
    // More than run at a time: each gives its connection back.
    for _ in 0..8 {
        let export = store.export(KeyRange::all()).await.expect("it begins");
        assert_eq!(export.collect().await.expect("it ends").len(), 2_000);
    }
    assert_eq!(place.sql(OPEN), "0");
}

/// The answer of a future, if it has one when it was polled so many times.
async fn polled<T>(mut answer: Pin<Box<dyn Future<Output = T> + '_>>, polls: usize) -> Option<T> {
    let mut left = polls;
    poll_fn(|context| match answer.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if left <= 1 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// At whatever moment: on the way to a page, or to the end.
#[tokio::test]
async fn an_export_whose_caller_went_away_and_came_back_leaves_nothing_out() {
    let place = Place::new();
    let store = place.open().await;
    let put = |batch: Batch, number: usize| batch.put(format!("acme/{number}"), "x");
    apply(&store, (0..10).fold(Batch::new(), put)).await;
    for polls in 1..=8 {
        let mut export = store.export(KeyRange::all()).await.expect("it begins");
        let mut entries = Vec::new();
        let answer = polled(Box::pin(export.next()), polls).await;
        entries.extend(answer.transpose().expect("it goes on").flatten());
        let mut rest = export.collect().await.expect("it ends");
        let mut found: Vec<_> = entries.into_iter().flatten().collect();
        found.append(&mut rest);
        assert_eq!(found.len(), 10, "the first call was polled {polls} times");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_takes_too_long_ends_here_and_on_the_server() {
    let place = Place::alone(&[]);
    let mut options = place.options();
    options.export_time_max = Duration::from_millis(200);
    let store = place.open_with(options).await;
    fill(&store).await;
    let mut export = store.export(KeyRange::all()).await.expect("it begins");
    // Nobody polls it; the server ends it by itself.
    ensure_all_end(&place).await;
    assert_eq!(kind(export.next().await), StoreErrorKind::Unavailable);
    assert_eq!(export.next().await.expect("it stays at its end"), None);
}
