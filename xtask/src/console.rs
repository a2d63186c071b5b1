//! The suite of the console: the pages in a browser without a window, against
//! servers of this workspace.
//!
//! The scripts are in `xtask/console`; what drives the browser and what looks
//! for obstacles come from their registry at pinned versions, into the target
//! directory. The browser is the machine's own. They print a line a check.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::{self, cargo};
use crate::error::TaskError;
use crate::steps::{Outcome, Step};
use crate::workspace;

/// What is fetched.
const PACKAGES: &str = r#"{
  "private": true,
  "type": "module",
  "dependencies": {
    "axe-core": "4.14.1",
    "playwright-core": "1.65.1"
  }
}
"#;

/// Names under which the browser may be installed.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Where recorded runs may be, from the root of the workspace; those of the
/// project itself are always there.
const RECORDED: [&str; 3] = [
    "../shared/data/trajectories/toolbench",
    "../shared/data/trajectories/openhands",
    "../shared/data/trajectories/swe-agent",
];

/// How long a run may take besides its load, in seconds.
const SECONDS_MAX: u64 = 600;

/// What of the suite is run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// For how long the load lasts on each of two pages, in seconds.
    pub(crate) load_seconds: u64,
    /// Whether the pictures of the documents are made anew.
    pub(crate) pictures: bool,
    /// Only these parts; all if empty.
    pub(crate) parts: Vec<String>,
}

/// The suite as a step.
pub(crate) fn step(wanted: Wanted) -> Step {
    let seconds = SECONDS_MAX + 2 * wanted.load_seconds;
    Step::new("suite console", seconds, move || run(&wanted))
}

fn run(wanted: &Wanted) -> Result<Outcome, TaskError> {
    let Some(browser) = browser() else {
        let why = "there is no browser here: it needs Chromium";
        return Ok(Outcome::Skipped(why.to_owned()));
    };
    let target = PathBuf::from(workspace::members()?.target_directory);
    let suite = target.join("suites/console");
    if !installed(&suite)? {
        let why = "the suite cannot be installed here: it needs node and npm";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    if !commands::run(&mut cargo(&["build", "-p", "windlass-cli"]))?.success() {
        return Ok(Outcome::Failed("the server does not build".to_owned()));
    }
    let root = workspace::root();
    let mut command = Command::new("node");
    command
        .arg(root.join("xtask/console/main.mjs"))
        .env("SUITE_WINDLASS", target.join("debug/windlass"))
        .env("SUITE_CHROMIUM", browser)
        .env("SUITE_MODULES", &suite)
        .env("SUITE_PLACE", suite.join("run"))
        .env("SUITE_ASSETS", root.join("crates/windlass-server/console"))
        .env("SUITE_RECORDINGS", recordings(&root))
        .env("SUITE_LIVE", root.join("docs/recordings/answer.yaml"))
        .env("SUITE_LOAD_SECONDS", wanted.load_seconds.to_string())
        .env("SUITE_ONLY", wanted.parts.join(","));
    if wanted.pictures {
        command.env("SUITE_PICTURES", root.join("docs/console"));
    }
    Ok(Outcome::of(commands::run(&mut command)?))
}

/// The first browser that is found.
#[expect(
    clippy::disallowed_methods,
    reason = "a tool looks for programs where whoever runs it has them"
)]
fn browser() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places: Vec<_> = env::split_paths(&path).collect();
    let mut known = BROWSERS
        .iter()
        .flat_map(|name| places.iter().map(move |place| place.join(name)));
    known.find(|file| file.is_file())
}

/// The recordings that are replayed: those of the project, and real ones where
/// they are, which is said.
fn recordings(root: &Path) -> std::ffi::OsString {
    let own = ["docs/examples/airline.json", "docs/examples/salvage.jsonl"];
    let mut found: Vec<_> = own.iter().map(|file| root.join(file)).collect();
    for folder in RECORDED {
        let folder = root.join(folder);
        if folder.is_dir() {
            found.push(folder);
        } else {
            println!("suite console: no {}, so left out", folder.display());
        }
    }
    env::join_paths(found).expect("no path of the project holds a separator")
}

/// Whether what the scripts need is there, fetched if need be.
fn installed(suite: &Path) -> Result<bool, TaskError> {
    let failed = |source| TaskError::Write {
        path: suite.to_path_buf(),
        source,
    };
    fs::create_dir_all(suite).map_err(failed)?;
    let manifest = suite.join("package.json");
    let is_there = fs::read_to_string(&manifest).is_ok_and(|text| text == PACKAGES);
    if !commands::answers(Command::new("node").arg("--version")) {
        return Ok(false);
    }
    if is_there && suite.join("node_modules/playwright-core").is_dir() {
        return Ok(true);
    }
    if !commands::answers(Command::new("npm").arg("--version")) {
        return Ok(false);
    }
    fs::write(&manifest, PACKAGES).map_err(failed)?;
    let mut install = Command::new("npm");
    install.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--silent",
        "--ignore-scripts",
    ]);
    Ok(commands::run(install.current_dir(suite))?.success())
}
