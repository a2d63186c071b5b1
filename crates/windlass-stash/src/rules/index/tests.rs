//! Random histories of the index: whatever was asked, refused or taken back,
//! its figures and orders equal what a recount finds.

use std::collections::BTreeMap;

use windlass_core::{Env, GroupId, ManualEnv, Millis};

use crate::config::{Config, Quota};
use crate::request::{Condition, Increment, Operation, Put};
use crate::rules::{Call, Change};
use crate::value::Value;

use super::*;

/// Draws from a seed.
struct Draw(ManualEnv);

impl Draw {
    fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.random(&mut bytes).expect("made from a seed");
        u64::from_le_bytes(bytes) % end
    }

    fn key(&self) -> Key {
        format!("k{}", self.below(9)).parse().expect("a key")
    }

    fn value(&self) -> Value {
        match self.below(4) {
            0 => Value::of(&self.below(100)),
            _ => Value::of(&"x".repeat(usize::try_from(self.below(30)).expect("small"))),
        }
        .expect("JSON")
    }

    fn ttl_ms(&self) -> Option<u64> {
        (self.below(3) > 0).then(|| self.below(70))
    }

    fn group(&self) -> Option<GroupId> {
        let groups = ["a", "b"];
        let chosen = groups.get(usize::try_from(self.below(3)).expect("small"))?;
        Some(chosen.parse().expect("a group"))
    }

    fn condition(&self) -> Condition {
        match self.below(4) {
            0 => Condition::Absent,
            1 => Condition::Version(self.below(20)),
            _ => Condition::Any,
        }
    }

    fn operation(&self) -> Operation {
        let (key, ttl_ms) = (self.key(), self.ttl_ms());
        match self.below(8) {
            0 => Operation::Get(key),
            1 => Operation::Delete(key),
            2 => Operation::Touch { key, ttl_ms },
            3 => Operation::Increment(Increment { key, by: 1, ttl_ms }),
            _ => Operation::Put(Put {
                key,
                value: self.value(),
                ttl_ms,
                condition: self.condition(),
            }),
        }
    }

    fn config(&self) -> Config {
        let quota = Quota {
            keys_max: Some(3),
            bytes_max: Some(40),
        };
        Config {
            keys_max: 3 + self.below(5),
            value_bytes_max: 28,
            total_bytes_max: 60 + self.below(60),
            charged_bytes_max: (self.below(2) > 0).then_some(2_200),
            ttl_ms_default: 40,
            ttl_ms_max: 60,
            group_quota: (self.below(2) > 0).then_some(quota),
            hide_foreign: self.below(2) > 0,
            ..Config::default()
        }
    }
}

/// What is held, by key.
fn held(index: &Index) -> BTreeMap<Key, Metadata> {
    let entries = index.places.iter().flatten();
    entries
        .map(|held| (held.key.clone(), held.metadata.clone()))
        .collect()
}

/// Counts everything anew.
fn recount(index: &Index) {
    let (mut all, mut live) = (Figures::default(), Figures::default());
    let mut groups: HashMap<GroupId, Figures> = HashMap::new();
    let (mut order, mut lapsed) = (BTreeSet::new(), BTreeSet::new());
    for (key, place) in &index.by_key {
        let held = index.held_at(*place);
        assert_eq!((key, index.by_name.get(key)), (&held.key, Some(place)));
        all = all.plus(held.figures());
        if held.lapsed {
            lapsed.insert((due(&held.metadata), *place));
            continue;
        }
        assert!(held.bound <= due(&held.metadata), "{held:?}");
        order.insert((held.bound, *place));
        live = live.plus(held.figures());
        if let Some(group) = &held.metadata.group {
            let sum = groups.entry(group.clone()).or_default();
            *sum = sum.plus(held.figures());
        }
    }
    let places = index.places.len() - index.free.len();
    assert_eq!(
        (places, index.by_name.len()),
        (index.by_key.len(), index.by_key.len())
    );
    assert_eq!((all, live), (index.held, index.live));
    assert_eq!(groups, index.groups);
    assert_eq!((order, lapsed), (index.order.clone(), index.lapsed.clone()));
}

fn play(seed: u64) {
    let draw = Draw(ManualEnv::new(seed, Millis::new(0)));
    let config = draw.config();
    let mut index = Index::default();
    let mut values: BTreeMap<u64, Value> = BTreeMap::new();
    let mut now = 1_000;
    for _ in 0..60 {
        now = (now + draw.below(30)).saturating_sub(draw.below(4));
        let before = held(&index);
        let caller = draw.group();
        let call = Call {
            config: &config,
            caller: caller.as_ref(),
            now: Millis::new(now),
        };
        let mut changes = Vec::new();
        let done = ask(&draw, &mut index, &call, &values, &mut changes);
        recount(&index);
        assert!(done || changes.is_empty(), "seed {seed}: {changes:?}");
        if changes.is_empty() {
            assert_eq!(held(&index), before, "seed {seed}");
        }
        if !done || draw.below(5) == 0 {
            index.undo(&changes);
            recount(&index);
            assert_eq!(held(&index), before, "seed {seed}");
            continue;
        }
        for change in changes {
            if let (Some(after), Some(value)) = (change.after, change.value) {
                values.insert(after.version, value);
            }
        }
        let usage = index.usage(call.now);
        assert_eq!(usage.live.plus(usage.expired), index.held());
        recount(&index);
    }
}

/// Asks for something; whether it was granted.
fn ask(
    draw: &Draw,
    index: &mut Index,
    call: &Call<'_>,
    values: &BTreeMap<u64, Value>,
    changes: &mut Vec<Change>,
) -> bool {
    match draw.below(10) {
        0 => {
            index.reap_expired(call.now, Some(draw.below(3)), changes);
            true
        }
        1 => {
            index.clear(call.caller, call.now, Some(draw.below(4)), changes);
            true
        }
        _ => {
            let count = 1 + draw.below(3);
            let operations: Vec<_> = (0..count).map(|_| draw.operation()).collect();
            let read = |_: &Key, metadata: &Metadata| values.get(&metadata.version).cloned();
            index.step(call, &operations, &read, changes).is_ok()
        }
    }
}

#[test]
fn the_figures_equal_a_recount_after_any_history() {
    for seed in 0..500 {
        play(seed);
    }
}
