//! Every way to fail: its code, its kind and its words, each layer once.

use std::error::Error;

use windlass_access::{AccessError, KeyId, Problem, Status, UnknownVerb};
use windlass_core::{Coded, RandomError};
use windlass_store::{StoreError, StoreErrorKind};

/// Code, kind and words of an error and all below it.
fn shown(error: &AccessError) -> String {
    let mut text = format!("{} {:?}: {error}", error.code(), error.kind());
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str("\n  because ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn id() -> KeyId {
    "0123456789abcdef".parse().expect("an id")
}

#[test]
fn refusals_have_a_code_a_kind_and_their_words() {
    let invalid = AccessError::Invalid {
        field: "verbs",
        problem: Problem::Verb(UnknownVerb),
    };
    let errors = [
        invalid,
        AccessError::VerbOutOfScope {
            verb: "store.*".parse().expect("a pattern"),
        },
        AccessError::NotFound { what: "key" },
        AccessError::TooManyKeys { max: 3 },
        AccessError::KeyAlreadyCreated { id: id() },
        AccessError::KeyAlreadyRotated { id: id() },
        AccessError::OperationConflict,
        AccessError::KeyEnded,
        AccessError::TenantNotActive {
            status: Status::Erasing,
        },
        AccessError::TenantInUse { passes: 16 },
        AccessError::Busy,
    ];
    let expected = [
        "invalid_request Invalid: `verbs` is no verb, no `noun.*` and not `*`",
        "verb_out_of_scope Invalid: a key of this scope cannot hold `store.*`",
        "not_found NotFound: there is no such key",
        "too_many_keys Refused: there are 3 keys already",
        "key_already_created Conflict: this operation has made the key `0123456789abcdef`, \
         whose secret was shown once; if it was lost, revoke that key and make another",
        "key_already_rotated Conflict: this operation has rotated the key `0123456789abcdef`, \
         whose new secret was shown once; if it was lost, rotate the key again",
        "operation_conflict Conflict: the operation id was used for another request",
        "key_ended Conflict: the key has ended",
        "tenant_not_active Refused: the tenant is being erased",
        "tenant_in_use Conflict: the tenant was still being written to after 16 passes",
        "busy Unavailable: others changed the same record first, many times in a row",
    ];
    assert_eq!(errors.each_ref().map(shown), expected);
}

#[test]
fn failures_of_a_store_keep_their_code_and_kind() {
    let store = StoreError::new(StoreErrorKind::Indeterminate, "commit", "it broke");
    let errors = [
        AccessError::from(store),
        AccessError::from(RandomError::new("none left")),
        AccessError::Corrupt {
            record: "key",
            why: "it is torn".to_owned(),
        },
    ];
    let expected = [
        "store_indeterminate Indeterminate: the store of keys and tenants failed\n  \
         because `commit` failed: it broke",
        "no_randomness Environment: no random bytes could be drawn\n  \
         because random generator failed: none left",
        "corrupt_record Corrupt: the stored key cannot be read: it is torn",
    ];
    assert_eq!(errors.each_ref().map(shown), expected);
}

#[test]
fn a_text_that_is_no_key_id_is_refused_without_being_repeated() {
    for text in [
        "",
        "0123456789abcde",
        "0123456789ABCDEF",
        "0123456789abcdef0",
        "../../../../../etc",
    ] {
        let refused = text.parse::<KeyId>().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`key` has a character that is not allowed there"
        );
    }
}
