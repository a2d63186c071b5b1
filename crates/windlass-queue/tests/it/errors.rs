//! Every way to fail: its code, its kind and its words, each layer once.

use std::error::Error;

use windlass_core::{Abandoned, Coded, Millis, RandomError};
use windlass_queue::{Problem, QueueError, WorkId};
use windlass_store::{StoreError, StoreErrorKind};

/// Code, kind and words of an error and of all below it, as a log shows them.
fn shown(error: &QueueError) -> String {
    let mut text = format!("{} {:?}: {error}", error.code(), error.kind());
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(" because ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[test]
fn errors_have_a_code_a_kind_and_their_words() {
    let id: WorkId = "018bcfe5-6800-7500-8000-0000996e0ddc"
        .parse()
        .expect("an id");
    let until = Millis::new(7);
    let store = StoreError::new(StoreErrorKind::Indeterminate, "commit", "the disk failed");
    let problem = Problem::Range {
        value: 0,
        min: 1,
        max: 100,
    };
    let errors = [
        QueueError::NotFound { id },
        QueueError::ClaimExpired,
        QueueError::Claimed { until },
        QueueError::SourceKeyConflict { id },
        QueueError::LeaseHeld { until },
        QueueError::LeaseLost,
        QueueError::OperationConflict,
        QueueError::Invalid {
            field: "max",
            problem,
        },
        QueueError::Busy,
        QueueError::Corrupt {
            record: "queue head",
            why: "it is missing".to_owned(),
        },
        store.into(),
        RandomError::new("no entropy").into(),
        Abandoned.into(),
    ];
    let expected = [
        "work_not_found NotFound: no such work",
        "claim_expired Conflict: the claim has ended",
        "work_claimed Conflict: the work is claimed",
        "source_key_conflict Conflict: the source key was used before for other work",
        "lease_held Conflict: the session's lease is held by another owner",
        "lease_lost Conflict: the session's lease is lost",
        "operation_conflict Conflict: the operation id was used before for another request",
        "invalid_request Invalid: `max` is 0; 1 to 100 are allowed",
        "busy Unavailable: lost too many races for the same record; try again",
        "corrupt_record Corrupt: the stored queue head cannot be read: it is missing",
        "store_indeterminate Indeterminate: the queue's store failed \
         because `commit` failed: the disk failed",
        "no_randomness Environment: no identifier could be drawn \
         because random generator failed: no entropy",
        "abandoned Indeterminate: the commit ended abnormally; its outcome is unknown \
         because the combined run ended without an answer",
    ];
    assert_eq!(errors.each_ref().map(shown), expected);
}
