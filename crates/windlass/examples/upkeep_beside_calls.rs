//! What upkeep costs: rounds in which nothing is due, beside as many live
//! entries as are asked for, and calls of sessions while upkeep takes all of
//! these away.
//!
//! `cargo run --release -p windlass --example upkeep_beside_calls -- 1000000`

#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use windlass::core::{BoxFuture, Env, Millis, RandomError};
use windlass::maintenance::Turned;
use windlass::session::{Agent, Allow, Caller, Create, Use};
use windlass::stash::Key;
use windlass::store::Store;
use windlass::{Options, StoreLocation, SystemEnv, Windlass};
use windlass_store_testing::Counting;

type Failed = Box<dyn Error + Send + Sync>;

/// Entries of one stash.
const ENTRIES: u64 = 250;
/// Callers at a time.
const CALLERS: usize = 16;
/// How long calls are measured at a time.
const SLICE: Duration = Duration::from_secs(2);

/// The system's time, moved on by so many milliseconds.
#[derive(Debug, Default)]
struct Later {
    ms: AtomicU64,
    system: SystemEnv,
}

impl Env for Later {
    fn now(&self) -> Millis {
        self.system.now().plus_ms(self.ms.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.system.random(bytes)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        self.system.sleep_until(deadline)
    }
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let entries = std::env::args()
        .nth(1)
        .map_or(Ok(100_000), |told| told.parse())?;
    let directory = tempfile::tempdir()?;
    let location = StoreLocation::Sqlite(directory.path().join("upkeep.db"));
    let mut options = Options::default();
    options.maintenance.round_ms = 100;
    options.maintenance.on_start = true;
    let env = Arc::new(Later::default());
    let opened = Windlass::with_env(&location, options.clone(), env.clone()).await?;
    let counting = Arc::new(Counting::new(Arc::clone(opened.store())));
    let windlass = Windlass::over(
        Arc::clone(&counting) as Arc<dyn Store>,
        &options,
        env.clone(),
    )?;

    fill(&windlass, entries).await?;
    idle(&windlass, &counting, entries).await?;
    beside(&windlass, &env).await?;
    Ok(windlass.close().await?)
}

/// Puts entries that live for an hour.
async fn fill(windlass: &Windlass, entries: u64) -> Result<(), Failed> {
    let next = Arc::new(AtomicU64::new(0));
    let writers = (0..64).map(|_| {
        let (windlass, next) = (windlass.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= entries {
                    return Ok::<(), Failed>(());
                }
                let session = format!("s{}", number / ENTRIES).parse()?;
                let stash = windlass.stashes().stash(&"acme".parse()?, &session);
                let key: Key = format!("k{}", number % ENTRIES).parse()?;
                stash
                    .execution(None)
                    .put(&key, &number, Some(3_600_000))
                    .await?;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    Ok(())
}

/// Rounds in which nothing is due.
async fn idle(
    windlass: &Windlass,
    counting: &Counting<dyn Store>,
    entries: u64,
) -> Result<(), Failed> {
    let mut keeper = windlass.maintenance().keeper()?;
    let env = SystemEnv::new();
    let (mut took, mut cost) = (Vec::new(), None);
    while took.len() < 50 {
        let (begun, before) = (env.monotonic(), counting.counts());
        if let Turned::Round(_) = keeper.turn().await? {
            took.push(env.monotonic() - begun);
            cost = Some(counting.counts() - before);
        }
        tokio::task::yield_now().await;
    }
    keeper.release().await?;
    took.sort();
    let median = took[took.len() / 2];
    println!("idle round beside {entries} live entries: median {median:?}, {cost:?}");
    Ok(())
}

/// Calls with upkeep and without, in turns, while there is something to do.
async fn beside(windlass: &Windlass, env: &Arc<Later>) -> Result<(), Failed> {
    let caller = Caller::new("acme".parse()?, "callers".parse()?);
    let mut ids = Vec::new();
    for _ in 0..CALLERS {
        let mut request = Create::new("scout".parse()?, "call and call");
        request.tools = Allow::All;
        request.budget.calls = 1_000_000;
        request.time_limit_ms = 24 * 3_600_000;
        ids.push(windlass.sessions().create(&caller, request).await?.id);
    }
    env.ms.store(2 * 3_600_000, Ordering::Relaxed);
    // Upkeep takes no clock that leaps for a right one, unless told to.
    windlass.maintenance().accept_clock().await?;
    let mut all = 0;
    for round in 0..5 {
        let quiet = calls(windlass, &caller, &ids).await?;
        let (done, stop) = tokio::sync::oneshot::channel::<()>();
        let upkeep = windlass.maintenance();
        let before = upkeep.counts();
        let running = tokio::spawn(upkeep.clone().run(
            async {
                let _ = stop.await;
            },
            |_| {},
        ));
        let busy = calls(windlass, &caller, &ids).await?;
        drop(done);
        running.await?;
        let left = windlass.due(100_000).await?.entries;
        let changed = |counts: &windlass::maintenance::MaintenanceCounts| {
            counts.tasks.iter().map(|task| task.changed).sum::<u64>()
        };
        let changed = changed(&upkeep.counts()) - changed(&before);
        all += changed;
        println!(
            "{round}: without {quiet}; with {busy}; upkeep changed {changed}, {left} due after"
        );
    }
    if all == 0 {
        return Err("upkeep did nothing, so nothing was measured beside it".into());
    }
    Ok(())
}

/// Calls for a while: how many, and how long they took.
async fn calls(
    windlass: &Windlass,
    caller: &Caller,
    ids: &[windlass::core::SessionId],
) -> Result<String, Failed> {
    let stop = Arc::new(AtomicBool::new(false));
    let callers = ids.iter().map(|id| {
        let (windlass, caller, id) = (windlass.clone(), caller.clone(), id.clone());
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            let (env, mut took) = (SystemEnv::new(), Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let request = Use::one(Agent::Unchecked, "search".parse()?);
                let begun = env.monotonic();
                windlass.sessions().use_tools(&caller, &id, request).await?;
                took.push(env.monotonic() - begun);
            }
            Ok::<_, Failed>(took)
        })
    });
    let callers: Vec<_> = callers.collect();
    let env = SystemEnv::new();
    env.sleep_until(env.monotonic() + SLICE).await;
    stop.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for caller in callers {
        took.extend(caller.await??);
    }
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    Ok(format!(
        "{} calls, p50 {:?}, p99 {:?}",
        took.len(),
        at(50),
        at(99)
    ))
}
