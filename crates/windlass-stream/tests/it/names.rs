//! Offsets, handles and cursors as text.

use proptest::prelude::*;
use windlass_core::{ManualEnv, Millis};
use windlass_stream::{Cursor, CursorError, Handle, Offset, OffsetError};

fn env() -> ManualEnv {
    ManualEnv::new(11, Millis::new(1))
}

proptest! {
    #[test]
    fn offsets_sort_as_text_as_they_do_as_places(one in any::<u64>(), other in any::<u64>()) {
        let (one, other) = (Offset::new(one), Offset::new(other));
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
        prop_assert_eq!(one.to_string().parse(), Ok(one));
    }
}

#[test]
fn only_sixteen_lower_case_digits_are_an_offset() {
    assert_eq!("00000000000000ff".parse(), Ok(Offset::new(255)));
    for wrong in [
        "",
        "0",
        "00000000000000FF",
        "+0000000000000ff",
        "0000000000000000f",
    ] {
        assert_eq!(wrong.parse::<Offset>(), Err(OffsetError), "{wrong}");
    }
}

#[test]
fn handles_and_cursors_have_their_length_and_are_drawn_anew() {
    let env = env();
    let handles = [0; 2].map(|_| Handle::draw(&env).expect("random").to_string());
    assert_eq!(handles.each_ref().map(String::len), [32, 32]);
    assert_ne!(handles[0], handles[1]);
    let cursors = [0; 2].map(|_| Cursor::draw(&env).expect("random").to_string());
    assert_eq!(cursors.each_ref().map(String::len), [48, 48]);
    assert_ne!(cursors[0], cursors[1]);
}

#[test]
fn a_cursor_is_known_by_its_hash_and_never_shown() {
    let cursor = Cursor::draw(&env()).expect("random");
    let again: Cursor = cursor.to_string().parse().expect("a cursor");
    let (hash, text) = (cursor.hash(), cursor.to_string());
    assert_eq!(again.hash().name(), hash.name());
    assert!(hash.is_proven_by(&again.hash().proof()));
    assert!(!hash.is_proven_by(&hash.name()), "the other half");
    assert!(!hash.is_proven_by(""), "a damaged record proves nothing");
    assert!(!text.contains(&hash.name()) && !format!("{cursor:?}").contains(&text));
    assert_eq!("0".parse::<Cursor>().map(|_| ()), Err(CursorError));
}
