//! The console: a page for the person who runs agents, and what only it asks
//! for: what is going on, at a glance and as it changes, and figures over time.
//!
//! Read `overview.rs` for what is looked at, `feed.rs` for how often.

pub(crate) mod assets;
mod feed;
mod follow;
mod history;
mod judge;
mod overview;
mod ring;
mod service;

use windlass::access::Reach;
use windlass::core::Millis;
use windlass_client::console as wire;

use crate::call::{Call, Reply};
use crate::config::Config;
use crate::events::wants_stream;
use crate::problem::{Problem, Refused};
use feed::{Feeds, Subject};
use history::History;

pub(crate) use history::{SERIES, sample};
pub(crate) use service::health;

/// What a server keeps for those who look at it.
#[derive(Debug)]
pub(crate) struct Console {
    /// When the server began to listen.
    started_at: Millis,
    feeds: Feeds,
    history: History,
}

impl Console {
    pub(crate) fn new(config: &Config, started_at: Millis) -> Self {
        Self {
            started_at,
            feeds: Feeds::default(),
            history: History::new(config),
        }
    }
}

/// What is going on in the asker's tenant, once or as it changes.
pub(crate) async fn overview(call: Call) -> Result<Reply, Refused> {
    let tenant = call.caller()?.tenant;
    if call.identity.grant.reach != Reach::Tenant {
        let detail = "this needs a credential that reaches all sessions of its tenant";
        return Err(Box::new(Problem::new(403, "reach_too_narrow", detail)));
    }
    if wants_stream(&call.headers) {
        return follow::follow(call, &Subject::Tenant(tenant));
    }
    let seen = overview::look(&call.app, &tenant).await?;
    Ok(Reply::json(&overview::for_verbs(seen, &call.identity)))
}

/// How the process is, once or as it changes.
pub(crate) async fn service(call: Call) -> Result<Reply, Refused> {
    if wants_stream(&call.headers) {
        return follow::follow(call, &Subject::Service);
    }
    let slow = service::slow(&call.app).await;
    Ok(Reply::json(&service::look(&call.app, &slow)))
}

/// Figures over time.
pub(crate) async fn history(call: Call) -> Result<Reply, Refused> {
    let asked: wire::HistoryQuery = call.query()?;
    let wanted = wanted(asked.series.as_deref())?;
    let (config, console) = (&call.app.config, &call.app.console);
    let (at, values) = console.history.after(asked.since, &wanted);
    let series = wanted.iter().map(|place| wire::Series {
        name: SERIES[*place].0.to_owned(),
        unit: SERIES[*place].1.to_owned(),
    });
    Ok(Reply::json(&wire::MetricsHistory {
        interval_ms: config.history_interval_ms,
        retention_ms: config.history_ms,
        started_at: console.started_at.get(),
        series: series.collect(),
        at,
        values,
    }))
}

/// The places of the series that are asked for, each once.
fn wanted(asked: Option<&str>) -> Result<Vec<usize>, Refused> {
    let Some(asked) = asked else {
        return Ok((0..SERIES.len()).collect());
    };
    let mut wanted = Vec::new();
    for name in asked.split(',') {
        let place = SERIES.iter().position(|(known, _)| *known == name);
        let place = place.ok_or_else(|| {
            let detail = "`series` names one that there is not; without it all are shown";
            let problem = Problem::new(400, "invalid_request", detail);
            Box::new(problem.with("field", "series"))
        })?;
        if !wanted.contains(&place) {
            wanted.push(place);
        }
    }
    Ok(wanted)
}
