//! Power cuts at any moment, and proof that they would be noticed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use windlass_store::Store;
use windlass_store_sqlite::{Durability, Options, SqliteStore};
use windlass_store_testing::Random;

use crate::cuts::{Damage, cut};
use crate::disk::FileId;
use crate::history::{DATABASE, History, Image, Manner, Start, record, runtime, scratch};
use crate::ledger::{Finding, Ledger};
use crate::recording::{Event, Mark, Recorder};
use crate::settings;
use crate::vfs::Vfs;

/// Images inspected where nobody says how many.
const IMAGES: usize = 2_000;
/// Histories in a row, each of which begins where the power was cut in the
/// one before.
const GENERATIONS: usize = 4;
/// Images of one history.
const HISTORY_IMAGES: usize = 125;
/// Births that are cut short.
const BIRTHS: u64 = 4;
/// Histories within which a planted fault must be noticed, and images of each.
const PLANTED_HISTORIES: u64 = 8;
const PLANTED_IMAGES: usize = 250;

fn vfs() -> &'static Vfs {
    Vfs::register(Arc::new(Recorder::default()))
}

/// Follows one store through several power cuts.
fn follow(vfs: &Vfs, seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut start = Start::default();
    for generation in 0..GENERATIONS {
        let history = record(vfs, random.next(), start, Manner::default());
        start = cut(&history, random.next(), HISTORY_IMAGES).map_err(|damage| {
            let kept = damage.keep();
            format!(
                "seed {seed}, generation {generation}, image kept in {}: {damage}",
                kept.display()
            )
        })?;
    }
    Ok(())
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_torn_by_a_power_cut() {
    let images = settings::count("WINDLASS_POWER_IMAGES", IMAGES);
    let stores = images.div_ceil(GENERATIONS * HISTORY_IMAGES);
    let next = AtomicUsize::new(0);
    let work = || {
        let vfs = vfs();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= stores {
                return;
            }
            let seed = u64::try_from(number).expect("a small number");
            if let Err(damage) = follow(vfs, seed) {
                next.store(stores, Ordering::Relaxed);
                panic!("{damage}");
            }
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        (0..workers).for_each(|_| drop(scope.spawn(work)));
    });
}

/// The birth of a store, opened and closed, in which nothing is committed.
fn birth(vfs: &Vfs) -> History {
    let directory = scratch();
    let recorder = Arc::new(Recorder::default());
    vfs.serve(Arc::clone(&recorder) as _);
    let options = Options {
        vfs: Some(vfs.name()),
        ..Options::default()
    };
    runtime().block_on(async {
        let store = SqliteStore::open(directory.path().join(DATABASE), options).await;
        let store = store.expect("a store on a sound disk opens");
        store.close().await.expect("a store on a sound disk closes");
    });
    History {
        start: Image::new(),
        ledger: Ledger::new(&[], &[]),
        events: recorder.finish(),
        has_moved: false,
    }
}

#[test]
fn a_birth_cut_short_leaves_a_whole_store_or_none() {
    let vfs = vfs();
    for seed in 0..BIRTHS {
        if let Err(damage) = cut(&birth(vfs), seed, HISTORY_IMAGES) {
            panic!(
                "seed {seed}, image kept in {}: {damage}",
                damage.keep().display()
            );
        }
    }
}

#[test]
fn recorded_histories_hold_everything_that_a_log_goes_through() {
    let vfs = vfs();
    let (mut acknowledged, mut commits, mut starts, mut truncates, mut copies) = (0, 0, 0, 0, 0);
    let (mut shrinks, mut moves) = (0, 0);
    for seed in 0..PLANTED_HISTORIES {
        let history = record(vfs, seed, Start::default(), Manner::default());
        moves += usize::from(history.has_moved);
        let events = history.events;
        let logs = files_ending(&events, "-wal");
        let database = files_ending(&events, DATABASE);
        let mut lengths = HashMap::new();
        for event in &events {
            match event {
                Event::Mark(Mark::Acknowledged { .. }) => acknowledged += 1,
                Event::Sync { file } if logs.contains(file) => commits += 1,
                Event::Sync { file } if database.contains(file) => copies += 1,
                Event::Write {
                    file, offset: 0, ..
                } if logs.contains(file) => starts += 1,
                Event::Truncate { file, size: 0 } if logs.contains(file) => truncates += 1,
                Event::Truncate { file, size } if database.contains(file) => {
                    shrinks += usize::from(lengths.insert(*file, *size) > Some(*size));
                }
                _ => {}
            }
        }
    }
    let found = format!(
        "{acknowledged} batches, {commits} syncs of logs, {starts} logs started, \
         {truncates} emptied, {copies} syncs of databases, {shrinks} cut shorter, \
         {moves} with rows that moved"
    );
    assert!(commits < acknowledged, "no commits were grouped: {found}");
    let each = usize::try_from(PLANTED_HISTORIES).expect("a small number");
    let enough = starts > 6 * each && copies > 6 * each && truncates >= each;
    assert!(enough, "too little of something: {found}");
    assert!(shrinks > 0, "no file was ever cut shorter: {found}");
    assert!(moves > 0, "no row was ever moved: {found}");
}

/// Cuts the power in histories that `plant` has spoilt until it is noticed.
fn first_damage(manner: Manner, plant: impl Fn(&mut History)) -> Option<Box<Damage>> {
    let vfs = vfs();
    (0..PLANTED_HISTORIES).find_map(|seed| {
        let mut history = record(vfs, seed, Start::default(), manner);
        plant(&mut history);
        cut(&history, seed, PLANTED_IMAGES).err()
    })
}

/// The files that ever had a name with this ending.
fn files_ending(events: &[Event], ending: &str) -> Vec<FileId> {
    let named = events.iter().filter_map(|event| match event {
        Event::Link { name, file } if name.ends_with(ending) => Some(*file),
        _ => None,
    });
    named.collect()
}

/// How many events there are until the database is born.
fn birth_events(events: &[Event]) -> usize {
    let named = |event: &Event| matches!(event, Event::Link { name, .. } if name == DATABASE);
    let named = events
        .iter()
        .position(named)
        .expect("the history begins with a birth");
    let synced = events[named..]
        .iter()
        .position(|event| *event == Event::SyncDirectory);
    named + synced.expect("a birth ends with a sync of the directory") + 1
}

/// Takes events out of a history, but leaves the birth whole.
fn forget(history: &mut History, forgotten: impl Fn(&Event) -> bool) {
    let born = history.events.split_off(birth_events(&history.events));
    let kept = born.into_iter().filter(|event| !forgotten(event));
    history.events.extend(kept);
}

fn forget_syncs(history: &mut History, ending: &str) {
    let files = files_ending(&history.events, ending);
    forget(
        history,
        |event| matches!(event, Event::Sync { file } if files.contains(file)),
    );
}

fn expect_loss(damage: Option<Box<Damage>>) {
    let damage = damage.expect("the planted fault is noticed");
    let lost = matches!(damage.finding, Finding::Lost { .. });
    assert!(lost, "found something else than a lost batch: {damage}");
}

#[test]
fn commits_that_do_not_wait_for_the_disk_are_noticed() {
    let manner = Manner {
        durability: Durability::Process,
        ..Manner::default()
    };
    expect_loss(first_damage(manner, |_| {}));
}

#[test]
fn commits_that_need_not_survive_it_are_lost_and_nothing_else_is() {
    let vfs = vfs();
    let manner = Manner {
        durability: Durability::Process,
        ..Manner::default()
    };
    for seed in 0..PLANTED_HISTORIES {
        let history = record(vfs, seed, Start::default(), manner);
        if let Err(damage) = cut(&history, seed, PLANTED_IMAGES) {
            let lost = matches!(damage.finding, Finding::Lost { .. });
            assert!(lost, "seed {seed}: more than the latest commits: {damage}");
        }
    }
}

#[test]
fn answers_given_before_the_commit_are_noticed() {
    let manner = Manner {
        hasty: true,
        ..Manner::default()
    };
    expect_loss(first_damage(manner, |_| {}));
}

#[test]
fn a_log_that_is_not_synced_is_noticed() {
    let damage = first_damage(Manner::default(), |history| forget_syncs(history, "-wal"));
    assert!(damage.is_some(), "the planted fault was not noticed");
}

#[test]
fn a_directory_that_is_not_synced_is_noticed() {
    let damage = first_damage(Manner::default(), |history| {
        forget(history, |event| *event == Event::SyncDirectory);
    });
    assert!(damage.is_some(), "the planted fault was not noticed");
}

#[test]
fn a_database_that_is_not_synced_before_its_log_is_reused_is_noticed() {
    let damage = first_damage(Manner::default(), |history| forget_syncs(history, DATABASE));
    assert!(damage.is_some(), "the planted fault was not noticed");
}

#[test]
fn a_birth_that_is_not_synced_is_noticed() {
    let vfs = vfs();
    let damage = (0..BIRTHS).find_map(|seed| {
        let mut history = birth(vfs);
        let syncs = |event: &Event| matches!(event, Event::Sync { .. });
        history.events.retain(|event| !syncs(event));
        cut(&history, seed, HISTORY_IMAGES).err()
    });
    assert!(damage.is_some(), "the planted fault was not noticed");
}
