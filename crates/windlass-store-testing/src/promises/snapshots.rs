//! P8 and P19: a read and an export each show one point in time.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use windlass_store::{Batch, Entry, Export, KeyRange, Order, Scan, Store, Version};

use super::common::{apply, fill, join, join_one, key, put, spawn, text};
use crate::gather::{Gathered, drain};
use crate::verdict::{Stop, Trial, ensure, ensure_equal};
use crate::{Fixture, Moment, Pausing, Verb};

const ROUNDS: usize = 150;
const READERS: usize = 3;
/// Keys that stand far apart, so that no store finds them in one place.
const SPREAD: [&str; 4] = ["acme/a", "acme/m/1", "acme/m/2", "acme/z"];

pub(crate) async fn p08_all_pages_of_one_read_show_one_point_in_time(
    fixture: &mut dyn Fixture,
) -> Trial {
    let store = fixture.fresh().await?;
    fill(&*store, "n", 60).await?;
    apply(&*store, spread(0)).await?;
    let readers = (0..READERS)
        .map(|_| spawn(watch(Arc::clone(&store))))
        .collect();
    for round in 1..=ROUNDS {
        apply(&*store, spread(round)).await?;
        let seen = round_of(&*store).await?;
        ensure_equal(&seen, &round, || {
            "a read after the commit was answered".into()
        })?;
    }
    join(readers).await?;
    held_back(&store).await
}

fn spread(round: usize) -> Batch {
    SPREAD.iter().fold(Batch::new(), |batch, key| {
        batch.put(*key, round.to_string())
    })
}

/// Reads until the last round, and looks that time never goes back.
async fn watch(store: Arc<dyn Store>) -> Trial {
    let mut last = 0;
    while last < ROUNDS {
        let round = round_of(&*store).await?;
        ensure(round >= last, || {
            format!("a read showed round {round} after round {last}")
        })?;
        last = round;
    }
    Ok(())
}

/// Reads all keys by scans of every kind and gives the one round they show.
async fn round_of(store: &dyn Store) -> Trial<usize> {
    let whole = KeyRange::all();
    let scans = [
        Scan::point(SPREAD[3]),
        Scan::new(whole.clone()).limit(1),
        Scan::prefix("acme/n/"),
        Scan::prefix("acme/m/"),
        Scan::new(whole.clone()).limit(1).descending(),
        Scan::new(whole).limit(1).keys(),
        Scan::point(SPREAD[0]),
    ];
    let pages = store.read(&scans).await?;
    let of_spread = |entry: &&Entry| SPREAD.iter().any(|key| entry.key == *key);
    let entries: Vec<&Entry> = pages
        .iter()
        .flat_map(|page| &page.entries)
        .filter(of_spread)
        .collect();
    let versions: Vec<Version> = entries.iter().map(|entry| entry.version).collect();
    let agree = versions.iter().all(|version| *version == versions[0]);
    ensure(agree, || {
        format!("the pages of one read show several points in time: {entries:?}")
    })?;
    let Some(first) = entries.first() else {
        return Err(Stop::Broken("a read of keys that exist gave none".into()));
    };
    let text = String::from_utf8_lossy(&first.value);
    text.parse()
        .map_err(|_| Stop::Broken(format!("{first:?} was never written")))
}

/// A read that is held before and after it looks, while others commit.
async fn held_back(store: &Arc<dyn Store>) -> Trial {
    let pausing = Arc::new(Pausing::new(Arc::clone(store)));
    for (moment, shown) in [(Moment::Before, 2), (Moment::After, 1)] {
        apply(&**store, spread(1)).await?;
        let pause = pausing.pause(Verb::Read, moment);
        let reader = Arc::clone(&pausing);
        let reader = spawn(async move { round_of(&*reader).await });
        let pause = pause.reached().await;
        apply(&**store, spread(2)).await?;
        pause.release();
        let round = join_one(reader).await?;
        ensure_equal(&round, &shown, || {
            format!("a read held {moment:?} it looked")
        })?;
    }
    Ok(())
}

/// Keys an export is about.
const EXPORTED: usize = 1_500;
const COMMITS: usize = 40;

pub(crate) async fn p19_an_export_shows_one_point_in_time_whatever_commits(
    fixture: &mut dyn Fixture,
) -> Trial {
    let store = fixture.fresh().await?;
    fill(&*store, "export", EXPORTED).await?;
    fill(&*store, "outside", 10).await?;
    let mut history = History::begin(&*store).await?;
    between_entries(&*store, &mut history).await?;
    side_by_side(&*store, &mut history).await?;
    at_the_same_time(&store).await?;
    parts_of_the_store(&*store).await
}

/// Every state the exported range had, oldest first.
struct History {
    states: Vec<BTreeMap<Bytes, Entry>>,
    commits: usize,
}

impl History {
    async fn begin(store: &dyn Store) -> Trial<Self> {
        let entries = drain(store.export(exported_range()).await?).await?;
        ensure_equal(&entries.len(), &EXPORTED, || {
            "entries of an export of a store at rest".into()
        })?;
        Ok(Self {
            states: vec![by_key(entries)],
            commits: 0,
        })
    }

    /// Commits a batch that puts, deletes and creates keys all over the range.
    async fn go_on(&mut self, store: &dyn Store) -> Trial {
        self.commits += 1;
        let number = self.commits;
        let spot = |step: usize| key("export", (number * 37 + step * 501) % (EXPORTED + 200));
        let value = Bytes::from(format!("commit {number}"));
        let (put, deleted) = ([spot(0), spot(1)], spot(2));
        let batch = put.iter().fold(Batch::new(), |batch, key| {
            batch.put(key.clone(), value.clone())
        });
        let version = apply(
            store,
            batch.delete(deleted.clone()).put("acme/outside/x", "x"),
        )
        .await?;
        let mut state = self.states.last().cloned().unwrap_or_default();
        state.remove(&deleted);
        for key in put {
            state.insert(
                key.clone(),
                Entry {
                    key,
                    value: value.clone(),
                    version,
                },
            );
        }
        self.states.push(state);
        Ok(())
    }

    /// Looks that `entries` are a state of the time from `opened` on.
    fn ensure_shown(&self, opened: usize, entries: Vec<Entry>) -> Trial {
        let shown = by_key(entries);
        let known = self.states[opened..].contains(&shown);
        ensure(known, || {
            let (last, now) = (self.states.len() - 1, shown.len());
            format!("an export of {now} entries shows no state from {opened} to {last}")
        })
    }

    fn now(&self) -> usize {
        self.states.len() - 1
    }
}

fn exported_range() -> KeyRange {
    KeyRange::prefix("acme/export/")
}

fn by_key(entries: Vec<Entry>) -> BTreeMap<Bytes, Entry> {
    entries
        .into_iter()
        .map(|entry| (entry.key.clone(), entry))
        .collect()
}

/// Commits between opening an export, each of its steps, and its end.
async fn between_entries(store: &dyn Store, history: &mut History) -> Trial {
    let opened = history.now();
    let mut export = store.export(exported_range()).await?;
    let mut gathered = Gathered::new(Order::Ascending);
    for _ in 0..COMMITS / 4 {
        history.go_on(store).await?;
    }
    while let Some(piece) = export.next().await? {
        gathered.add(piece)?;
        if history.commits < COMMITS {
            history.go_on(store).await?;
        }
    }
    let after = export.next().await?;
    ensure_equal(&after, &None, || "an export after its end".into())?;
    history.ensure_shown(opened, gathered.entries)
}

/// Several exports that are open at once, opened at different states; one is
/// dropped before its end.
async fn side_by_side(store: &dyn Store, history: &mut History) -> Trial {
    let mut open: Vec<(usize, Export)> = Vec::new();
    for _ in 0..4 {
        open.push((history.now(), store.export(exported_range()).await?));
        history.go_on(store).await?;
    }
    let (_, mut unfinished) = open.remove(1);
    unfinished.next().await?;
    drop(unfinished);
    history.go_on(store).await?;
    for (opened, export) in open {
        history.ensure_shown(opened, drain(export).await?)?;
        history.go_on(store).await?;
    }
    Ok(())
}

/// Pairs of which each commit moves one half into the other, while exports
/// run on other tasks.
async fn at_the_same_time(store: &Arc<dyn Store>) -> Trial {
    let exporter = |number: usize| {
        let store = Arc::clone(store);
        spawn(async move {
            for _ in 0..4 {
                let range = KeyRange::prefix("acme/move/");
                let entries = drain(store.export(range).await?).await?;
                one_of_each_pair(&entries, number)?;
            }
            Ok(())
        })
    };
    let (left, right) = (|n| key("move/left", n), |n| key("move/right", n));
    let start = (0..PAIRS).fold(Batch::new(), |batch, number| batch.put(left(number), "1"));
    apply(&**store, start).await?;
    let exporters = (0..READERS).map(exporter).collect();
    for number in 0..PAIRS {
        apply(
            &**store,
            Batch::new().delete(left(number)).put(right(number), "1"),
        )
        .await?;
    }
    join(exporters).await.map(drop)
}

const PAIRS: usize = 60;

fn one_of_each_pair(entries: &[Entry], exporter: usize) -> Trial {
    ensure_equal(&entries.len(), &PAIRS, || {
        format!("halves of pairs that exporter {exporter} saw at one point in time")
    })
}

async fn parts_of_the_store(store: &dyn Store) -> Trial {
    put(store, "zeta/last", "1").await?;
    for (range, expected) in [
        (KeyRange::prefix("zeta/"), 1),
        (KeyRange::point("zeta/last"), 1),
        (KeyRange::prefix("zeta/last/"), 0),
        (KeyRange::new("b", "a"), 0),
    ] {
        let found = drain(store.export(range.clone()).await?).await?.len();
        ensure_equal(&found, &expected, || {
            format!("entries of an export of {range:?}")
        })?;
    }
    ensure_equal(
        &text(store, &"zeta/last".into()).await?,
        &Some("1".into()),
        || "a key".into(),
    )
}
