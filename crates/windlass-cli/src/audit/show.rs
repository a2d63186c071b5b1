//! The audit, as people read it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use windlass::audit::VerifiedLines;
use windlass_client::audit::{
    AuditBreak, AuditBreakKind, AuditEvent, AuditHead, AuditOutcome, AuditVerified,
};

use crate::output::Output;
use crate::table::{fields, moment, plain, rows};

/// Events, one a line.
pub(super) fn events(events: &[AuditEvent]) -> String {
    let header = ["SEQ", "AT", "WHO", "ACTION", "OUTCOME", "ON"];
    rows(
        header,
        events.iter().map(|event| {
            [
                event.seq.to_string(),
                moment(event.at),
                plain(who(event)),
                plain(&event.action),
                plain(outcome(event)),
                plain(&on(event)),
            ]
        }),
    )
}

fn who(event: &AuditEvent) -> &str {
    event.principal.as_deref().unwrap_or("-")
}

fn outcome(event: &AuditEvent) -> &str {
    match (event.outcome, &event.code) {
        (AuditOutcome::Done, _) => "done",
        (_, Some(code)) => code,
        (AuditOutcome::Refused, None) => "refused",
        (AuditOutcome::Failed, None) => "failed",
    }
}

fn on(event: &AuditEvent) -> String {
    let on = event.on.iter().map(|(role, what)| format!("{role}={what}"));
    let figures = event.figures.iter();
    let figures = figures.map(|(name, figure)| format!("{name}={figure}"));
    on.chain(figures).collect::<Vec<_>>().join(" ")
}

/// Where a chain stands.
pub(super) fn head(head: &AuditHead) -> String {
    fields([
        ("chain", head.chain.clone()),
        ("first", head.first.to_string()),
        ("anchor", head.anchor.clone()),
        ("last", head.last.to_string()),
        ("hash", head.hash.clone()),
        ("noted", format!("{}:{}", head.last, head.hash)),
    ])
}

/// What was found.
pub(super) fn verified(verified: &AuditVerified) -> String {
    let broken = verified.broken.as_ref();
    fields([
        ("chain", verified.chain.clone()),
        ("from", verified.from.to_string()),
        ("through", verified.through.to_string()),
        ("events", verified.events.to_string()),
        ("trimmed", verified.trimmed.to_string()),
        ("lost", verified.lost.to_string()),
        ("hash", verified.hash.clone()),
        ("break", broken.map_or_else(|| "-".to_owned(), self::broken)),
    ])
}

/// What was found of a file's lines.
pub(super) fn verified_lines(verified: &VerifiedLines) -> String {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    fields([
        (
            "chain",
            or_none(verified.chain.as_ref().map(ToString::to_string)),
        ),
        ("from", verified.from.to_string()),
        ("through", verified.through.to_string()),
        ("events", verified.events.to_string()),
        (
            "granted",
            or_none(verified.granted.map(|seq| seq.to_string())),
        ),
        ("lost", verified.lost.to_string()),
        ("hash", or_none(verified.hash.map(|hash| hash.to_string()))),
        (
            "break",
            or_none(verified.broken.map(|broken| broken.to_string())),
        ),
    ])
}

/// Shows how many events have been verified.
pub(super) fn events_bar(output: &Output) -> ProgressBar {
    bar(output, "{pos}/{len} events {wide_bar} {eta} left")
}

/// Shows how much of a file has been read.
pub(super) fn bytes_bar(output: &Output) -> ProgressBar {
    bar(output, "{bytes}/{total_bytes} {wide_bar} {eta} left")
}

fn bar(output: &Output, template: &str) -> ProgressBar {
    let target = if output.json() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    ProgressBar::with_draw_target(Some(0), target).with_style(style)
}

/// A break, in words.
pub(super) fn broken(broken: &AuditBreak) -> String {
    let seq = broken.seq;
    match broken.kind {
        AuditBreakKind::Missing => format!("event {seq} is missing"),
        AuditBreakKind::Changed => format!("event {seq} was changed"),
        AuditBreakKind::Misplaced => format!("in the place of event {seq} stands another"),
        AuditBreakKind::Damaged => format!("the row of event {seq} is damaged"),
        AuditBreakKind::CutOff => format!("it is cut off before event {seq}"),
        AuditBreakKind::Surplus => format!("event {seq} is behind its end"),
        AuditBreakKind::Head => "its head is not what was written".to_owned(),
        AuditBreakKind::Rewritten => format!("event {seq} has another hash than was noted"),
    }
}
