//! A good body for each operation, and the names that its path is asked with.

use super::world::World;

/// Bodies by the name of the operation; none for what takes none.
const BODIES: &[(&str, Option<&str>)] = &[
    (
        "create_session",
        Some(r#"{"id":"s-new","agent":"researcher","intent":"more"}"#),
    ),
    ("list_sessions", None),
    ("get_session", None),
    ("get_tree", None),
    ("get_events", None),
    (
        "use_tools",
        Some(r#"{"agent":"researcher","items":[{"tool":"search"}]}"#),
    ),
    (
        "settle",
        Some(r#"{"agent":"researcher","outcome":"refund"}"#),
    ),
    ("top_up", Some(r#"{"calls":1}"#)),
    ("close_session", None),
    (
        "delegate",
        Some(
            r#"{"by":"researcher","child":{"agent":"helper","intent":"less","time_limit_ms":60000,"budget":{"calls":1},"tools":{"only":["search"]}}}"#,
        ),
    ),
    ("count_active", None),
    ("close_agent", None),
    ("get_stash", None),
    ("list_entries", None),
    ("get_entry", None),
    ("put_entry", Some(r#"{"value":2}"#)),
    ("delete_entry", None),
    ("touch_entry", Some("{}")),
    ("increment_entry", Some(r#"{"by":1}"#)),
    (
        "step",
        Some(r#"{"operations":[{"delete":{"key":"plain"}},{"get":{"key":"n"}}]}"#),
    ),
    ("clear_group", None),
    ("clear_stash", Some("{}")),
    ("reap_stash", Some("{}")),
    ("get_state", None),
    (
        "commit_state",
        Some(
            r#"{"expected":1,"parts":{"plan":{"json":[1]},"gone":null},"nodes":[{"kind":"message","bytes":"aGk="}]}"#,
        ),
    ),
    ("list_commits", None),
    ("get_commit", None),
    ("diff_state", None),
    ("get_part", None),
    ("get_path", None),
    ("list_nodes", None),
    ("get_node", None),
    ("get_blob", None),
    ("get_manifest", None),
    ("roll_back_state", Some(r#"{"to":1}"#)),
    ("fork_state", Some(r#"{"to":"c-acme"}"#)),
    ("list_forks", None),
    ("list_tags", None),
    ("put_tag", Some(r#"{"revision":1}"#)),
    ("delete_tag", None),
    ("remove_state", None),
    (
        "commit_turn",
        Some(
            r#"{"state":{"parts":{"plan":{"json":[2]}}},"uses":[{"use":{"agent":"researcher","items":[{"tool":"search"}]}}],"work":[{"enqueue":{"work":{"payloads":[{"kind":"task","json":1}]}}}],"streams":[{"stream":"o-acme","rows":[{"row":1}],"close":"finished"}],"lease":{"owner":"w","generation":GENERATION}}"#,
        ),
    ),
    (
        "enqueue",
        Some(
            r#"{"work":[{"payloads":[{"kind":"task","json":1}]}],"lease":{"owner":"w","generation":GENERATION}}"#,
        ),
    ),
    (
        "enqueue_all",
        Some(
            r#"{"work":[{"session":"s-acme","work":{"payloads":[{"kind":"task","bytes":"aGk="}]}}]}"#,
        ),
    ),
    ("list_work", None),
    ("count_work", None),
    ("get_work", None),
    ("cancel_work", None),
    ("retry_work", None),
    ("drop_work", None),
    ("remove_queue", None),
    ("claim_work", Some(r#"{"owner":"w","ttl_ms":60000}"#)),
    ("claim_any", Some(r#"{"owner":"w","ttl_ms":60000}"#)),
    ("renew_claim", Some(r#"{"ttl_ms":60000}"#)),
    ("settle_claim", Some(r#"{"complete":["CLAIMED"]}"#)),
    ("list_queues", None),
    ("get_lease", None),
    ("acquire_lease", Some(r#"{"owner":"w"}"#)),
    (
        "renew_lease",
        Some(r#"{"owner":"w","generation":GENERATION}"#),
    ),
    (
        "release_lease",
        Some(r#"{"owner":"w","generation":GENERATION}"#),
    ),
    (
        "create_stream",
        Some(r#"{"session":"s-acme","id":"o-new","expiry":{"idle_ms":60000}}"#),
    ),
    ("list_streams", None),
    ("get_stream", None),
    ("append_rows", Some("{\"row\":1}\n{\"bytes\":\"aGk=\"}\n")),
    ("read_rows", None),
    ("close_stream", Some(r#"{"how":"finished"}"#)),
    ("trim_stream", Some(r#"{"before":"0000000000000001"}"#)),
    ("remove_stream", None),
    ("get_stream_read", None),
    ("cancel_stream_read", None),
    ("get_stream_reads", None),
    ("read_usage", None),
    ("read_commits", None),
    ("read_graph", None),
    ("cancel_usage_read", None),
    ("cancel_commits_read", None),
    ("cancel_graph_read", None),
    ("open_input", Some(r#"{"target":"i-new"}"#)),
    ("append_input", Some("text")),
    ("get_input", None),
    ("finish_input", Some("{}")),
    ("drop_input", None),
    ("put_durable_stream", Some("text")),
    ("post_durable_stream", Some("text")),
    ("get_durable_stream", None),
    ("delete_durable_stream", None),
    (
        "put_subscription",
        Some(r#"{"type":"pull-wake","pattern":"none/*","wake_stream":"w-acme"}"#),
    ),
    ("get_subscription", None),
    ("delete_subscription", None),
    ("link_streams", Some(r#"{"streams":["d-new"]}"#)),
    ("unlink_stream", None),
    ("claim_wake", Some(r#"{"worker":"w"}"#)),
    ("ack_wake", Some(r#"{"wake_id":"w_1","generation":1}"#)),
    ("call_back", Some(r#"{"wake_id":"w_1","generation":1}"#)),
    ("release_wake", Some(r#"{"wake_id":"w_1","generation":1}"#)),
    ("webhook_keys", None),
    ("begin_attachment", Some(r#"{"kind":"text/plain"}"#)),
    ("append_attachment", Some(r#"{"start":0,"bytes":"aGk="}"#)),
    ("finish_attachment", Some("{}")),
    ("drop_attachment", None),
    ("list_attachments", None),
    ("get_attachment", None),
    ("get_attached_bytes", None),
    (
        "create_key",
        Some(r#"{"label":"more","tenant":"acme","principal":"alice","verbs":["session.read"]}"#),
    ),
    ("list_keys", None),
    ("get_key", None),
    ("revoke_key", None),
    ("rotate_key", Some("{}")),
    ("get_own_tenant", None),
    ("list_tenants", None),
    ("get_tenant", None),
    ("set_quota", Some(r#"{"sessions":5}"#)),
    ("erase_tenant", Some(r#"{"confirm":"acme"}"#)),
    ("get_erasure", None),
    ("list_audit", None),
    ("get_audit_head", None),
    ("verify_audit", None),
    ("export_audit", None),
    ("get_store", None),
    ("get_backup_status", None),
    ("get_due", None),
    ("maintain", Some("{}")),
    ("collect", Some(r#"{"tenant":"acme","grace_ms":0}"#)),
    ("export", None),
    ("get_maintenance", None),
    ("run_task", Some(r#"{"entries":10}"#)),
    ("get_cache", None),
    ("sweep_cache", Some(r#"{"entries":10}"#)),
    ("reclaim_cache", Some("{}")),
    ("flush_cache", Some(r#"{"namespace":"pages"}"#)),
    (
        "invalidate_cache",
        Some(r#"{"namespace":"pages","key":"suppliers"}"#),
    ),
    ("whoami", None),
    ("get_overview", None),
    ("get_service", None),
    ("get_metrics_history", None),
    ("console", None),
    ("console_folder", None),
    ("console_file", None),
    ("livez", None),
    ("readyz", None),
    ("metrics", None),
    ("openapi", None),
    ("docs", None),
];

/// What has to be in the query of an operation.
const QUERIES: &[(&str, &str)] = &[("diff_state", "?from=1")];

/// The name of no content.
const NO_BLOB: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The name of no read.
const NO_READ: &str = "000000000000000000000000000000000000000000000000";

/// The name of no input.
const NO_INPUT: &str = "00000000-0000-0000-0000-000000000000";

/// What the body of an operation is, where it is no JSON.
pub(crate) fn headers(operation: &str) -> &'static [(&'static str, &'static str)] {
    match operation {
        "put_durable_stream" | "post_durable_stream" | "append_input" => {
            &[("Content-Type", "text/plain")]
        }
        "append_rows" => &[("Content-Type", "application/x-ndjson")],
        _ => &[],
    }
}

/// The operations for which a credential has to reach all of its tenant.
pub(crate) const REACHING: &[&str] = &[
    "claim_any",
    "list_audit",
    "get_audit_head",
    "verify_audit",
    "export_audit",
    "get_overview",
];

/// The body an operation is asked with, with what is only known of this world
/// in its place.
pub(crate) fn body(world: &World, operation: &str) -> Option<String> {
    let found = BODIES.iter().find(|(name, _)| *name == operation);
    let (_, body) = found.unwrap_or_else(|| panic!("`{operation}` has no sample"));
    body.map(|body| {
        body.replace("GENERATION", &world.work.generation.to_string())
            .replace("CLAIMED", &world.work.claimed)
    })
}

/// The names of all samples.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BODIES.iter().map(|(name, _)| *name)
}

/// Whether the names in a path are the first tenant's, or nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Known,
    Unknown,
}

/// The path of an operation with names in the place of its parameters.
pub(crate) fn path(world: &World, operation: &str, path: &str, names: Names) -> String {
    let of = |known: &str, unknown: &'static str| match names {
        Names::Known => known.to_owned(),
        Names::Unknown => unknown.to_owned(),
    };
    let query = QUERIES.iter().find(|(name, _)| *name == operation);
    let query = query.map_or("", |(_, query)| query);
    let pieces = path.split('/').map(|piece| match piece {
        // Its lease is free.
        "{session}" if operation == "acquire_lease" => of("c-acme", "c-none"),
        "{session}" => of("s-acme", "s-none"),
        "{agent}" => of("researcher", "nobodyxxx"),
        // The only one of which there is a certificate.
        "{tenant}" if operation == "get_erasure" => of("gone", "none"),
        "{tenant}" => of("acme", "none"),
        "{call}" | "{revision}" | "{number}" => "1".to_owned(),
        "{token}" => world.work.token.to_string(),
        "{work}" if matches!(operation, "retry_work" | "drop_work") => world.work.dead.clone(),
        "{work}" => world.work.pending.clone(),
        "{part}" => "plan".to_owned(),
        "{task}" => of("keys", "none"),
        "{tag}" => "first".to_owned(),
        "{stream}" => of("o-acme", "o-none"),
        "{subscription}" if operation == "put_subscription" => of("u-new", "u-none"),
        "{subscription}" => of("u-acme", "u-none"),
        "{path}" if operation == "put_durable_stream" => of("d-new", "d-none"),
        "{path}" => of("d-acme", "d-none"),
        "{read}" => of(world.read_of(operation), NO_READ),
        // It is of no tenant.
        "{file}" => "index.html".to_owned(),
        "{input}" => of(&world.input, NO_INPUT),
        "{attachment}" => of(&world.attachment, "none"),
        "{blob}" => of(&world.blob, NO_BLOB),
        "{manifest}" => of(&world.manifest, NO_BLOB),
        "{key}" if path.starts_with("/v1/keys") => of(&world.key, "0123456789abcdef"),
        "{key}" if operation == "increment_entry" => "n".to_owned(),
        "{key}" => "plain".to_owned(),
        _ => {
            assert!(!piece.starts_with('{'), "`{piece}` of {path} has no name");
            piece.to_owned()
        }
    });
    pieces.collect::<Vec<_>>().join("/") + query
}
