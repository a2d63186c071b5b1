//! A process that makes backups, or restores them, is killed at a random
//! moment: what it left is whole, or taken for nothing.

use std::fs;
use std::path::{Path, PathBuf};

use windlass::backup::{Backup, list, verify};
use windlass::core::Coded;
use windlass::store::Batch;
use windlass::{Options, StoreLocation, Windlass};

use super::{PATH, Place, Player, Random, Role, setting, tell, variable};

const KILLS: &str = "WINDLASS_BACKUP_KILLS";
const KILLS_DEFAULT: u64 = 6;
const SEED: &str = "WINDLASS_KILL_SEED";
/// Most lines that are waited for before a kill: a backup tells about a dozen.
const LINES_MAX: u64 = 40;
const ENTRIES: usize = 4_000;

/// Beside the store at a location.
fn beside(location: &str, name: &str) -> PathBuf {
    let path = location.strip_prefix("sqlite:").unwrap();
    let path = path.split('&').next().unwrap();
    Path::new(path).parent().unwrap().join(name)
}

/// Makes backups until it is killed, and tells each step and each backup.
pub(super) async fn play_copyist(engine: Windlass) {
    let directory = beside(&variable(PATH).unwrap(), "backups");
    let asked = Backup::into(directory);
    loop {
        let mut step = |_| tell("step");
        let made = engine.back_up(&asked, &mut step).await.unwrap();
        tell(&format!("made {}", made.manifest.name));
    }
}

/// Restores one backup into one new store after the other.
pub(super) async fn play_restorer(engine: Windlass) {
    let location = variable(PATH).unwrap();
    engine.close().await.unwrap();
    let backups = beside(&location, "backups");
    let backup = backups.join(&list(&backups).unwrap()[0].name);
    for number in 0.. {
        let store = beside(&location, &format!("restored-{number}"));
        if store.exists() {
            continue;
        }
        tell(&format!("begin {number}"));
        let mut step = |_| tell("step");
        let to = StoreLocation::Sqlite(store);
        Windlass::restore_from(&to, &backup, &mut step)
            .await
            .unwrap();
        tell(&format!("done {number}"));
    }
}

async fn fill(place: &Place) {
    let engine = place.open().await;
    for first in (0..ENTRIES).step_by(500) {
        let entry = |number| (format!("acme/other/{number:05}"), vec![7; number % 700]);
        let batch = (first..first + 500)
            .map(entry)
            .fold(Batch::new(), |batch, (key, value)| batch.put(key, value));
        let commit = engine.store().commit(batch).await.unwrap();
        let applied = matches!(commit, windlass::store::Commit::Applied(_));
        assert!(applied, "{commit:?}");
    }
    engine.close().await.unwrap();
}

/// Lets a child play until it has told a random number of lines, and kills it.
fn kill_one(role: Role, place: &Place, random: &mut Random) -> Vec<String> {
    let mut child = Player::start(role, place);
    let wanted = 1 + random.below(LINES_MAX);
    let mut told: Vec<String> = (0..wanted).filter_map(|_| child.hear()).collect();
    told.extend(child.kill());
    told
}

fn told_of<'a>(told: &'a [String], word: &str) -> Vec<&'a str> {
    let of = |line: &'a String| line.strip_prefix(word)?.strip_prefix(' ');
    told.iter().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_killed_is_none_and_those_that_were_told_are_whole() {
    let place = Place::new("sqlite");
    fill(&place).await;
    let seed = setting(SEED, 23);
    let mut random = Random(seed);
    let directory = beside(&place.location_of_children(), "backups");
    let (mut made, mut left) = (0, 0);
    for kill in 0..setting(KILLS, KILLS_DEFAULT) {
        let when = format!("seed {seed}, kill {kill}");
        let told = kill_one(Role::Copyist, &place, &mut random);
        let listed = list(&directory).unwrap();
        for backup in &listed {
            let verified = verify(&directory.join(&backup.name), &mut |_| ());
            verified.unwrap_or_else(|error| panic!("{when}: {}: {error}", backup.name));
        }
        for name in told_of(&told, "made") {
            let found = listed.iter().any(|backup| backup.name == name);
            assert!(found, "{when}: {name} was told and is not there");
            made += 1;
        }
        let partial = |name: &str| name.starts_with(".partial-");
        let names = fs::read_dir(&directory).unwrap();
        left += names
            .filter(|entry| partial(&entry.as_ref().unwrap().file_name().to_string_lossy()))
            .count();
        for backup in listed {
            fs::remove_dir_all(directory.join(backup.name)).unwrap();
        }
    }
    assert!(made > 0, "no backup was made");
    assert!(left > 0, "no backup was killed half way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_was_killed_is_no_store_until_it_is_finished() {
    let place = Place::new("sqlite");
    fill(&place).await;
    let seed = setting(SEED, 29);
    let mut random = Random(seed);
    let location = place.location_of_children();
    let engine = place.open().await;
    let asked = Backup::into(beside(&location, "backups"));
    let made = engine.back_up(&asked, &mut |_| ()).await.unwrap();
    engine.close().await.unwrap();
    let digest = &made.manifest.stores[0].digest;
    let mut halves = 0;
    for kill in 0..setting(KILLS, KILLS_DEFAULT) {
        let when = format!("seed {seed}, kill {kill}");
        let told = kill_one(Role::Restorer, &place, &mut random);
        for number in told_of(&told, "begin") {
            let path = beside(&location, &format!("restored-{number}"));
            let store = StoreLocation::Sqlite(path);
            halves += u64::from(!is_whole_or_refused(&store, &when).await);
            let finished = Windlass::restore_from(&store, &made.path, &mut |_| ()).await;
            match finished {
                Ok(restored) => assert_eq!(&restored.report.digest, digest, "{when}"),
                Err(error) => assert_eq!(error.code(), "store_not_empty", "{when}"),
            }
            let engine = Windlass::open(&store, Options::default()).await.unwrap();
            let report = engine
                .export_to(&mut Vec::new(), &mut |_| ())
                .await
                .unwrap();
            assert_eq!(&report.digest, digest, "{when}: store {number}");
            engine.close().await.unwrap();
        }
    }
    assert!(halves > 0, "no restore was killed half way");
}

/// Whether a store can be opened; if it cannot, because it is half a store.
async fn is_whole_or_refused(store: &StoreLocation, when: &str) -> bool {
    match Windlass::open(store, Options::default()).await {
        Err(error) => {
            assert_eq!(error.code(), "import_unfinished", "{when}: {error}");
            false
        }
        Ok(engine) => {
            let entries = engine.export().await.unwrap().collect().await.unwrap();
            engine.close().await.unwrap();
            // Killed before the first step, or after the last one.
            assert!(entries.is_empty() || entries.len() >= ENTRIES, "{when}");
            true
        }
    }
}
