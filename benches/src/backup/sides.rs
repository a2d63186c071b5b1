//! What is copied, and the ways to copy it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use windlass::backup::Backup;
use windlass::check::Check;
use windlass::{Options, StoreLocation, Windlass};

use super::{everything, sync};
use crate::clock::now;
use crate::error::BenchError;
use crate::sessions::Bench;
use crate::sessions::fixture::{CALLS, caller, fill, one_use, session_id};

/// Sessions of the store, each with a stash of a few values.
const SESSIONS: usize = 10_000;
const SESSIONS_QUICK: usize = 200;
/// Bytes of a value in a stash, of which each session has one.
const VALUE_BYTES: usize = 6_000;
/// Callers that use sessions meanwhile.
const CALLERS: usize = 32;

/// A store with sessions and stashes, open.
pub(super) struct Ground {
    windlass: Windlass,
    path: PathBuf,
    file_bytes: u64,
    pub(super) rows: f64,
    pub(super) mib: f64,
}

fn failed(error: impl std::fmt::Display) -> BenchError {
    BenchError::Process(error.to_string())
}

fn float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

impl Ground {
    pub(super) async fn new(bench: &Bench<'_>) -> Result<Self, BenchError> {
        let path = bench.directory.join("ground.db");
        let location = StoreLocation::Sqlite(path.clone());
        let options = Options {
            export_time_max: Some(Duration::from_secs(3_600)),
            ..Options::default()
        };
        let windlass = Windlass::open(&location, options).await.map_err(failed)?;
        let sessions = if bench.quick {
            SESSIONS_QUICK
        } else {
            SESSIONS
        };
        fill(&windlass, sessions, CALLS).await?;
        for number in 0..sessions {
            let stash = windlass
                .stashes()
                .stash(&caller().tenant, &session_id(number));
            let key = "page".parse().map_err(failed)?;
            let value = noise(number);
            stash.execution(None).put(&key, &value, None).await?;
        }
        // Everything into the file, so that copying it copies everything.
        windlass.close().await.map_err(failed)?;
        let file_bytes = fs::metadata(&path)
            .map_err(BenchError::io("look at the store"))?
            .len();
        let windlass = Windlass::open(&location, options_again())
            .await
            .map_err(failed)?;
        let mut ground = Self {
            windlass,
            path,
            file_bytes,
            rows: 0.0,
            mib: 0.0,
        };
        let (rows, bytes) = ground.read_all().await?;
        (ground.rows, ground.mib) = (float(rows), float(bytes) / 1_048_576.0);
        Ok(ground)
    }

    pub(super) fn note(&self) -> String {
        format!(
            "the store: {} entries, {:.1} MiB of keys and values in a file of {:.1} MiB",
            self.rows,
            self.mib,
            float(usize::try_from(self.file_bytes).unwrap_or(usize::MAX)) / 1_048_576.0
        )
    }

    pub(super) async fn back_up(
        &self,
        directory: &Path,
        verify: bool,
    ) -> Result<PathBuf, BenchError> {
        let asked = Backup {
            verify,
            ..Backup::into(directory)
        };
        let made = self.windlass.back_up(&asked, &mut |_| ()).await;
        Ok(made.map_err(failed)?.path)
    }

    pub(super) fn copy_file(&self, to: &Path) -> Result<(), BenchError> {
        fs::copy(&self.path, to).map_err(BenchError::io("copy the store"))?;
        sync(to)
    }

    pub(super) fn vacuum_into(&self, to: &Path) -> Result<(), BenchError> {
        let connection = rusqlite::Connection::open(&self.path)?;
        let name = to.display().to_string();
        connection.execute("VACUUM INTO ?1", [name])?;
        sync(to)
    }

    /// Entries and bytes of an export that nobody writes down.
    pub(super) async fn read_all(&self) -> Result<(usize, usize), BenchError> {
        let mut export = self.windlass.store().export(everything()).await?;
        let (mut rows, mut bytes) = (0, 0);
        while let Some(entries) = export.next().await? {
            rows += entries.len();
            bytes += entries
                .iter()
                .map(|entry| entry.key.len() + entry.value.len())
                .sum::<usize>();
        }
        Ok((rows, bytes))
    }

    pub(super) async fn check(&self) -> Result<(), BenchError> {
        let report = self.windlass.check(&Check::default(), &mut |_| ()).await;
        if report.is_clean() {
            return Ok(());
        }
        let (failure, found) = (report.failure, report.findings.first());
        let text = format!("the check found {found:?}; failure: {failure:?}");
        Err(BenchError::Unfair(text))
    }

    /// Uses a second by as many callers, while backups into `directory` run
    /// one after the other, if it is given.
    pub(super) async fn uses(
        &self,
        span: Duration,
        directory: Option<&Path>,
    ) -> Result<f64, BenchError> {
        let done = Arc::new(AtomicU64::new(0));
        let start = now();
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| {
                let (windlass, done) = (self.windlass.clone(), Arc::clone(&done));
                tokio::spawn(async move {
                    while start.elapsed() < span {
                        let sessions = windlass.sessions();
                        let id = session_id(number);
                        sessions.use_tools(&caller(), &id, one_use(None)).await?;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok::<_, BenchError>(())
                })
            })
            .collect();
        while let Some(directory) = directory.filter(|_| start.elapsed() < span) {
            self.back_up(directory, false).await?;
        }
        for caller in callers {
            caller.await.map_err(failed)??;
        }
        let uses = float(usize::try_from(done.load(Ordering::Relaxed)).unwrap_or(usize::MAX));
        Ok(uses / start.elapsed().as_secs_f64())
    }
}

fn options_again() -> Options {
    Options {
        export_time_max: Some(Duration::from_secs(3_600)),
        ..Options::default()
    }
}

/// Restores into a new store.
pub(super) async fn restore(backup: &Path, to: &Path) -> Result<(), BenchError> {
    let location = StoreLocation::Sqlite(to.to_owned());
    let restored = Windlass::restore_from(&location, backup, &mut |_| ()).await;
    restored.map(drop).map_err(failed)
}

/// A text that compresses about as well as pages do.
fn noise(seed: usize) -> String {
    const WORDS: [&str; 8] = [
        "bearing ",
        "supplier ",
        "price ",
        "the ",
        "of ",
        "steel ",
        "rolling ",
        "per ",
    ];
    let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let mut text = String::with_capacity(VALUE_BYTES + 16);
    while text.len() < VALUE_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(WORDS[usize::try_from(state % 8).expect("small")]);
        text.push_str(&format!("{:x} ", state >> 44));
    }
    text
}
