//! Figures of this process over time: a sample each interval, kept in a ring
//! while the process runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use windlass::access::TenantQuery;
use windlass::core::{PrincipalId, TenantId};
use windlass::queue;
use windlass::session::Tally;
use windlass_client::console as wire;

use super::judge;
use super::ring::{Ring, Sample};
use super::service::memory_bytes;
use crate::app::App;
use crate::config::Config;
use crate::metrics::TimeCounts;

/// The series, and what their values are.
pub(crate) const SERIES: [(&str, &str); 24] = [
    ("uses_per_s", "1/s"),
    ("refusals_per_s", "1/s"),
    ("requests_per_s", "1/s"),
    ("request_p50_ms", "ms"),
    ("request_p99_ms", "ms"),
    ("rows_per_s", "1/s"),
    ("sessions_active", "sessions"),
    ("sessions_stored", "sessions"),
    ("work_ready", "work"),
    ("work_claimed", "work"),
    ("work_dead", "work"),
    ("work_oldest_ms", "ms"),
    ("records_unreadable", "records"),
    ("connections", "connections"),
    ("streams_open", "streams"),
    ("stream_reads", "reads"),
    ("cache_hits_per_s", "1/s"),
    ("cache_misses_per_s", "1/s"),
    ("cache_hit_ratio", "share"),
    ("cache_first_bytes", "bytes"),
    ("cache_second_bytes", "bytes"),
    ("store_wal_bytes", "bytes"),
    ("upkeep_overdue", "entries"),
    ("process_bytes", "bytes"),
];

/// Tenants whose sessions and work are counted for a sample.
const TENANTS_MAX: usize = 100;
/// Agents, active sessions and those above them that are counted for a sample.
const ROWS_MAX: usize = 10_000;
/// Sessions whose queues are looked at for a sample.
const QUEUES_MAX: usize = 1_000;
/// How much longer than counting takes it is not done again.
const REST_TIMES: u32 = 19;

/// The samples of a process, and who waits for the next.
#[derive(Debug)]
pub(crate) struct History {
    ring: Mutex<Ring>,
    latest: watch::Sender<Option<Arc<Sample>>>,
}

/// What rates are made of.
#[derive(Clone, Debug, Default)]
struct Totals {
    uses: u64,
    refused: u64,
    requests: u64,
    rows: u64,
    hits: u64,
    misses: u64,
    times: TimeCounts,
}

/// What is as it is.
#[derive(Clone, Debug, Default)]
struct Gauges {
    stored: Stored,
    connections: u64,
    streams: u64,
    reads: u64,
    cache_bytes: Option<(u64, u64)>,
    wal_bytes: Option<u64>,
    overdue: u64,
    memory_bytes: Option<u64>,
}

/// What was counted of what is stored; `None` of what could not be counted to
/// its end. Records that cannot be read are left out.
#[derive(Clone, Debug, Default)]
struct Stored {
    sessions: Option<Sessions>,
    work: Option<wire::WorkCounts>,
}

/// Sessions of all tenants, while they are counted.
#[derive(Clone, Debug, Default)]
struct Sessions {
    active: u64,
    stored: u64,
    unreadable: u64,
    /// Rows looked at.
    rows: usize,
}

/// What was counted last, and when it is to be counted again.
#[derive(Debug, Default)]
struct Counted {
    stored: Stored,
    again: Option<Instant>,
}

impl History {
    pub(crate) fn new(config: &Config) -> Self {
        let samples = config.history_ms / config.history_interval_ms.max(1);
        let samples = usize::try_from(samples).unwrap_or(usize::MAX);
        Self {
            ring: Mutex::new(Ring::new(samples, SERIES.len(), config.history_interval_ms)),
            latest: watch::Sender::new(None),
        }
    }

    /// Tells of each sample as it is taken.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<Sample>>> {
        self.latest.subscribe()
    }

    fn push(&self, sample: Sample) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.push(&sample);
        drop(ring);
        self.latest.send_replace(Some(Arc::new(sample)));
    }

    /// The values of these series after `since`.
    pub(crate) fn after(
        &self,
        since: Option<u64>,
        wanted: &[usize],
    ) -> (Vec<u64>, Vec<Vec<Option<f64>>>) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.after(since, wanted)
    }
}

/// Takes samples until the server stops; none, if none are kept.
pub(crate) async fn sample(app: Arc<App>) {
    if app.config.history_ms == 0 {
        return;
    }
    let interval = Duration::from_millis(app.config.history_interval_ms);
    let mut next = Instant::now() + interval;
    let (mut before, mut began) = (totals(&app), app.env.monotonic());
    let mut counted = Counted::default();
    loop {
        sleep_until(next).await;
        // A sample that took long, or a machine that slept, is not made up for.
        next = (next + interval).max(Instant::now());
        let (gauges, now) = (gauges(&app, &mut counted).await, totals(&app));
        let ended = app.env.monotonic();
        let passed = ended.saturating_sub(began);
        let at = app.env.now().get();
        let values = values(&before, &now, passed, &gauges);
        app.console.history.push(Sample { at, values });
        (before, began) = (now, ended);
    }
}

fn totals(app: &App) -> Totals {
    let counted = app.engine.activity().counted();
    let cache = app.engine.cache().map(|cache| cache.stats());
    let (hits, misses) = cache.map_or((0, 0), |stats| {
        (stats.first.hits + stats.second.hits, stats.second.misses)
    });
    Totals {
        uses: counted.uses,
        refused: counted.refused,
        requests: app.metrics.requests(),
        rows: app.metrics.rows(),
        hits,
        misses,
        times: app.metrics.times().read(),
    }
}

async fn gauges(app: &App, counted: &mut Counted) -> Gauges {
    if counted.is_due(Instant::now()) {
        let began = Instant::now();
        let stored = count(app).await;
        counted.took(stored, began, Instant::now());
    }
    let cache = app.engine.cache().map(|cache| cache.stats());
    let upkeep = app.engine.maintenance().counts();
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Gauges {
        stored: counted.stored.clone(),
        connections: number(app.places.taken()),
        streams: app.streams.taken(),
        reads: number(app.engine.streams().occupancy().all),
        cache_bytes: cache.map(|stats| (stats.first.bytes, stats.second.bytes)),
        wal_bytes: app.engine.health().and_then(|health| health.wal_bytes),
        overdue: upkeep.tasks.iter().map(|task| task.overdue).sum(),
        memory_bytes: memory_bytes(),
    }
}

impl Counted {
    fn is_due(&self, now: Instant) -> bool {
        self.again.is_none_or(|again| now >= again)
    }

    /// Keeps what was counted for as long as that is to rest.
    fn took(&mut self, stored: Stored, began: Instant, ended: Instant) {
        let rest = ended.duration_since(began).saturating_mul(REST_TIMES);
        self.stored = stored;
        self.again = ended.checked_add(rest);
    }
}

/// Sessions and work of all tenants.
async fn count(app: &App) -> Stored {
    let query = TenantQuery {
        limit: TENANTS_MAX,
        after: None,
    };
    let page = app.engine.tenants().list(&query).await.ok();
    let Some(page) = page.filter(|page| page.next.is_none()) else {
        return Stored::default();
    };
    let tenants: Vec<TenantId> = page.tenants.into_iter().map(|it| it.tenant).collect();
    Stored {
        sessions: count_sessions(app, &tenants).await,
        work: count_work(app, &tenants).await,
    }
}

async fn count_sessions(app: &App, tenants: &[TenantId]) -> Option<Sessions> {
    let mut all = Sessions::default();
    for tenant in tenants {
        let left = all.left()?;
        let tally = app.engine.sessions().tally(tenant, left).await.ok()?;
        all.add(&tally)?;
    }
    Some(all)
}

impl Sessions {
    /// Rows that may still be looked at; `None` if there are none.
    fn left(&self) -> Option<usize> {
        Some(ROWS_MAX.saturating_sub(self.rows)).filter(|left| *left > 0)
    }

    /// Adds those of a tenant; `None` if they were not counted to their end.
    fn add(&mut self, tally: &Tally) -> Option<()> {
        self.rows += tally.rows;
        self.active += tally.active;
        self.stored += tally.stored;
        self.unreadable += tally.unreadable;
        (!tally.more).then_some(())
    }
}

async fn count_work(app: &App, tenants: &[TenantId]) -> Option<wire::WorkCounts> {
    let looker: PrincipalId = "console".parse().ok()?;
    let mut all = wire::WorkCounts::default();
    let mut left = QUEUES_MAX;
    for tenant in tenants {
        if left == 0 {
            return None;
        }
        let caller = queue::Caller::new(tenant.clone(), looker.clone());
        let page = app.engine.queue().overview(&caller, None, left).await;
        let page = page.ok().filter(|page| page.next.is_none())?;
        left -= page.sessions.len() + page.unreadable.len();
        all.unreadable += u64::try_from(page.unreadable.len()).unwrap_or(u64::MAX);
        let now = app.env.now();
        for (_, counts) in &page.sessions {
            judge::add(&mut all, counts, now);
        }
    }
    Some(all)
}

/// What came between two looks, and what is now, in the order of the series.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures are floats, and show what they can"
)]
fn values(before: &Totals, now: &Totals, passed: Duration, gauges: &Gauges) -> Vec<Option<f64>> {
    let seconds = passed.as_secs_f64();
    let came = |of: fn(&Totals) -> u64| of(now).saturating_sub(of(before)) as f64;
    let rate = |much: f64| (seconds > 0.0).then(|| much / seconds);
    let is = |value: u64| Some(value as f64);
    let maybe = |value: Option<u64>| value.map(|value| value as f64);
    let times = now.times.since(&before.times);
    let time = |percent| Some(times.percentile_us(percent)? as f64 / 1_000.0);
    let (hits, misses) = (came(|it| it.hits), came(|it| it.misses));
    let has_cache = gauges.cache_bytes.is_some();
    let of_cache = |value: Option<f64>| value.filter(|_| has_cache);
    let stored = &gauges.stored;
    let sessions = |of: fn(&Sessions) -> u64| stored.sessions.as_ref().map(of);
    let work = |of: fn(&wire::WorkCounts) -> u64| stored.work.as_ref().map(of);
    vec![
        rate(came(|it| it.uses)),
        rate(came(|it| it.refused)),
        rate(came(|it| it.requests)),
        time(50),
        time(99),
        rate(came(|it| it.rows)),
        maybe(sessions(|it| it.active)),
        maybe(sessions(|it| it.stored)),
        maybe(work(|it| it.ready)),
        maybe(work(|it| it.claimed)),
        maybe(work(|it| it.dead)),
        maybe(work(|it| it.oldest_ms.unwrap_or(0))),
        maybe(unreadable(stored)),
        is(gauges.connections),
        is(gauges.streams),
        is(gauges.reads),
        of_cache(rate(hits)),
        of_cache(rate(misses)),
        (hits + misses > 0.0).then(|| hits / (hits + misses)),
        maybe(gauges.cache_bytes.map(|(first, _)| first)),
        maybe(gauges.cache_bytes.map(|(_, second)| second)),
        maybe(gauges.wal_bytes),
        is(gauges.overdue),
        maybe(gauges.memory_bytes),
    ]
}

/// Records that were left out of what was counted.
fn unreadable(stored: &Stored) -> Option<u64> {
    let sessions = stored.sessions.as_ref().map(|it| it.unreadable);
    let work = stored.work.as_ref().map(|it| it.unreadable);
    match (sessions, work) {
        (None, None) => None,
        (sessions, work) => Some(sessions.unwrap_or(0) + work.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Times;

    fn sessions(active: u64, stored: u64, unreadable: u64) -> Stored {
        let counted = Sessions {
            active,
            stored,
            unreadable,
            rows: 0,
        };
        Stored {
            sessions: Some(counted),
            work: None,
        }
    }

    #[test]
    fn counting_stops_at_its_rows_also_where_nothing_is_active() {
        let mut all = Sessions::default();
        let idle = Tally {
            stored: 1,
            rows: ROWS_MAX / 2,
            ..Tally::default()
        };
        assert_eq!(all.left(), Some(ROWS_MAX));
        assert_eq!(all.add(&idle), Some(()));
        assert_eq!(all.left(), Some(ROWS_MAX - ROWS_MAX / 2));
        assert_eq!(all.add(&idle), Some(()));
        assert_eq!((all.left(), all.stored), (None, 2));
        let cut = Tally {
            more: true,
            ..Tally::default()
        };
        assert_eq!(all.add(&cut), None);
    }

    #[test]
    fn counting_takes_no_more_than_a_twentieth_of_the_time() {
        let mut counted = Counted::default();
        let began = Instant::now();
        assert!(counted.is_due(began));
        let ended = began + Duration::from_secs(2);
        counted.took(sessions(3, 4, 0), began, ended);
        assert!(!counted.is_due(ended + Duration::from_secs(37)));
        assert!(counted.is_due(ended + Duration::from_secs(38)));
        let known = counted.stored.sessions.expect("what was counted");
        assert_eq!((known.active, known.stored), (3, 4));
    }

    fn value(values: &[Option<f64>], name: &str) -> Option<f64> {
        let place = SERIES.iter().position(|(known, _)| *known == name);
        values[place.unwrap_or_else(|| panic!("no series {name}"))]
    }

    #[test]
    fn rates_are_of_what_came_and_gauges_of_what_is() {
        let times = Times::default();
        times.note(Duration::from_secs(5));
        let before = Totals {
            uses: 100,
            times: times.read(),
            ..Totals::default()
        };
        for _ in 0..20 {
            times.note(Duration::from_millis(2));
        }
        let now = Totals {
            uses: 150,
            refused: 5,
            requests: 30,
            hits: 3,
            misses: 1,
            times: times.read(),
            ..before.clone()
        };
        let gauges = Gauges {
            stored: sessions(7, 9, 1),
            cache_bytes: Some((1, 2)),
            ..Gauges::default()
        };
        let found = values(&before, &now, Duration::from_secs(10), &gauges);
        assert_eq!(found.len(), SERIES.len());
        for (name, wanted) in [
            ("uses_per_s", Some(5.0)),
            ("refusals_per_s", Some(0.5)),
            ("requests_per_s", Some(3.0)),
            ("sessions_active", Some(7.0)),
            ("sessions_stored", Some(9.0)),
            ("records_unreadable", Some(1.0)),
            ("cache_hit_ratio", Some(0.75)),
            ("cache_second_bytes", Some(2.0)),
            // Not known, and not nothing.
            ("work_ready", None),
            ("store_wal_bytes", None),
        ] {
            assert_eq!(value(&found, name), wanted, "{name}");
        }
        let slow = value(&found, "request_p99_ms").expect("there were some");
        assert!((2.0..2.3).contains(&slow), "{slow}");
    }

    #[test]
    fn without_anything_to_measure_there_is_no_value() {
        let none = Totals::default();
        let found = values(&none, &none, Duration::from_secs(1), &Gauges::default());
        for name in ["request_p50_ms", "cache_hits_per_s", "cache_hit_ratio"] {
            assert_eq!(value(&found, name), None, "{name}");
        }
        assert_eq!(value(&found, "uses_per_s"), Some(0.0));
        let at_once = values(&none, &none, Duration::ZERO, &Gauges::default());
        assert_eq!(value(&at_once, "uses_per_s"), None);
    }

    #[test]
    fn a_ring_has_as_many_samples_as_its_time_has_intervals() {
        let config = Config::default();
        let history = History::new(&config);
        for number in 1..=10_000 {
            let at = number * config.history_interval_ms;
            history.push(Sample {
                at,
                values: vec![Some(1.0)],
            });
        }
        let (at, values) = history.after(None, &[0]);
        assert_eq!((at.len(), values[0].len()), (8_640, 8_640));
        assert_eq!(at[0], 1_361 * config.history_interval_ms);
    }
}
