//! The key codec: nothing collides, everything comes back, order is as said.

use proptest::collection::vec;
use proptest::prelude::*;
use windlass_store::KeyRange;
use windlass_store::key::{Key, NUMBER_DIGITS, number, segments};

/// One segment of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(String),
    Number(u64),
}

impl Segment {
    /// What `segments` gives back for it.
    fn read_back(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => format!("{number:020}"),
        }
    }

    /// The bytes it has in a key, by the words of the module's documentation.
    fn encoded(&self) -> Vec<u8> {
        let escaped = |byte: u8| match byte {
            b'/' | b'%' | 0..=b' ' | 127.. => format!("%{byte:02X}"),
            _ => char::from(byte).to_string(),
        };
        self.read_back()
            .bytes()
            .map(escaped)
            .collect::<String>()
            .into_bytes()
    }
}

/// Text that often needs escaping, and often collides but for it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,3}",
        "[a/%25F ]{0,4}",
        "[!-~]{0,6}",
        any::<String>()
    ]
}

fn segment() -> impl Strategy<Value = Segment> {
    prop_oneof![
        3 => text().prop_map(Segment::Text),
        1 => any::<u64>().prop_map(Segment::Number),
        1 => (0..20_u64).prop_map(Segment::Number),
    ]
}

/// A list of segments whose first is text, as every key's is.
fn list() -> impl Strategy<Value = Vec<Segment>> {
    (text(), vec(segment(), 0..4)).prop_map(|(first, mut rest)| {
        rest.insert(0, Segment::Text(first));
        rest
    })
}

/// Two lists, the second often a variation of the first.
fn two_lists() -> impl Strategy<Value = (Vec<Segment>, Vec<Segment>)> {
    (list(), list(), 0..5_usize, any::<bool>()).prop_map(|(one, other, shared, related)| {
        let kept = shared.min(one.len());
        let tail = other.iter().skip(1).cloned();
        let varied = one[..kept].iter().cloned().chain(tail).collect();
        let other = if related && kept > 0 { varied } else { other };
        (one, other)
    })
}

fn build(list: &[Segment]) -> Key {
    let Segment::Text(first) = &list[0] else {
        panic!("a key begins with text")
    };
    list[1..]
        .iter()
        .fold(Key::new(first), |key, segment| match segment {
            Segment::Text(text) => key.text(text),
            Segment::Number(number) => key.number(*number),
        })
}

fn read_back(list: &[Segment]) -> Vec<String> {
    list.iter().map(Segment::read_back).collect()
}

proptest! {
    #[test]
    fn segments_come_back_as_they_were(list in list()) {
        let key = build(&list).finish();
        prop_assert_eq!(segments(&key), Some(read_back(&list)));
    }

    #[test]
    fn different_segments_give_different_keys((one, other) in two_lists()) {
        let equal = build(&one).finish() == build(&other).finish();
        prop_assert_eq!(equal, read_back(&one) == read_back(&other));
    }

    #[test]
    fn a_prefix_holds_exactly_the_keys_that_go_on_from_it((one, other) in two_lists()) {
        let range = KeyRange::prefix(build(&one).below());
        let (parent, child) = (read_back(&one), read_back(&other));
        let goes_on = child.len() > parent.len() && child.starts_with(&parent);
        prop_assert_eq!(range.contains(&build(&other).finish()), goes_on);
    }

    #[test]
    fn numbers_sort_as_numbers(list in list(), one: u64, other: u64, one_tail in list(), other_tail in list()) {
        let key = |number, tail: &[Segment]| {
            let texts = read_back(tail);
            texts.iter().fold(build(&list).number(number), |key, text| key.text(text)).finish()
        };
        prop_assume!(one != other);
        prop_assert_eq!(key(one, &one_tail) < key(other, &other_tail), one < other);
    }

    #[test]
    fn keys_sort_by_their_first_different_segment((one, other) in two_lists()) {
        let expected = stated_order(&one, &other);
        prop_assert_eq!(build(&one).finish().cmp(&build(&other).finish()), expected);
    }

    #[test]
    fn plain_last_segments_sort_as_their_bytes(list in list(), one in "[!-$&-.0-~]{0,8}", other in "[!-$&-.0-~]{0,8}") {
        let key = |last: &str| build(&list).text(last).finish();
        prop_assert_eq!(key(&one).cmp(&key(&other)), one.as_bytes().cmp(other.as_bytes()));
    }

    #[test]
    fn what_reads_as_a_key_is_exactly_the_key_it_reads_as(bytes in vec(prop_oneof![
        any::<u8>(), Just(b'/'), Just(b'%'), Just(b'2'), Just(b'F'), Just(b'f'),
    ], 0..12)) {
        if let Some(texts) = segments(&bytes) {
            let key = texts[1..].iter().fold(Key::new(&texts[0]), |key, text| key.text(text));
            prop_assert_eq!(key.finish(), bytes);
        }
    }

    #[test]
    fn numbers_come_back(value: u64) {
        let key = Key::new("t").number(value).finish();
        let segment = segments(&key).and_then(|mut segments| segments.pop());
        prop_assert_eq!(segment.as_deref().and_then(number), Some(value));
    }
}

/// The order the documentation states: by the first segments that differ,
/// each followed by a separator unless it is the last of its key.
fn stated_order(one: &[Segment], other: &[Segment]) -> std::cmp::Ordering {
    let differing = one
        .iter()
        .zip(other)
        .position(|(one, other)| one.encoded() != other.encoded());
    let Some(place) = differing else {
        return one.len().cmp(&other.len());
    };
    let shown = |list: &[Segment]| {
        let mut bytes = list[place].encoded();
        if place + 1 < list.len() {
            bytes.push(b'/');
        }
        bytes
    };
    shown(one).cmp(&shown(other))
}

#[test]
fn a_key_is_readable_text() {
    let key = Key::new("acme")
        .text("session")
        .text("s1")
        .text("event")
        .number(42)
        .finish();
    assert_eq!(key, "acme/session/s1/event/00000000000000000042");
    let key = Key::new("a/b")
        .text("50%")
        .text("ä\n")
        .text("")
        .text("x y")
        .finish();
    assert_eq!(key, "a%2Fb/50%25/%C3%A4%0A//x%20y");
}

#[test]
fn below_is_the_key_and_a_separator() {
    assert_eq!(
        Key::new("acme").number(7).below(),
        "acme/00000000000000000007/"
    );
}

#[test]
fn the_largest_number_has_all_digits_and_one_more_is_none() {
    assert_eq!(
        Key::new("").number(u64::MAX).finish(),
        "/18446744073709551615"
    );
    assert_eq!(number("18446744073709551615"), Some(u64::MAX));
    assert_eq!(number("18446744073709551616"), None);
    assert_eq!(number("0".repeat(NUMBER_DIGITS).as_str()), Some(0));
}

#[test]
fn what_is_no_number_of_twenty_digits_is_none() {
    for segment in [
        "",
        "1",
        "0000000000000000001",
        "000000000000000000001",
        "+0000000000000000001",
        "0000000000000000000a",
    ] {
        assert_eq!(number(segment), None, "{segment:?}");
    }
}

#[test]
fn bytes_that_no_key_has_are_none() {
    let foreign: [&[u8]; 9] = [
        b"a b",
        b"a\n",
        b"\xc3\xa4",
        b"%",
        b"%2",
        b"%2g",
        b"%2f",
        b"%41",
        b"%FF",
    ];
    for key in foreign {
        assert_eq!(segments(key), None, "{}", key.escape_ascii());
    }
}
