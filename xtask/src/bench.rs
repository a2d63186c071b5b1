//! Building the benches in release and running one of their tables.

use std::process::{ExitCode, ExitStatus};

use crate::commands::{self, cargo};
use crate::error::TaskError;

/// The tables with rows beside programs of others, and the parts they are in.
const PARTS_BESIDE: [(&str, &str); 2] = [("queue", "jobs"), ("cache", "l2")];

/// Runs the table called `table` and answers with its exit code: 1 means that
/// a bar was missed. Only the table itself is on stdout.
pub(crate) fn run(table: &str, flags: &[String]) -> Result<ExitCode, TaskError> {
    let arguments = ["run", "--release", "-p", "windlass-benches", "--", table];
    let mut command = cargo(&arguments);
    command.args(flags);
    if wants_peer(table, flags) {
        command.args(peer()?);
    }
    Ok(passed_through(commands::run(&mut command)?))
}

/// Whether what is measured has rows beside the program of `benches/peers`,
/// and none is named.
fn wants_peer(table: &str, flags: &[String]) -> bool {
    let Some((_, beside)) = PARTS_BESIDE.iter().find(|(name, _)| *name == table) else {
        return false;
    };
    let is_named = |flag: &String| flag == "--peer" || flag.starts_with("--peer=");
    !flags.iter().any(is_named) && only(flags).is_none_or(|part| part == *beside)
}

/// The one part that is asked for.
fn only(flags: &[String]) -> Option<&str> {
    let told = |flag: &String| flag == "--only" || flag.starts_with("--only=");
    let place = flags.iter().position(told)?;
    match flags[place].strip_prefix("--only=") {
        Some(part) => Some(part),
        None => flags.get(place + 1).map(String::as_str),
    }
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
    fn the_programs_of_others_are_built_for_the_parts_that_they_are_in() {
        let wants = |table: &str, flags: &[&str]| {
            let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
            wants_peer(table, &flags)
        };
        assert!(wants("queue", &[]) && wants("cache", &["--json"]));
        assert!(wants("queue", &["--only", "jobs"]) && wants("cache", &["--only=l2"]));
        assert!(!wants("queue", &["--only", "waiting"]) && !wants("cache", &["--only=l1"]));
        assert!(!wants("queue", &["--peer", "x"]) && !wants("cache", &["--peer=x"]));
        assert!(!wants("sessions", &[]));
    }

    #[test]
    fn a_table_that_a_signal_ended_has_failed() {
        assert_eq!(passed_through(ExitStatus::from_raw(9)), ExitCode::FAILURE);
    }
}
