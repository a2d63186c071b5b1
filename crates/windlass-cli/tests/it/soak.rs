//! The whole engine for a long time: recorded runs are played over and over,
//! everything expires soon, a server does all upkeep, and what it takes must
//! level off.
//!
//! Hours of retention have to pass within minutes. So the engine's time of day
//! stands still while a recording is played, and moves on by six hours before
//! the next one; the clock that durations are measured with is the real one.

mod life;
mod plot;
mod samples;
mod trend;

use std::time::Duration;

use life::Life;
use samples::{SERIES, Sampler};
use trend::Trend;

/// How long it lasts, in seconds: long enough for weeks of the engine's
/// time and a half that is measured.
const SECONDS: u64 = 10;

#[expect(
    clippy::disallowed_methods,
    reason = "the gate that runs it says how long it lasts"
)]
fn seconds() -> u64 {
    let told = std::env::var("WINDLASS_SOAK_SECONDS");
    told.map_or(SECONDS, |told| told.parse().expect("a number"))
}

/// What has not levelled off, in words; nothing if all has.
fn growing(sampler: &Sampler) -> Vec<String> {
    let trends = SERIES.iter().enumerate().map(|(place, series)| {
        let trend = Trend::of(&sampler.points(place));
        (series, trend)
    });
    trends
        .filter(|(series, trend)| trend.grows(series.slack))
        .map(|(series, trend)| format!("{}: {trend}", series.name))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg(target_os = "linux")]
async fn what_the_engine_takes_levels_off() {
    let lasts = Duration::from_secs(seconds());
    let life = Life::begin().await;
    let mut sampler = Sampler::new(lasts);
    while !sampler.is_over() {
        life.day().await;
        sampler.sample(&life).await;
    }
    let rows = life.rows().await;
    let ended = life.end().await;
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/soak.svg");
    std::fs::write(path, plot::svg(&sampler)).unwrap();
    let growing = growing(&sampler);
    assert!(
        growing.is_empty(),
        "these grow without end; the plot is {path}: {growing:#?} {ended:?} {rows:?}"
    );
    assert!(ended.rounds > 0, "there was no upkeep: {ended:?}");
    assert_eq!(ended.failures, 0, "upkeep failed: {ended:?}");
    assert!(
        ended.removed >= ended.days / 2,
        "little was removed: {ended:?}"
    );
    std::fs::write(
        concat!(env!("CARGO_TARGET_TMPDIR"), "/soak.txt"),
        format!("{ended:?}\n{}", sampler.table()),
    )
    .unwrap();
}
