//! Building the benches in release and running one of their tables.

use std::process::{ExitCode, ExitStatus};

use crate::commands::{self, cargo};
use crate::error::TaskError;

/// Runs the table called `table` and answers with its exit code: 1 means that
/// a bar was missed. Only the table itself is on stdout.
pub(crate) fn run(table: &str, flags: &[String]) -> Result<ExitCode, TaskError> {
    let arguments = ["run", "--release", "-p", "windlass-benches", "--", table];
    let mut command = cargo(&arguments);
    command.args(flags);
    if table == "queue" && !flags.iter().any(|flag| flag == "--peer") {
        command.args(peer()?);
    }
    Ok(passed_through(commands::run(&mut command)?))
}

/// The flag that names the program of `benches/peers`, built now: it is a
/// workspace of its own, as it brings another SQLite. Nothing where it cannot
/// be built; the table says that it skips those rows.
fn peer() -> Result<Vec<String>, TaskError> {
    let arguments = [
        "build",
        "--release",
        "--manifest-path",
        "benches/peers/Cargo.toml",
        "--target-dir",
        "target/peers",
    ];
    let built = commands::run(&mut cargo(&arguments))?;
    let program = "target/peers/release/windlass-peers";
    Ok(match built.success() {
        true => vec!["--peer".to_owned(), program.to_owned()],
        false => Vec::new(),
    })
}

/// The same exit code, or 1 for a program that a signal ended.
fn passed_through(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn the_exit_code_of_the_table_is_passed_through() {
        let exited = |code: i32| passed_through(ExitStatus::from_raw(code << 8));
        assert_eq!(exited(0), ExitCode::SUCCESS);
        assert_eq!(exited(1), ExitCode::from(1));
        assert_eq!(exited(101), ExitCode::from(101));
    }

    #[test]
    fn a_table_that_a_signal_ended_has_failed() {
        assert_eq!(passed_through(ExitStatus::from_raw(9)), ExitCode::FAILURE);
    }
}
