//! One store through one trouble with its disk.
//!
//! Three sessions at the same files: opened, written and read in small steps,
//! then closed, or left as by a process that dies. The trouble begins
//! somewhere in the first two and is over a few steps later; the third is on
//! a sound disk. After each step it is known what must be in the store: it is
//! held against what the store reads, and against what a power cut at that
//! moment leaves of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use windlass_store::{
    Batch, Commit, Entry, Expect, KeyRange, Store, StoreError, StoreErrorKind, StoreExt,
};
use windlass_store_sqlite::{Options, SqliteStore};
use windlass_store_testing::Random;

use crate::facts::{Facts, Wrong, batch, chain, check_kind, first_key};
use crate::fate::{Draw, Mood};
use crate::history::{DATABASE, runtime, scratch};
use crate::inspection::Inspection;
use crate::medium::Medium;
use crate::saboteur::{Kind, Saboteur, Spell, Trouble};
use crate::vfs::Vfs;

/// Sessions that the trouble can begin in.
const TROUBLED_SESSIONS: usize = 2;
/// Rounds of steps in one session.
const ROUNDS: usize = 3;
/// Batches committed at the same time.
const AT_ONCE: usize = 3;
/// Steps after which the trouble is over.
const TROUBLED_STEPS: usize = 3;
/// Failing tries of one verb that are forgiven once the disk is sound.
const FORGIVEN: usize = 2;
/// Far longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// Moments around the beginning of the trouble at which the power is cut: what the
/// store does to recover makes good what was wrong with an answer.
const FIRST_CUTS: usize = 3;
/// Moments after that, at random.
const LATER_CUTS: usize = 4;

/// Something that gives false answers on purpose.
pub(crate) type Disguise = fn(Arc<dyn Store>) -> Arc<dyn Store>;

/// What came of a trial.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The call that failed first, if the trial came to it.
    pub(crate) fired: Option<Kind>,
    /// Every call that was made of the disk and could have failed.
    pub(crate) calls: Vec<Kind>,
    pub(crate) verdict: Result<(), Wrong>,
    /// What was done and answered, for a person to read.
    pub(crate) story: Vec<String>,
}

/// Runs one trial; `seed` is that of its power cuts.
pub(crate) fn run(
    vfs: &Vfs,
    trouble: Option<Trouble>,
    disguise: Option<Disguise>,
    seed: u64,
) -> Outcome {
    let panics = panics();
    let mut trial = Trial::new(vfs, trouble, disguise);
    let worked = runtime().block_on(trial.work());
    let verdict = worked.and_then(|()| trial.cut_power(seed));
    let verdict = if self::panics() == panics {
        verdict
    } else {
        Err(Wrong::Panicked)
    };
    Outcome {
        fired: trial.disk.fired(),
        calls: trial.calls,
        verdict,
        story: trial.story,
    }
}

/// How many threads of stores have panicked in this process.
fn panics() -> usize {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            if thread
                .name()
                .is_some_and(|name| name.starts_with("sqlite-"))
            {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            usual(panic);
        }));
    });
    PANICS.load(Ordering::SeqCst)
}

struct Trial<'a> {
    vfs: &'a Vfs,
    trouble: Option<Trouble>,
    disguise: Option<Disguise>,
    disk: Arc<Saboteur>,
    directory: TempDir,
    facts: Facts,
    /// What was known after how many events.
    moments: Vec<(usize, Facts)>,
    /// Calls until the disk was declared sound.
    calls: Vec<Kind>,
    /// Steps since the first call failed.
    troubled: usize,
    health: Health,
    story: Vec<String>,
}

/// How often each verb failed in a row on a sound disk.
#[derive(Debug, Default)]
struct Health {
    sound: bool,
    opens: usize,
    commits: usize,
    reads: usize,
}

impl<'a> Trial<'a> {
    fn new(vfs: &'a Vfs, trouble: Option<Trouble>, disguise: Option<Disguise>) -> Self {
        let disk = Arc::new(Saboteur::new(trouble));
        vfs.serve(Arc::clone(&disk) as _);
        Self {
            vfs,
            trouble,
            disguise,
            disk,
            directory: scratch(),
            facts: Facts::default(),
            moments: Vec::new(),
            calls: Vec::new(),
            troubled: 0,
            health: Health::default(),
            story: Vec::new(),
        }
    }

    async fn work(&mut self) -> Result<(), Wrong> {
        for session in 0..TROUBLED_SESSIONS {
            let Some(store) = self.open().await? else {
                continue;
            };
            for round in 0..ROUNDS {
                self.round(store.as_ref(), round).await?;
            }
            if (session + self.trouble.map_or(0, |trouble| trouble.call)).is_multiple_of(2) {
                self.close(store).await?;
            } else {
                self.die(store).await?;
            }
        }
        self.heal();
        let store = self.open().await?;
        let store = store.ok_or_else(|| Wrong::Stranded("no store on a sound disk".into()))?;
        self.round(store.as_ref(), 0).await?;
        self.close(store).await
    }

    async fn round(&mut self, store: &dyn Store, round: usize) -> Result<(), Wrong> {
        self.commit(store).await?;
        self.contradict(store).await?;
        self.read(store, round % 2 == 1).await
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(DATABASE)
    }

    /// Logs so small that every round copies or empties them.
    fn options(&self) -> Options {
        Options {
            reader_threads: 1,
            wal_copy_bytes: 24 * 1_024,
            wal_empty_bytes: 48 * 1_024,
            free_bytes_kept: 0,
            vfs: Some(self.vfs.name()),
            ..Options::default()
        }
    }

    async fn open(&mut self) -> Result<Option<Arc<dyn Store>>, Wrong> {
        for _ in 0..=FORGIVEN + TROUBLED_STEPS {
            let opening = SqliteStore::open(self.path(), self.options());
            let opened = timeout(PATIENCE, opening)
                .await
                .map_err(|_| Wrong::Hung("open"))?;
            let failed = self.tell("open", &opened.as_ref().map(drop))?;
            self.health.opens = self.health.count("open", self.health.opens, failed)?;
            self.end_step();
            if let Ok(store) = opened {
                let store: Arc<dyn Store> = Arc::new(store);
                return Ok(Some(
                    self.disguise.map_or(Arc::clone(&store), |wrap| wrap(store)),
                ));
            }
        }
        Ok(None)
    }

    /// Commits some batches at the same time.
    async fn commit(&mut self, store: &dyn Store) -> Result<(), Wrong> {
        let first = self.facts.submitted();
        let commit = |number| timeout(PATIENCE, store.commit(batch(number)));
        let (a, b, c) = tokio::join!(commit(first), commit(first + 1), commit(first + 2));
        let answers: [_; AT_ONCE] = [a, b, c];
        let mut failed = None;
        for answer in answers {
            let answer = answer.map_err(|_| Wrong::Hung("commit"))?;
            self.story
                .push(describe("commit", &answer.as_ref().map(drop)));
            self.facts.note(&answer)?;
            failed = failed.or(answer.err().map(|error| chain(&error)));
        }
        self.health.commits = self.health.count("commit", self.health.commits, failed)?;
        self.end_step();
        Ok(())
    }

    /// Commits what cannot be applied.
    async fn contradict(&mut self, store: &dyn Store) -> Result<(), Wrong> {
        let Some(number) = self.facts.applied() else {
            return Ok(());
        };
        let key = first_key(number);
        let batch = Batch::new()
            .check(key.clone(), Expect::Absent)
            .put(key, "another");
        let answer = timeout(PATIENCE, store.commit(batch)).await;
        let answer = answer.map_err(|_| Wrong::Hung("commit"))?;
        self.story
            .push(describe("contradict", &answer.as_ref().map(drop)));
        match answer {
            Ok(Commit::Conflict { .. }) => {}
            Ok(Commit::Applied(_)) => return Err(Wrong::Contradicted),
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => {}
            Err(error) => check_kind(&error)?,
        }
        self.end_step();
        Ok(())
    }

    async fn read(&mut self, store: &dyn Store, export: bool) -> Result<(), Wrong> {
        let reading = timeout(PATIENCE, read(store, export)).await;
        let found = reading.map_err(|_| Wrong::Hung("read"))?;
        let failed = self.tell("read", &found.as_ref().map(drop))?;
        self.health.reads = self.health.count("read", self.health.reads, failed)?;
        if let Ok(entries) = found {
            self.facts.observe(&entries)?;
        }
        self.end_step();
        Ok(())
    }

    async fn close(&mut self, store: Arc<dyn Store>) -> Result<(), Wrong> {
        let closed = timeout(PATIENCE, store.close()).await;
        let closed = closed.map_err(|_| Wrong::Hung("close"))?;
        self.tell("close", &closed.as_ref().map(drop))?;
        self.end_step();
        Ok(())
    }

    /// Ends the process: what the system has of the files stays as it is.
    async fn die(&mut self, store: Arc<dyn Store>) -> Result<(), Wrong> {
        let successor = Arc::new(self.disk.succeed());
        let directory = scratch();
        for file in std::fs::read_dir(self.directory.path()).expect("our own directory") {
            let path = file.expect("our own directory").path();
            let name = path.file_name().expect("a file has a name");
            if !name.to_string_lossy().ends_with("-shm") {
                std::fs::copy(&path, directory.path().join(name)).expect("files can be copied");
            }
        }
        self.vfs.serve(Arc::clone(&successor) as _);
        self.disk = successor;
        // Its threads have to end also on a disk where nothing works.
        let closed = timeout(PATIENCE, store.close()).await;
        drop(closed.map_err(|_| Wrong::Hung("close"))?);
        self.directory = directory;
        self.story.push("died".into());
        Ok(())
    }

    /// Writes down an answer. Gives the error as text, unless it is one that
    /// no fault of a disk justifies.
    fn tell(
        &mut self,
        verb: &str,
        answer: &Result<(), &StoreError>,
    ) -> Result<Option<String>, Wrong> {
        self.story.push(describe(verb, answer));
        match answer {
            Ok(()) => Ok(None),
            Err(error) => check_kind(error).map(|()| Some(chain(error))),
        }
    }

    fn end_step(&mut self) {
        let events = self.disk.recorder().len();
        self.moments.push((events, self.facts.clone()));
        if self.disk.fired().is_none() {
            return;
        }
        if self.troubled == 0 {
            // Of what was known before, only the last is of interest.
            self.moments.drain(..self.moments.len().saturating_sub(2));
        }
        self.troubled += 1;
        let once = self
            .trouble
            .is_some_and(|trouble| trouble.spell == Spell::Once);
        if once || self.troubled == TROUBLED_STEPS {
            self.heal();
        }
    }

    fn heal(&mut self) {
        if !self.health.sound {
            self.story.push("the disk is sound from here on".into());
            self.calls = self.disk.calls();
        }
        self.health.sound = true;
        self.disk.heal();
    }

    /// Cuts the power at some moments, and somewhere before each of them, and
    /// judges what is left.
    fn cut_power(&self, seed: u64) -> Result<(), Wrong> {
        let call = self.trouble.map_or(0, |trouble| trouble.call);
        let call = u64::try_from(call).expect("a small number");
        let mut random = Random::new(Random::new(seed).next() ^ call);
        let inspection = Inspection::new();
        let events = self.disk.recorder().events();
        let mut medium = Medium::default();
        let (mut earlier, mut before) = (0, Facts::default());
        let mut later = self.moments.len().saturating_sub(FIRST_CUTS);
        let mut wanted = LATER_CUTS;
        for (number, (place, facts)) in self.moments.iter().enumerate() {
            let chosen = number < FIRST_CUTS || random.below(later) < wanted;
            if number >= FIRST_CUTS {
                later -= 1;
                wanted -= usize::from(chosen);
            }
            if chosen {
                let between = earlier + random.below(place - earlier);
                medium.apply_until(&events, between);
                let draw = Draw::new(&mut random, &medium);
                judge(&inspection, &medium, draw, &before.before_answers(facts))?;
                medium.apply_until(&events, *place);
                let drawn = Draw::new(&mut random, &medium);
                judge(&inspection, &medium, Draw::of(Mood::Nothing, 0), facts)?;
                judge(&inspection, &medium, Draw::of(Mood::Everything, 0), facts)?;
                judge(&inspection, &medium, drawn, facts)?;
            }
            (earlier, before) = (*place, facts.clone());
        }
        Ok(())
    }
}

fn judge(inspection: &Inspection, medium: &Medium, draw: Draw, facts: &Facts) -> Result<(), Wrong> {
    let read = inspection.read(&medium.image(&draw));
    let entries = read.map_err(|error| Wrong::Answer(chain(&error)))?;
    facts.judge(&entries)
}

impl Health {
    /// How often a verb has failed in a row, if that is not too often.
    fn count(&self, verb: &str, before: usize, failed: Option<String>) -> Result<usize, Wrong> {
        match failed {
            Some(error) if self.sound && before == FORGIVEN => {
                Err(Wrong::Stranded(format!("{verb}: {error}")))
            }
            Some(_) if self.sound => Ok(before + 1),
            _ => Ok(0),
        }
    }
}

async fn read(store: &dyn Store, export: bool) -> Result<Vec<Entry>, StoreError> {
    if export {
        store.export(KeyRange::all()).await?.collect().await
    } else {
        store.scan_all(KeyRange::all()).await
    }
}

fn describe(verb: &str, answer: &Result<(), &StoreError>) -> String {
    match answer {
        Ok(()) => format!("{verb}: done"),
        Err(error) => format!("{verb}: {}", chain(error)),
    }
}
