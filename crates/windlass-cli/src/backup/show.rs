//! Backups as text for people, and as JSON.

use serde_json::{Value, json};
use windlass::backup::{Listed, Made, Manifest, Restored};
use windlass::core::Coded;
use windlass_client::store::BackupStatus;

use crate::table::{fields, moment, plain, rows, time};

pub(super) fn made_object(made: &Made) -> Value {
    json!({
        "path": made.path.display().to_string(),
        "manifest": made.manifest,
        "verified": made.verified,
        "took_ms": made.took_ms,
        "removed": made.removed,
    })
}

pub(super) fn made(made: &Made) -> String {
    let mut shown = vec![("backup", plain(&made.path.display().to_string()))];
    shown.extend(figures(&made.manifest));
    shown.push(("verified", yes(made.verified)));
    shown.push(("took_ms", made.took_ms.to_string()));
    shown.push(("removed", made.removed.len().to_string()));
    fields(shown)
}

pub(super) fn manifest(manifest: &Manifest) -> String {
    let mut shown = vec![
        ("backup", plain(&manifest.name)),
        ("begun_at", time(manifest.begun_at)),
        ("product", plain(&manifest.product)),
    ];
    shown.extend(figures(manifest));
    let stores = fields(shown);
    let parts = manifest.stores.iter().flat_map(|store| {
        store.parts.iter().map(|(part, figures)| {
            [
                store.store.as_str().to_owned(),
                plain(part),
                figures.entries.to_string(),
                figures.bytes.to_string(),
            ]
        })
    });
    let parts = rows(["STORE", "PART", "ENTRIES", "BYTES"], parts);
    format!("{stores}\n\n{parts}")
}

fn figures(manifest: &Manifest) -> Vec<(&'static str, String)> {
    let mut shown = vec![
        ("entries", manifest.entries().to_string()),
        ("bytes", manifest.bytes().to_string()),
        ("file_bytes", manifest.file_bytes().to_string()),
    ];
    for store in &manifest.stores {
        shown.push(("digest", store.digest.clone()));
    }
    shown
}

pub(super) fn restored_object(restored: &Restored) -> Value {
    json!({
        "backup": restored.manifest.name,
        "begun_at": restored.manifest.begun_at,
        "entries": restored.report.moved.entries,
        "bytes": restored.report.moved.bytes,
        "found": restored.report.found,
        "digest": restored.report.digest,
        "incarnation": restored.incarnation,
    })
}

pub(super) fn restored(restored: &Restored) -> String {
    let moved = restored.report.moved;
    fields([
        ("backup", plain(&restored.manifest.name)),
        ("begun_at", time(restored.manifest.begun_at)),
        ("entries", moved.entries.to_string()),
        ("bytes", moved.bytes.to_string()),
        ("found", restored.report.found.to_string()),
        ("digest", restored.report.digest.clone()),
    ])
}

pub(super) fn listed_object(listed: &Listed) -> Value {
    match &listed.found {
        Ok(manifest) => json!({ "name": listed.name, "manifest": manifest }),
        Err(error) => json!({
            "name": listed.name,
            "error": { "code": error.code(), "message": error.to_string() },
        }),
    }
}

pub(super) fn listed(listed: &[Listed]) -> String {
    let shown = listed.iter().map(|listed| {
        let (at, entries, bytes, state) = match &listed.found {
            Ok(manifest) => (
                time(manifest.begun_at),
                manifest.entries().to_string(),
                manifest.bytes().to_string(),
                "whole".to_owned(),
            ),
            Err(error) => {
                let none = || "-".to_owned();
                (none(), none(), none(), plain(&error.to_string()))
            }
        };
        [plain(&listed.name), at, entries, bytes, state]
    });
    rows(["NAME", "BEGUN AT", "ENTRIES", "BYTES", "STATE"], shown)
}

pub(super) fn status(status: &BackupStatus) -> String {
    let mut shown = Vec::new();
    match &status.last {
        None => shown.push(("last", "none".to_owned())),
        Some(last) => shown.extend([
            ("last", plain(&last.name)),
            ("begun_at", moment(last.begun_at)),
            ("took_ms", last.took_ms.to_string()),
            ("entries", last.entries.to_string()),
            ("bytes", last.bytes.to_string()),
            ("file_bytes", last.file_bytes.to_string()),
            ("verified", yes(last.verified)),
        ]),
    }
    if let Some(failed) = &status.failed {
        shown.push(("failed_at", moment(failed.at)));
        shown.push(("failed", plain(&failed.code)));
    }
    fields(shown)
}

fn yes(answer: bool) -> String {
    if answer { "yes" } else { "no" }.to_owned()
}
