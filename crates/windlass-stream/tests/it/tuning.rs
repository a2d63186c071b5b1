//! Settings are brought into range, and what was changed is said.

use windlass_stream::limits::PAGE_BYTES;
use windlass_stream::{Adjustment, Settings, SettingsError};

fn changes(settings: &Settings) -> Vec<(&'static str, u64, u64)> {
    let (_, changes) = settings.in_range().expect("a time to live");
    let change = |it: Adjustment| (it.setting, it.given, it.taken);
    changes.into_iter().map(change).collect()
}

#[test]
fn the_defaults_are_in_range_and_what_is_documented() {
    let settings = Settings::default();
    assert_eq!(settings.in_range(), Ok((settings.clone(), vec![])));
    let caps = settings.caps();
    assert_eq!(
        (caps.bytes, caps.rows, caps.latency.as_millis()),
        (4 * PAGE_BYTES, 1_000, 50)
    );
    assert_eq!(
        (settings.streams_max, settings.principal_streams_max),
        (256, 32)
    );
}

#[test]
fn rows_pages_and_caps_of_nothing_become_one() {
    let nothing = Settings {
        chunk_pages: 0,
        chunk_pages_min: 0,
        chunk_pages_max: 0,
        chunk_rows: 0,
        streams_max: 0,
        principal_streams_max: 0,
        ..Settings::default()
    };
    let all = [
        "chunk_pages",
        "chunk_pages_min",
        "chunk_pages_max",
        "chunk_rows",
        "streams_max",
        "principal_streams_max",
    ];
    assert_eq!(changes(&nothing), all.map(|setting| (setting, 0, 1)));
}

#[test]
fn a_maximum_below_its_minimum_is_raised_and_the_default_brought_between() {
    let crossed = Settings {
        chunk_pages_min: 8,
        chunk_pages_max: 2,
        ..Settings::default()
    };
    let expected = [("chunk_pages", 4, 8), ("chunk_pages_max", 2, 8)];
    assert_eq!(changes(&crossed), expected);
}

#[test]
fn a_chunk_is_never_more_than_a_mebibyte() {
    let huge = Settings {
        chunk_pages: 1_000,
        chunk_pages_max: 1_000,
        ..Settings::default()
    };
    let (taken, _) = huge.in_range().expect("a time to live");
    assert_eq!(taken.caps().bytes, 1_024 * 1_024);
}

#[test]
fn a_lease_of_no_duration_is_refused() {
    let zero = Settings {
        lease_ttl_ms: 0,
        ..Settings::default()
    };
    assert_eq!(zero.in_range(), Err(SettingsError::LeaseTtlZero));
}

#[test]
fn no_latency_is_a_setting_of_its_own() {
    let at_once = Settings {
        latency_ms: 0,
        ..Settings::default()
    };
    assert_eq!(changes(&at_once), []);
}
