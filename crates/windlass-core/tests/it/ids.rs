//! Identifiers are accepted exactly if they are in their set.

use proptest::prelude::*;
use windlass_core::limits::ID_BYTES_MAX;
use windlass_core::{AgentId, Env, IdError, ManualEnv, Millis, SessionId, TenantId, unique_id};

const ALLOWED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:-";

/// The set, said another way than the code says it.
fn is_in_the_set(text: &str) -> bool {
    let length = text.chars().count();
    let known = text.chars().all(|character| ALLOWED.contains(character));
    (1..=128).contains(&length) && known && text != "." && text != ".."
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_accepted_exactly_if_it_is_in_the_set(text in "\\PC{0,140}") {
        prop_assert_eq!(text.parse::<TenantId>().is_ok(), is_in_the_set(&text));
    }

    #[test]
    fn texts_near_the_set_are_accepted_exactly_if_in_it(
        text in "[A-Za-z0-9._~:-]{0,131}[A-Za-z0-9._~:/ %-]?",
    ) {
        let parsed = text.parse::<AgentId>();
        prop_assert_eq!(parsed.is_ok(), is_in_the_set(&text));
        if let Ok(id) = parsed {
            prop_assert_eq!(id.as_str(), text.as_str());
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn identifiers_are_read_from_json_only_if_in_the_set(text in "[a/.é]{0,3}") {
        let json = serde_json::to_string(&text).expect("a text");
        let read = serde_json::from_str::<SessionId>(&json);
        prop_assert_eq!(read.is_ok(), is_in_the_set(&text));
        if let Ok(id) = read {
            prop_assert_eq!(serde_json::to_string(&id).expect("a text"), json);
        }
    }

    #[test]
    fn unique_ids_are_uuids_of_version_7_with_their_time(seed: u64, ms in 0_u64..1 << 48) {
        let env = ManualEnv::new(seed, Millis::new(ms));
        let id = unique_id(&env).expect("a seed never runs dry");
        let uuid = uuid::Uuid::parse_str(&id).expect("a UUID");
        prop_assert_eq!(uuid.get_version_num(), 7);
        prop_assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        prop_assert_eq!(u64::from_str_radix(&id.replace('-', "")[..12], 16), Ok(ms));
        prop_assert!(id.parse::<SessionId>().is_ok(), "{}", id);
    }
}

#[test]
fn refusals_name_the_reason_and_never_the_text() {
    let long = "x".repeat(ID_BYTES_MAX + 1);
    let table = [
        ("", IdError::Empty { what: "tenant" }),
        (
            long.as_str(),
            IdError::TooLong {
                what: "tenant",
                length: 129,
            },
        ),
        (
            "a/b",
            IdError::Character {
                what: "tenant",
                position: 1,
            },
        ),
        (
            "ab\u{e9}",
            IdError::Character {
                what: "tenant",
                position: 2,
            },
        ),
        (".", IdError::Dots { what: "tenant" }),
        ("..", IdError::Dots { what: "tenant" }),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse::<TenantId>(), Err(expected), "{text:?}");
    }
    let shown = "sec/ret".parse::<TenantId>().unwrap_err().to_string();
    assert_eq!(
        shown,
        "`tenant` has a character at byte 3 that is none of A-Z a-z 0-9 . _ ~ : -"
    );
    assert!(
        "x".repeat(ID_BYTES_MAX).parse::<TenantId>().is_ok(),
        "128 are allowed"
    );
    assert_eq!(
        "...".parse::<TenantId>().map(String::from),
        Ok("...".to_owned())
    );
}

#[test]
fn unique_ids_sort_by_the_time_of_their_making() {
    let env = ManualEnv::new(7, Millis::new(1_700_000_000_000));
    let mut ids = Vec::new();
    for step in [1, 1, 3, 1_000, 86_400_000] {
        ids.push(SessionId::unique(&env).expect("a seed never runs dry"));
        env.advance_ms(step);
    }
    assert!(ids.is_sorted(), "{ids:?}");
    assert_ne!(
        SessionId::unique(&env),
        SessionId::unique(&env),
        "at {}",
        env.now()
    );
}

#[test]
fn no_tenant_has_the_name_of_what_belongs_to_none() {
    let reserved = IdError::Reserved { what: "tenant" };
    for text in ["due", "system"] {
        assert_eq!(text.parse::<TenantId>(), Err(reserved.clone()), "{text}");
        let json = serde_json::from_str::<TenantId>(&format!("\"{text}\""));
        assert_eq!(
            json.map_err(|error| error.to_string()),
            Err(reserved.to_string())
        );
        assert!(
            text.parse::<SessionId>()
                .is_ok_and(|id| id.as_str() == text)
        );
    }
    for text in ["dues", "System", "system.", "du", "systems"] {
        assert_eq!(
            text.parse::<TenantId>().map(String::from),
            Ok(text.to_owned())
        );
    }
}
