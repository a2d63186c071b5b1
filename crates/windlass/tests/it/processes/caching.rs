//! A process puts into its cache and is killed at random moments: what was
//! acknowledged last is there, what was flushed is not, and what a put left
//! that was never finished is taken back, exactly.

use std::time::Duration;

use windlass::cache::{Key, Namespace, Put, SweepLimit, TieredCache};
use windlass::{CacheOptions, Options, StoreLocation, Windlass};

use super::{Place, Player, Random, Role, setting, tell};

const CYCLES: &str = "WINDLASS_CACHE_KILL_CYCLES";
const CYCLES_DEFAULT: u64 = 10;
/// Most acknowledgements that are waited for before a kill.
const TOLD_MAX: u64 = 12;
/// Cycles beyond those, until a kill leaves a blob without a record.
const MORE_MAX: u64 = 100;
/// Keys that are put over and over, of small blobs and of such as are written
/// in pieces, in two commits and then the record.
const KEYS: u64 = 3;
const LARGE_BYTES: usize = 5 << 20;
const ALL: SweepLimit = SweepLimit::Entries(u64::MAX);

/// The engine of a place, with its cache beside it.
async fn open(location: &StoreLocation) -> Windlass {
    let StoreLocation::Sqlite(path) = location else {
        panic!("a cache of these tests is in a file: {location}");
    };
    let beside = path.with_extension("cache");
    let options = Options {
        cache: Some(CacheOptions::at(StoreLocation::Sqlite(beside))),
        ..Options::default()
    };
    Windlass::open(location, options).await.unwrap()
}

fn space(name: &str) -> Namespace {
    name.parse().unwrap()
}

fn key(kind: &str, number: u64) -> Key {
    format!("{kind}/{}", number % KEYS).parse().unwrap()
}

/// A blob that says its number at both ends.
fn blob(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![7; length.max(16)];
    let end = bytes.len() - 8;
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[end..].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn number_of(bytes: &[u8]) -> u64 {
    let number = |part: &[u8]| u64::from_le_bytes(part.try_into().unwrap());
    let (first, last) = (number(&bytes[..8]), number(&bytes[bytes.len() - 8..]));
    assert_eq!(first, last, "a blob is of two puts");
    first
}

/// Puts small and large blobs, and flushes, until killed. Every number is
/// above those of its forerunners.
pub(super) async fn play_cacher(engine: Windlass) {
    let location = super::variable(super::PATH).unwrap().parse().unwrap();
    engine.close().await.unwrap();
    let engine = open(&location).await;
    let cache = engine.cache().unwrap();
    tell("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let first: u64 = line.trim().parse().unwrap();
    for number in first.. {
        let (kind, length) = match number % 3 {
            0 => ("large", LARGE_BYTES),
            _ => ("small", 64),
        };
        if length == LARGE_BYTES {
            tell("begins");
        }
        let put = Put::new(blob(number, length));
        cache
            .put(&space("kept"), &key(kind, number), put)
            .await
            .unwrap();
        tell(&format!("put {kind} {number}"));
        let put = Put::new(blob(number, 64));
        cache
            .put(&space("flushed"), &key("any", number), put)
            .await
            .unwrap();
        if number % 5 == 0 {
            cache.flush_namespace(&space("flushed")).await.unwrap();
            tell(&format!("flush all {number}"));
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a kill falls at a moment that the killed process does not choose"
)]
fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// What was acknowledged last, by key; and the last flush.
#[derive(Default)]
struct Told {
    puts: std::collections::BTreeMap<(String, u64), u64>,
    flushed: u64,
    last: u64,
}

impl Told {
    fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, kind, number] = words[..] else {
            return;
        };
        let number: u64 = number.parse().unwrap();
        self.last = number;
        match what {
            "put" => {
                let place = (kind.to_owned(), number % KEYS);
                self.puts.insert(place, number);
            }
            _ => self.flushed = number,
        }
    }

    /// Whether the cache has all of this, and nothing that was flushed.
    async fn assert_kept(&self, cache: &TieredCache) {
        for ((kind, place), number) in &self.puts {
            let found = cache.get(&space("kept"), &key(kind, *place)).await.unwrap();
            let found = found.unwrap_or_else(|| panic!("{kind} {number} is lost"));
            let found = number_of(found.value());
            assert!(found >= *number, "{kind}: {found} is older than {number}");
        }
        for place in 0..KEYS {
            let found = cache
                .get(&space("flushed"), &key("any", place))
                .await
                .unwrap();
            if let Some(found) = found {
                let found = number_of(found.value());
                assert!(
                    found > self.flushed,
                    "{found} was flushed at {}",
                    self.flushed
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_acknowledged_put_survives_a_kill_and_unfinished_ones_are_taken_back() {
    let place = Place::new("sqlite");
    let (mut random, mut told, mut orphans) = (Random(29), Told::default(), 0);
    let cycles = setting(CYCLES, CYCLES_DEFAULT);
    for cycle in 0..cycles + MORE_MAX {
        // Until one of them fell where it leaves something.
        if cycle >= cycles && orphans > 0 {
            break;
        }
        let mut child = Player::start(Role::Cacher, &place);
        assert_eq!(child.hear().as_deref(), Some("ready"), "cycle {cycle}");
        // What was under way when the last child died may have had a number.
        child.say(&(told.last + 10).to_string());
        for _ in 0..=random.below(TOLD_MAX) {
            told.note(&child.hear().unwrap());
        }
        if cycle % 2 == 0 {
            // Into the middle of a put, wherever that is.
            while child.hear().is_some_and(|line| {
                told.note(&line);
                line != "begins"
            }) {}
            pass(Duration::from_micros(random.below(30_000)));
        }
        for line in child.kill() {
            told.note(&line);
        }
        let engine = open(&place.location()).await;
        let cache = engine.cache().unwrap();
        told.assert_kept(cache).await;
        let taken = cache.reclaim_orphans(ALL, None).await.unwrap();
        assert_eq!(
            taken.scanned, taken.chains,
            "cycle {cycle}: its writer is gone"
        );
        assert!(taken.chains <= 1, "cycle {cycle}: one put was under way");
        orphans += taken.chains;
        let again = cache.reclaim_orphans(ALL, None).await.unwrap();
        assert_eq!(again.scanned, 0, "cycle {cycle}");
        told.assert_kept(cache).await;
        cache.sweep_expired(ALL, None).await.unwrap();
        told.assert_kept(cache).await;
        engine.close().await.unwrap();
    }
    assert!(
        orphans > 0,
        "no kill fell between the pieces and the record"
    );
}
