//! What `/metrics` says of upkeep. The only label is the name of a task.

use metrics::{Counter, Gauge, Key, KeyName, Label, Recorder, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;
use windlass::maintenance::{MaintenanceCounts, Task, TaskCounts};

use super::ABOUT;

/// Counters of a task, and what each counts.
const COUNTED: [(&str, &str); 5] = [
    ("windlass_maintenance_steps_total", "Steps of upkeep taken"),
    (
        "windlass_maintenance_busy_microseconds_total",
        "Microseconds that steps of upkeep took",
    ),
    (
        "windlass_maintenance_scanned_total",
        "Entries that upkeep looked at",
    ),
    (
        "windlass_maintenance_changed_total",
        "Things that upkeep changed or removed",
    ),
    (
        "windlass_maintenance_task_failures_total",
        "Times that a task of upkeep failed",
    ),
];

/// What is shown of a task.
struct OfTask {
    counted: [Counter; COUNTED.len()],
    overdue: Gauge,
    oldest: Gauge,
}

/// What is shown of upkeep.
pub(super) struct Upkeep {
    rounds: Counter,
    failed: Counter,
    holds: Gauge,
    tasks: Vec<OfTask>,
}

impl Upkeep {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        let counter = |name| recorder.register_counter(&Key::from_name(name), &ABOUT);
        let holds = Key::from_name("windlass_maintenance_holder");
        Self {
            rounds: counter("windlass_maintenance_rounds_total"),
            failed: counter("windlass_maintenance_failures_total"),
            holds: recorder.register_gauge(&holds, &ABOUT),
            tasks: Task::all()
                .iter()
                .map(|task| of_task(recorder, task))
                .collect(),
        }
    }

    pub(super) fn set(&self, counts: &MaintenanceCounts, at_ms: u64) {
        self.rounds.absolute(counts.rounds);
        self.failed.absolute(counts.rounds_failed);
        self.holds.set(f64::from(u8::from(counts.holds)));
        for (shown, counts) in self.tasks.iter().zip(&counts.tasks) {
            shown.set(counts, at_ms);
        }
    }
}

impl OfTask {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float, and shows what it can"
    )]
    fn set(&self, counts: &TaskCounts, at_ms: u64) {
        let busy = u64::try_from(counts.busy.as_micros()).unwrap_or(u64::MAX);
        let figures = [
            counts.steps,
            busy,
            counts.scanned,
            counts.changed,
            counts.failures,
        ];
        for (counter, figure) in self.counted.iter().zip(figures) {
            counter.absolute(figure);
        }
        let late_ms = match counts.oldest_at_ms {
            0 => 0,
            oldest => at_ms.saturating_sub(oldest),
        };
        self.overdue.set(counts.overdue as f64);
        self.oldest.set(late_ms as f64 / 1_000.0);
    }
}

fn of_task(recorder: &PrometheusRecorder, task: &Task) -> OfTask {
    let key = |name: &'static str| {
        let label = Label::from_static_parts("task", task.name());
        Key::from_parts(name, vec![label])
    };
    let gauge = |name| recorder.register_gauge(&key(name), &ABOUT);
    OfTask {
        counted: COUNTED.map(|(name, _)| recorder.register_counter(&key(name), &ABOUT)),
        overdue: gauge("windlass_maintenance_overdue_entries"),
        oldest: gauge("windlass_maintenance_overdue_seconds"),
    }
}

pub(super) fn describe(recorder: &PrometheusRecorder) {
    let name = KeyName::from_const_str;
    let rounds = [
        (
            "windlass_maintenance_rounds_total",
            "Rounds of upkeep in which no task failed",
        ),
        (
            "windlass_maintenance_failures_total",
            "Rounds of upkeep in which a task failed",
        ),
    ];
    for (key, about) in rounds.into_iter().chain(COUNTED) {
        recorder.describe_counter(name(key), Some(Unit::Count), about.into());
    }
    let gauges = [
        (
            "windlass_maintenance_holder",
            Unit::Count,
            "Whether this process does upkeep",
        ),
        (
            "windlass_maintenance_overdue_entries",
            Unit::Count,
            "Entries that were due and left at the end of the last round here",
        ),
        (
            "windlass_maintenance_overdue_seconds",
            Unit::Seconds,
            "For how long the first of these has been due",
        ),
    ];
    for (key, unit, about) in gauges {
        recorder.describe_gauge(name(key), Some(unit), about.into());
    }
}
