//! The error of every store.

use std::error::Error;

use windlass_store::seal::{self, SealError};
use windlass_store::{Batch, StoreError, StoreErrorKind};

/// An error and its causes, as a program prints them.
fn chain(error: &dyn Error) -> String {
    let mut lines = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        lines.push(error.to_string());
        cause = error.source();
    }
    lines.join("\n  caused by: ")
}

#[test]
fn a_chain_says_everything_once() {
    let disk = std::io::Error::other("no space left");
    let context = "the file `store.db` cannot grow";
    let error = StoreError::new(StoreErrorKind::Environment, "commit", context).with_source(disk);
    let expected = "`commit` failed: the file `store.db` cannot grow\n  caused by: no space left";
    assert_eq!(chain(&error), expected);
}

#[test]
fn a_damaged_value_names_its_damage_below_the_store() {
    let cause = seal::open(b"key", 1, &b"short".as_slice().into()).unwrap_err();
    let error = StoreError::new(
        StoreErrorKind::Corrupt,
        "read",
        "the value of `key` is damaged",
    );
    let error = error.with_source(cause);
    let expected = "`read` failed: the value of `key` is damaged\n  \
                    caused by: sealed value has 5 bytes, fewer than its seal";
    assert_eq!(chain(&error), expected);
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<SealError>());
    assert_eq!(source, Some(&SealError::TooShort { length: 5 }));
}

#[test]
fn an_error_keeps_what_it_was_made_of() {
    let error = StoreError::new(StoreErrorKind::Unavailable, "export", "too slow");
    let parts = (error.kind(), error.operation(), error.context());
    assert_eq!(parts, (StoreErrorKind::Unavailable, "export", "too slow"));
    assert!(error.source().is_none(), "{error:?}");
    let shown = "StoreError { kind: Unavailable, operation: \"export\", context: \"too slow\", source: None }";
    assert_eq!(format!("{error:?}"), shown);
}

#[test]
fn errors_of_validation_and_of_closed_stores_print_their_verb() {
    let empty = Batch::new().validate().unwrap_err();
    assert_eq!(chain(&empty), "`commit` failed: the batch is empty");
    let closed = StoreError::closed("read");
    assert_eq!(closed.kind(), StoreErrorKind::Closed);
    assert_eq!(chain(&closed), "`read` failed: the store is closed");
}

#[test]
fn each_kind_has_a_code_of_its_own() {
    let kinds = [
        (StoreErrorKind::Unavailable, "store_unavailable"),
        (StoreErrorKind::Indeterminate, "store_indeterminate"),
        (StoreErrorKind::Invalid, "store_invalid"),
        (StoreErrorKind::Environment, "store_environment"),
        (StoreErrorKind::Corrupt, "store_corrupt"),
        (StoreErrorKind::Closed, "store_closed"),
    ];
    for (kind, code) in kinds {
        assert_eq!(kind.code(), code, "{kind:?}");
    }
}
