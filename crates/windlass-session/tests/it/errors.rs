//! Every way to fail: its code, its kind and its words, each layer once.

use std::error::Error;

use windlass_core::{Abandoned, Coded, ErrorKind, Millis, RandomError};
use windlass_session::{Meter, Problem, Sensitivity, SessionError};
use windlass_store::{StoreError, StoreErrorKind};

/// An error and all below it, as a log shows them.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str("\n  because ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Code, kind and words of an error, as a caller sees them.
fn shown(error: &SessionError) -> String {
    format!("{} {:?}: {}", error.code(), error.kind(), chain(error))
}

#[test]
fn refusals_have_a_code_a_kind_and_their_words() {
    let errors = [
        SessionError::AgentMismatch,
        SessionError::Expired { at: Millis::new(7) },
        SessionError::BudgetExceeded {
            meter: Meter::Tokens,
            limit: 5,
            used: 4,
        },
        SessionError::ToolNotAllowed,
        SessionError::CredentialNotAllowed,
        SessionError::SensitivityExceeded {
            ceiling: Sensitivity::Internal,
        },
        SessionError::RateLimited {
            limit: 5,
            retry_after_ms: Some(1),
        },
        SessionError::TooManySessions { max: 1, current: 1 },
        SessionError::TooManyReservations { max: 64 },
    ];
    let expected = [
        "agent_mismatch Refused: the session belongs to another agent",
        "expired Refused: the session expired at 7",
        "budget_exceeded Refused: the budget of tokens is exceeded: 4 of 5 used",
        "tool_not_allowed Refused: the tool is not allowed in this session",
        "credential_not_allowed Refused: the credential is not allowed in this session",
        "sensitivity_exceeded Refused: the sensitivity is above the session's ceiling `internal`",
        "rate_limited Refused: more than 5 calls in the rate window",
        "too_many_sessions Refused: the agent has 1 active sessions; at most 1 are allowed",
        "too_many_reservations Refused: 64 reservations are open already; \
         settle or refund one first",
    ];
    assert_eq!(errors.each_ref().map(shown), expected);
}

#[test]
fn other_errors_have_a_code_a_kind_and_their_words() {
    let errors = [
        SessionError::NotFound,
        SessionError::AlreadyClosed,
        SessionError::AlreadyExists,
        SessionError::OperationConflict,
        SessionError::ReservationNotFound { call: 3 },
        SessionError::Invalid {
            field: "intent",
            problem: Problem::Empty,
        },
        SessionError::Busy,
        SessionError::Corrupt {
            record: "session head",
            why: "it is missing".into(),
        },
        SessionError::from(Abandoned),
    ];
    let expected = [
        "not_found NotFound: no such session",
        "already_closed Conflict: the session is closed",
        "already_exists Conflict: a session with this id exists already",
        "operation_conflict Conflict: the operation id was used before for another request",
        "reservation_not_found NotFound: call 3 has no open reservation",
        "invalid_request Invalid: `intent` must not be empty",
        "busy Unavailable: lost too many races for the same record; try again",
        "corrupt_record Corrupt: the stored session head cannot be read: it is missing",
        "abandoned Indeterminate: the commit ended abnormally; its outcome is unknown\
         \n  because the combined run ended without an answer",
    ];
    assert_eq!(errors.each_ref().map(shown), expected);
}

#[test]
fn a_failing_store_keeps_its_kind_and_is_named_once() {
    let table = [
        (
            StoreErrorKind::Unavailable,
            ErrorKind::Unavailable,
            "store_unavailable",
        ),
        (
            StoreErrorKind::Indeterminate,
            ErrorKind::Indeterminate,
            "store_indeterminate",
        ),
        (StoreErrorKind::Invalid, ErrorKind::Invalid, "store_invalid"),
        (
            StoreErrorKind::Environment,
            ErrorKind::Environment,
            "store_environment",
        ),
        (StoreErrorKind::Corrupt, ErrorKind::Corrupt, "store_corrupt"),
        (StoreErrorKind::Closed, ErrorKind::Closed, "store_closed"),
    ];
    for (below, kind, code) in table {
        let cause = std::io::Error::other("no space left");
        let store = StoreError::new(below, "commit", "the file cannot grow").with_source(cause);
        let error = SessionError::from(store);
        assert_eq!((error.kind(), error.code()), (kind, code));
        assert_eq!(
            chain(&error),
            "the session store failed\n  because `commit` failed: the file cannot grow\n  because no space left"
        );
    }
    let error = SessionError::from(RandomError::new("no device"));
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Environment, "no_randomness")
    );
    assert_eq!(
        chain(&error),
        "no identifier could be drawn\n  because random generator failed: no device"
    );
}
