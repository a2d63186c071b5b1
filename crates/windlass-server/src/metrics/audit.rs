//! What `/metrics` says of the audit. The only label is why events were lost.

use metrics::{Counter, Gauge, Key, KeyName, Label, Recorder, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;
use windlass::audit::AuditFigures;

use super::ABOUT;

const WRITTEN: &str = "windlass_audit_written_total";
const LOST: &str = "windlass_audit_lost_total";
const WAITING: &str = "windlass_audit_waiting_events";

/// Why events are lost, as an `audit.lost` says it.
const REASONS: [&str; 3] = ["full", "failed", "closed"];

/// What is shown of the audit.
pub(super) struct Audit {
    written: Counter,
    lost: [Counter; REASONS.len()],
    waiting: Gauge,
}

impl Audit {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        let lost = |reason| {
            let label = Label::from_static_parts("reason", reason);
            recorder.register_counter(&Key::from_parts(LOST, vec![label]), &ABOUT)
        };
        Self {
            written: recorder.register_counter(&Key::from_name(WRITTEN), &ABOUT),
            lost: REASONS.map(lost),
            waiting: recorder.register_gauge(&Key::from_name(WAITING), &ABOUT),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float, and shows what it can"
    )]
    pub(super) fn set(&self, figures: &AuditFigures) {
        self.written.absolute(figures.written);
        let lost = [figures.lost_full, figures.lost_failed, figures.lost_closed];
        for (counter, events) in self.lost.iter().zip(lost) {
            counter.absolute(events);
        }
        self.waiting.set(figures.waiting as f64);
    }
}

pub(super) fn describe(recorder: &PrometheusRecorder) {
    let name = KeyName::from_const_str;
    let counters = [
        (WRITTEN, "Events of the audit that this process wrote"),
        (
            LOST,
            "Events of the audit that this process could not write, by reason",
        ),
    ];
    for (key, about) in counters {
        recorder.describe_counter(name(key), Some(Unit::Count), about.into());
    }
    let about = "Events of the audit that wait to be written";
    recorder.describe_gauge(name(WAITING), Some(Unit::Count), about.into());
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn each_figure_is_shown_under_its_own_name() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let mut figures = AuditFigures::default();
        (figures.told, figures.written, figures.waiting) = (100, 7, 5);
        (figures.lost_full, figures.lost_failed, figures.lost_closed) = (1, 2, 3);
        Audit::new(&recorder).set(&figures);
        let text = recorder.handle().render();
        let mut shown: Vec<_> = text
            .lines()
            .filter(|it| it.starts_with("windlass"))
            .collect();
        shown.sort_unstable();
        let expected = [
            "windlass_audit_lost_total{reason=\"closed\"} 3",
            "windlass_audit_lost_total{reason=\"failed\"} 2",
            "windlass_audit_lost_total{reason=\"full\"} 1",
            "windlass_audit_waiting_events 5",
            "windlass_audit_written_total 7",
        ];
        assert_eq!(shown, expected);
    }
}
