//! `windlass check`: whether what is stored fits together.

use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use windlass::check::{Check, CheckReport, Mode, Progress, Repair, Severity};
use windlass::core::{Coded, ErrorKind, Millis};
use windlass::transfer::MOVE_TIME_MAX;
use windlass::{Options, Windlass};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::arguments::id;
use crate::table::{fields, moment, plain, rows};

/// Checks that what is stored fits together, and says what does not.
///
/// Records are held against the rows of every index, heads against what they
/// count, digests against contents, budgets against calls, the audit against
/// its hashes, and the store against what it promises. With a tenant named, its
/// entries alone are checked; one that is being erased is left out, and named.
/// Others may go on working with the store. Exits with 1 if something is found.
/// What was found is also shown where the check could not come to its end.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Put right what follows from the rest: rows of indexes, and counts of
    /// those; nothing else is changed
    #[arg(long)]
    repair: bool,
    /// Only say what a repair would put right
    #[arg(long, requires = "repair")]
    dry_run: bool,
    /// Take the machine's clock for right, also if the store has seen a later
    /// time; from then on it is measured by this
    #[arg(long)]
    accept_clock: bool,
    /// Entries to read in a second at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rows_per_second: Option<u64>,
    /// Findings to show; others are counted
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
}

/// Something was found that is still there.
#[derive(Debug, thiserror::Error)]
#[error("the check found something; each finding says what to do")]
struct Found;

impl Coded for Found {
    fn code(&self) -> &'static str {
        "check_failed"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Corrupt
    }
}

/// Checks, and fails if something is found.
pub(crate) async fn run(
    args: &CheckArgs,
    tenant: Option<&str>,
    context: &Context,
) -> Result<(), Failure> {
    context.needs_store("`check`")?;
    let asked = Check {
        tenant: tenant.map(id).transpose()?,
        mode: if args.repair && !args.dry_run {
            Mode::Repair
        } else {
            Mode::Look
        },
        rows_per_second: args.rows_per_second,
        findings_max: usize::try_from(args.limit).unwrap_or(usize::MAX),
    };
    let options = Options {
        export_time_max: Some(MOVE_TIME_MAX),
        any_clock: args.accept_clock,
        ..context.options()
    };
    let bar = bar(context.output());
    let report = context
        .with_options(options, async |windlass| {
            if args.accept_clock {
                accept(windlass, context.output()).await?;
            }
            let mut observe = |progress| show(&bar, progress);
            Ok(windlass.check(&asked, &mut observe).await)
        })
        .await;
    bar.finish_and_clear();
    let report = report?;
    let output = context.output();
    output.answer(&report, || shown(&report))?;
    match report.failure {
        Some(failure) => Err(failure.into()),
        None if report.is_clean() => Ok(()),
        None => Err(Failure::Check(Box::new(Found))),
    }
}

/// Takes the clock for right, and says what the store had seen.
async fn accept(windlass: &Windlass, output: &Output) -> Result<(), Failure> {
    let seen = windlass.maintenance().accept_clock().await?;
    let seen = seen.map(Millis::get);
    let text = seen.map_or_else(|| "none".to_owned(), moment);
    let text = format!("the clock is accepted; the latest time that the store had seen: {text}");
    output.note(&json!({ "clock_accepted": true, "seen": seen }), &text);
    Ok(())
}

fn bar(output: &Output) -> ProgressBar {
    let target = if output.json() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let template = "{spinner} {msg}, {per_sec}";
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    ProgressBar::with_draw_target(None, target).with_style(style)
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_position(progress.rows);
    bar.set_message(format!(
        "pass {}: {} entries, {}, {} findings",
        progress.pass,
        progress.rows,
        HumanBytes(progress.bytes),
        progress.findings,
    ));
}

fn count(report: &CheckReport) -> u64 {
    let kept = u64::try_from(report.findings.len()).unwrap_or(u64::MAX);
    report.more.saturating_add(kept)
}

fn shown(report: &CheckReport) -> String {
    let mut summary = vec![
        ("entries", report.rows.to_string()),
        ("bytes", report.bytes.to_string()),
        ("passes", report.passes.to_string()),
        ("took_ms", report.took_ms.to_string()),
        ("findings", count(report).to_string()),
        ("repaired", report.repaired.to_string()),
    ];
    let erased = report.being_erased.iter();
    summary.extend(erased.map(|tenant| ("being_erased", tenant.to_string())));
    let summary = fields(summary);
    if report.findings.is_empty() {
        return summary;
    }
    let found = report.findings.iter().map(|finding| {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let repair = match finding.repair {
            Repair::Possible => "possible",
            Repair::Done => "done",
            Repair::Raced => "again",
            _ => "-",
        };
        [
            severity.to_owned(),
            finding.code.to_owned(),
            repair.to_owned(),
            plain(&finding.key),
        ]
    });
    let table = rows(["SEVERITY", "CODE", "REPAIR", "KEY"], found);
    let mut advice: Vec<(&str, &str, &str)> = report
        .findings
        .iter()
        .map(|finding| (finding.code, finding.what, finding.advice))
        .collect();
    advice.sort_unstable();
    advice.dedup();
    let advice: Vec<String> = advice
        .into_iter()
        .map(|(code, what, advice)| format!("{code}: {what}; {advice}"))
        .collect();
    format!("{summary}\n\n{table}\n\n{}", advice.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_nothing_is_its_figures() {
        let text = shown(&CheckReport::default());
        assert!(text.ends_with("repaired  0"), "{text}");
        assert_eq!(json!(CheckReport::default())["findings"], json!([]));
    }
}
