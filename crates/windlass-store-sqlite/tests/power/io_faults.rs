//! Every call to the disk fails once, or from some moment on, and no answer
//! of the store is false; and proof that a false one would be noticed.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use async_trait::async_trait;
use windlass_store::{
    Batch, Changes, Commit, Export, Incarnation, KeyRange, Page, Scan, Store, StoreError,
    StoreErrorKind, Version,
};

use crate::facts::Wrong;
use crate::recording::Recorder;
use crate::saboteur::{Kind, Spell, Trouble};
use crate::settings;
use crate::trial::{self, Disguise, Outcome};
use crate::vfs::Vfs;

/// Trials without a fault, to know what can fail.
const SOUND_TRIALS: usize = 3;
/// Faults tried where nobody says how many.
const FAULTS: usize = 150;
/// Failing trials that are told in full.
const WRONGS_SHOWN: usize = 8;
/// Trials within which a planted fault must be noticed.
const PLANTED_TRIALS: usize = 200;

fn vfs() -> &'static Vfs {
    Vfs::register(Arc::new(Recorder::default()))
}

/// The calls that a trial makes at least if nothing fails: how many more
/// there are depends on how often a lock has to be asked for.
fn calls(vfs: &Vfs) -> Vec<Kind> {
    let trials = (0..SOUND_TRIALS).map(|_| {
        let sound = trial::run(vfs, None, None, 0);
        assert_eq!(
            sound.verdict,
            Ok(()),
            "without any fault: {:#?}",
            sound.story
        );
        sound.calls
    });
    trials.min_by_key(Vec::len).unwrap_or_default()
}

/// Every fault that can happen to those calls.
fn all_faults(vfs: &Vfs) -> Vec<Trouble> {
    let mut faults = Vec::new();
    for (call, kind) in calls(vfs).into_iter().enumerate() {
        for spell in [Spell::Once, Spell::Lasting, Spell::ReadOnly] {
            let ways = 0..kind.ways_count();
            faults.extend(ways.map(|way| Trouble { call, spell, way }));
        }
    }
    faults
}

/// The faults of which a commit fails and nobody knows what became of it:
/// syncs that fail once.
fn sync_faults(vfs: &Vfs) -> Vec<Trouble> {
    let calls = calls(vfs).into_iter().enumerate();
    let syncs = calls.filter(|(_, kind)| *kind == Kind::Sync);
    let faults = syncs.flat_map(|(call, kind)| {
        (0..kind.ways_count()).map(move |way| Trouble {
            call,
            spell: Spell::Once,
            way,
        })
    });
    faults.collect()
}

/// `count` of `faults`, spread evenly; all of them several times, each time
/// with another seed, if there are not that many.
fn spread(faults: &[Trouble], count: usize) -> Vec<(Trouble, u64)> {
    let mut spread = Vec::with_capacity(count);
    let mut seed = 0;
    while spread.len() < count {
        let share = faults.len().min(count - spread.len());
        let chosen = (0..share).map(|number| faults[number * faults.len() / share]);
        spread.extend(chosen.map(|trouble| (trouble, seed)));
        seed += 1;
    }
    spread
}

fn tell(trouble: Trouble, wrong: &Wrong, outcome: &Outcome) -> String {
    let mut text = format!("{trouble:?}, first at {:?}: {wrong}\n", outcome.fired);
    for line in &outcome.story {
        writeln!(text, "  {line}").expect("a string takes everything");
    }
    text
}

#[test]
fn no_answer_is_false_whichever_call_to_the_disk_fails() {
    let faults = spread(
        &all_faults(vfs()),
        settings::count("WINDLASS_IO_FAULTS", FAULTS),
    );
    let (next, fired) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrongs = Mutex::new(Vec::new());
    let work = || {
        let vfs = vfs();
        while let Some((trouble, seed)) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = trial::run(vfs, Some(*trouble), None, *seed);
            fired.fetch_add(usize::from(outcome.fired.is_some()), Ordering::Relaxed);
            if let Err(wrong) = &outcome.verdict {
                let mut wrongs = wrongs.lock().unwrap_or_else(PoisonError::into_inner);
                wrongs.push(tell(*trouble, wrong, &outcome));
            }
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        (0..workers).for_each(|_| drop(scope.spawn(work)));
    });
    let wrongs = wrongs.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (count, shown) = (wrongs.len(), wrongs.into_iter().take(WRONGS_SHOWN));
    assert_eq!(
        count,
        0,
        "of {} faults; the first:\n{}",
        faults.len(),
        shown.collect::<String>()
    );
    let fired = fired.into_inner();
    assert!(
        fired * 10 >= faults.len() * 9,
        "only {fired} of {} faults happened",
        faults.len()
    );
}
/// A store that gives another answer where nobody knows what happened.
#[derive(Debug)]
struct Mistaken {
    inner: Arc<dyn Store>,
    answer: fn(StoreError) -> Result<Commit, StoreError>,
}

#[async_trait]
impl Store for Mistaken {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.inner.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        match self.inner.commit(batch).await {
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => (self.answer)(error),
            answer => answer,
        }
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.inner.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

/// What is first noticed when `faults` happen to a store in `disguise`.
fn first_wrong(faults: &[Trouble], disguise: Option<Disguise>) -> Option<Wrong> {
    let vfs = vfs();
    let faults = spread(faults, PLANTED_TRIALS.min(faults.len())).into_iter();
    let mut verdicts =
        faults.map(|(trouble, seed)| trial::run(vfs, Some(trouble), disguise, seed).verdict);
    verdicts.find_map(Result::err)
}

#[test]
fn a_failed_commit_that_is_taken_for_a_success_is_noticed() {
    let disguise: Disguise = |inner| {
        let answer = |_| {
            Ok(Commit::Applied(Version::new(
                Incarnation::from_number(0),
                0,
            )))
        };
        Arc::new(Mistaken { inner, answer })
    };
    let wrong = first_wrong(&sync_faults(vfs()), Some(disguise));
    assert!(
        matches!(wrong, Some(Wrong::Lost(_) | Wrong::Contradicted)),
        "{wrong:?}"
    );
}

#[test]
fn a_commit_that_may_have_happened_and_is_denied_is_noticed() {
    let disguise: Disguise = |inner| {
        let answer = |error| {
            let kind = StoreErrorKind::Unavailable;
            Err(StoreError::new(kind, "commit", "nothing happened").with_source(error))
        };
        Arc::new(Mistaken { inner, answer })
    };
    let wrong = first_wrong(&sync_faults(vfs()), Some(disguise));
    assert!(matches!(wrong, Some(Wrong::Risen(_))), "{wrong:?}");
}

#[test]
fn a_disk_that_lies_about_its_syncs_is_noticed() {
    let lie = Trouble {
        call: 0,
        spell: Spell::Lies,
        way: 0,
    };
    let wrong = first_wrong(&[lie], None);
    assert!(
        matches!(wrong, Some(Wrong::Lost(_) | Wrong::Answer(_))),
        "{wrong:?}"
    );
}
