//! The chain of digests, and its text.

use proptest::prelude::*;
use windlass_stream::{Digest, DigestError, Offset, RowsHasher};

fn hash(rows: &[&str]) -> windlass_stream::RowsHash {
    let mut hasher = RowsHasher::new();
    rows.iter().for_each(|row| hasher.row(row.as_bytes()));
    hasher.finish()
}

/// Made with another program over the bytes that the contract names.
#[test]
fn the_chain_is_what_the_contract_says_byte_by_byte() {
    let first = Digest::START.chain(Offset::START, hash(&["{\"a\":1}", "\"two\""]));
    assert_eq!(
        first.to_string(),
        "843422a70eeca396d10c5402aa0c5afcb5448872ced2228fb935782ec2dd393d"
    );
    let second = first.chain(Offset::new(2), hash(&["null"]));
    assert_eq!(
        second.to_string(),
        "171c71f377cced9ab3286e3e4d6ccbba03b65961474f49771213d4f8c6dbf939"
    );
}

#[test]
fn the_length_of_each_row_is_part_of_the_digest() {
    assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    assert_ne!(hash(&[""]), hash(&[]));
    assert_ne!(hash(&["", ""]), hash(&[""]));
}

#[test]
fn only_lower_case_digits_of_the_right_number_are_a_digest() {
    let text = hash(&["1"]);
    let text = Digest::START.chain(Offset::START, text).to_string();
    assert_eq!(
        text.parse::<Digest>().map(|it| it.to_string()),
        Ok(text.clone())
    );
    for wrong in [&text[1..], &format!("{text}0"), &text.to_uppercase(), ""] {
        assert_eq!(wrong.parse::<Digest>(), Err(DigestError), "{wrong}");
    }
}

proptest! {
    #[test]
    fn another_row_place_or_beginning_gives_another_digest(
        rows in prop::collection::vec("[a-c]{0,3}", 1..6),
        other in prop::collection::vec("[a-c]{0,3}", 1..6),
        first in 0_u64..1_000,
    ) {
        let of = |rows: &[String]| {
            let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
            hash(&rows)
        };
        let digest = Digest::START.chain(Offset::new(first), of(&rows));
        let same = Digest::START.chain(Offset::new(first), of(&other)) == digest;
        prop_assert_eq!(same, rows == other);
        prop_assert_ne!(Digest::START.chain(Offset::new(first + 1), of(&rows)), digest);
        prop_assert_ne!(digest.chain(Offset::new(first), of(&rows)), digest);
    }
}
