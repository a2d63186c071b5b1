//! The files of the console.

use crate::call::{Call, Reply};
use crate::console::assets::{self, INDEX};
use crate::problem::{Problem, Refused};
use crate::route::{Preconditions, Route};

const TAG: &str = "console";

const IF_CHANGED: Preconditions = Preconditions {
    if_match: false,
    if_absent: false,
    if_changed: true,
};

pub(super) fn routes() -> Vec<Route> {
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
