//! What `/metrics` says, in the text format of Prometheus.
//!
//! Labels are route names and classes of status: as many as there are routes,
//! whatever is asked. No identifier ever becomes a label.

mod audit;
mod times;
mod upkeep;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use windlass::audit::AuditFigures;
use windlass::maintenance::MaintenanceCounts;

use self::audit::Audit;
use self::upkeep::Upkeep;

pub(crate) use self::times::{TimeCounts, Times};

/// Upper bounds of the time a request takes, in seconds.
const BUCKETS_S: [f64; 11] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0,
];

/// Classes of status, the hundreds of which they are.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

pub(super) const ABOUT: Metadata<'static> = Metadata::new("windlass_server", Level::INFO, None);

/// What is counted of one route.
struct OfRoute {
    answered: [Counter; CLASSES.len()],
    seconds: Histogram,
}

/// The counters of a server.
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    routes: HashMap<&'static str, OfRoute>,
    refused: OfRoute,
    connections: Gauge,
    streams: Gauge,
    bodies: Gauge,
    wal: Gauge,
    upkeep: Upkeep,
    audit: Audit,
    webhooks: Counter,
    webhooks_failed: Counter,
    hints_dropped: Counter,
    requests: AtomicU64,
    times: Times,
    rows: AtomicU64,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metrics({} routes)", self.routes.len())
    }
}

impl Metrics {
    pub(crate) fn new(routes: impl Iterator<Item = &'static str>) -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS_S)
            .expect("there are buckets")
            .build_recorder();
        describe(&recorder);
        let gauge = |name| recorder.register_gauge(&Key::from_name(name), &ABOUT);
        let counter = |name| recorder.register_counter(&Key::from_name(name), &ABOUT);
        Self {
            handle: recorder.handle(),
            routes: routes
                .map(|name| (name, of_route(&recorder, name)))
                .collect(),
            refused: of_route(&recorder, "none"),
            connections: gauge("windlass_http_connections"),
            streams: gauge("windlass_http_streams"),
            bodies: gauge("windlass_http_bodies_bytes"),
            wal: gauge("windlass_store_wal_bytes"),
            upkeep: Upkeep::new(&recorder),
            audit: Audit::new(&recorder),
            webhooks: counter("windlass_webhook_deliveries_total"),
            webhooks_failed: counter("windlass_webhook_failures_total"),
            hints_dropped: counter("windlass_subscription_hints_dropped_total"),
            requests: AtomicU64::new(0),
            times: Times::default(),
            rows: AtomicU64::new(0),
        }
    }

    /// Counts an answer; `None` for a request that has no route.
    pub(crate) fn answered(&self, route: Option<&str>, status: u16, took: Duration) {
        let of = route.and_then(|name| self.routes.get(name));
        let of = of.unwrap_or(&self.refused);
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = of.answered.get(class) {
            counter.increment(1);
        }
        of.seconds.record(took.as_secs_f64());
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that were answered.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How long requests took that may not take as long as they like.
    pub(crate) const fn times(&self) -> &Times {
        &self.times
    }

    /// Counts rows that were appended to streams.
    pub(crate) fn appended(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Rows that were appended to streams.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Folds what was recorded, so that it does not pile up unread.
    pub(crate) fn fold(&self) {
        self.handle.run_upkeep();
    }

    pub(crate) fn render(&self, now: &Now) -> String {
        self.connections.set(now.connections);
        self.streams.set(now.streams);
        self.bodies.set(now.bodies_bytes);
        let [arrived, failed, dropped] = now.webhooks;
        self.webhooks.absolute(arrived);
        self.webhooks_failed.absolute(failed);
        self.hints_dropped.absolute(dropped);
        self.upkeep.set(&now.maintenance, now.at_ms);
        self.audit.set(&now.audit);
        if let Some(bytes) = now.wal_bytes {
            self.wal.set(bytes);
        }
        self.handle.render()
    }
}

/// Figures that are read when they are asked for.
pub(crate) struct Now {
    pub(crate) connections: f64,
    pub(crate) streams: f64,
    pub(crate) bodies_bytes: f64,
    pub(crate) wal_bytes: Option<f64>,
    /// Wakes that arrived at webhooks, that did not, and hints for which there
    /// was no room.
    pub(crate) webhooks: [u64; 3],
    /// What upkeep came to in this process.
    pub(crate) maintenance: MaintenanceCounts,
    /// What became of the events of this process that were to be audited.
    pub(crate) audit: AuditFigures,
    /// What time it is, in Unix milliseconds.
    pub(crate) at_ms: u64,
}

fn of_route(recorder: &PrometheusRecorder, route: &'static str) -> OfRoute {
    let key = |name: &'static str, more: Option<(&'static str, &'static str)>| {
        let labels = [("route", route)].into_iter().chain(more);
        let labels = labels.map(|(name, value)| Label::from_static_parts(name, value));
        Key::from_parts(name, labels.collect::<Vec<_>>())
    };
    let answered = CLASSES.map(|class| {
        let key = key("windlass_http_requests_total", Some(("status", class)));
        recorder.register_counter(&key, &ABOUT)
    });
    let seconds = key("windlass_http_request_seconds", None);
    OfRoute {
        answered,
        seconds: recorder.register_histogram(&seconds, &ABOUT),
    }
}

fn describe(recorder: &PrometheusRecorder) {
    upkeep::describe(recorder);
    audit::describe(recorder);
    let name = KeyName::from_const_str;
    let counters = [
        (
            "windlass_http_requests_total",
            "Requests answered, by route and class of status",
        ),
        (
            "windlass_webhook_deliveries_total",
            "Wakes that arrived at their webhook",
        ),
        (
            "windlass_webhook_failures_total",
            "Wakes that did not arrive at their webhook, or may not have",
        ),
        (
            "windlass_subscription_hints_dropped_total",
            "Times that all subscriptions were looked at because there was no room for hints",
        ),
    ];
    for (key, about) in counters {
        recorder.describe_counter(name(key), Some(Unit::Count), about.into());
    }
    let gauges = [
        ("windlass_http_connections", Unit::Count, "Open connections"),
        ("windlass_http_streams", Unit::Count, "Open streams"),
        (
            "windlass_http_bodies_bytes",
            Unit::Bytes,
            "Bytes set aside for bodies being received",
        ),
        (
            "windlass_store_wal_bytes",
            Unit::Bytes,
            "Bytes of write-ahead log on the disk",
        ),
    ];
    for (key, unit, about) in gauges {
        recorder.describe_gauge(name(key), Some(unit), about.into());
    }
    let about = "Seconds from the end of a request's head to its answer";
    let key = name("windlass_http_request_seconds");
    recorder.describe_histogram(key, Some(Unit::Seconds), about.into());
}
