//! Entries as text for people, and as JSON.

use serde::Serialize;
use windlass::stash::Key;
use windlass_client::stash::{KeyInfo, Metadata, Removed, Usage};
use windlass_client::store::ReapReport;

use crate::failure::Failure;
use crate::output::Output;
use crate::table::{self, fields, moment, plain};

pub(super) use crate::session::show::due;

/// An entry without its value, as JSON.
#[derive(Serialize)]
struct Row<'a> {
    key: &'a Key,
    #[serde(flatten)]
    metadata: &'a Metadata,
}

/// What is known of one entry.
pub(super) fn entry(key: &Key, metadata: &Metadata, output: &Output) -> Result<(), Failure> {
    output.answer(&Row { key, metadata }, || {
        fields([
            ("key", key.to_string()),
            ("group", group(metadata)),
            ("size", metadata.size.to_string()),
            ("created", moment(metadata.created)),
            ("updated", moment(metadata.updated)),
            ("expires", moment(metadata.expires)),
            ("version", metadata.version.to_string()),
        ])
    })
}

/// Many entries, one a row.
pub(super) fn rows(entries: &[KeyInfo]) -> String {
    let shown = entries.iter().map(|KeyInfo { key, metadata }| {
        [
            key.to_string(),
            group(metadata),
            metadata.size.to_string(),
            moment(metadata.updated),
            moment(metadata.expires),
            metadata.version.to_string(),
        ]
    });
    let header = ["KEY", "GROUP", "SIZE", "UPDATED", "EXPIRES", "VERSION"];
    table::rows(header, shown)
}

fn group(metadata: &Metadata) -> String {
    metadata.group.clone().unwrap_or_else(|| "-".to_owned())
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
    output.answer(removed, || {
        fields([
            ("removed", removed.removed.to_string()),
            ("bytes", removed.bytes.to_string()),
            ("truncated", yes_or_no(removed.truncated)),
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
        ("operations_removed", report.operations_removed.to_string()),
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
