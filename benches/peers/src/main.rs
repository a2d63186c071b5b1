//! What others make of the work of our tables. Each peer works by itself and
//! prints one JSON object.
//!
//! | arguments | prints | |
//! |---|---|---|
//! | `apalis PATH WORKERS SECONDS` | `{"jobs": …, "seconds": …}` | [`jobs`] |
//! | `foyer DIRECTORY BYTES COUNT SECONDS` | `{"reads": …, "seconds": …}` | [`hits`] |
//! | `foyer-uring DIRECTORY BYTES COUNT SECONDS` | the same | with io_uring, which no table asks for |

mod hits;
mod jobs;

use std::error::Error;
use std::time::Duration;

use foyer::{IoEngineConfig, PsyncIoEngineConfig, UringIoEngineConfig};
use serde_json::{Value, json};

use hits::Entries;

/// Why there is no figure.
pub type Failed = Box<dyn Error + Send + Sync>;

const USAGE: &str = "usage: windlass-peers apalis PATH WORKERS SECONDS, or windlass-peers \
                     foyer|foyer-uring DIRECTORY BYTES COUNT SECONDS";

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    println!("{}", run(&arguments).await?);
    Ok(())
}

async fn run(arguments: &[&str]) -> Result<Value, Failed> {
    match arguments {
        ["apalis", path, workers, seconds] => {
            let (jobs, seconds) = jobs::apalis(path, workers.parse()?, span(seconds)?).await?;
            Ok(json!({ "jobs": jobs, "seconds": seconds }))
        }
        [
            name @ ("foyer" | "foyer-uring"),
            directory,
            bytes,
            count,
            seconds,
        ] => {
            let entries = Entries {
                bytes: bytes.parse()?,
                count: count.parse()?,
            };
            let io: Box<dyn IoEngineConfig> = match *name {
                "foyer" => Box::new(PsyncIoEngineConfig::new()),
                _ => Box::new(UringIoEngineConfig::new()),
            };
            let (reads, seconds) = hits::foyer(directory, io, entries, span(seconds)?).await?;
            Ok(json!({ "reads": reads, "seconds": seconds }))
        }
        _ => Err(USAGE.into()),
    }
}

fn span(seconds: &str) -> Result<Duration, Failed> {
    Ok(Duration::try_from_secs_f64(seconds.parse()?)?)
}
