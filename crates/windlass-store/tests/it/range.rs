//! Ranges of keys.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use windlass_store::limits::KEY_BYTES_MAX;
use windlass_store::{KeyRange, StoreErrorKind};

/// Short keys in which prefixes, neighbours and both ends of the bytes are
/// common.
fn key() -> impl Strategy<Value = Bytes> {
    let byte = prop_oneof![
        Just(0),
        Just(1),
        Just(b'a'),
        Just(b'b'),
        Just(0xfe),
        Just(0xff)
    ];
    vec(byte, 0..5).prop_map(Bytes::from)
}

fn bound() -> impl Strategy<Value = Option<Bytes>> {
    prop_oneof![1 => Just(None), 4 => key().prop_map(Some)]
}

proptest! {
    #[test]
    fn a_prefix_range_holds_what_begins_with_it(prefix in key(), key in key()) {
        prop_assert_eq!(KeyRange::prefix(prefix.clone()).contains(&key), key.starts_with(&prefix));
    }

    #[test]
    fn a_point_holds_its_key_only(point in key(), key in key()) {
        let range = KeyRange::point(point.clone());
        prop_assert_eq!(range.contains(&key), key == point);
        prop_assert_eq!(range.as_point(), Some(&point));
        prop_assert!(!range.is_empty());
    }

    #[test]
    fn a_range_is_half_open(start in key(), end in bound(), key in key()) {
        let expected = key >= start && end.as_ref().is_none_or(|end| key < end);
        let range = KeyRange { start, end };
        prop_assert_eq!(range.contains(&key), expected);
        prop_assert!(!(range.is_empty() && expected), "an empty range holds {:?}", key);
    }

    #[test]
    fn a_range_that_is_not_empty_holds_its_start(start in key(), end in bound()) {
        let range = KeyRange { start: start.clone(), end };
        prop_assert_eq!(range.contains(&start), !range.is_empty());
    }

    #[test]
    fn whatever_passes_for_a_point_holds_one_key(start in key(), end in bound(), key in key()) {
        let range = KeyRange { start, end };
        if let Some(point) = range.as_point() {
            prop_assert_eq!(range.contains(&key), key == *point);
        }
    }
}

#[test]
fn the_end_of_a_prefix_counts_up_past_full_bytes() {
    let cases: [(&[u8], Option<&[u8]>); 7] = [
        (b"", None),
        (b"a", Some(b"b")),
        (b"a/", Some(b"a0")),
        (b"a\xff", Some(b"b")),
        (b"a\xff\xff", Some(b"b")),
        (b"a\xfe", Some(b"a\xff")),
        (b"\xff\xff", None),
    ];
    for (prefix, end) in cases {
        let range = KeyRange::prefix(Bytes::from_static(prefix));
        assert_eq!(range.end.as_deref(), end, "{}", prefix.escape_ascii());
    }
}

#[test]
fn all_is_every_key_and_no_point() {
    let all = KeyRange::all();
    for key in [&b""[..], b"a", b"\xff\xff"] {
        assert!(all.contains(key), "{}", key.escape_ascii());
    }
    assert_eq!((all.is_empty(), all.as_point()), (false, None));
}

#[test]
fn ranges_without_room_are_empty() {
    for (start, end) in [("a", "a"), ("b", "a"), ("", "")] {
        assert!(KeyRange::new(start, end).is_empty(), "{start:?} to {end:?}");
    }
}

#[test]
fn a_bound_may_be_one_byte_longer_than_a_key() {
    let longest = Bytes::from(vec![0xff; KEY_BYTES_MAX]);
    let point = KeyRange::point(longest);
    assert_eq!(point.end.as_ref().map(Bytes::len), Some(KEY_BYTES_MAX + 1));
    point.validate("read").unwrap();

    let beyond = Bytes::from(vec![0xff; KEY_BYTES_MAX + 2]);
    for range in [
        KeyRange::new("", beyond.clone()),
        KeyRange {
            start: beyond,
            end: None,
        },
    ] {
        let error = range.validate("export").unwrap_err();
        assert_eq!(
            (error.kind(), error.operation()),
            (StoreErrorKind::Invalid, "export")
        );
        assert_eq!(
            error.context(),
            "a bound has 1026 bytes; at most 1024 and one are allowed"
        );
    }
}

#[test]
fn a_range_that_ends_with_zero_elsewhere_is_no_point() {
    for end in [&b"b\0"[..], b"a\x01", b"a\0\0", b"\0"] {
        let range = KeyRange::new("a", Bytes::from_static(end));
        assert_eq!(range.as_point(), None, "{}", end.escape_ascii());
    }
}
