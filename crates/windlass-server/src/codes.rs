//! Every code a refusal can carry, with its status.
//!
//! `docs/errors.md` says what each means; the OpenAPI document lists under
//! each route those that it may answer with.

/// Codes and their statuses, by status.
pub(crate) const STATUSES: &[(&str, u16)] = &[
    ("body_not_expected", 400),
    ("cursor_invalid", 400),
    ("integrity_missing_digest", 400),
    ("invalid_body", 400),
    ("invalid_id", 400),
    ("invalid_key", 400),
    ("invalid_query", 400),
    ("invalid_request", 400),
    ("invalid_row", 400),
    ("invalid_value", 400),
    ("key_too_long", 400),
    ("malformed_request", 400),
    ("offset_beyond_tail", 400),
    ("precondition_not_supported", 400),
    ("store_invalid", 400),
    ("stream_in_transaction_unsupported", 400),
    ("stream_not_linked", 400),
    ("ttl_too_long", 400),
    ("ttl_zero", 400),
    ("usage_overflow", 400),
    ("verb_out_of_scope", 400),
    ("webhook_url_rejected", 400),
    ("lease_revoked", 401),
    ("unauthenticated", 401),
    ("agent_mismatch", 403),
    ("budget_exceeded", 403),
    ("credential_not_allowed", 403),
    ("cross_group_access", 403),
    ("delegation_refused", 403),
    ("grant_too_wide", 403),
    ("group_not_allowed", 403),
    ("key_unavailable", 403),
    ("origin_not_allowed", 403),
    ("producer_epoch_stale", 403),
    ("reach_too_narrow", 403),
    ("scope_not_allowed", 403),
    ("sensitivity_exceeded", 403),
    ("tenant_not_active", 403),
    ("tool_not_allowed", 403),
    ("verb_missing", 403),
    ("attachment_not_found", 404),
    ("blob_not_found", 404),
    ("no_cache", 404),
    ("node_not_found", 404),
    ("not_found", 404),
    ("reservation_not_found", 404),
    ("revision_not_found", 404),
    ("tenant_not_erased", 404),
    ("unknown_task", 404),
    ("work_not_found", 404),
    ("method_not_allowed", 405),
    ("request_timeout", 408),
    ("already_claimed", 409),
    ("already_closed", 409),
    ("already_exists", 409),
    ("attachment_finished", 409),
    ("attachment_offset", 409),
    ("claim_expired", 409),
    ("confirmation_required", 409),
    ("content_type_mismatch", 409),
    ("digest_mismatch", 409),
    ("fenced", 409),
    ("gap", 409),
    ("integrity_failed", 409),
    ("head_revision_conflict", 409),
    ("key_ended", 409),
    ("lease_held", 409),
    ("lease_lost", 409),
    ("not_a_number", 409),
    ("nothing_pending", 409),
    ("overflow", 409),
    ("prefix_hash_mismatch", 409),
    ("producer_sequence_gap", 409),
    ("session_not_active", 409),
    ("state_exists", 409),
    ("state_removed", 409),
    ("stream_closed", 409),
    ("stream_differs", 409),
    ("stream_exists", 409),
    ("subscription_differs", 409),
    ("tenant_in_use", 409),
    ("work_claimed", 409),
    ("writer_sequence_regressed", 409),
    ("cancelled", 410),
    ("expired", 410),
    ("stream_deleted", 410),
    ("version_mismatch", 412),
    ("body_too_large", 413),
    ("value_too_large", 413),
    ("media_type_not_supported", 415),
    ("key_already_created", 422),
    ("key_already_rotated", 422),
    ("operation_answer_lost", 422),
    ("operation_conflict", 422),
    ("source_key_conflict", 422),
    ("turn_conflict", 422),
    ("group_quota_exceeded", 429),
    ("key_limit_exceeded", 429),
    ("operation_limit", 429),
    ("principal_stream_quota_exhausted", 429),
    ("rate_limited", 429),
    ("state_full", 429),
    ("tenant_quota_exceeded", 429),
    ("too_many_keys", 429),
    ("too_many_links", 429),
    ("too_many_operations", 429),
    ("too_many_producers", 429),
    ("too_many_reservations", 429),
    ("too_many_sessions", 429),
    ("too_many_streams", 429),
    ("too_many_subscriptions", 429),
    ("total_size_exceeded", 429),
    ("head_too_large", 431),
    ("corrupt", 500),
    ("corrupt_record", 500),
    ("internal", 500),
    ("store_corrupt", 500),
    ("abandoned", 503),
    ("busy", 503),
    ("cache_closed", 503),
    ("cache_taken", 503),
    ("clock_refused", 503),
    ("closed", 503),
    ("draining", 503),
    ("environment", 503),
    ("indeterminate", 503),
    ("no_randomness", 503),
    ("overloaded", 503),
    ("server_stream_capacity_exhausted", 503),
    ("store_closed", 503),
    ("store_environment", 503),
    ("store_indeterminate", 503),
    ("store_unavailable", 503),
    ("task_panicked", 503),
    ("timeout", 503),
    ("too_many_connections", 503),
    ("unavailable", 503),
];

/// Refusals of which no part tells the engine: those of stashes, and those of
/// a tenant's quota, which is decided before a part is asked.
pub(crate) const UNTOLD: &[&str] = &[
    "cross_group_access",
    "group_not_allowed",
    "group_quota_exceeded",
    "key_limit_exceeded",
    "key_unavailable",
    "operation_limit",
    "tenant_quota_exceeded",
    "too_many_operations",
    "total_size_exceeded",
];

/// What any route may answer, whatever it does.
pub(crate) const OF_EVERY_ROUTE: &[&str] = &[
    "body_not_expected",
    "malformed_request",
    "precondition_not_supported",
    "invalid_query",
    "request_timeout",
    "head_too_large",
    "internal",
    "timeout",
    "overloaded",
    "closed",
    "too_many_connections",
];

/// What any route may answer that wants a credential.
pub(crate) const OF_CLOSED_ROUTES: &[&str] = &[
    "unauthenticated",
    "origin_not_allowed",
    "tenant_not_active",
    "verb_missing",
    "scope_not_allowed",
    "corrupt",
    "corrupt_record",
    "busy",
    "unavailable",
    "indeterminate",
    "environment",
    "abandoned",
    "no_randomness",
    "store_unavailable",
    "store_indeterminate",
    "store_invalid",
    "store_environment",
    "store_corrupt",
    "store_closed",
];

/// What any route may answer that has an identifier in its path.
pub(crate) const OF_NAMED_ROUTES: &[&str] = &["invalid_id", "not_found"];

/// What any route may answer that takes a body.
pub(crate) const OF_ROUTES_WITH_BODY: &[&str] = &[
    "invalid_body",
    "invalid_request",
    "invalid_id",
    "body_too_large",
    "media_type_not_supported",
];

/// What any route may answer that takes an `Idempotency-Key`.
pub(crate) const OF_CHANGES: &[&str] = &["operation_conflict", "invalid_id"];

/// The code of a commit for another revision than the head's.
pub(crate) const HEAD_CONFLICT: &str = "head_revision_conflict";

/// Its status where the revision came as a precondition.
pub(crate) const PRECONDITION_FAILED: u16 = 412;

/// The status of a code; `None` for one that has none here.
pub(crate) fn status(code: &str) -> Option<u16> {
    let found = STATUSES.iter().find(|(name, _)| *name == code);
    found.map(|(_, status)| *status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_status() {
        for (place, (code, status)) in STATUSES.iter().enumerate() {
            let same = STATUSES.iter().filter(|(other, _)| other == code).count();
            assert_eq!(same, 1, "{code}");
            let before = place.checked_sub(1).and_then(|place| STATUSES.get(place));
            assert!(
                before.is_none_or(|(_, before)| before <= status),
                "{code} is out of order"
            );
        }
        let named = [
            OF_EVERY_ROUTE,
            OF_CLOSED_ROUTES,
            OF_NAMED_ROUTES,
            OF_ROUTES_WITH_BODY,
            OF_CHANGES,
        ];
        for code in named.into_iter().flatten() {
            assert!(status(code).is_some(), "{code} has no status");
        }
    }
}
