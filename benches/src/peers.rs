//! Programs of others, as processes of their own: `benches/peers` brings a
//! second SQLite, which cannot be linked beside ours.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde::de::DeserializeOwned;

use crate::error::BenchError;

/// What `program` prints for these arguments.
///
/// # Errors
///
/// [`BenchError`] where it cannot be started, where it fails (with what it says
/// of it), and where it prints something else.
pub fn ask<T: DeserializeOwned>(
    program: &Path,
    arguments: &[&dyn AsRef<OsStr>],
) -> Result<T, BenchError> {
    let output = Command::new(program)
        .args(arguments.iter().map(|argument| argument.as_ref()))
        .output()
        .map_err(BenchError::io("start the peer"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BenchError::Process(text));
    }
    serde_json::from_slice(&output.stdout).map_err(|cause| BenchError::Process(cause.to_string()))
}

/// A line about rows that are not there because no program was named.
#[must_use]
pub fn skipped(name: &str) -> String {
    format!("skipped: no rows beside {name}; build benches/peers and name the program with --peer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> Result<u64, BenchError> {
        ask(Path::new("sh"), &[&"-c", &script])
    }

    #[test]
    fn what_is_printed_is_read() {
        assert_eq!(run("echo 7").ok(), Some(7));
    }

    #[test]
    fn a_peer_that_fails_is_quoted() {
        let error = run("echo 7; echo no disk >&2; exit 1").map_err(|error| error.to_string());
        let expected = "a process of the bench failed: no disk\n";
        assert_eq!(error, Err(expected.to_owned()));
    }

    #[test]
    fn a_peer_that_prints_something_else_is_an_error() {
        for script in ["echo seven", ""] {
            let answer = run(script);
            assert!(matches!(answer, Err(BenchError::Process(_))), "{answer:?}");
        }
    }
}
