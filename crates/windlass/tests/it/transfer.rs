//! Moving everything into another store: whole, or not at all.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use windlass::core::Coded;
use windlass::store::{
    Batch, Changes, Commit, Entry, Expect, Export, ExportSource, Incarnation, KeyRange, Page, Scan,
    Store, StoreError, StoreErrorKind, Version,
};
use windlass::transfer::{Moved, Report, TransferError, export, import};
use windlass::{Options, StoreLocation, Windlass};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Fault, Faulty, Moment, Strict, StrictOptions};

/// A new store in memory.
fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new().unwrap())
}

async fn commit(store: &dyn Store, batch: Batch) {
    let commit = store.commit(batch).await.unwrap();
    assert!(matches!(commit, Commit::Applied(_)), "{commit:?}");
}

/// Entries of several tenants and of none, in more than one frame.
async fn filled() -> Arc<dyn Store> {
    let store = memory();
    for tenant in ["acme", "due", "zeta"] {
        for part in 0..3 {
            let mut batch = Batch::new();
            for number in 0..300 {
                let key = format!("{tenant}/{part}/{number:03}");
                batch = batch.put(key, vec![b'v'; number]);
            }
            commit(&*store, batch).await;
        }
    }
    let large = Batch::new().put("acme/large", noise(700_000));
    commit(&*store, large).await;
    store
}

/// Bytes that cannot be compressed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let draw = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..length).map(draw).collect()
}

async fn written(store: &dyn Store) -> (Vec<u8>, Report) {
    let mut file = Vec::new();
    let report = export(store, &mut file, &mut |_| {}).await.unwrap();
    (file, report)
}

async fn read(store: &dyn Store, mut file: &[u8]) -> Result<Report, TransferError> {
    import(store, &mut file, &mut |_| {}).await
}

#[tokio::test]
async fn a_store_comes_out_as_it_went_in() {
    let (file, exported) = written(&*filled().await).await;
    assert_eq!(exported.moved.entries, 2_701);
    assert_eq!(
        exported.moved.file_bytes,
        u64::try_from(file.len()).unwrap()
    );
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::Sqlite(directory.path().join("store.db"));
    let imported = Windlass::import_from(&location, &mut &file[..], &mut |_| {})
        .await
        .unwrap();
    assert_eq!(imported, exported);
    let engine = Windlass::open(&location, Options::default()).await.unwrap();
    let mut again = Vec::new();
    let report = engine.export_to(&mut again, &mut |_| {}).await.unwrap();
    assert_eq!((again, report), (file, exported));
    engine.close().await.unwrap();
}

#[tokio::test]
async fn an_empty_store_is_moved_like_any_other() {
    let (file, exported) = written(&*memory()).await;
    let store = memory();
    assert_eq!(read(&*store, &file).await.unwrap(), exported);
    assert_eq!(written(&*store).await.0, file);
}

#[tokio::test]
async fn a_file_that_is_cut_short_anywhere_is_refused() {
    let small = memory();
    let batch = Batch::new().put("a/1", "one").put("a/2", "two");
    commit(&*small, batch).await;
    let (file, _) = written(&*small).await;
    for length in 0..file.len() {
        let store = memory();
        let code = read(&*store, &file[..length]).await.unwrap_err().code();
        let expected = if length < 8 {
            "no_export"
        } else {
            "export_damaged"
        };
        assert_eq!(code, expected, "{length} of {} bytes", file.len());
        // What came before stays, marked, and the whole file goes on from it.
        if length >= 8 {
            let half = export(&*store, &mut Vec::new(), &mut |_| {}).await;
            assert_eq!(half.unwrap_err().code(), "import_unfinished", "{length}");
        }
        read(&*store, &file).await.unwrap();
        assert_eq!(written(&*store).await.0, file, "{length}");
    }
}

#[tokio::test]
async fn a_bit_that_is_flipped_anywhere_is_noticed() {
    let small = memory();
    let batch = Batch::new().put("a/1", "one").put("a/2", "two");
    commit(&*small, batch).await;
    let (file, _) = written(&*small).await;
    for bit in 0..file.len() * 8 {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let store = memory();
        let refused = read(&*store, &damaged).await;
        assert!(refused.is_err(), "bit {bit}: {refused:?}");
        read(&*store, &file).await.unwrap();
        assert_eq!(written(&*store).await.0, file, "bit {bit}");
    }
}

#[tokio::test]
async fn something_behind_the_end_is_refused() {
    let (mut file, _) = written(&*memory()).await;
    file.push(0);
    let refused = read(&*memory(), &file).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the export is damaged in frame 1: something follows the end; export the store again"
    );
}

#[tokio::test]
async fn an_import_goes_on_where_any_failure_left_it() {
    let (file, exported) = written(&*filled().await).await;
    for moment in [Moment::Before, Moment::After] {
        for number in 1.. {
            let ground = memory();
            let faulty = Faulty::new(Arc::clone(&ground));
            let kind = StoreErrorKind::Indeterminate;
            faulty.plan(Fault {
                verb: None,
                number,
                moment,
                kind,
            });
            let first = read(&faulty, &file).await;
            if faulty.hits() == 0 {
                assert!(number > 8, "{number} calls are few");
                break;
            }
            assert!(first.is_err(), "call {number}: {first:?}");
            let again = match read(&*ground, &file).await {
                Ok(again) => again,
                // The last call took the mark away.
                Err(error) => {
                    assert_eq!(error.code(), "store_not_empty", "call {number}");
                    assert_eq!(written(&*ground).await.0, file, "call {number}");
                    continue;
                }
            };
            assert_eq!(again.digest, exported.digest, "call {number}");
            assert_eq!(written(&*ground).await.0, file, "call {number}");
        }
    }
}

#[tokio::test]
async fn what_is_left_of_an_import_is_told_and_no_engine_opens_it() {
    let (file, exported) = written(&*filled().await).await;
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::Sqlite(directory.path().join("store.db"));
    let half = &mut &file[..file.len() - 1];
    let cut = Windlass::import_from(&location, half, &mut |_| {}).await;
    assert_eq!(cut.unwrap_err().code(), "export_damaged");
    let refused = Windlass::open(&location, Options::default()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), "import_unfinished");
    let told = refused.to_string();
    assert!(told.contains("import the same file again"), "{told}");
    let report = Windlass::import_from(&location, &mut &file[..], &mut |_| {})
        .await
        .unwrap();
    assert_eq!(report.found, exported.moved.entries);
    let engine = Windlass::open(&location, Options::default()).await.unwrap();
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_not_for_it_is_left_alone() {
    let (file, _) = written(&*filled().await).await;
    let (empty, _) = written(&*memory()).await;
    let used = memory();
    commit(&*used, Batch::new().put("a/1", "one")).await;
    let before = written(&*used).await;
    let refused = read(&*used, &file).await.unwrap_err();
    assert_eq!(refused.code(), "store_not_empty");
    assert_eq!(written(&*used).await, before);

    let half = memory();
    let cut = read(&*half, &file[..file.len() - 1]).await.unwrap_err();
    assert_eq!(cut.code(), "export_damaged");
    let refused = read(&*half, &empty).await.unwrap_err();
    assert_eq!(refused.code(), "other_export");
    let refused = export(&*half, &mut Vec::new(), &mut |_| {}).await;
    assert_eq!(refused.unwrap_err().code(), "import_unfinished");

    for text in ["", "WNDLX", "PK\u{3}\u{4} and more"] {
        let refused = read(&*memory(), text.as_bytes()).await.unwrap_err();
        assert_eq!(refused.code(), "no_export", "{text:?}");
    }
    let refused = read(&*memory(), b"WNDLXP02 and more").await.unwrap_err();
    assert_eq!(refused.code(), "unknown_format");
}

#[tokio::test]
async fn a_store_that_gives_back_something_else_is_no_import() {
    let (file, _) = written(&*filled().await).await;
    let store = memory();
    let mut frames = 0;
    let (meddler, meddled) = (Arc::clone(&store), &mut frames);
    let mut meddle = |_: Moved| {
        *meddled += 1;
        if *meddled == 1 {
            let meddler = Arc::clone(&meddler);
            let write = commit(&*meddler, Batch::new().put("mallory/1", "x"));
            let done = futures_util::FutureExt::now_or_never(write);
            done.expect("memory answers at once");
        }
    };
    let refused = import(&*store, &mut &file[..], &mut meddle).await;
    assert_eq!(refused.unwrap_err().code(), "import_differs");
    assert!(frames > 1, "{frames}");
    let refused = export(&*store, &mut Vec::new(), &mut |_| {}).await;
    assert_eq!(refused.unwrap_err().code(), "import_unfinished");
}

#[tokio::test]
async fn of_two_imports_at_once_one_is_refused() {
    let (file, _) = written(&*filled().await).await;
    let store = memory();
    let (rival, mut turn) = (Arc::clone(&store), 0);
    let whole = file.clone();
    let mut meddle = |_: Moved| {
        turn += 1;
        if turn == 1 {
            let rivals = read(&*rival, &whole);
            let done = futures_util::FutureExt::now_or_never(rivals);
            done.expect("memory answers at once").unwrap();
        }
    };
    let refused = import(&*store, &mut &file[..], &mut meddle).await;
    assert_eq!(refused.unwrap_err().code(), "import_raced");
    assert_eq!(written(&*store).await.0, file);
}

#[tokio::test]
async fn the_worst_store_there_may_be_takes_an_import() {
    let small = memory();
    for tenant in ["acme", "zeta"] {
        let mut batch = Batch::new();
        for number in 0..40 {
            batch = batch.put(format!("{tenant}/{number:02}"), "value");
        }
        commit(&*small, batch).await;
    }
    let (file, _) = written(&*small).await;
    let ground = memory();
    let strict = Strict::new(Arc::clone(&ground), StrictOptions::ALL);
    for _ in 0..1_000 {
        match read(&strict, &file).await {
            Ok(_) => break,
            Err(error) if error.code() == "store_not_empty" => break,
            Err(error) => assert!(
                matches!(error.code(), "unavailable" | "indeterminate"),
                "{error:?}"
            ),
        }
    }
    assert_eq!(written(&*ground).await.0, file);
}

/// A store that holds many large entries and needs no memory for them: they
/// are made when they are read, and what is put is thrown away.
#[derive(Debug)]
struct Bottomless {
    entries: u32,
}

const LARGE: usize = 1_024 * 1_024;

#[derive(Debug)]
struct Source {
    next: u32,
    end: u32,
}

#[async_trait]
impl ExportSource for Source {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        if self.next == self.end {
            return Ok(None);
        }
        let number = self.next.to_be_bytes();
        self.next += 1;
        Ok(Some(vec![Entry {
            key: [&b"acme/"[..], &number].concat().into(),
            value: Bytes::from(number.repeat(LARGE / number.len())),
            version: Version::new(Incarnation::from_number(1), 1),
        }]))
    }
}

#[async_trait]
impl Store for Bottomless {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        Ok(scans.iter().map(|_| Page::default()).collect())
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        batch.validate()?;
        let known = |check: &windlass::store::Check| check.expect != Expect::Present;
        assert!(batch.checks.iter().all(known), "{:?}", batch.checks);
        Ok(Commit::Applied(Version::new(
            Incarnation::from_number(1),
            2,
        )))
    }

    async fn export(&self, _: KeyRange) -> Result<Export, StoreError> {
        Ok(Export::new(Source {
            next: 0,
            end: self.entries,
        }))
    }

    fn subscribe(&self, _: &[u8]) -> Changes {
        Changes::silent()
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The most memory that this process has had, in KiB.
#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_is_bounded_however_much_is_moved() {
    let move_all = async |entries: u32| {
        let store = Bottomless { entries };
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let sender = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(async {
                let store = Bottomless { entries };
                export(&store, &mut writer, &mut |_| {}).await.unwrap()
            })
        });
        let imported = import(&store, &mut reader, &mut |_| {}).await.unwrap();
        assert_eq!(imported, sender.join().unwrap());
        imported.moved.bytes
    };
    move_all(16).await;
    let before = peak_kib();
    let bytes = move_all(512).await;
    let grown = peak_kib() - before;
    assert_eq!(bytes, 512 * (u64::try_from(LARGE).unwrap() + 9));
    assert!(grown < 16 * 1_024, "{grown} KiB more for 512 MiB");
}
