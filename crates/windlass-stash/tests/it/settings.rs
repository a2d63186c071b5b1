//! Settings: refused when they are set, and the old ones stay.

use windlass_core::{ManualEnv, Millis};
use windlass_stash::{Config, MemoryStash, Quota};

use crate::support::{World, code, group, key, number};

type Adjust = fn(&mut Config);

const BAD: [(&str, Adjust); 13] = [
    ("keys_max", |config| config.keys_max = 0),
    ("keys_max", |config| config.keys_max = 1_000_001),
    ("value_bytes_max", |config| config.value_bytes_max = 0),
    ("value_bytes_max", |config| config.value_bytes_max = 1 << 31),
    ("value_bytes_max", |config| config.total_bytes_max = 1_024),
    ("total_bytes_max", |config| config.total_bytes_max = 1 << 41),
    ("charged_bytes_max", |config| {
        config.charged_bytes_max = Some(1_023)
    }),
    ("ttl_ms_default", |config| config.ttl_ms_default = 0),
    ("ttl_ms_max", |config| config.ttl_ms_max = 0),
    ("ttl_ms_max", |config| config.ttl_ms_max = u64::MAX),
    ("operations_max", |config| config.operations_max = Some(0)),
    ("group_quota.keys_max", |config| {
        config.group_quota = Some(Quota {
            keys_max: Some(257),
            bytes_max: None,
        });
    }),
    ("group_quota.bytes_max", |config| {
        let quota = Quota {
            keys_max: None,
            bytes_max: Some(u64::MAX),
        };
        config.group_quotas.insert(group("a"), quota);
    }),
];

#[test]
fn bad_settings_are_refused_and_the_old_ones_stay() {
    for (field, adjust) in BAD {
        let world = World::new(|config| config.keys_max = 256);
        let old = world.stash.config();
        let mut config = Config::clone(&old);
        adjust(&mut config);
        let error = world.stash.configure(config.clone()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("`{field}` ")), "{text}");
        assert_eq!(world.stash.config(), old);
        world
            .outside()
            .put(&key("k"), &1, None)
            .expect("the old ones hold");
        let env = std::sync::Arc::new(ManualEnv::new(1, Millis::new(0)));
        assert_eq!(code(MemoryStash::new(env, config)), "invalid_request");
    }
}

#[test]
fn a_contradiction_names_both_settings() {
    let config = Config {
        total_bytes_max: 10,
        ..Config::default()
    };
    let error = config.check().unwrap_err();
    let expected = "`value_bytes_max` is 16777216, which is more than `total_bytes_max` allows: 10";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn unknown_names_are_refused_and_missing_ones_have_their_default() {
    let config: Config = serde_json::from_str(r#"{"keys_max": 5}"#).expect("settings");
    let expected = Config {
        keys_max: 5,
        ..Config::default()
    };
    assert_eq!(config, expected);
    for text in [r#"{"keys": 5}"#, r#"{"group_quota": {"key_max": 5}}"#] {
        let error = serde_json::from_str::<Config>(text)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("unknown field"), "{error}");
    }
}

#[test]
fn entries_above_a_lowered_limit_stay_and_new_ones_are_refused() {
    let world = World::new(|_| {});
    let execution = world.outside();
    for name in ["a", "b", "c"] {
        execution.put(&key(name), &1, None).expect("stored");
    }
    let lowered = Config {
        keys_max: 1,
        ..Config::default()
    };
    world
        .stash
        .configure(lowered)
        .expect("settings that can stand");
    assert_eq!(number(&execution, "a"), Some(1));
    execution
        .put(&key("a"), &2, None)
        .expect("replacing works when full");
    assert_eq!(
        code(execution.put(&key("d"), &1, None)),
        "key_limit_exceeded"
    );
    assert_eq!(world.stash.usage().live.keys, 3);
}

#[test]
fn a_lowered_limit_of_values_holds_for_values_of_every_kind() {
    let world = World::new(|_| {});
    let execution = world.outside();
    let lowered = Config {
        value_bytes_max: 4,
        ..Config::default()
    };
    world
        .stash
        .configure(lowered)
        .expect("settings that can stand");
    let error = execution
        .put(&key("k"), &vec![1_u8; 100], None)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value has 201 bytes; at most 4 are allowed"
    );
}
