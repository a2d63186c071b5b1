//! Building the benches in release and running one of their tables.

use std::process::{ExitCode, ExitStatus};

use crate::commands::{self, cargo};
use crate::error::TaskError;

/// Runs the table called `table` and answers with its exit code: 1 means that
/// a bar was missed. Only the table itself is on stdout.
pub(crate) fn run(table: &str, flags: &[String]) -> Result<ExitCode, TaskError> {
    let arguments = ["run", "--release", "-p", "windlass-benches", "--", table];
    let status = commands::run(cargo(&arguments).args(flags))?;
    Ok(passed_through(status))
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
