//! Running other programs in the workspace, seen or overheard.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use crate::error::TaskError;
use crate::workspace;

/// `cargo` with these arguments, in the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(workspace::root());
    command
}

/// Runs a program whose output goes straight to the terminal.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus, TaskError> {
    announce(command);
    command
        .status()
        .map_err(|source| cannot_run(command, source))
}

/// Whether a program starts and says yes; its output is dropped.
pub(crate) fn answers(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Runs a program and answers the lines of its standard output; that it says
/// no is an error, since there is then no answer.
pub(crate) fn answer(command: &mut Command) -> Result<Vec<String>, TaskError> {
    let (status, lines) = listen(command)?;
    if !status.success() {
        let program = program(command);
        return Err(TaskError::Refused { program, status });
    }
    Ok(lines)
}

/// Runs a program and answers how it ended and the lines of its standard
/// output.
pub(crate) fn listen(command: &mut Command) -> Result<(ExitStatus, Vec<String>), TaskError> {
    announce(command);
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|source| cannot_run(command, source))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok((output.status, text.lines().map(str::to_owned).collect()))
}

/// Runs a program, passes its output on line by line, and keeps the lines.
pub(crate) fn overhear(command: &mut Command) -> Result<(ExitStatus, Vec<String>), TaskError> {
    announce(command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|source| cannot_run(command, source))?;
    let stdout = child.stdout.take().expect("was asked to be piped");
    let stderr = child.stderr.take().expect("was asked to be piped");
    let (heard, muttered) = thread::scope(|scope| {
        let muttered = scope.spawn(|| pass_on(stderr, io::stderr()));
        let heard = pass_on(stdout, io::stdout());
        (
            heard,
            muttered.join().expect("passing lines on cannot panic"),
        )
    });
    let status = child.wait().map_err(|source| cannot_run(command, source))?;
    let mut lines = heard.map_err(|source| cannot_run(command, source))?;
    lines.extend(muttered.map_err(|source| cannot_run(command, source))?);
    Ok((status, lines))
}

/// Copies `from` to `to` and answers its lines. Bytes that are not UTF-8 are
/// passed on as they are and replaced in the answer.
fn pass_on(from: impl Read, mut to: impl Write) -> io::Result<Vec<String>> {
    let mut reader = BufReader::new(from);
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(lines);
        }
        to.write_all(&line)?;
        lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
    }
}

/// Says what is about to run, on stderr: stdout belongs to the program.
fn announce(command: &Command) {
    let words = command.get_args().map(|word| word.to_string_lossy());
    let line = words.fold(program(command), |line, word| format!("{line} {word}"));
    eprintln!("$ {line}");
}

fn cannot_run(command: &Command, source: io::Error) -> TaskError {
    let program = program(command);
    TaskError::Spawn { program, source }
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overheard_lines_are_passed_on_unchanged_and_kept() {
        let mut passed = Vec::new();
        let lines = pass_on(&b"one\ntwo \xFF\nthree"[..], &mut passed).unwrap();
        assert_eq!(passed, b"one\ntwo \xFF\nthree");
        assert_eq!(lines, ["one", "two \u{FFFD}", "three"]);
    }

    #[test]
    fn a_program_that_does_not_exist_is_named_in_the_error() {
        let error = run(&mut Command::new("windlass-no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `windlass-no-such-program`");
    }

    #[test]
    fn the_answer_of_a_program_is_its_lines_and_a_refusal_is_an_error() {
        let lines = answer(&mut cargo(&["--version"])).unwrap();
        assert!(lines[0].starts_with("cargo "), "{lines:?}");
        let refusal = answer(&mut cargo(&["no-such-subcommand"])).unwrap_err();
        assert!(
            refusal.to_string().starts_with("`cargo` failed"),
            "{refusal}"
        );
    }

    #[test]
    fn a_program_that_does_not_exist_answers_no() {
        assert!(!answers(&mut Command::new("windlass-no-such-program")));
    }
}
