//! Random histories of two tiers against a map: the store fails, and the
//! process dies, at any call. What a failed change was about is either as
//! before or as the change would have it; which of them, a read tells, and
//! from then on nothing else is right.

mod world;

use proptest::prelude::*;
use windlass_cache::{Admission, Policy, Presence, Priority, SweepLimit};
use windlass_core::{Coded, Millis};
use windlass_store_testing::StrictOptions;

use crate::support::{START, key, tag};
use world::{Entries, World, assert_passing, named};

const ALL: SweepLimit = SweepLimit::Entries(u64::MAX);
/// How often a call is made before the store must have answered it.
const PATIENCE: usize = 400;

#[derive(Clone, Debug)]
enum Act {
    Put(Given),
    PutMany(Vec<Given>),
    Swap(u8, bool),
    Get(u8),
    GetMany,
    Touch(u8),
    Invalidate(u8),
    Prefix(u8),
    Tag(u8),
    Dependents(u8),
    Flush,
    Sweep(u64),
    Reclaim,
    Wait(u64),
    Close,
    Reboot,
}

#[derive(Clone, Debug)]
struct Given {
    name: u8,
    policy: Policy,
    tag: Option<u8>,
    of: Option<u8>,
    version: Option<u64>,
    bytes: usize,
}

/// What happens to the process during an act.
#[derive(Clone, Copy, Debug)]
struct Death {
    after: u64,
    applies_last: bool,
}

fn policy() -> impl Strategy<Value = Policy> {
    let some = |most: u64| prop::option::of(1..most);
    let at = prop::option::weighted(0.2, (START - 100)..(START + 4_000));
    let admission = prop_oneof![Just(Admission::Auto), Just(Admission::Never)];
    let priority = prop_oneof![4 => Just(Priority::Normal), 1 => Just(Priority::High)];
    (some(1_000), at, some(800), 0..300_u64, admission, priority).prop_map(
        |(ttl_ms, at, idle_ms, stale_ms, admission, priority)| Policy {
            ttl_ms,
            expires_at: at.map(Millis::new),
            idle_ms,
            stale_ms,
            admission,
            priority,
            ..Policy::default()
        },
    )
}

fn given() -> impl Strategy<Value = Given> {
    let version = prop::option::weighted(0.3, 1..3_000_u64);
    let of = prop::option::of(0..12_u8);
    let bytes = prop_oneof![3 => 20..200_usize, 1 => 2_000..9_000_usize];
    // Those without tags and dependencies take over the place of each other.
    let tag = prop::option::of(0..3_u8);
    (0..12_u8, policy(), tag, of, version, bytes).prop_map(
        |(name, policy, tag, of, version, bytes)| Given {
            name,
            policy,
            tag,
            of,
            version,
            bytes,
        },
    )
}

fn act() -> impl Strategy<Value = (Act, Option<Death>)> {
    let names = 0..12_u8;
    let act = prop_oneof![
        6 => given().prop_map(Act::Put),
        1 => prop::collection::vec(given(), 1..6).prop_map(Act::PutMany),
        2 => (names.clone(), any::<bool>()).prop_map(|(name, right)| Act::Swap(name, right)),
        6 => names.clone().prop_map(Act::Get),
        1 => Just(Act::GetMany),
        2 => names.clone().prop_map(Act::Touch),
        2 => names.clone().prop_map(Act::Invalidate),
        1 => (0..3_u8).prop_map(Act::Prefix),
        1 => (0..3_u8).prop_map(Act::Tag),
        1 => names.prop_map(Act::Dependents),
        1 => Just(Act::Flush),
        1 => (0..20_u64).prop_map(Act::Sweep),
        1 => Just(Act::Reclaim),
        4 => (1..400_u64).prop_map(Act::Wait),
        1 => Just(Act::Close),
        1 => Just(Act::Reboot),
    ];
    let death = (0..8_u64, any::<bool>()).prop_map(|(after, applies_last)| Death {
        after: after + 1,
        applies_last,
    });
    (act, prop::option::weighted(0.1, death))
}

async fn play(world: &mut World, act: Act, death: Option<Death>) {
    world.drop_over();
    let takes = matches!(
        act,
        Act::Invalidate(_) | Act::Prefix(_) | Act::Tag(_) | Act::Dependents(_)
    );
    if takes {
        // Dependents are found through entries that are over as well, for as
        // long as these are held.
        world.sweep().await;
    }
    if let Some(death) = death.filter(|_| !matches!(act, Act::Wait(_) | Act::Close)) {
        world.over.die_after(death.after, death.applies_last);
    }
    match act {
        Act::Put(given) => put(world, &given).await,
        Act::PutMany(given) => put_many(world, &given).await,
        Act::Swap(at, right) => swap(world, at, right).await,
        Act::Invalidate(_) | Act::Prefix(_) | Act::Tag(_) | Act::Dependents(_) => {
            invalidate(world, act).await;
        }
        Act::Get(_) | Act::GetMany | Act::Touch(_) => read(world, act).await,
        other => upkeep(world, other).await,
    }
    if world.over.is_dead() {
        let entries = world.entries.clone();
        world.settle(entries, None).await;
    }
    world.over.die_after(u64::MAX, false);
}

async fn put(world: &mut World, given: &Given) {
    let name = named(given.name);
    let (key, put, plain) = world.put_of(given);
    let space = world.pair.space.clone();
    let stored = world.pair.cache.put(&space, &key, put).await;
    if world.is_refused(&world.entries, &name, given.version) {
        let error = stored.expect_err("its version does not rise");
        if error.code() != "version_mismatch" {
            let entries = world.entries.clone();
            world.settle(entries, Some(&error)).await;
        }
        return;
    }
    let mut changed = world.entries.clone();
    world.answered(&mut changed, &name, plain, &stored);
    world.settle(changed, stored.as_ref().err()).await;
}

async fn put_many(world: &mut World, given: &[Given]) {
    let mut given = given.to_vec();
    given.dedup_by_key(|it| it.name);
    given.sort_by_key(|it| it.name);
    given.dedup_by_key(|it| it.name);
    let (mut puts, mut plains) = (Vec::new(), Vec::new());
    for given in &given {
        let (key, put, plain) = world.put_of(given);
        puts.push((key, put));
        plains.push((named(given.name), plain, given.version));
    }
    let space = world.pair.space.clone();
    let stored = world.pair.cache.put_many(&space, puts).await;
    let (mut sure, mut perhaps, mut failed) = (world.entries.clone(), world.entries.clone(), None);
    for ((name, plain, version), stored) in plains.into_iter().zip(stored) {
        if world.is_refused(&world.entries, &name, version) {
            let error = stored.expect_err("its version does not rise");
            if error.code() != "version_mismatch" {
                failed = Some(error);
            }
            continue;
        }
        world.answered(&mut perhaps, &name, plain.clone(), &stored);
        match stored {
            Ok(_) => world.answered(&mut sure, &name, plain, &stored),
            Err(error) => failed = Some(error),
        }
    }
    world.entries = sure;
    world.settle(perhaps, failed.as_ref()).await;
}

async fn swap(world: &mut World, at: u8, right: bool) {
    let name = named(at);
    let existing = world.entries.get(&name).and_then(|plain| plain.version);
    let expected = if right { existing } else { Some(9_999_999) };
    let given = Given {
        name: at,
        policy: Policy::default(),
        tag: at.is_multiple_of(2).then_some(0),
        of: None,
        version: None,
        bytes: 50,
    };
    let (key, put, plain) = world.put_of(&given);
    let space = world.pair.space.clone();
    let cache = world.pair.cache.clone();
    let stored = cache.compare_and_set(&space, &key, expected, put).await;
    if !right {
        let error = stored.expect_err("it is not at that version");
        if error.code() != "version_mismatch" {
            let entries = world.entries.clone();
            world.settle(entries, Some(&error)).await;
        }
        return;
    }
    let mut changed = world.entries.clone();
    world.answered(&mut changed, &name, plain, &stored);
    world.settle(changed, stored.as_ref().err()).await;
}

async fn invalidate(world: &mut World, act: Act) {
    let (cache, space) = (world.pair.cache.clone(), world.pair.space.clone());
    let (left, taken) = match act {
        Act::Invalidate(at) => {
            let left = world.without(vec![named(at)]);
            (left, cache.invalidate(&space, &key(&named(at))).await)
        }
        Act::Prefix(at) => {
            let prefix = format!("{at}/");
            let names = world.matching(|name, _| name.starts_with(&prefix));
            let left = world.without(names);
            (left, cache.invalidate_prefix(&space, &prefix).await)
        }
        Act::Tag(label) => {
            let names = world.matching(|_, plain| plain.tag == Some(label));
            let left = world.without(names);
            let tags = [tag(&label.to_string())];
            (left, cache.invalidate_tags(&space, &tags).await)
        }
        Act::Dependents(at) => {
            let names = world.matching(|_, plain| plain.of == Some(at));
            let left = world.without(names);
            let keys = [key(&named(at))];
            (left, cache.invalidate_dependents(&space, &keys).await)
        }
        other => panic!("{other:?} invalidates nothing"),
    };
    world.took(left, taken).await;
}

async fn read(world: &mut World, act: Act) {
    let (cache, space) = (world.pair.cache.clone(), world.pair.space.clone());
    match act {
        Act::Get(at) => {
            let name = named(at);
            match cache.exists(&space, &key(&name)) {
                Presence::Present => assert!(world.entries.contains_key(&name), "{name}"),
                Presence::Absent => assert!(!world.entries.contains_key(&name), "{name}"),
                Presence::Maybe => {}
            }
            if !world.over.is_dead() && cache.get(&space, &key(&name)).await.is_ok() {
                if let Some(plain) = world.entries.get_mut(&name) {
                    plain.used = world.now;
                }
                world.over.die_after(u64::MAX, false);
                world.look(&name, false).await;
            }
        }
        Act::GetMany => {
            let names: Vec<_> = (0..12).map(|at| key(&named(at))).collect();
            let found = match cache.get_many(&space, &names).await {
                Ok(found) => found,
                Err(error) => {
                    // Some may have been used before one could not be read.
                    let entries = world.entries.clone();
                    return world.settle(entries, Some(&error)).await;
                }
            };
            for (found, name) in found.iter().zip(names) {
                let plain = world.entries.get_mut(name.as_str());
                let expected = plain.as_ref().map(|plain| plain.value());
                assert_eq!(found.as_ref().map(|it| it.value().to_vec()), expected);
                if let Some(plain) = plain {
                    plain.used = world.now;
                }
            }
        }
        Act::Touch(at) => {
            let touched = cache.touch(&space, &key(&named(at))).await;
            let mut changed = world.entries.clone();
            let plain = changed.get_mut(&named(at));
            if let Ok(touched) = touched {
                assert_eq!(touched, plain.is_some());
            }
            if let Some(plain) = plain {
                (plain.began, plain.used) = (world.now, world.now);
            }
            changed.retain(|_, plain| plain.ends() > world.now);
            world.settle(changed, touched.as_ref().err()).await;
        }
        other => panic!("{other:?} reads nothing"),
    }
}

async fn upkeep(world: &mut World, act: Act) {
    let (cache, space) = (world.pair.cache.clone(), world.pair.space.clone());
    match act {
        Act::Flush => {
            let flushed = cache.flush_namespace(&space).await;
            if flushed.is_err() && !world.over.is_dead() {
                world.over.die_after(u64::MAX, false);
                // It is flushed for this process.
                assert!(world.find(&named(0)).await.is_none());
                for _ in 0..PATIENCE {
                    if cache.flush_namespace(&space).await.is_ok() {
                        break;
                    }
                }
                world.entries.clear();
                return;
            }
            world.settle(Entries::new(), flushed.as_ref().err()).await;
        }
        Act::Sweep(most) if world.over.is_dead() || most == 19 => {
            world.over.die_after(u64::MAX, false);
            world.compare_bytes().await;
        }
        Act::Sweep(most) => {
            if let Ok(report) = cache.sweep_expired(SweepLimit::Entries(most), None).await {
                let scanned = report.first.scanned + report.second.scanned;
                assert!(scanned <= most, "{report:?}");
            }
        }
        Act::Reclaim => {
            let _ = cache.reclaim_orphans(ALL, None).await;
        }
        Act::Wait(ms) => {
            world.pair.env.advance_ms(ms);
            world.now += ms;
        }
        Act::Close => {
            for _ in 0..PATIENCE {
                match cache.close().await {
                    Ok(()) => break,
                    Err(error) => assert_passing(&error),
                }
            }
            world.boots += 1;
            world.open().await;
        }
        Act::Reboot => {
            world.boots += 1;
            world.open().await;
            world.entries.clear();
        }
        other => panic!("{other:?} is no upkeep"),
    }
}

fn run(strict: StrictOptions, acts: Vec<(Act, Option<Death>)>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().expect("a runtime");
    runtime.block_on(async {
        let mut world = World::new(strict).await;
        for (act, death) in acts {
            play(&mut world, act, death).await;
        }
        world.drop_over();
        world.look_at_all(false).await;
        world.compare_bytes().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::tiered::support::cases()))]

    #[test]
    fn histories_over_a_store_that_fails_match_the_model(
        acts in prop::collection::vec(act(), 1..80)
    ) {
        run(StrictOptions::ALL, acts);
    }

    #[test]
    fn histories_over_a_store_that_answers_match_the_model(
        acts in prop::collection::vec(act(), 1..80)
    ) {
        run(StrictOptions::NONE, acts);
    }
}
