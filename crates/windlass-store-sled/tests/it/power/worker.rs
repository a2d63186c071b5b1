//! Works on the recorded disk, and then looks at what cuts leave of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use windlass_store::Store;
use windlass_store_sled::{Durability, Options, SledStore};
use windlass_store_testing::Random;

use super::{FAULT, ORDER};
use crate::children::tell;
use crate::sessions::{self, SESSIONS};

/// Commits of each session between two openings of the store.
const COMMITS: u64 = 30;
/// How often the store is opened.
const OPENINGS: usize = 3;

/// Records a store at work, then cuts the power as often as it was told to.
pub(crate) async fn play_working(place: &Path) {
    let trial = Trial {
        place: place.to_owned(),
    };
    trial.record().await;
    let order = fs::read_to_string(place.join(ORDER)).expect("the parent says how many");
    let (cuts, seed) = order.split_once(' ').expect("two numbers");
    let mut random = Random::new(seed.parse().expect("a number"));
    let events = trial.count();
    for cut in 0..cuts.parse().expect("a number") {
        let at = random.below(events + 1);
        let verdict = trial.cut(cut, at, random.next()).await;
        let loss = |what| format!("cut {cut} after {at} of {events} events: {what}");
        tell(&verdict.map_or_else(loss, |()| "whole".into()));
    }
}

struct Trial {
    place: PathBuf,
}

impl Trial {
    fn served(&self, name: &str) -> PathBuf {
        self.place.join("served").join(name)
    }

    fn tell_the_disk(&self, what: &str) {
        tell_the_disk(&self.served("told"), what);
    }

    fn facts(&self) -> String {
        fs::read_to_string(self.served("facts")).expect("the facts can be read")
    }

    fn count(&self) -> usize {
        self.tell_the_disk("count");
        self.facts().parse().expect("a number")
    }

    /// Makes a file system and has stores come to be, work, close and open.
    async fn record(&self) {
        let disk = self.served("disk");
        let lazy = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
        let made = ["-q", "-F", "-b", "4096", "-J", "size=4", "-E", lazy];
        run(Command::new("mkfs.ext4").args(made).arg(&disk));
        let mounted = Mounted::mount(&disk, self.place.join("working"));
        self.tell_the_disk("begin");
        let durability = if self.place.join(FAULT).exists() {
            Durability::UnsafeFlushed
        } else {
            Durability::Synced
        };
        for _ in 0..OPENINGS {
            let options = Options {
                durability,
                ..Options::default()
            };
            let store = SledStore::open(mounted.store(), options).await;
            let store = Arc::new(store.expect("the store opens"));
            let told = self.served("told");
            let acknowledge = move |session, number| {
                tell_the_disk(&told, &format!("{session} {number}"));
            };
            sessions::commit_each(&store, COMMITS, acknowledge).await;
            store.close().await.expect("the store closes");
        }
    }

    /// Has the power fail after `at` events; what was lost, if anything.
    async fn cut(&self, cut: u64, at: usize, seed: u64) -> Result<(), String> {
        self.tell_the_disk(&format!("cut {at} {seed}"));
        let facts = self.facts();
        let acknowledged = facts.split_whitespace().map(|word| word.parse::<u64>());
        let acknowledged: Result<Vec<u64>, _> = acknowledged.collect();
        let acknowledged = acknowledged.expect("numbers");
        assert_eq!(acknowledged.len(), SESSIONS);
        let image = self.served(&format!("image-{cut}"));
        let mounted = Mounted::mount(&image, self.place.join(format!("found-{cut}")));
        let found = found(&mounted.store()).await?;
        for (session, (acknowledged, found)) in acknowledged.iter().zip(found).enumerate() {
            if found < *acknowledged {
                return Err(format!(
                    "session {session} has {found} commits; {acknowledged} were acknowledged"
                ));
            }
        }
        Ok(())
    }
}

async fn found(path: &Path) -> Result<[u64; SESSIONS], String> {
    let store = SledStore::open(path, Options::default()).await;
    let store = store.map_err(|error| format!("the store does not open: {error:?}"))?;
    let found = sessions::found(&store).await;
    store.close().await.expect("the store closes");
    found
}

fn tell_the_disk(told: &Path, what: &str) {
    let file = fs::OpenOptions::new().write(true).open(told);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, what.as_bytes()));
    written.expect("the disk listens");
}

/// A mounted file system; unmounted when dropped.
struct Mounted {
    path: PathBuf,
}

impl Mounted {
    fn mount(disk: &Path, path: PathBuf) -> Self {
        fs::create_dir(&path).expect("a directory can be made");
        run(Command::new("mount")
            .args(["-t", "ext4", "-o", "loop"])
            .arg(disk)
            .arg(&path));
        Self { path }
    }

    fn store(&self) -> PathBuf {
        self.path.join("store.sled")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What a store that did not open has not let go of yet, the kernel
        // unmounts later.
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status();
        let gone = unmounted.is_ok_and(|status| status.success());
        assert!(gone || std::thread::panicking(), "it is still mounted");
        let _ = fs::remove_dir(&self.path);
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("the command starts");
    assert!(output.status.success(), "{command:?}: {output:?}");
}
