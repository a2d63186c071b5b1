//! A server and what goes on in its store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use windlass::core::{BoxFuture, Env, Millis, RandomError};
use windlass::queue::{Ask, Payload, Settle, Under, Work};
use windlass::session::Caller;
use windlass::{Options, StoreLocation, SystemEnv, Windlass};
use windlass_replay::{Format, Outputs, ReadOptions, Recording, Replay, ReplayOptions};
use windlass_server::{Config, Server};

/// Between two looks at how far upkeep is, and how often that is looked at.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS_MAX: usize = 500;

/// 2031-05-09T00:00:00Z.
const BEGINNING: u64 = 1_936_051_200_000;
/// How far the time of day moves on with each recording.
const STRIDE_MS: u64 = 6 * 60 * 60 * 1_000;
/// The least that a recording takes, so that upkeep has a share of the machine.
const DAY: Duration = Duration::from_millis(100);
/// Steps of a run.
const STEPS: u64 = 12;
/// Runs of a recording.
const RUNS: u64 = 3;

/// Time that is moved on, and durations that are real.
#[derive(Debug)]
struct Strides {
    now: AtomicU64,
    system: SystemEnv,
}

impl Env for Strides {
    fn now(&self) -> Millis {
        Millis::new(self.now.load(Ordering::Relaxed))
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

/// What became of it all.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) days: u64,
    pub(super) rounds: u64,
    pub(super) failures: u64,
    /// Things that upkeep changed or removed.
    pub(super) removed: u64,
}

/// An engine whose things expire soon, and a server over it that does its
/// upkeep.
pub(super) struct Life {
    windlass: Windlass,
    env: Arc<Strides>,
    days: AtomicU64,
    address: String,
    stop: oneshot::Sender<()>,
    server: JoinHandle<windlass_server::Stopped>,
    directory: TempDir,
}

fn options() -> Options {
    let mut options = Options::default();
    options.sessions.retention_ms = 60 * 60 * 1_000;
    options.sessions.cached_sessions = 64;
    options.checkpoints.retention.keep_ms = 60 * 60 * 1_000;
    options.checkpoints.retention.keep_last = 2;
    options.checkpoints.grace_ms = 10 * 60 * 1_000;
    options.maintenance.round_ms = 200;
    options.maintenance.on_start = true;
    options
}

impl Life {
    pub(super) async fn begin() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let location = StoreLocation::Sqlite(directory.path().join("soak.db"));
        let env = Arc::new(Strides {
            now: AtomicU64::new(BEGINNING),
            system: SystemEnv::new(),
        });
        let opened = Windlass::with_env(&location, options(), env.clone()).await;
        let windlass = opened.unwrap();
        let mut config = Config::default();
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.metrics_public = true;
        let server = Server::bind(windlass.clone(), config).await.unwrap();
        let address = server.address().to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let until = async {
            let _ = stopped.await;
        };
        Self {
            windlass,
            env,
            days: AtomicU64::new(0),
            address,
            stop,
            server: tokio::spawn(server.run(until, std::future::pending())),
            directory,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("soak.db")
    }

    /// Plays a recording of its own, does what no recording has in it, and
    /// lets six hours go by.
    pub(super) async fn day(&self) {
        let day = self.days.fetch_add(1, Ordering::Relaxed);
        let least = self.env.monotonic() + DAY;
        let caller = Caller::new("acme".parse().unwrap(), "soak".parse().unwrap());
        let path = self.directory.path().join("runs.jsonl");
        std::fs::write(&path, recorded(day, self.env.now())).unwrap();
        let read = ReadOptions {
            format: Some(Format::OpenHands),
            ..ReadOptions::default()
        };
        let recording = Recording::read(&path, &read).unwrap();
        let options = ReplayOptions {
            outputs: Outputs::Steps,
            ..ReplayOptions::default()
        };
        let replay = Replay {
            windlass: &self.windlass,
            caller: &caller,
            recording: &recording,
            options: &options,
        };
        replay.run(&()).await.unwrap();
        self.scratch(day).await;
        self.get("/v1/store/due").await;
        self.env.sleep_until(least).await;
        self.env.now.fetch_add(STRIDE_MS, Ordering::Relaxed);
        self.upkeep().await;
    }

    /// Waits for two rounds of upkeep, so that a machine that is slow plays
    /// fewer days and not more than upkeep can follow; not for ever.
    async fn upkeep(&self) {
        let rounds = || self.windlass.maintenance().counts().rounds;
        let wanted = rounds() + 2;
        for _ in 0..LOOKS_MAX {
            if rounds() >= wanted {
                return;
            }
            let next = self.env.monotonic() + LOOK;
            self.env.sleep_until(next).await;
        }
    }

    /// Entries of a stash, and work that is done.
    async fn scratch(&self, day: u64) {
        let session = format!("scratch-{day}").parse().unwrap();
        let stash = self
            .windlass
            .stashes()
            .stash(&"acme".parse().unwrap(), &session);
        let execution = stash.execution(None);
        for number in 0..8 {
            let key = format!("k{number}").parse().unwrap();
            let value = "a value ".repeat(300);
            execution.put(&key, &value, Some(60_000)).await.unwrap();
        }
        let caller = windlass::queue::Caller::new("acme".parse().unwrap(), "soak".parse().unwrap());
        let queue = self.windlass.queue();
        let work = vec![Work::new(vec![Payload::json("errand", &day).unwrap()])];
        queue
            .enqueue(&caller, &session, work, Under::NOTHING)
            .await
            .unwrap();
        let ask = Ask::new("soak".parse().unwrap(), 60_000);
        let claim = queue
            .claim(&caller, &session, &ask, Under::NOTHING)
            .await
            .unwrap();
        let claim = claim.unwrap();
        let mut settle = Settle::nothing(claim.token);
        settle.complete = claim.work.iter().map(|work| work.id).collect();
        queue
            .settle(&caller, &session, settle, Under::NOTHING)
            .await
            .unwrap();
    }

    /// Everything that is stored, counted by what it is of.
    pub(super) async fn rows(&self) -> BTreeMap<String, u32> {
        let mut export = self.windlass.export().await.unwrap();
        let mut rows = BTreeMap::new();
        while let Some(entries) = export.next().await.unwrap() {
            for entry in entries {
                let key = String::from_utf8_lossy(&entry.key).into_owned();
                let segments: Vec<&str> = key.split('/').collect();
                let kind = match segments.as_slice() {
                    ["due", _, kind, ..] => format!("due {kind}"),
                    [_, part, _, kind, ..] => format!("{part} {kind}"),
                    _ => "other".to_owned(),
                };
                *rows.entry(kind).or_default() += 1;
            }
        }
        rows
    }

    pub(super) fn stash_bytes(&self) -> f64 {
        let bytes = self.windlass.stashes().cached_value_bytes();
        bytes.to_string().parse().unwrap()
    }

    /// The figures of `/metrics` that have no label.
    pub(super) async fn metrics(&self) -> BTreeMap<String, f64> {
        let text = self.get("/metrics").await;
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let figures =
            lines.filter_map(|(name, figure)| Some((name.to_owned(), figure.parse().ok()?)));
        figures.collect()
    }

    /// What the server answers, on a connection of its own.
    async fn get(&self, path: &str) -> String {
        let mut connection = TcpStream::connect(&self.address).await.unwrap();
        let host = &self.address;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        answer
    }

    pub(super) async fn end(self) -> Ended {
        self.stop.send(()).unwrap();
        self.server.await.unwrap();
        let counts = self.windlass.maintenance().counts();
        self.windlass.close().await.unwrap();
        Ended {
            days: self.days.into_inner(),
            rounds: counts.rounds,
            failures: counts.tasks.iter().map(|task| task.failures).sum(),
            removed: counts.tasks.iter().map(|task| task.changed).sum(),
        }
    }
}

/// A recording of runs that began at `at`, as OpenHands writes them; no two
/// days have the same.
fn recorded(day: u64, at: Millis) -> String {
    let lines = (0..RUNS).map(|run| {
        let events: Vec<String> = (0..STEPS).map(|step| events(day, run, step, at)).collect();
        format!(
            r#"{{"instance_id": "isle-{day}-{run}", "metadata": {{"agent_class": "Keeper", "max_iterations": 50}}, "history": [{}]}}"#,
            events.join(", ")
        ) + "\n"
    });
    lines.collect()
}

/// A call, and what was observed of it.
fn events(day: u64, run: u64, step: u64, at: Millis) -> String {
    let ms = i64::try_from(at.get() + run * 1_000 + step * 50).unwrap();
    let time = Timestamp::from_millisecond(ms).unwrap().to_string();
    let time = time.trim_end_matches('Z');
    let (call, seen) = (2 * step, 2 * step + 1);
    let content =
        format!("day {day}, run {run}, step {step}: all is well on the isle. ").repeat(12);
    format!(
        r#"{{"id": {call}, "timestamp": "{time}", "source": "agent", "action": "run", "args": {{"command": "look {day} {step}"}}}}, {{"id": {seen}, "timestamp": "{time}", "source": "agent", "observation": "run", "cause": {call}, "content": "{content}"}}"#
    )
}
