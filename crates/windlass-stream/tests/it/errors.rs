//! Every way to fail: its code, its kind and its words, each layer once.

use windlass_core::{Coded, RandomError};
use windlass_store::{StoreError, StoreErrorKind};
use windlass_stream::{AppendError, Offset, Refusal, RowError, StreamError};

/// Code, kind and words of an error and of all below it, as a log shows them.
pub(crate) fn shown(error: &(impl Coded + 'static)) -> String {
    let mut text = format!("{} {:?}: {error}", error.code(), error.kind());
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(" because ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Each of them in words.
const SHOWN: &[&str] = &[
    "not_found NotFound: no such stream or cursor",
    "expired Refused: it has expired",
    "cancelled Conflict: the read was cancelled",
    "lease_revoked Refused: what the read was opened with was revoked",
    "stream_exists Conflict: a stream of this name exists",
    "stream_closed Conflict: the stream is closed",
    "stream_deleted Refused: the stream was removed; forks of it are left",
    "stream_differs Conflict: a stream with other attributes exists",
    "content_type_mismatch Conflict: the content type is not that of the stream",
    "producer_epoch_stale Refused: the producer's epoch has passed; the stream is at epoch 3",
    "producer_sequence_gap Conflict: the producer's append 1 is missing before 5",
    "writer_sequence_regressed Conflict: the writer's sequence is not after the last one",
    "too_many_producers Refused: the stream has 9 producers, and takes no other",
    "integrity_missing_digest Invalid: the digest of what was sent is missing",
    "integrity_failed Conflict: the rows from `0000000000000000` to `000000000000000a` \
         are not what was sent, and are withdrawn",
    "gap Conflict: rows before `000000000000000a` are not kept any more",
    "offset_beyond_tail Invalid: the offset is beyond the tail `000000000000000a`",
    "not_resumable Conflict: a read of this source cannot go on; begin it anew",
    "prefix_hash_mismatch Conflict: the digest of what was received does not match the stream",
    "operation_conflict Conflict: the operation id was used before for another request",
    "stream_in_transaction_unsupported Invalid: \
         a stream cannot be opened from inside an unfinished turn",
    "server_stream_capacity_exhausted Refused: no stream can be opened for now \
         because all 4 slots for streams are taken",
    "principal_stream_quota_exhausted Refused: no stream can be opened for now \
         because all 4 slots of this principal are taken",
    "invalid_row Invalid: the row cannot be appended because the row has a line break",
    "invalid_request Invalid: `code` has 1 to 64 bytes",
    "busy Unavailable: lost too many races for the same record; try again",
    "corrupt_record Corrupt: the stored chunk cannot be read: one is missing",
    "store_indeterminate Indeterminate: the streams' store failed \
         because `commit` failed: the disk failed",
    "stream_closed Conflict: the source failed because the stream is closed",
    "no_randomness Environment: no identifier could be drawn \
         because random generator failed: no entropy",
];

#[test]
fn errors_have_a_code_a_kind_and_their_words() {
    let store = StoreError::new(StoreErrorKind::Indeterminate, "commit", "the disk failed");
    let (limit, current) = (4, 4);
    let offset = Offset::new(10);
    let errors = [
        StreamError::NotFound,
        StreamError::Expired,
        StreamError::Cancelled,
        StreamError::Revoked,
        StreamError::Exists,
        StreamError::Closed,
        StreamError::Deleted,
        StreamError::Differs,
        StreamError::ContentType,
        StreamError::StaleEpoch { current: 3 },
        StreamError::SequenceGap {
            expected: 1,
            received: 5,
        },
        StreamError::WriterSequence,
        StreamError::TooManyProducers { limit: 9 },
        StreamError::IntegrityMissingDigest,
        StreamError::IntegrityFailed {
            expected: "aa".into(),
            actual: "bb".into(),
            first: Offset::START,
            tail: offset,
        },
        StreamError::Gap { earliest: offset },
        StreamError::BeyondTail { tail: offset },
        StreamError::NotResumable,
        StreamError::PrefixHashMismatch,
        StreamError::OperationConflict,
        StreamError::InTransaction,
        Refusal::Server { limit, current }.into(),
        Refusal::Principal { limit, current }.into(),
        RowError::LineBreak.into(),
        StreamError::Invalid {
            field: "code",
            problem: "has 1 to 64 bytes",
        },
        StreamError::Busy,
        StreamError::Corrupt {
            record: "chunk",
            why: "one is missing".to_owned(),
        },
        store.into(),
        StreamError::of_source(StreamError::Closed),
        RandomError::new("no entropy").into(),
    ];
    assert_eq!(errors.each_ref().map(shown)[..], *SHOWN);
}

#[test]
fn an_error_of_appending_keeps_code_and_kind_of_its_cause() {
    let error = AppendError {
        taken: true,
        error: StreamError::Closed,
    };
    let expected = "stream_closed Conflict: the row could not be written \
                    because the stream is closed";
    assert_eq!(shown(&error), expected);
}
