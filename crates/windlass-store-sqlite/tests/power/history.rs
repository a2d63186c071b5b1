//! A recorded history: writers at a store, from its birth or from what an
//! earlier power cut left of one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;
use windlass_store::{Batch, Commit, Entry, Expect, Store, StoreExt, Version};
use windlass_store_sqlite::{Durability, Options, SqliteStore};
use windlass_store_testing::Random;

use crate::fate::{Draw, Mood};
use crate::ledger::Ledger;
use crate::medium::Medium;
use crate::recording::{Event, Mark, Recorder};
use crate::vfs::Vfs;
use crate::workload::{self, Writes};

/// The name of the database in every directory of these tests.
pub(crate) const DATABASE: &str = "agents.db";

const WRITERS: usize = 6;
/// How often the store is opened and closed.
const ROUNDS: usize = 3;
/// Batches of one writer between an opening and a closing.
const ROUND_BATCHES: usize = 12;

/// The files of a store, by name.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// What a store is recorded with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) durability: Durability,
    /// Says that a batch is acknowledged when it is only handed in.
    pub(crate) hasty: bool,
}

/// Where a history begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    /// The files on the disk.
    pub(crate) image: Image,
    /// What is in the store that they are.
    pub(crate) entries: Vec<Entry>,
}

/// Everything needed to cut the power at any moment of a history and to know
/// what must be there afterwards.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) start: Image,
    pub(crate) ledger: Ledger,
    pub(crate) events: Vec<Event>,
    /// Whether the oldest row, which is never deleted, is at another place of
    /// the table than it was written to.
    pub(crate) has_moved: bool,
}

/// A directory in memory where the system has one, so that no image is
/// written to a disk.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a directory for temporary files can be made")
}

/// Writes the files of an image into a directory.
pub(crate) fn write_image(directory: &Path, image: &Image) {
    for (name, bytes) in image {
        std::fs::write(directory.join(name), bytes).expect("an image can be written");
    }
}

/// Records the history that `seed` describes, as far as the threads of the
/// store let a seed describe one.
pub(crate) fn record(vfs: &Vfs, seed: u64, start: Start, manner: Manner) -> History {
    let directory = scratch();
    write_image(directory.path(), &start.image);
    let recorder = Arc::new(Recorder::over(start.image.keys()));
    vfs.serve(Arc::clone(&recorder) as _);
    let plan = |writer| workload::plan(seed, writer, ROUNDS * ROUND_BATCHES);
    let plans: Vec<_> = (0..WRITERS).map(plan).collect();
    let ledger = Ledger::new(&plans, &start.entries);
    let mut random = Random::new(seed);
    let crew = Crew {
        recorder: Arc::clone(&recorder),
        manner,
        path: directory.path().join(DATABASE),
        options: options(&mut random, vfs, manner),
        counters: counters(&start.entries),
    };
    runtime().block_on(crew.work(&mut random, &plans));
    let mut history = History {
        start: start.image,
        ledger,
        events: recorder.finish(),
        has_moved: false,
    };
    history.assert_complete(directory.path());
    history.has_moved = first_id(directory.path()) > 1;
    history
}

/// The lowest id in a store that is closed.
fn first_id(directory: &Path) -> i64 {
    let connection = Connection::open(directory.join(DATABASE)).expect("the file opens");
    let first = connection.query_row("SELECT min(id) FROM entry", [], |row| row.get(0));
    first.expect("it has entries")
}

impl History {
    /// Asserts that what was recorded gives the files as they are.
    fn assert_complete(&self, directory: &Path) {
        let mut medium = Medium::of(&self.start);
        self.events.iter().for_each(|event| medium.apply(event));
        let recorded = medium.image(&Draw::of(Mood::Everything, 0));
        for name in [DATABASE.to_owned(), format!("{DATABASE}-wal")] {
            let found = std::fs::read(directory.join(&name)).ok();
            let equal = recorded.get(&name) == found.as_ref();
            assert!(equal, "the recording of `{name}` misses something");
        }
    }
}

/// A runtime that adds no schedules of its own to those of the store.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    built.expect("a runtime can be built")
}

/// Logs small enough to be copied, started over and emptied all the time.
fn options(random: &mut Random, vfs: &Vfs, manner: Manner) -> Options {
    let copy = *random.pick(&[12 * 1_024, 48 * 1_024, 160 * 1_024, 8 * 1_024 * 1_024]);
    let empty = copy * *random.pick(&[1, 2, 8]);
    Options {
        reader_threads: 1,
        wal_copy_bytes: copy,
        wal_empty_bytes: empty,
        free_bytes_kept: *random.pick(&[0, 8 * 1_024, 256 * 1_024]),
        vfs: Some(vfs.name()),
        durability: manner.durability,
        ..Options::default()
    }
}

/// The version of each writer's counter.
fn counters(entries: &[Entry]) -> Vec<Option<Version>> {
    let counter = |writer| {
        let key = workload::counter(writer);
        let entry = entries.iter().find(|entry| entry.key == key);
        entry.map(|entry| entry.version)
    };
    (0..WRITERS).map(counter).collect()
}

/// The writers of one history.
struct Crew {
    recorder: Arc<Recorder>,
    manner: Manner,
    path: PathBuf,
    options: Options,
    counters: Vec<Option<Version>>,
}

impl Crew {
    async fn work(mut self, random: &mut Random, plans: &[Vec<Writes>]) {
        for round in 0..ROUNDS {
            let portion = round * ROUND_BATCHES..(round + 1) * ROUND_BATCHES;
            // At times two stores share the file, as two processes would.
            let stores = self.open(1 + random.below(2)).await;
            let mut writers = JoinSet::new();
            for (number, plan) in plans.iter().enumerate() {
                let writer = Writer {
                    number,
                    store: Arc::clone(random.pick(&stores)),
                    recorder: Arc::clone(&self.recorder),
                    hasty: self.manner.hasty,
                    counter: self.counters[number],
                };
                writers.spawn(writer.write(plan[portion.clone()].to_vec()));
            }
            for (number, counter) in writers.join_all().await {
                self.counters[number] = counter;
            }
            for store in stores {
                store.close().await.expect("a store on a sound disk closes");
            }
        }
    }

    async fn open(&self, count: usize) -> Vec<Arc<SqliteStore>> {
        let mut stores = Vec::new();
        for _ in 0..count {
            let opened = SqliteStore::open(&self.path, self.options.clone()).await;
            stores.push(Arc::new(opened.expect("a store on a sound disk opens")));
        }
        stores
    }
}

/// One writer, with one batch in flight at a time.
struct Writer {
    number: usize,
    store: Arc<SqliteStore>,
    recorder: Arc<Recorder>,
    hasty: bool,
    counter: Option<Version>,
}

impl Writer {
    /// Commits batches and gives the version of its counter after the last.
    async fn write(mut self, plan: Vec<Writes>) -> (usize, Option<Version>) {
        for (number, writes) in plan.into_iter().enumerate() {
            self.commit(writes).await;
            if number % 4 == 3 {
                self.read().await;
            }
        }
        (self.number, self.counter)
    }

    async fn commit(&mut self, writes: Writes) {
        let expect = self.counter.map_or(Expect::Absent, Expect::Version);
        let batch = Batch {
            writes,
            ..Batch::new()
        };
        let batch = batch.check(workload::counter(self.number), expect);
        self.recorder.mark(Mark::Submitted {
            writer: self.number,
        });
        if self.hasty {
            self.acknowledge(None);
        }
        let answer = self.store.commit(batch).await;
        let Ok(Commit::Applied(version)) = answer else {
            panic!("a batch that nobody competes with is applied: {answer:?}");
        };
        if !self.hasty {
            self.acknowledge(Some(version));
        }
        self.counter = Some(version);
    }

    fn acknowledge(&self, version: Option<Version>) {
        let writer = self.number;
        self.recorder.mark(Mark::Acknowledged { writer, version });
    }

    async fn read(&self) {
        let found = self.store.get(workload::counter(self.number)).await;
        let found = found.expect("a store on a sound disk reads");
        assert_eq!(found.map(|entry| entry.version), self.counter);
    }
}
