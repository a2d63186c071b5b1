//! Random histories against a map that keeps the same promises in the
//! plainest way.

use std::collections::BTreeMap;

use proptest::prelude::*;
use windlass_cache::{Policy, Put, Remaining, SweepLimit};
use windlass_core::Millis;

use crate::support::{START, World, key, tag};

#[derive(Clone, Debug)]
enum Act {
    Put {
        name: u8,
        policy: Policy,
        tag: u8,
        of: Option<u8>,
        version: Option<u64>,
    },
    Get(u8),
    Touch(u8),
    Invalidate(u8),
    Prefix(u8),
    Tag(u8),
    Flush,
    Sweep(u64),
    Wait(u64),
}

/// What the model keeps of an entry.
#[derive(Clone, Debug)]
struct Plain {
    value: u64,
    policy: Policy,
    version: u64,
    tag: u8,
    of: Option<u8>,
    began: u64,
    used: u64,
}

impl Plain {
    fn expires(&self) -> u64 {
        let ttl = self.policy.ttl_ms.map(|ms| self.began + ms);
        let at = self.policy.expires_at.map(Millis::get);
        ttl.into_iter().chain(at).min().unwrap_or(u64::MAX)
    }

    fn ends(&self) -> u64 {
        let idle = self.policy.idle_ms.map_or(u64::MAX, |ms| self.used + ms);
        self.expires()
            .saturating_add(self.policy.stale_ms)
            .min(idle)
    }
}

#[derive(Debug, Default)]
struct Model {
    entries: BTreeMap<String, Plain>,
    now: u64,
}

fn name(number: u8) -> String {
    format!("{}/{number}", number % 2)
}

impl Model {
    fn drop_over(&mut self) {
        let now = self.now;
        self.entries.retain(|_, plain| plain.ends() > now);
    }

    fn take(&mut self, first: Vec<String>) -> u64 {
        let (mut names, mut taken) = (first, 0);
        let mut seen = names.clone();
        while let Some(next) = names.pop() {
            taken += u64::from(self.entries.remove(&next).is_some());
            let depends = |plain: &Plain| plain.of.map(name).as_ref() == Some(&next);
            let made = self.entries.iter().filter(|(_, plain)| depends(plain));
            let made: Vec<String> = made.map(|(name, _)| name.clone()).collect();
            names.extend(made.into_iter().filter(|name| !seen.contains(name)));
            seen.push(next);
        }
        taken
    }

    fn matching(&self, wanted: impl Fn(&str, &Plain) -> bool) -> Vec<String> {
        let entries = self.entries.iter();
        let found = entries.filter(|(name, plain)| wanted(name, plain));
        found.map(|(name, _)| name.clone()).collect()
    }
}

fn policy() -> impl Strategy<Value = Policy> {
    let some = |most: u64| prop::option::of(1..most);
    let at = prop::option::weighted(0.2, (START - 100)..(START + 4_000));
    (some(1_000), at, some(800), 0..300_u64).prop_map(|(ttl_ms, at, idle_ms, stale_ms)| Policy {
        ttl_ms,
        expires_at: at.map(Millis::new),
        idle_ms,
        stale_ms,
        ..Policy::default()
    })
}

fn act() -> impl Strategy<Value = Act> {
    let names = 0..12_u8;
    let version = prop::option::weighted(0.3, 1..3_000_u64);
    let put = (
        names.clone(),
        policy(),
        0..3_u8,
        prop::option::of(0..12_u8),
        version,
    );
    prop_oneof![
        6 => put.prop_map(|(name, policy, tag, of, version)| {
            Act::Put { name, policy, tag, of, version }
        }),
        6 => names.clone().prop_map(Act::Get),
        2 => names.clone().prop_map(Act::Touch),
        2 => names.prop_map(Act::Invalidate),
        1 => (0..3_u8).prop_map(Act::Prefix),
        1 => (0..3_u8).prop_map(Act::Tag),
        1 => Just(Act::Flush),
        1 => (0..20_u64).prop_map(Act::Sweep),
        4 => (1..400_u64).prop_map(Act::Wait),
    ]
}

fn play(world: &World, model: &mut Model, act: Act, number: u64) {
    model.drop_over();
    let space = &world.space;
    if matches!(act, Act::Invalidate(_) | Act::Prefix(_) | Act::Tag(_)) {
        // Dependents are found through entries that are over as well, for as
        // long as these are held.
        world
            .cache
            .sweep_expired(SweepLimit::Entries(u64::MAX), None);
    }
    match act {
        Act::Put {
            name: at,
            policy,
            tag: label,
            of,
            version,
        } => {
            play_put(world, model, (at, policy, label, of, version), number);
        }
        Act::Get(at) => {
            let found = world.text(&name(at));
            let plain = model.entries.get_mut(&name(at));
            assert_eq!(found, plain.as_ref().map(|plain| plain.value.to_string()));
            if let Some(plain) = plain {
                plain.used = model.now;
            }
        }
        Act::Touch(at) => {
            let touched = world.cache.touch(space, &key(&name(at)));
            let touched = touched.expect("no jitter");
            let plain = model.entries.get_mut(&name(at));
            assert_eq!(touched, plain.is_some());
            if let Some(plain) = plain {
                (plain.began, plain.used) = (model.now, model.now);
            }
        }
        Act::Invalidate(at) => {
            let taken = world.cache.invalidate(space, &key(&name(at))).entries;
            assert_eq!(taken, model.take(vec![name(at)]));
        }
        Act::Prefix(at) => {
            let prefix = format!("{at}/");
            let taken = world.cache.invalidate_prefix(space, &prefix);
            let taken = taken.expect("a prefix");
            let names = model.matching(|name, _| name.starts_with(&prefix));
            assert_eq!(taken.entries, model.take(names));
        }
        Act::Tag(label) => {
            let tags = [tag(&label.to_string())];
            let taken = world.cache.invalidate_tags(space, &tags).entries;
            let names = model.matching(|_, plain| plain.tag == label);
            assert_eq!(taken, model.take(names));
        }
        Act::Flush => {
            world.cache.flush_namespace(space);
            model.entries.clear();
        }
        Act::Sweep(most) => {
            let report = world.cache.sweep_expired(SweepLimit::Entries(most), None);
            assert!(report.scanned <= most, "{report:?}");
        }
        Act::Wait(ms) => {
            world.env.advance_ms(ms);
            model.now += ms;
        }
    }
}

type Given = (u8, Policy, u8, Option<u8>, Option<u64>);

fn play_put(world: &World, model: &mut Model, given: Given, number: u64) {
    let (at, policy, label, of, version) = given;
    let put = Put {
        policy: policy.clone(),
        version,
        tags: vec![tag(&label.to_string())],
        depends_on: of.map(name).iter().map(|name| key(name)).collect(),
        ..Put::new(number.to_string())
    };
    let stored = world.cache.put(&world.space, &key(&name(at)), put);
    let old = model.entries.get(&name(at)).map(|plain| plain.version);
    let refused = old.is_some_and(|old| version.is_some_and(|version| version <= old));
    assert_eq!(stored.is_err(), refused, "{stored:?} over {old:?}");
    let Ok(stored) = stored else { return };
    model.entries.remove(&name(at));
    let past = policy.expires_at.is_some_and(|at| at.get() <= model.now);
    assert_eq!(stored.held, !past);
    if stored.held {
        let plain = Plain {
            value: number,
            policy,
            version: stored.version,
            tag: label,
            of,
            began: model.now,
            used: model.now,
        };
        model.entries.insert(name(at), plain);
    }
}

fn compare(world: &World, model: &mut Model) {
    model.drop_over();
    let page = world.cache.enumerate(&world.space, None, 100);
    let keys: Vec<_> = page.keys.iter().map(|key| key.as_str()).collect();
    let expected: Vec<_> = model.entries.keys().map(String::as_str).collect();
    assert_eq!(keys, expected);
    for (name, plain) in &model.entries {
        let expected = match plain.expires() {
            u64::MAX => Remaining::Unlimited,
            expires => Remaining::Ms(expires.saturating_sub(model.now)),
        };
        let remaining = world.cache.remaining(&world.space, &key(name));
        assert_eq!(remaining, Some(expected), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_histories_match_the_model(acts in prop::collection::vec(act(), 1..120)) {
        let world = World::new();
        let mut model = Model { now: START, ..Model::default() };
        for (number, act) in (0..).zip(acts) {
            play(&world, &mut model, act, number);
            compare(&world, &mut model);
        }
        model.drop_over();
        world.cache.sweep_expired(SweepLimit::Entries(u64::MAX), None);
        let held = u64::try_from(model.entries.len()).unwrap();
        prop_assert_eq!(world.cache.stats().entries, held);
    }
}
