//! Upkeep, for operators: how it stands, and having a task done now.

use serde_json::json;
use windlass::access::Verb;
use windlass::maintenance::{RunLimit, Task};
use windlass_client::maintenance as wire;

use crate::call::{Call, Reply};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};

const TAG: &str = "maintenance";

/// Entries that may be asked for at a time.
const ENTRIES_MAX: u64 = 100_000_000;

/// Milliseconds that may be asked for at a time, and those that are taken
/// where nothing is said.
const MILLIS_MAX: u64 = 600_000;
const MILLIS_DEFAULT: u64 = 10_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/maintenance", "get_maintenance", |call| {
            Box::pin(status(call))
        })
        .about(TAG, "Shows how upkeep stands")
        .access(Access::Operator(Verb::StoreRead))
        .serves(&["Maintenance::status", "Maintenance::options"])
        .answers::<wire::MaintenanceStatus>(200, "Who does it, and what each task did last"),
        Route::post("/v1/maintenance/{task}", "run_task", |call| {
            Box::pin(run(call))
        })
        .about(
            TAG,
            "Has one task of upkeep done now, in small steps; can be repeated",
        )
        .access(Access::Operator(Verb::StoreManage))
        .serves(&["Maintenance::run_now"])
        .takes::<wire::RunTask>()
        .optionally()
        .answers::<wire::TaskReport>(200, "What was done")
        .fails(&[
            "unknown_task",
            "invalid_request",
            "clock_refused",
            "task_panicked",
        ])
        .without_operation()
        .endless(),
    ]
}

fn failed<E: windlass::core::Coded + 'static>(error: &E) -> Refused {
    Box::new(Problem::of(error, serde_json::Map::new()))
}

async fn status(call: Call) -> Result<Reply, Refused> {
    let maintenance = call.app.engine.maintenance();
    let status = maintenance.status().await;
    Ok(Reply::json(&json!(status.map_err(|error| failed(&error))?)))
}

/// A bound in range.
fn bound(field: &'static str, asked: Option<u64>, max: u64) -> Result<Option<u64>, Refused> {
    match asked {
        Some(asked) if asked > max => {
            let detail = format!("`{field}` is {asked}; 0 to {max} are allowed");
            let problem = Problem::new(400, "invalid_request", &detail);
            Err(Box::new(problem.with("field", field)))
        }
        asked => Ok(asked),
    }
}

async fn run(call: Call) -> Result<Reply, Refused> {
    let asked: wire::RunTask = call.json_or_default()?;
    let limit = RunLimit {
        entries: bound("entries", asked.entries, ENTRIES_MAX)?,
        millis: bound("millis", asked.millis, MILLIS_MAX)?.or(Some(MILLIS_DEFAULT)),
    };
    let task = Task::named(call.text("task")).map_err(|error| failed(&error))?;
    let maintenance = call.app.engine.maintenance();
    let done = maintenance.run_now(task, limit, &mut |_| ()).await;
    Ok(Reply::json(&done.map_err(|error| failed(&error))?))
}
