//! Prints, for every run of the given files, the refusals that a restriction
//! demands, counted from the files themselves without the replay:
//!
//! ```text
//! cargo run -p windlass-replay --example count_refusals -- most-used FILE...
//! cargo run -p windlass-replay --example count_refusals -- 50% FILE...
//! ```

#![expect(
    clippy::print_stdout,
    reason = "it is a program whose answer is what it prints"
)]

#[path = "../tests/it/count.rs"]
mod count;

use std::error::Error;
use std::path::PathBuf;

use crate::count::{Denied, refusals};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args_os().skip(1);
    let first = words.next().and_then(|word| word.into_string().ok());
    let first = first.ok_or("the first argument is `most-used` or a percentage such as `50%`")?;
    let denied = match first.strip_suffix('%') {
        Some(percent) => Denied {
            calls_percent: Some(percent.parse()?),
            ..Denied::default()
        },
        None => Denied {
            most_used_tool: first == "most-used",
            ..Denied::default()
        },
    };
    for path in words.map(PathBuf::from) {
        for (run, refused) in refusals(&path, denied)? {
            println!(
                "{}",
                serde_json::json!({ "source": path, "run": run, "refused": refused })
            );
        }
    }
    Ok(())
}
