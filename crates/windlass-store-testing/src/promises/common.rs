//! Steps that several trials take.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::task::{JoinHandle, yield_now};
use windlass_store::{
    Batch, Commit, Entry, KeyRange, Scan, Store, StoreError, StoreErrorKind, StoreExt, Version,
};

use crate::gather::{drain, walk};
use crate::verdict::{Stop, Trial, brief, ensure, ensure_equal};

/// A readable key that sorts by its number.
pub(crate) fn key(prefix: &str, number: usize) -> Bytes {
    format!("acme/{prefix}/{number:06}").into()
}

/// Commits a batch that nothing stands in the way of.
pub(crate) async fn apply(store: &dyn Store, batch: Batch) -> Trial<Version> {
    match store.commit(batch).await? {
        Commit::Applied(version) => Ok(version),
        Commit::Conflict { key } => {
            let detail = format!("a batch whose checks hold conflicted at {key:?}");
            Err(Stop::Broken(detail))
        }
    }
}

/// Puts one key, whether it has a value or not.
pub(crate) async fn put(
    store: &dyn Store,
    key: impl Into<Bytes>,
    value: impl Into<Bytes>,
) -> Trial<Version> {
    apply(store, Batch::new().put(key, value)).await
}

/// Commits a batch that must conflict at `key`, and looks that nothing of it
/// was written.
pub(crate) async fn conflict(
    store: &dyn Store,
    batch: Batch,
    key: impl Into<Bytes>,
    what: &str,
) -> Trial {
    let before = everything(store).await?;
    let answer = store.commit(batch).await?;
    ensure_equal(&answer, &Commit::Conflict { key: key.into() }, || {
        what.to_owned()
    })?;
    let after = everything(store).await?;
    ensure_equal(&after, &before, || {
        format!("{what}: the store after the conflict")
    })
}

/// Every entry of the store, page by page.
pub(crate) async fn everything(store: &dyn Store) -> Trial<Vec<Entry>> {
    walk(store, Scan::new(KeyRange::all())).await
}

/// Every entry of the store, by an export.
pub(crate) async fn exported(store: &dyn Store) -> Trial<Vec<Entry>> {
    drain(store.export(KeyRange::all()).await?).await
}

/// The entry of a key that must have one.
pub(crate) async fn entry(store: &dyn Store, key: &Bytes) -> Trial<Entry> {
    let found = store.get(key.clone()).await?;
    found.ok_or_else(|| Stop::Broken(format!("{key:?} is missing")))
}

/// The value of a key as text; `None` if it has none.
pub(crate) async fn text(store: &dyn Store, key: &Bytes) -> Trial<Option<String>> {
    let found = store.get(key.clone()).await?;
    Ok(found.map(|entry| String::from_utf8_lossy(&entry.value).into_owned()))
}

/// Looks that a call failed with an error of `kind`.
pub(crate) fn ensure_refused<T: fmt::Debug>(
    answer: &Result<T, StoreError>,
    kind: StoreErrorKind,
    what: impl FnOnce() -> String,
) -> Trial {
    let refused = answer.as_ref().is_err_and(|error| error.kind() == kind);
    ensure(refused, || {
        format!("{}: answered {}, expected {kind:?}", what(), brief(answer))
    })
}

/// Puts `count` keys below `prefix`, each with its number as value.
pub(crate) async fn fill(store: &dyn Store, prefix: &str, count: usize) -> Trial {
    for start in (0..count).step_by(1_000) {
        let numbers = start..count.min(start + 1_000);
        let batch = numbers.fold(Batch::new(), |batch, number| {
            batch.put(key(prefix, number), number.to_string())
        });
        apply(store, batch).await?;
    }
    Ok(())
}

/// Starts a task of a trial.
pub(crate) fn spawn<T: Send + 'static>(
    task: impl Future<Output = Trial<T>> + Send + 'static,
) -> JoinHandle<Trial<T>> {
    tokio::spawn(task)
}

/// Starts a commit of its own task.
pub(crate) fn spawn_commit(store: &Arc<dyn Store>, batch: Batch) -> JoinHandle<Trial<Commit>> {
    let store = Arc::clone(store);
    spawn(async move { Ok(store.commit(batch).await?) })
}

/// Runs calls at one moment, each on a task of its own, and gives their
/// answers in order.
///
/// No call begins before every task runs: what a fast store does in a call is
/// over long before a task that sleeps is woken.
pub(crate) async fn together<T, F>(calls: Vec<F>) -> Trial<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Trial<T>> + Send + 'static,
{
    let missing = Arc::new(AtomicUsize::new(calls.len()));
    let start = |call: F| {
        let missing = Arc::clone(&missing);
        spawn(async move {
            missing.fetch_sub(1, Ordering::SeqCst);
            while missing.load(Ordering::SeqCst) > 0 {
                yield_now().await;
            }
            call.await
        })
    };
    join(calls.into_iter().map(start).collect()).await
}

/// Waits for all tasks and gives their answers in order.
pub(crate) async fn join<T>(tasks: Vec<JoinHandle<Trial<T>>>) -> Trial<Vec<T>> {
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        answers.push(join_one(task).await?);
    }
    Ok(answers)
}

/// Waits for one task; one that panicked broke the promise.
pub(crate) async fn join_one<T>(task: JoinHandle<Trial<T>>) -> Trial<T> {
    task.await
        .map_err(|panic| Stop::Broken(format!("a call panicked: {panic}")))?
}
