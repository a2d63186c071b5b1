//! `windlass gc`: collecting contents that no state needs any more.

use clap::Args;
use serde_json::json;
use windlass_client::state::{Collect, GarbageReport, Reason};

use crate::context::Context;
use crate::failure::Failure;
use crate::table::{fields, plain};

/// Takes back the space of contents that no state needs any more.
///
/// Nothing that can still be read is deleted, so this asks no question.
/// Without a tenant it looks where something became garbage at least the grace
/// period ago, of all tenants; `maintain`, which a server does by itself, does
/// the same in small steps.
#[derive(Args, Debug)]
pub(crate) struct GcArgs {
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// For how long what nothing needs is safe, in milliseconds; also look
    /// where nothing is due yet [default: an hour]
    #[arg(long, value_name = "MS")]
    grace_ms: Option<u64>,
    /// Rows of each lineage to look at or write, at most about
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// Collects, and says how much it was: everything of one tenant if it is
/// named, or else what is due.
pub(crate) async fn run(
    args: &GcArgs,
    tenant: Option<&str>,
    context: &Context,
) -> Result<(), Failure> {
    let request = Collect {
        tenant: tenant.map(str::to_owned),
        dry_run: args.dry_run,
        grace_ms: args.grace_ms,
        limit: args.limit,
    };
    let report = context
        .with_keeper(async |keeper| keeper.collect(&request).await)
        .await?;
    let output = context.output();
    output.answer(&report, || shown(&report, args.dry_run))?;
    for reason in &report.collected.reasons {
        if let Reason::Unreadable { what, why } = reason {
            let text = format!("{what} cannot be read, so its lineage was left alone: {why}");
            output.note(
                &json!({ "unreadable": { "what": what, "why": why } }),
                &text,
            );
        }
    }
    Ok(())
}

fn shown(report: &GarbageReport, is_rehearsal: bool) -> String {
    let done = &report.collected;
    let deleted = if is_rehearsal {
        "would_delete"
    } else {
        "deleted"
    };
    let mut shown = vec![
        ("lineages", report.lineages.to_string()),
        ("scanned", done.scanned.to_string()),
        ("kept", done.kept.to_string()),
        (deleted, done.deleted.to_string()),
        ("bytes", done.bytes.to_string()),
        (
            "truncated",
            if done.truncated { "yes" } else { "no" }.to_owned(),
        ),
    ];
    let reasons = done.reasons.iter().map(|reason| ("because", why(reason)));
    shown.extend(reasons);
    fields(shown)
}

fn why(reason: &Reason) -> String {
    match reason {
        Reason::Unreadable { what, .. } => format!("{} cannot be read", plain(what)),
        Reason::AnotherRun => "another collection was under way".to_owned(),
        Reason::TooMuch => "there is more than one run takes; run it again".to_owned(),
        Reason::Limit => "the limit was reached; run it again".to_owned(),
    }
}
