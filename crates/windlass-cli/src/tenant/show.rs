//! Tenants as text for people.

use windlass::access::{Certificate, Tenant, Verification};
use windlass_client::access::TenantUsage;

use crate::table::{fields, rows, time};

/// One tenant, field by field, and what it uses if that was asked for.
pub(super) fn tenant(tenant: &Tenant, usage: Option<TenantUsage>) -> String {
    let mut shown = vec![
        ("tenant", tenant.tenant.to_string()),
        ("status", tenant.status.as_str().to_owned()),
        ("keys", tenant.keys.to_string()),
        ("sessions_max", limit(tenant.quota.sessions)),
        ("stash_bytes_max", limit(tenant.quota.stash_bytes)),
    ];
    if let Some(usage) = usage {
        shown.push(("sessions", usage.sessions.to_string()));
        shown.push(("stash_bytes", usage.stash_bytes.to_string()));
    }
    fields(shown)
}

/// Many tenants, one a row.
pub(super) fn tenants(tenants: &[Tenant]) -> String {
    let shown = tenants.iter().map(|tenant| {
        [
            tenant.tenant.to_string(),
            tenant.status.as_str().to_owned(),
            tenant.keys.to_string(),
            limit(tenant.quota.sessions),
            limit(tenant.quota.stash_bytes),
        ]
    });
    let header = [
        "TENANT",
        "STATUS",
        "KEYS",
        "SESSIONS MAX",
        "STASH BYTES MAX",
    ];
    rows(header, shown)
}

/// The proof of an erasure.
pub(super) fn certificate(proof: &Certificate) -> String {
    let mut proven = vec![
        ("tenant", proof.tenant.to_string()),
        ("started_at", time(proof.started_at)),
        ("finished_at", time(proof.finished_at)),
        ("rows", proof.rows.to_string()),
        ("bytes", proof.bytes.to_string()),
        ("keys_revoked", proof.keys_revoked.to_string()),
        ("passes", proof.passes.to_string()),
        ("remaining", proof.remaining.to_string()),
        ("digest", proof.digest.clone()),
        ("incarnation", proof.incarnation.clone()),
    ];
    if proof.unreadable > 0 {
        proven.push(("unreadable", proof.unreadable.to_string()));
    }
    fields(proven)
}

/// What is there of a tenant.
pub(super) fn verification(found: &Verification) -> String {
    let erased_at = found.certificate.as_ref().map(|proof| proof.finished_at);
    fields([
        ("tenant", found.tenant.to_string()),
        ("status", found.status.as_str().to_owned()),
        ("erased_at", erased_at.map_or_else(|| "-".to_owned(), time)),
        ("rows", found.rows.to_string()),
        ("due_rows", found.due_rows.to_string()),
        ("key_rows", found.key_rows.to_string()),
    ])
}

fn limit(limit: Option<u64>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}
