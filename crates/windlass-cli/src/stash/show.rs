//! Entries as text for people, and as JSON.

use serde::Serialize;
use serde_json::json;
use windlass::core::GroupId;
use windlass::stash::durable::ReapReport;
use windlass::stash::{Key, Metadata, Removed, Usage};

use crate::failure::Failure;
use crate::output::Output;
use crate::table::{self, fields, plain, time};

pub(super) use crate::session::show::due;

/// An entry without its value, as JSON.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    pub(super) key: &'a Key,
    #[serde(flatten)]
    pub(super) metadata: &'a Metadata,
}

/// What is known of one entry.
pub(super) fn entry(key: &Key, metadata: &Metadata, output: &Output) -> Result<(), Failure> {
    output.answer(&Row { key, metadata }, || {
        fields([
            ("key", key.to_string()),
            ("group", group(metadata)),
            ("size", metadata.size.to_string()),
            ("created", time(metadata.created)),
            ("updated", time(metadata.updated)),
            ("expires", time(metadata.expires)),
            ("version", metadata.version.to_string()),
        ])
    })
}

/// Many entries, one a row.
pub(super) fn rows(entries: &[(Key, Metadata)]) -> String {
    let shown = entries.iter().map(|(key, metadata)| {
        [
            key.to_string(),
            group(metadata),
            metadata.size.to_string(),
            time(metadata.updated),
            time(metadata.expires),
            metadata.version.to_string(),
        ]
    });
    let header = ["KEY", "GROUP", "SIZE", "UPDATED", "EXPIRES", "VERSION"];
    table::rows(header, shown)
}

fn group(metadata: &Metadata) -> String {
    let group = metadata.group.as_ref().map(GroupId::as_str);
    group.unwrap_or("-").to_owned()
}

/// How much a stash holds.
pub(super) fn usage(usage: &Usage) -> String {
    fields([
        ("live_keys", usage.live.keys.to_string()),
        ("live_value_bytes", usage.live.value_bytes.to_string()),
        ("live_charged_bytes", usage.live.charged_bytes.to_string()),
        ("expired_keys", usage.expired.keys.to_string()),
        ("expired_value_bytes", usage.expired.value_bytes.to_string()),
        (
            "expired_charged_bytes",
            usage.expired.charged_bytes.to_string(),
        ),
    ])
}

/// What a removal did.
pub(super) fn removed(removed: &Removed, output: &Output) -> Result<(), Failure> {
    let Removed {
        removed,
        bytes,
        truncated,
    } = *removed;
    let object = json!({ "removed": removed, "bytes": bytes, "truncated": truncated });
    output.answer(&object, || {
        fields([
            ("removed", removed.to_string()),
            ("bytes", bytes.to_string()),
            ("truncated", yes_or_no(truncated)),
        ])
    })
}

/// What a round of upkeep did.
pub(super) fn report(report: &ReapReport) -> String {
    let unreadable = report
        .unreadable
        .iter()
        .map(|damaged| format!("{}/{}: {}", damaged.tenant, damaged.session, damaged.why));
    let unreadable: Vec<String> = unreadable.map(|damaged| plain(&damaged)).collect();
    let mut shown = vec![
        ("scanned", report.scanned.to_string()),
        ("removed", report.removed.to_string()),
        ("bytes", report.bytes.to_string()),
        ("pieces_removed", report.pieces_removed.to_string()),
        ("truncated", yes_or_no(report.truncated)),
    ];
    shown.extend(
        unreadable
            .into_iter()
            .map(|damaged| ("unreadable", damaged)),
    );
    fields(shown)
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}
