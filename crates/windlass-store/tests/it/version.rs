//! Versions and incarnations.

use proptest::prelude::*;
use windlass_store::{Incarnation, Version};

proptest! {
    #[test]
    fn versions_are_equal_only_if_store_and_commit_are(a: u64, b: u64, c: u64, d: u64) {
        let version = |incarnation, sequence| Version::new(Incarnation::from_number(incarnation), sequence);
        for (one, other) in [((a, b), (c, d)), ((a, b), (a, d)), ((a, b), (c, b)), ((a, b), (b, a))] {
            let (one_version, other_version) = (version(one.0, one.1), version(other.0, other.1));
            prop_assert_eq!(one_version == other_version, one == other);
            prop_assert_eq!(one_version.to_bytes() == other_version.to_bytes(), one == other);
            prop_assert_eq!(one_version.to_string() == other_version.to_string(), one == other);
        }
    }

    #[test]
    fn a_version_gives_back_what_it_is_made_of(incarnation: u64, sequence: u64) {
        let incarnation = Incarnation::from_number(incarnation);
        let version = Version::new(incarnation, sequence);
        prop_assert_eq!((version.incarnation(), version.sequence()), (incarnation, sequence));
        prop_assert_eq!(Incarnation::from_number(incarnation.number()), incarnation);
    }
}

#[test]
fn a_version_shows_as_hexadecimal_digits() {
    let version = Version::new(Incarnation::from_number(0xab), 0x10);
    assert_eq!(version.to_string(), "00000000000000ab0000000000000010");
    assert_eq!(
        format!("{version:?}"),
        "Version(00000000000000ab0000000000000010)"
    );
    assert_eq!(
        format!("{:?}", version.incarnation()),
        "Incarnation(00000000000000ab)"
    );
    let mut bytes = [0; 16];
    (bytes[7], bytes[15]) = (0xab, 0x10);
    assert_eq!(version.to_bytes(), bytes);
}

#[test]
fn no_incarnation_is_drawn_twice() {
    let (one, other) = (Incarnation::draw().unwrap(), Incarnation::draw().unwrap());
    assert_ne!(one, other);
}
