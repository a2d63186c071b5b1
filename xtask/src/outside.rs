//! Suites that others wrote, against what this workspace makes.
//!
//! Nothing of theirs is kept here: they come from their registry by name, at a
//! pinned version, into the target directory. Where that cannot be had, the
//! suite is skipped and says so.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use crate::commands::{self, cargo};
use crate::console;
use crate::durable::{self, Ground};
use crate::error::TaskError;
use crate::steps::{self, Outcome, Step};
use crate::workspace;

/// The fuzzer of OpenAPI documents.
const SCHEMATHESIS: &str = "schemathesis==4.32.0";

/// What of an answer it looks at.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";

/// Seconds of a whole run.
pub(crate) const OPENAPI_SECONDS: u64 = 120;

/// Seconds of each load of the console.
const LOAD_SECONDS: u64 = 300;

/// Routes that have to have answered well at least once: otherwise the run
/// has seen refusals only, and proves little.
const ROUTES_ANSWERED_MIN: usize = 56;

/// What is not made up: reads that last for as long as somebody takes them, or
/// wait for half a minute. The fuzzer waits for the end of each answer, so one
/// of these would take all of its time. Everything else about the same routes
/// is made up, and what lasts has its own tests.
const BOUNDS: &str = "\
[parameters]
\"query.follow\" = \"false\"
\"query.live\" = \"long-poll\"
\"query.wait_ms\" = \"20\"
";

/// What teaches the fuzzer bodies of lines, one line each, and that work is not
/// waited for: a wait that the server allows is cut short, one that it refuses
/// is asked for as it was made up.
const HOOKS: &str = r#"import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def line(context, value):
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, dict) and isinstance(case.body.get("wait_ms"), int):
        if 20 < case.body["wait_ms"] <= 60_000:
            case.body["wait_ms"] = 20
"#;

/// For how long the server lets those wait who ask it to.
const WAIT_MS: &str = "100";

/// A suite there is.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Suite {
    /// Requests made up from the server's OpenAPI document
    Openapi,
    /// What a server of the Durable Streams protocol has to do
    DurableStreams,
    /// The console in a browser
    Console,
}

/// How a suite is run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Choice {
    /// For how long, in seconds: of `openapi`
    #[arg(long, default_value_t = OPENAPI_SECONDS)]
    pub(crate) seconds: u64,
    /// Over this store alone: of `durable-streams`
    #[arg(long)]
    store: Option<Ground>,
    /// How long each of the two loads lasts, in seconds: of `console`
    #[arg(long, default_value_t = LOAD_SECONDS)]
    load_seconds: u64,
    /// Makes the pictures of the documents anew: of `console`
    #[arg(long)]
    pictures: bool,
    /// This part alone, such as `pages`; can be repeated: of `console`
    #[arg(long)]
    part: Vec<String>,
}

/// Runs a suite.
pub(crate) fn run(suite: Suite, choice: Choice) -> ExitCode {
    steps::run(match suite {
        Suite::Openapi => vec![openapi_step(choice.seconds)],
        Suite::DurableStreams => durable::steps(choice.store),
        Suite::Console => vec![console::step(console::Wanted {
            load_seconds: choice.load_seconds,
            pictures: choice.pictures,
            parts: choice.part,
        })],
    })
}

/// The fuzzer, for about `seconds`, as a step.
pub(crate) fn openapi_step(seconds: u64) -> Step {
    Step::new("suite openapi", 2 * seconds + 300, move || openapi(seconds))
}

/// One run of the fuzzer: which key it has, and which routes it asks.
struct Part {
    token: String,
    choice: &'static [&'static str],
    share: u64,
}

fn openapi(seconds: u64) -> Result<Outcome, TaskError> {
    let target = PathBuf::from(workspace::members()?.target_directory);
    let Some(fuzzer) = fuzzer(&target.join("suites"))? else {
        return Ok(Outcome::Skipped(format!(
            "{SCHEMATHESIS} cannot be installed here"
        )));
    };
    if !commands::run(&mut cargo(&["build", "-p", "windlass-cli"]))?.success() {
        return Ok(Outcome::Failed("the server does not build".to_owned()));
    }
    let place = target.join("suites/openapi");
    let _ = fs::remove_dir_all(&place);
    let failed = |source| TaskError::Spawn {
        program: "the server".to_owned(),
        source,
    };
    fs::create_dir_all(&place).map_err(failed)?;
    let windlass = Windlass {
        program: target.join("debug/windlass"),
        place: place.clone(),
    };
    let parts = parts(&windlass)?;
    let watcher = windlass.key(&["--operator", "--verb", "store.read"])?;
    let mut server = windlass.serve()?;
    let shares: u64 = parts.iter().map(|part| part.share).sum();
    let mut good = true;
    for part in &parts {
        let seconds = (seconds * part.share / shares).max(1);
        good &= fuzz(&fuzzer, &server.url, part, seconds, &place)?;
    }
    let answered = answered_well(&server.url, &watcher).map_err(failed)?;
    let ended = server.stop().map_err(failed)?;
    let note = format!("{answered} routes answered well");
    Ok(if good && ended && answered >= ROUTES_ANSWERED_MIN {
        Outcome::Passed(note)
    } else {
        Outcome::Failed(note)
    })
}

/// What is asked with which key: a tenant's for its data, an operator's for
/// tenants and the store, and one that may be revoked by what is asked.
fn parts(windlass: &Windlass) -> Result<[Part; 3], TaskError> {
    let tenant = [
        "--tenant",
        "acme",
        "--principal",
        "fuzz",
        "--reach",
        "tenant",
        "--all-groups",
    ];
    let of_sessions: Vec<&str> = tenant
        .iter()
        .copied()
        .chain([
            "--verb",
            "session.*",
            "--verb",
            "stash.*",
            "--verb",
            "state.*",
            "--verb",
            "queue.*",
            "--verb",
            "stream.*",
            "--verb",
            "tenant.read",
        ])
        .collect();
    Ok([
        Part {
            token: windlass.key(&of_sessions)?,
            choice: &[
                "--exclude-tag",
                "tenants",
                "--exclude-tag",
                "store",
                "--exclude-tag",
                "keys",
            ],
            share: 6,
        },
        Part {
            token: windlass.key(&["--operator", "--verb", "*"])?,
            choice: &["--include-tag", "tenants", "--include-tag", "store"],
            share: 2,
        },
        Part {
            token: windlass.key(&["--operator", "--verb", "key.manage"])?,
            choice: &["--include-tag", "keys"],
            share: 2,
        },
    ])
}

/// The fuzzer in an environment of its own; `None` where it cannot be had.
fn fuzzer(suites: &Path) -> Result<Option<PathBuf>, TaskError> {
    let home = suites.join(SCHEMATHESIS.replace("==", "-"));
    let program = home.join("bin/schemathesis");
    if commands::answers(Command::new(&program).arg("--version")) {
        return Ok(Some(program));
    }
    let mut make = Command::new("python3");
    if !commands::answers(make.args(["-m", "venv"]).arg(&home)) {
        return Ok(None);
    }
    let mut install = Command::new(home.join("bin/pip"));
    let installed = commands::run(install.args(["install", "--quiet", SCHEMATHESIS]))?;
    Ok(installed.success().then_some(program))
}

fn fuzz(
    fuzzer: &Path,
    url: &str,
    part: &Part,
    seconds: u64,
    place: &Path,
) -> Result<bool, TaskError> {
    let mut command = Command::new(fuzzer);
    command
        .arg("run")
        .arg(format!("{url}/openapi.json"))
        .args([
            "--checks",
            CHECKS,
            "--seed",
            "1",
            "--workers",
            "1",
            "--no-color",
        ])
        .args(["--max-time", &seconds.to_string()])
        .args(part.choice)
        .current_dir(place);
    // The token stays out of the arguments that others can read.
    let token = "headers = { Authorization = \"Bearer ${WINDLASS_TOKEN}\" }\n";
    let config = format!("hooks = \"hooks.py\"\n{token}{BOUNDS}");
    let failed = |source| TaskError::Spawn {
        program: "the fuzzer".to_owned(),
        source,
    };
    fs::write(place.join("hooks.py"), HOOKS).map_err(failed)?;
    fs::write(place.join("schemathesis.toml"), config).map_err(failed)?;
    Ok(commands::run(command.env("WINDLASS_TOKEN", &part.token))?.success())
}

/// The command, over a store of this suite's own.
struct Windlass {
    program: PathBuf,
    place: PathBuf,
}

impl Windlass {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--store", "sqlite:./suite.db", "--json"])
            .current_dir(&self.place);
        command
    }

    /// The secret of a new key.
    fn key(&self, flags: &[&str]) -> Result<String, TaskError> {
        let mut command = self.command();
        command.args(["key", "create", "the suite's"]).args(flags);
        let lines = commands::answer(&mut command)?;
        let texts = lines.iter().flat_map(|line| line.split('"'));
        let found = texts.into_iter().find(|text| text.starts_with("wl_"));
        Ok(found.unwrap_or_default().to_owned())
    }

    fn serve(&self) -> Result<Server, TaskError> {
        let failed = |source| TaskError::Spawn {
            program: "the server".to_owned(),
            source,
        };
        let mut command = self.command();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn"])
            .env("WINDLASS__SERVER__LONG_POLL_MS", WAIT_MS);
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(failed)?;
        }
        let url = line.split('"').find(|text| text.starts_with("http://"));
        let url = url.unwrap_or_default().to_owned();
        Ok(Server { child, url })
    }
}

/// A running server.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Asks it to stop; whether it ended well.
    fn stop(&mut self) -> std::io::Result<bool> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        Ok(self.child.wait()?.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many routes have answered with success, by the server's own counters.
fn answered_well(url: &str, token: &str) -> std::io::Result<usize> {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address)?;
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(count_answered(&text))
}

fn count_answered(metrics: &str) -> usize {
    let lines = metrics.lines().filter(|line| {
        line.starts_with("windlass_http_requests_total{") && line.contains("status=\"2xx\"")
    });
    let counts = lines.filter_map(|line| line.rsplit(' ').next());
    counts.filter(|count| *count != "0").count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_count_that_answered_well_at_least_once() {
        let metrics = "# TYPE windlass_http_requests_total counter\n\
            windlass_http_requests_total{route=\"a\",status=\"2xx\"} 3\n\
            windlass_http_requests_total{route=\"a\",status=\"4xx\"} 3\n\
            windlass_http_requests_total{route=\"b\",status=\"2xx\"} 0\n\
            windlass_http_request_seconds{route=\"a\"} 3\n";
        assert_eq!(count_answered(metrics), 1);
    }
}
