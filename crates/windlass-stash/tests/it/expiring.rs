//! Time: deadlines, what expired entries still mean (nothing), and the space
//! they took.

use windlass_core::Millis;
use windlass_stash::{Config, Figures, KeyQuery, Operation, Put, Quota, Removed};

use crate::support::{HOUR, SECOND, START, World, code, key, number, sized};

#[test]
fn an_entry_is_gone_at_exactly_its_deadline() {
    let world = World::new(|_| {});
    let execution = world.outside();
    execution.put(&key("k"), &1, Some(SECOND)).expect("stored");
    world.env.advance_ms(SECOND - 1);
    let entry = execution
        .entry(&key("k"))
        .expect("readable")
        .expect("there");
    assert_eq!((entry.ttl_left_ms, number(&execution, "k")), (1, Some(1)));
    world.env.advance_ms(1);
    assert_eq!(number(&execution, "k"), None);
    assert_eq!(execution.entry(&key("k")).expect("readable"), None);
    let page = execution.keys(&KeyQuery::default()).expect("readable");
    assert_eq!((page.keys.len(), world.stash.usage().live.keys), (0, 0));
    assert!(
        !execution.delete(&key("k")).expect("nobody's"),
        "nothing live went"
    );
    assert_eq!(execution.touch(&key("k"), None).expect("nobody's"), None);
}

#[test]
fn no_time_to_live_means_the_default_within_the_maximum() {
    for (maximum, expected) in [(24 * HOUR, HOUR), (SECOND, SECOND)] {
        let world = World::new(|config| config.ttl_ms_max = maximum);
        let stored = world.outside().put(&key("k"), &1, None).expect("stored");
        assert_eq!(stored.expires, Millis::new(START + expected));
    }
}

#[test]
fn the_longest_time_to_live_is_allowed_and_no_longer_one() {
    let world = World::new(|_| {});
    let execution = world.outside();
    execution
        .put(&key("k"), &1, Some(24 * HOUR))
        .expect("the longest");
    let error = execution
        .put(&key("k"), &1, Some(24 * HOUR + 1))
        .unwrap_err();
    let expected = "the time to live is 86400001 ms; at most 86400000 ms are allowed";
    assert_eq!(error.to_string(), expected);
    assert_eq!(
        code(execution.touch(&key("k"), Some(24 * HOUR + 1))),
        "ttl_too_long"
    );
    assert_eq!(code(execution.touch(&key("k"), Some(0))), "ttl_zero");
    assert_eq!(code(execution.increment(&key("n"), 1, Some(0))), "ttl_zero");
}

#[test]
fn replacing_restarts_the_time_and_keeps_created() {
    let world = World::new(|_| {});
    let execution = world.outside();
    let first = execution.put(&key("k"), &1, Some(10)).expect("stored");
    world.env.advance_ms(9);
    let second = execution.put(&key("k"), &2, Some(10)).expect("replaced");
    assert_eq!(
        (second.created, second.updated),
        (first.created, Millis::new(START + 9))
    );
    assert!(second.version > first.version, "{second:?}");
    world.env.advance_ms(9);
    assert_eq!(number(&execution, "k"), Some(2));
    world.env.advance_ms(1);
    let third = execution.put(&key("k"), &3, Some(10)).expect("put anew");
    assert_eq!(third.created, Millis::new(START + 19));
}

#[test]
fn a_touch_moves_the_deadline_and_nothing_else() {
    let world = World::new(|_| {});
    let execution = world.within("a");
    let stored = execution.put(&key("k"), &1, Some(10)).expect("stored");
    world.env.advance_ms(5);
    for ttl_ms in [100, 7] {
        let touched = execution
            .touch(&key("k"), Some(ttl_ms))
            .expect("mine")
            .expect("there");
        let mut expected = stored.clone();
        expected.expires = Millis::new(START + 5 + ttl_ms);
        assert_eq!(touched, expected);
    }
    world.env.advance_ms(7);
    assert_eq!(number(&execution, "k"), None);
}

#[test]
fn an_expired_entry_belongs_to_nobody() {
    let world = World::new(|_| {});
    world
        .within("a")
        .put(&key("k"), &1, Some(10))
        .expect("stored");
    world.env.advance_ms(10);
    assert_eq!(number(&world.within("b"), "k"), None);
    let stored = world
        .within("b")
        .put_if_absent(&key("k"), &2, None)
        .expect("nobody's");
    assert_eq!(stored.expect("absent").created, Millis::new(START + 10));
    assert_eq!(code(world.within("a").get(&key("k"))), "cross_group_access");
}

#[test]
fn expired_entries_hold_no_key_no_quota_and_no_bytes() {
    let quota = Quota {
        keys_max: Some(2),
        bytes_max: Some(20),
    };
    let adjust: [fn(&mut Config, Quota); 4] = [
        |config, _| config.keys_max = 2,
        |config, _| {
            config.value_bytes_max = 20;
            config.total_bytes_max = 20;
        },
        |config, quota| config.group_quota = Some(quota),
        |config, _| config.charged_bytes_max = Some(1_024),
    ];
    for adjust in adjust {
        let world = World::new(|config| adjust(config, quota));
        let execution = world.within("a");
        let put = |name: &str| {
            let put = Put::new(key(name), sized(10)).ttl_ms(10);
            execution.store(put)
        };
        put("a").expect("there is room");
        put("b").expect("there is room");
        let refusal = code(put("c"));
        world.env.advance_ms(9);
        assert_eq!(code(put("c")), refusal);
        world.env.advance_ms(1);
        put("c").expect("the others have expired");
        put("d").expect("the others have expired");
        assert_eq!(code(put("e")), refusal);
    }
}

#[test]
fn the_first_to_expire_is_taken_back_first_and_no_more_than_needed() {
    let world = World::new(|config| config.keys_max = 3);
    let execution = world.outside();
    for (name, ttl_ms) in [("late", 30), ("soon", 10), ("between", 20)] {
        execution
            .put(&key(name), name, Some(ttl_ms))
            .expect("stored");
    }
    world.env.advance_ms(30);
    execution.put(&key("new"), &1, None).expect("room is made");
    let expired = world.stash.usage().expired;
    assert_eq!((expired.keys, expired.value_bytes), (2, 6 + 9));
}

#[test]
fn a_refused_put_takes_nothing_back() {
    let world = World::new(|config| {
        config.keys_max = 2;
        config.value_bytes_max = 60;
        config.total_bytes_max = 60;
    });
    let execution = world.outside();
    let put = |name: &str, size| Put::new(key(name), sized(size));
    execution
        .store(put("old", 10).ttl_ms(10))
        .expect("there is room");
    execution.store(put("live", 50)).expect("there is room");
    world.env.advance_ms(10);
    let before = world.stash.usage();
    assert_eq!(code(execution.store(put("new", 20))), "total_size_exceeded");
    assert_eq!((world.stash.usage(), before.expired.keys), (before, 1));
    execution.store(put("new", 10)).expect("room is made");
    assert_eq!(world.stash.usage().expired.keys, 0);
}

#[test]
fn a_hundred_thousand_expired_entries_never_refuse_a_put() {
    let world = World::new(|config| {
        config.keys_max = 100_000;
        config.value_bytes_max = 600_000;
        config.total_bytes_max = 600_000;
    });
    let execution = world.within("a");
    let names: Vec<_> = (0..100_000)
        .map(|number| key(&format!("k{number}")))
        .collect();
    for name in &names {
        execution
            .put(name, "full", Some(SECOND))
            .expect("there is room");
    }
    assert_eq!(
        code(execution.put(&key("one"), &1, None)),
        "key_limit_exceeded"
    );
    world.env.advance_ms(SECOND);
    execution
        .put(&key("one"), &1, None)
        .expect("nothing is live");
    let large = Put::new(key("large"), sized(599_999));
    execution.store(large).expect("nothing else is live");
    let expected = Figures {
        keys: 2,
        value_bytes: 600_000,
        ..world.stash.usage().live
    };
    assert_eq!(world.stash.usage().live, expected);
    assert_eq!(world.stash.usage().expired, Figures::default());
}

#[test]
fn reaping_reports_what_went_and_whether_more_is_left() {
    let world = World::new(|config| config.keys_max = 1_000);
    let execution = world.outside();
    for number in 0..700 {
        let name = key(&format!("k{number}"));
        execution.put(&name, &7, Some(10)).expect("stored");
    }
    execution.put(&key("live"), &1, None).expect("stored");
    let reaped = |removed, truncated| Removed {
        removed,
        bytes: removed,
        truncated,
    };
    assert_eq!(world.stash.reap_expired(None), reaped(0, false));
    world.env.advance_ms(10);
    assert_eq!(world.stash.reap_expired(Some(0)), reaped(0, true));
    assert_eq!(world.stash.reap_expired(Some(300)), reaped(300, true));
    assert_eq!(world.stash.usage().expired.keys, 400);
    assert_eq!(world.stash.reap_expired(None), reaped(400, false));
    assert_eq!(world.stash.reap_expired(Some(1)), reaped(0, false));
    assert_eq!(number(&execution, "live"), Some(1));
    let (usage, live) = (world.stash.usage(), Figures::default());
    assert_eq!((usage.expired, usage.live.keys), (live, 1));
}

#[test]
fn a_limit_that_is_just_enough_is_not_truncated() {
    let world = World::new(|_| {});
    let execution = world.outside();
    for name in ["a", "b"] {
        execution.put(&key(name), &7, Some(10)).expect("stored");
    }
    world.env.advance_ms(10);
    let report = world.stash.reap_expired(Some(2));
    assert_eq!((report.removed, report.truncated), (2, false));
}

#[test]
fn reading_in_a_step_sees_no_expired_entry() {
    let world = World::new(|_| {});
    let execution = world.outside();
    execution.put(&key("k"), &1, Some(10)).expect("stored");
    world.env.advance_ms(10);
    let answers = execution
        .step(&[Operation::Get(key("k"))])
        .expect("granted");
    assert_eq!(answers, [windlass_stash::Answer::Entry(None)]);
    let counted = execution
        .increment(&key("k"), 5, None)
        .expect("counts from 0");
    assert_eq!(counted.value, 5);
}
