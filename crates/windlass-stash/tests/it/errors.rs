//! Every way to fail: its code, its kind and its words, each layer once.

use std::error::Error;

use windlass_core::{Abandoned, Coded, RandomError};
use windlass_stash::{Problem, QuotaMeter, StashError};

use crate::support::group;

/// An error and all below it, as a log shows them.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(" because ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Code, kind and words of an error, as a caller sees them.
fn shown(error: &StashError) -> String {
    format!("{} {:?}: {}", error.code(), error.kind(), chain(error))
}

#[test]
fn wrong_requests_have_a_code_a_kind_and_their_words() {
    let range = Problem::Range {
        value: 0,
        min: 1,
        max: 9,
    };
    let errors = [
        StashError::InvalidKey,
        StashError::KeyTooLong { length: 300 },
        StashError::InvalidValue {
            why: "key must be a string".to_owned(),
        },
        StashError::ValueTooLarge { size: 9, max: 8 },
        StashError::TtlZero,
        StashError::TtlTooLong {
            requested_ms: 9,
            max_ms: 8,
        },
        StashError::Invalid {
            field: "limit",
            problem: range,
        },
    ];
    let expected = [
        "invalid_key Invalid: a key has 1 to 256 characters of A-Z a-z 0-9 _ - . :",
        "key_too_long Invalid: the key has 300 characters; at most 256 are allowed",
        "invalid_value Invalid: the value is no JSON: key must be a string",
        "value_too_large Invalid: the value has 9 bytes; at most 8 are allowed",
        "ttl_zero Invalid: the time to live must not be 0",
        "ttl_too_long Invalid: the time to live is 9 ms; at most 8 ms are allowed",
        "invalid_request Invalid: `limit` is 0; 1 to 9 are allowed",
    ];
    assert_eq!(errors.each_ref().map(shown), expected);
}

#[test]
fn refusals_and_conflicts_have_a_code_a_kind_and_their_words() {
    let errors = [
        StashError::CrossGroupAccess {
            group: Some(group("mine")),
        },
        StashError::KeyUnavailable,
        StashError::KeyLimitExceeded { max: 3 },
        StashError::GroupQuotaExceeded {
            meter: QuotaMeter::Keys,
            total: 4,
            max: 3,
        },
        StashError::TotalSizeExceeded { total: 9, max: 8 },
        StashError::OperationLimit { max: 3 },
        StashError::VersionMismatch {
            expected: Some(1),
            actual: None,
        },
        StashError::NotANumber,
        StashError::Overflow,
        StashError::OperationConflict,
        StashError::AnswerLost,
        StashError::TooManyOperations { total: 9, max: 8 },
    ];
    let expected = [
        "cross_group_access Refused: the entry belongs to another group",
        "key_unavailable Refused: the key is not available",
        "key_limit_exceeded Refused: there are 3 keys already",
        "group_quota_exceeded Refused: the group would have 4 keys; its quota is 3",
        "total_size_exceeded Refused: the entries would have 9 bytes together; \
         at most 8 are allowed",
        "operation_limit Refused: the execution has made its 3 operations",
        "version_mismatch Conflict: the entry is not at the version that was expected",
        "not_a_number Conflict: the value is no whole number",
        "overflow Conflict: the number does not fit into 64 bits",
        "operation_conflict Conflict: the operation id was used before for another request",
        "operation_answer_lost Conflict: the operation was done before; what it read is gone",
        "too_many_operations Refused: the operation ids of the last day would take 9 bytes; \
         at most 8 are kept",
    ];
    assert_eq!(errors.each_ref().map(shown), expected);
}

#[test]
fn failures_below_keep_their_kind_and_are_told_once() {
    let errors = [
        StashError::Busy,
        StashError::Corrupt {
            record: "head",
            why: "format 9".to_owned(),
        },
        StashError::Random(RandomError::new("none")),
        StashError::Abandoned(Abandoned),
    ];
    let expected = [
        "busy Unavailable: lost too many races for the same stash; try again",
        "corrupt_record Corrupt: the stored head cannot be read: format 9",
        "no_randomness Environment: no random bytes could be drawn \
         because random generator failed: none",
        "abandoned Indeterminate: the commit ended abnormally; its outcome is unknown \
         because the combined run ended without an answer",
    ];
    assert_eq!(errors.each_ref().map(shown), expected);
}

#[cfg(feature = "durable")]
#[test]
fn a_failing_store_keeps_its_kind_and_is_named_once() {
    use windlass_core::ErrorKind;
    use windlass_store::{StoreError, StoreErrorKind};

    let kinds = [
        (StoreErrorKind::Unavailable, ErrorKind::Unavailable),
        (StoreErrorKind::Indeterminate, ErrorKind::Indeterminate),
        (StoreErrorKind::Invalid, ErrorKind::Invalid),
        (StoreErrorKind::Environment, ErrorKind::Environment),
        (StoreErrorKind::Corrupt, ErrorKind::Corrupt),
        (StoreErrorKind::Closed, ErrorKind::Closed),
    ];
    for (below, above) in kinds {
        let store = StoreError::new(below, "commit", "the file cannot grow");
        let error = StashError::from(store);
        assert_eq!((error.kind(), error.code()), (above, below.code()));
        let expected = "the stash's store failed because `commit` failed: the file cannot grow";
        assert_eq!(chain(&error), expected);
    }
}
