//! Upkeep, as people read it.

use windlass_client::maintenance::{MaintenanceStatus, RoundReport, TaskReport, TaskStatus};

use crate::table::{fields, moment, plain, rows};

const NOTHING: &str = "-";

/// How upkeep stands.
pub(super) fn status(status: &MaintenanceStatus, with_rounds: bool) -> String {
    let mut parts = vec![head(status), tasks(status)];
    if with_rounds {
        parts.push(rounds(&status.rounds));
    }
    parts.join("\n\n")
}

fn head(status: &MaintenanceStatus) -> String {
    let holder = status.holder.as_ref();
    let who = holder.map_or_else(
        || "nobody".to_owned(),
        |holder| {
            let ended = if holder.alive {
                ""
            } else {
                ", which has ended"
            };
            format!("{} (process {}){ended}", plain(&holder.id), holder.pid)
        },
    );
    let next = holder.filter(|holder| holder.alive);
    let mut shown = vec![
        ("holder", who),
        (
            "next round",
            next.map_or_else(|| NOTHING.to_owned(), |holder| moment(holder.next_round)),
        ),
        (
            "last round",
            status.rounds.first().map_or_else(
                || NOTHING.to_owned(),
                |round| {
                    let (at, changed) = (moment(round.at), round.changed);
                    format!("{at}, {changed} changed in {} ms", round.elapsed_ms)
                },
            ),
        ),
        ("clock seen", time(status.mark)),
    ];
    if let Some(refused) = &status.clock_refused {
        shown.push(("clock refused", plain(refused)));
    }
    for (record, why) in &status.unreadable {
        shown.push(("unreadable", plain(&format!("{record}: {why}"))));
    }
    fields(shown)
}

fn tasks(status: &MaintenanceStatus) -> String {
    let header = [
        "TASK", "LAST", "SCANNED", "CHANGED", "BYTES", "LEFT", "OVERDUE", "SINCE", "FAILED",
    ];
    rows(
        header,
        status.tasks.iter().map(|task| {
            let last = latest(task);
            let of =
                |figure: fn(&TaskReport) -> String| last.map_or_else(|| NOTHING.to_owned(), figure);
            let more = if status.overdue_more { "+" } else { "" };
            [
                plain(&task.task),
                of(|report| moment(report.at)),
                of(|report| report.scanned.to_string()),
                of(|report| report.changed.to_string()),
                of(bytes),
                of(left),
                format!("{}{more}", task.overdue.entries),
                time(task.overdue.oldest_at),
                failed(task),
            ]
        }),
    )
}

/// The later of what it did in its turn and what it did by hand.
fn latest(task: &TaskStatus) -> Option<&TaskReport> {
    let both = task.last.iter().chain(&task.by_hand);
    both.max_by_key(|report| report.at)
}

fn failed(task: &TaskStatus) -> String {
    let failure = latest(task).and_then(|report| report.failure.as_ref());
    match (failure, task.failures) {
        (None, _) => NOTHING.to_owned(),
        (Some(failure), 0) => plain(&failure.code),
        (Some(failure), times) => format!("{} ({times} times)", plain(&failure.code)),
    }
}

fn rounds(rounds: &[RoundReport]) -> String {
    let header = [
        "ROUND",
        "MS",
        "TASKS",
        "STEPS",
        "LONGEST MS",
        "SCANNED",
        "CHANGED",
        "BYTES",
        "FAILED",
    ];
    rows(
        header,
        rounds.iter().map(|round| {
            let failed: Vec<&str> = round.failed.keys().map(String::as_str).collect();
            [
                moment(round.at),
                round.elapsed_ms.to_string(),
                round.tasks.to_string(),
                round.steps.to_string(),
                round.step_ms_max.to_string(),
                round.scanned.to_string(),
                round.changed.to_string(),
                round.bytes.to_string(),
                match failed.is_empty() {
                    true => NOTHING.to_owned(),
                    false => plain(&failed.join(", ")),
                },
            ]
        }),
    )
}

/// What runs by hand did.
pub(super) fn reports(reports: &[TaskReport]) -> String {
    let header = ["TASK", "SCANNED", "CHANGED", "BYTES", "LEFT", "STEPS", "MS"];
    rows(
        header,
        reports.iter().map(|report| {
            [
                plain(&report.task),
                report.scanned.to_string(),
                report.changed.to_string(),
                bytes(report),
                left(report),
                report.steps.to_string(),
                report.elapsed_ms.to_string(),
            ]
        }),
    )
}

/// How far a run is.
pub(super) fn progress(report: &TaskReport) -> String {
    let (task, scanned, changed) = (plain(&report.task), report.scanned, report.changed);
    format!("{task}: {scanned} scanned, {changed} changed")
}

fn bytes(report: &TaskReport) -> String {
    let bytes = report.bytes;
    bytes.map_or_else(|| NOTHING.to_owned(), |bytes| bytes.to_string())
}

fn left(report: &TaskReport) -> String {
    if report.truncated { "yes" } else { "no" }.to_owned()
}

fn time(at: Option<u64>) -> String {
    at.map_or_else(|| NOTHING.to_owned(), moment)
}
