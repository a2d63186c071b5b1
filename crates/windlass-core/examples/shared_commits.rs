//! A hundred callers of one counter share a handful of commits.
//!
//! `cargo run -p windlass-core --example shared_commits`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;
use windlass_core::{Abandoned, BoxFuture, Combiner, Drive};

/// A counter that would be slow to write down once a caller.
#[derive(Debug, Default)]
struct Counter {
    total: AtomicU64,
    commits: AtomicU64,
}

impl Drive for Counter {
    type Request = u64;
    type Answer = u64;

    /// Adds what every caller asked for, and writes the sum down once.
    fn run(self: Arc<Self>, requests: Vec<u64>) -> BoxFuture<'static, Vec<u64>> {
        Box::pin(async move {
            tokio::task::yield_now().await; // here a real one waits for its disk
            self.commits.fetch_add(1, Ordering::Relaxed);
            let add = |by: u64| self.total.fetch_add(by, Ordering::Relaxed) + by;
            requests.into_iter().map(add).collect()
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Abandoned> {
    let combiner = Arc::new(Combiner::new(Arc::new(Counter::default())));
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let combiner = Arc::clone(&combiner);
        callers.spawn(async move { combiner.submit(1).await });
    }
    let answers: Result<Vec<u64>, Abandoned> = callers.join_all().await.into_iter().collect();
    let highest = answers?.into_iter().max().unwrap_or_default();

    // The first caller begins a run; all who come meanwhile share the next.
    let commits = combiner.drive().commits.load(Ordering::Relaxed);
    println!("counted to {highest} in {commits} commits");
    assert_eq!(highest, 100);
    assert!(commits < 10, "callers that wait share a run");
    Ok(())
}
