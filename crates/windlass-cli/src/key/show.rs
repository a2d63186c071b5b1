//! Keys as text for people.

use windlass::SystemEnv;
use windlass::access::{ApiKey, Groups, Reach, Scope};
use windlass::core::{Env, Millis};

use crate::table::{fields, plain, rows, time};

/// One key, field by field.
pub(super) fn key(key: &ApiKey) -> String {
    fields(key_fields(key))
}

/// A key whose secret was made just now.
pub(super) fn made(key: &ApiKey, secret: Option<&str>, file: Option<&str>) -> String {
    let mut shown = key_fields(key);
    if let Some(secret) = secret {
        shown.push(("secret", secret.to_owned()));
    }
    if let Some(file) = file {
        shown.push(("secret_file", plain(file)));
    }
    fields(shown)
}

fn key_fields(key: &ApiKey) -> Vec<(&'static str, String)> {
    let mut shown = vec![
        ("id", key.id.to_string()),
        ("label", plain(&key.label)),
        ("status", status(key).to_owned()),
    ];
    match &key.grant.scope {
        Scope::Operator => shown.push(("scope", "operator".to_owned())),
        Scope::Tenant { tenant, principal } => shown.extend([
            ("scope", "tenant".to_owned()),
            ("tenant", tenant.to_string()),
            ("principal", principal.to_string()),
            ("reach", reach(key.grant.reach).to_owned()),
            ("groups", groups(&key.grant.groups)),
        ]),
    }
    shown.push(("verbs", verbs(key)));
    let when = |at: Option<Millis>| at.map_or_else(none, time);
    shown.extend([
        ("created_at", time(key.created_at)),
        ("expires_at", when(key.expires_at)),
        ("revoked_at", when(key.revoked_at)),
        ("rotated_at", when(key.rotated_at)),
    ]);
    if key.overlap_until.is_some() {
        shown.push(("overlap_until", when(key.overlap_until)));
    }
    shown
}

/// Many keys, one a row.
pub(super) fn keys(keys: &[ApiKey]) -> String {
    let shown = keys.iter().map(|key| {
        [
            key.id.to_string(),
            status(key).to_owned(),
            owner(&key.grant.scope),
            key.expires_at.map_or_else(none, time),
            verbs(key),
            plain(&key.label),
        ]
    });
    rows(["ID", "STATUS", "OF", "EXPIRES", "VERBS", "LABEL"], shown)
}

fn owner(scope: &Scope) -> String {
    match scope {
        Scope::Operator => "operator".to_owned(),
        Scope::Tenant { tenant, principal } => format!("{tenant}/{principal}"),
    }
}

fn status(key: &ApiKey) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.is_usable(SystemEnv::new().now()) {
        "active"
    } else {
        "expired"
    }
}

fn verbs(key: &ApiKey) -> String {
    let patterns = key.grant.verbs.patterns();
    let names: Vec<String> = patterns.map(|pattern| pattern.to_string()).collect();
    names.join(" ")
}

const fn reach(reach: Reach) -> &'static str {
    match reach {
        Reach::Own => "own",
        Reach::Tenant => "tenant",
    }
}

fn groups(groups: &Groups) -> String {
    match groups {
        Groups::None => none(),
        Groups::All => "all".to_owned(),
        Groups::Only(groups) => {
            let names: Vec<&str> = groups.iter().map(windlass::core::GroupId::as_str).collect();
            names.join(" ")
        }
    }
}

fn none() -> String {
    "-".to_owned()
}
