//! The console: its files, and what only it asks for.

use windlass::access::Verb;
use windlass_client::console as wire;

use crate::call::{Call, Reply};
use crate::console::assets::{self, INDEX};
use crate::console::{history, overview, service};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Preconditions, Route};

const TAG: &str = "console";

const IF_CHANGED: Preconditions = Preconditions {
    if_match: false,
    if_absent: false,
    if_changed: true,
};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = looks();
    routes.extend(files());
    routes
}

const EVENTS: &str = "text/event-stream";

fn looks() -> Vec<Route> {
    vec![
        Route::get("/v1/console/overview", "get_overview", |call| {
            Box::pin(overview(call))
        })
        .about(TAG, "Shows, or follows, what is going on in the tenant")
        .access(Access::Tenant(Verb::SessionRead))
        .serves(&["Sessions::tally", "Windlass::tenant_changes"])
        .answers::<wire::TenantOverview>(
            200,
            "What is seen now; with `Accept: text/event-stream` as often as it changes",
        )
        .sends(200, Some(EVENTS), "")
        .endless()
        .fails(&["reach_too_narrow", "too_many_streams"]),
        Route::get("/v1/console/service", "get_service", |call| {
            Box::pin(service(call))
        })
        .about(
            TAG,
            "Shows, or follows, how the process is and the store below it",
        )
        .access(Access::Operator(Verb::StoreRead))
        .answers::<wire::Service>(
            200,
            "What is seen now; with `Accept: text/event-stream` as often as it changes",
        )
        .sends(200, Some(EVENTS), "")
        .endless()
        .fails(&["too_many_streams"]),
        Route::get("/v1/metrics/history", "get_metrics_history", |call| {
            Box::pin(history(call))
        })
        .about(TAG, "Shows figures of the process over time")
        .access(Access::Operator(Verb::StoreRead))
        .query::<wire::HistoryQuery>()
        .answers::<wire::MetricsHistory>(200, "The samples that are kept")
        .fails(&["invalid_request"]),
    ]
}

fn files() -> Vec<Route> {
    let page = |path, name| {
        Route::get(path, name, |call| Box::pin(page(call)))
            .sends(200, Some("text/html; charset=utf-8"), "The page")
            .tagged()
            .sends(304, None, "It is as it was")
            .honours(IF_CHANGED)
    };
    vec![
        page("/console", "console").about(TAG, "The console, a page for people"),
        page("/console/", "console_folder").about(TAG, "The same under the name of its folder"),
        Route::get("/console/{*file}", "console_file", |call| {
            Box::pin(file(call))
        })
        .about(TAG, "A file of the console")
        .sends(200, Some("*/*"), "The file")
        .tagged()
        .sends(304, None, "It is as it was")
        .honours(IF_CHANGED),
    ]
}

async fn page(call: Call) -> Result<Reply, Refused> {
    answer(&call, INDEX)
}

async fn file(call: Call) -> Result<Reply, Refused> {
    answer(&call, call.text("file"))
}

fn answer(call: &Call, name: &str) -> Result<Reply, Refused> {
    let asset = assets::find(name).ok_or_else(|| Box::new(Problem::not_found()))?;
    Ok(asset.reply(&call.headers, call.known.as_deref()))
}
