//! Keys and values: what they may be, and that they come back unchanged.

use proptest::prelude::*;
use serde_json::json;
use windlass_stash::{Key, Put, Value};

use crate::support::{World, code, key};

#[test]
fn keys_have_1_to_256_allowed_characters() {
    let long = "k".repeat(256);
    for text in ["a", "Az09_-.:", "..", ":", &long] {
        assert_eq!(key(text).as_str(), text);
    }
}

#[test]
fn a_foreign_character_is_told_before_the_length() {
    let (long, foreign) = ("k".repeat(257), format!("{}/", "k".repeat(400)));
    let wide = "ä".repeat(200);
    let cases = [
        ("", "invalid_key"),
        (" ", "invalid_key"),
        ("a/b", "invalid_key"),
        ("a~b", "invalid_key"),
        ("a\n", "invalid_key"),
        ("\u{e9}", "invalid_key"),
        (&wide, "invalid_key"),
        (&foreign, "invalid_key"),
        (&long, "key_too_long"),
    ];
    for (text, expected) in cases {
        assert_eq!(code(text.parse::<Key>()), expected, "{text:?}");
        assert_eq!(code(Key::try_from(text.to_owned())), expected, "{text:?}");
        assert!(
            serde_json::from_value::<Key>(json!(text)).is_err(),
            "{text:?}"
        );
    }
}

#[test]
fn the_length_of_a_key_that_is_too_long_is_told() {
    let error = "k".repeat(300).parse::<Key>().unwrap_err();
    let expected = "the key has 300 characters; at most 256 are allowed";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_stored_null_is_not_an_absent_value() {
    let world = World::new(|_| {});
    let execution = world.outside();
    execution
        .put(&key("null"), &json!(null), None)
        .expect("stored");
    let null = execution.get(&key("null")).expect("readable");
    assert_eq!(null.expect("there").as_json(), "null");
    assert_eq!(execution.get(&key("other")).expect("readable"), None);
}

#[test]
fn json_that_is_given_as_text_loses_only_the_space_between_tokens() {
    let text = "{ \"a b\" : [ 1.0 ,\t1e400, \"\\\" , \\\\\" ,\n{ } ] }";
    let value = Value::from_json(text).expect("JSON");
    assert_eq!(value.as_json(), "{\"a b\":[1.0,1e400,\"\\\" , \\\\\",{}]}");
    for broken in ["", "{", "1 2", "nul", "\"\u{7}\""] {
        assert_eq!(
            code(Value::from_json(broken)),
            "invalid_value",
            "{broken:?}"
        );
    }
}

#[test]
fn what_has_no_form_in_json_is_refused() {
    let map = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert_eq!(code(Value::of(&map)), "invalid_value");
}

#[test]
fn a_value_never_shows_itself_in_a_log() {
    let world = World::new(|_| {});
    let value = Value::of("secret").expect("JSON");
    let put = Put::new(key("k"), value.clone());
    let execution = world.outside();
    execution.store(put.clone()).expect("stored");
    let entry = execution.entry(&key("k")).expect("readable");
    let shown = format!(
        "{value:?} {put:?} {entry:?} {:?} {execution:?}",
        world.stash
    );
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.starts_with("Value(8 bytes)"), "{shown}");
}

#[test]
fn reading_shares_the_value_and_copies_nothing() {
    let world = World::new(|_| {});
    let execution = world.outside();
    execution.put(&key("k"), "shared", None).expect("stored");
    let read = || execution.get(&key("k")).expect("readable").expect("there");
    assert_eq!(read().as_json().as_ptr(), read().as_json().as_ptr());
}

#[test]
fn values_larger_than_a_buffer_come_back_whole() {
    let world = World::new(|_| {});
    let execution = world.outside();
    let numbers: Vec<u32> = (0..200_000).collect();
    let stored = execution.put(&key("k"), &numbers, None).expect("stored");
    let value = execution.get(&key("k")).expect("readable").expect("there");
    assert_eq!(value.size(), stored.size);
    assert_eq!(value.parse::<Vec<u32>>().expect("numbers"), numbers);
}

proptest! {
    #[test]
    fn text_of_any_kind_comes_back_as_it_was(text in any::<String>()) {
        let spaced = format!(" [ {} , 1 ] ", json!(text));
        let value = Value::from_json(&spaced).expect("JSON");
        prop_assert_eq!(value.as_json(), json!([text, 1]).to_string());
        let (back, _) = value.parse::<(String, u8)>().expect("what was put");
        prop_assert_eq!(back, text);
    }
}
