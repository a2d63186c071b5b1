//! Where contents are cut, and what a change costs because of it.

use proptest::prelude::*;
use windlass_store_testing::Random;

use super::*;
use crate::blob::cut::cut;

/// Bytes of the rows that a change of `old` into `new` stores, keys
/// included.
fn cost(old: &Bytes, new: &Bytes) -> usize {
    let known: std::collections::HashSet<_> = built_in(old, Profile::LowLatency)
        .missing()
        .into_iter()
        .collect();
    let mut built = built_in(new, Profile::LowLatency);
    built.note_known(known);
    let keys = LineageKeys::new(&"acme".parse().unwrap(), "0123456789abcdef");
    let rows = built.into_rows();
    rows.iter()
        .map(|row| row.key(&keys).len() + row.value.len())
        .sum()
}

fn inserted(content: &[u8], at: usize, bytes: &[u8]) -> Bytes {
    [&content[..at], bytes, &content[at..]].concat().into()
}

/// What a change of no bytes would cost at most: the chunk it is in, or the
/// two beside it, and the lists above, at usual sizes.
const CHANGE_BYTES: usize = 24 * 1_024;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_insert_into_a_megabyte_of_json_stores_about_its_size(
        seed in any::<u64>(),
        place in 0..1_000_usize,
        size in 1..20_000_usize,
    ) {
        let old: Bytes = state(seed, 1 << 20).into();
        let comma = old.len() / 1_000 * place;
        let at = comma + old[comma..].iter().position(|it| *it == b',').unwrap() + 1;
        let new = inserted(&old, at, state(seed + 1, size).as_bytes());
        let inserted = new.len() - old.len();
        let cost = cost(&old, &new);
        prop_assert!(cost <= 2 * inserted + 2 * CHANGE_BYTES, "{} for {}", cost, inserted);
    }

    #[test]
    fn an_insert_into_a_megabyte_of_bytes_stores_about_its_size(
        seed in any::<u64>(),
        at in 0..(1_usize << 20),
        size in 1..20_000_usize,
    ) {
        let old = noise(seed, 1 << 20);
        let new = inserted(&old, at, &noise(seed + 1, size));
        let cost = cost(&old, &new);
        prop_assert!(cost <= 2 * size + 3 * CHANGE_BYTES, "{} for {}", cost, size);
    }

    #[test]
    fn chunks_joined_together_are_the_content(seed in any::<u64>(), size in 1..300_000_usize) {
        for content in [noise(seed, size), state(seed, size).into()] {
            let mut next = 0;
            for chunk in cut(&content) {
                prop_assert_eq!(chunk.start, next);
                prop_assert!(!chunk.is_empty() && chunk.len() <= 64 * 1_024);
                next = chunk.end;
            }
            prop_assert_eq!(next, content.len());
        }
    }
}

#[test]
fn single_changes_cost_a_few_chunks_on_average() {
    let mut random = Random::new(1);
    let old = state(2, 1 << 20);
    let mut sum = 0;
    for _ in 0..40 {
        let at = random.below(old.len() - 1);
        let mut new = old.clone().into_bytes();
        new[at] = b'x';
        sum += cost(&old.clone().into(), &new.into());
    }
    let mean = sum / 40;
    assert!(mean <= 12 * 1_024, "{mean} bytes for one changed");
}

#[test]
fn a_growing_list_stores_what_it_grows_by() {
    let mut text = String::from("[");
    let mut random = Random::new(3);
    let (mut stored, mut before) = (0, Bytes::from_static(b"["));
    for _ in 0..200 {
        let more = state(random.next(), 2_000 + random.below(2_000));
        text.push_str(&more);
        text.push(',');
        let content: Bytes = text.clone().into();
        stored += cost(&before, &content);
        before = content;
    }
    assert!(text.len() > 1 << 19, "{}", text.len());
    assert!(stored < 5 * text.len(), "{stored} for {}", text.len());
}

#[test]
fn a_long_string_within_json_is_cut_like_bytes() {
    let digits = |seed| {
        let noise = noise(seed, 100_000);
        noise
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let old = format!(
        "[{},\"{}\",{}]",
        state(5, 50_000),
        digits(6),
        state(7, 50_000)
    );
    let at = 50_000 + 100_000;
    let new: Bytes = inserted(old.as_bytes(), at, b"something new");
    let cost = cost(&old.into(), &new);
    assert!(cost <= CHANGE_BYTES, "{cost}");
}

/// The rows of a content are part of the stored layout: two programs that cut
/// differently take rows from each other.
#[test]
fn contents_are_cut_where_they_always_were() {
    let rows = |content: &Bytes| {
        let names = built(content).missing();
        let all: String = names.iter().map(|name| format!("{name}\n")).collect();
        (names.len(), BlobId::of(all.as_bytes()).to_string())
    };
    let told = |content: Bytes| {
        let (count, digest) = rows(&content);
        format!("{count} {}", &digest[..16])
    };
    assert_eq!(told(state(8, 100_000).into()), "99 d4bde1a9d689a6c1");
    assert_eq!(told(state(9, 3_000_000).into()), "651 0d5326492f909c35");
    assert_eq!(told(noise(10, 100_000)), "80 99df3ede43f0f887");
    assert_eq!(told(vec![0; 3_000_000].into()), "5 4de4404f794de6d6");
}
