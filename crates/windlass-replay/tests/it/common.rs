//! Where recordings and stores come from.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use windlass::session::Caller;
use windlass::store::KeyRange;
use windlass::{Options, StoreLocation, Windlass};
use windlass_replay::{ReadOptions, Recording, Replay, ReplayOptions, Report};
use windlass_store_testing::postgres::Server;

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The recordings that the repository holds.
pub(crate) fn examples() -> PathBuf {
    workspace().join("docs/examples")
}

/// The recorded outputs that the repository holds.
pub(crate) fn recordings() -> PathBuf {
    workspace().join("docs/recordings")
}

/// A published set of recordings, and what another program (Python's json
/// module) counts in it.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) runs: u64,
    pub(crate) steps: u64,
    pub(crate) full_snapshot_bytes: u64,
    pub(crate) distinct_message_bytes: u64,
}

const fn set(name: &'static str, counts: [u64; 4]) -> Set {
    let [runs, steps, full_snapshot_bytes, distinct_message_bytes] = counts;
    Set {
        name,
        runs,
        steps,
        full_snapshot_bytes,
        distinct_message_bytes,
    }
}

/// One set a format.
pub(crate) const SETS: [Set; 8] = [
    set("tau-bench", [200, 1_164, 16_921_710, 1_923_359]),
    set("tau2-toolorchestra", [50, 581, 9_735_845, 1_140_072]),
    set("intercode", [200, 1_176, 3_611_212, 311_416]),
    set("swe-agent", [9, 100, 2_186_213, 229_177]),
    set("openhands", [3, 105, 14_460_359, 628_713]),
    set("reflexion-snapshots", [15, 15, 1_115_312, 481_474]),
    set("toolbench", [10, 136, 560_004, 77_468]),
    set("autogen-recorder", [21, 29, 99_453, 62_349]),
];

/// A published recording; says so where it is not at hand.
pub(crate) fn published(name: &str) -> Option<PathBuf> {
    published_in("trajectories", name)
}

/// The same of another kind of recordings.
pub(crate) fn published_in(kind: &str, name: &str) -> Option<PathBuf> {
    let path = workspace().join("../shared/data").join(kind).join(name);
    if path.exists() {
        return Some(path);
    }
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    {
        eprintln!("skipped: {} is not there", path.display());
    }
    None
}

pub(crate) fn read(path: &Path) -> Recording {
    Recording::read(path, &ReadOptions::default()).unwrap()
}

pub(crate) fn caller() -> Caller {
    Caller::new("acme".parse().unwrap(), "replay".parse().unwrap())
}

pub(crate) async fn memory() -> Windlass {
    Windlass::open(&StoreLocation::Memory, Options::default())
        .await
        .unwrap()
}

pub(crate) async fn sqlite(directory: &Path) -> Windlass {
    let location = StoreLocation::Sqlite(directory.join("store.db"));
    Windlass::open(&location, Options::default()).await.unwrap()
}

pub(crate) async fn sled(directory: &Path) -> Windlass {
    let location = StoreLocation::Sled(directory.join("store.sled"));
    Windlass::open(&location, Options::default()).await.unwrap()
}

/// A store in a schema of its own.
pub(crate) async fn postgres(server: &Server) -> Windlass {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let location = format!("{}?schema=replay_{number}", server.url());
    Windlass::open(&location.parse().unwrap(), Options::default())
        .await
        .unwrap()
}

pub(crate) async fn play(
    windlass: &Windlass,
    recording: &Recording,
    options: &ReplayOptions,
) -> Report {
    let caller = caller();
    Replay {
        windlass,
        caller: &caller,
        recording,
        options,
    }
    .run(&())
    .await
    .unwrap()
}

/// Everything a store holds, without the versions.
pub(crate) async fn contents(windlass: &Windlass) -> Vec<(String, String)> {
    let export = windlass.store().export(KeyRange::all()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let entries = export.collect().await.unwrap();
    entries
        .iter()
        .map(|entry| (text(&entry.key), text(&entry.value)))
        .collect()
}

/// A report without what may differ between two replays of the same.
pub(crate) fn timeless(report: &Report) -> Report {
    let mut report = Report {
        step_ms_p50: None,
        step_ms_p99: None,
        steps_found: 0,
        ..report.clone()
    };
    report.by_run.iter_mut().for_each(|run| run.found = 0);
    report
}
