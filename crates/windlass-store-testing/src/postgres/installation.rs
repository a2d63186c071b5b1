//! Which PostgreSQL there is, and as whom its programs run.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ServerError;

/// Where Debian keeps one directory for each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Who runs the server if root asks for one, the first that exists.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// The programs of one version of PostgreSQL.
#[derive(Clone, Debug)]
pub struct Installation {
    binaries: PathBuf,
    /// As whom they run; `None` for the user of this process.
    account: Option<Account>,
}

/// A user who is not root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Installation {
    /// Finds the newest version below Debian's directory, or else the one on
    /// PATH.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotInstalled`] if there is none,
    /// [`ServerError::NoAccount`] for root where nobody else can run it.
    pub fn find() -> Result<Self, ServerError> {
        let binaries = debian().or_else(on_path).ok_or(ServerError::NotInstalled)?;
        let account = match user_id(None)? {
            Some(0) => Some(other_account()?),
            _ => None,
        };
        Ok(Self { binaries, account })
    }

    /// A command that runs one of PostgreSQL's programs, as the user who owns
    /// the servers and in a directory that this user may be in.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.runner(&[]);
        command.arg(self.program(program));
        command
    }

    /// A command that runs a program and has it told to end (SIGQUIT) once
    /// the thread that started it has.
    pub(super) fn mortal_command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.runner(&["--pdeathsig", "QUIT"]);
        command.arg(program);
        command
    }

    /// Where one of PostgreSQL's programs is.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// A command that runs a program of the system, as [`Self::command`] does.
    pub(super) fn tool(&self, program: &str) -> Command {
        let mut command = self.runner(&[]);
        command.arg(program);
        command
    }

    /// `setpriv` with the account's rights, to be followed by a program.
    fn runner(&self, options: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(options).current_dir("/");
        command.env_remove("LANG").env("LC_ALL", "C");
        if let Some(Account { user, group }) = self.account {
            command.arg(format!("--reuid={user}"));
            command.arg(format!("--regid={group}"));
            command.arg("--clear-groups");
        }
        command.arg("--");
        command
    }

    /// What the server says of its version, as one word.
    pub(super) fn version(&self) -> Result<String, ServerError> {
        let said = run(self.command("postgres").arg("--version"))?;
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        Ok(said.trim().chars().map(word).collect())
    }

    /// As whom the programs run, where that is not the user of this process.
    pub(super) const fn account(&self) -> Option<Account> {
        self.account
    }
}

fn debian() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?.filter_map(Result::ok);
    let whole = versions
        .map(|version| version.path().join("bin"))
        .filter(|binaries| is_whole(binaries));
    whole.max_by_key(|binaries| version_of(binaries))
}

/// The version in a path such as `/usr/lib/postgresql/15/bin`.
fn version_of(binaries: &Path) -> u32 {
    let name = binaries.parent().and_then(Path::file_name);
    let number = name.and_then(|name| name.to_str()?.parse().ok());
    number.unwrap_or(0)
}

fn on_path() -> Option<PathBuf> {
    path().into_iter().find(|directory| is_whole(directory))
}

/// The directories in which programs are looked for.
#[expect(
    clippy::disallowed_methods,
    reason = "where programs are is said by the environment alone"
)]
pub(super) fn path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}

fn is_whole(binaries: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|program| binaries.join(program).is_file())
}

fn other_account() -> Result<Account, ServerError> {
    for name in ACCOUNTS {
        if let Some(user) = user_id(Some(name))? {
            let group = id(&["-g", name])?.ok_or(ServerError::NoAccount)?;
            return Ok(Account { user, group });
        }
    }
    Err(ServerError::NoAccount)
}

/// The number of a user, by default of this process; `None` if unknown.
pub(super) fn user_id(name: Option<&str>) -> Result<Option<u32>, ServerError> {
    match name {
        Some(name) => id(&["-u", name]),
        None => id(&["-u"]),
    }
}

fn id(arguments: &[&str]) -> Result<Option<u32>, ServerError> {
    let output = Command::new("id").args(arguments).output();
    let output = output.map_err(ServerError::system("run `id`"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().parse();
    Ok(said.ok().filter(|_| output.status.success()))
}

/// Runs a program to its end and gives what it printed.
pub(super) fn run(command: &mut Command) -> Result<String, ServerError> {
    let program = format!("{command:?}");
    let output = command
        .output()
        .map_err(ServerError::system(format!("run {program}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let output = format!("{}, {}", output.status, text(&output.stderr));
    Err(ServerError::Program { program, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_name_above_the_programs() {
        assert_eq!(version_of(Path::new("/usr/lib/postgresql/15/bin")), 15);
        assert_eq!(version_of(Path::new("/usr/lib/postgresql/devel/bin")), 0);
    }

    #[test]
    fn a_program_that_fails_says_so() {
        let mut command = Command::new("sh");
        let failed = run(command.args(["-c", "echo why >&2; exit 3"]));
        let message = failed.expect_err("it exits with 3").to_string();
        assert!(message.contains("exit status: 3, why"), "{message}");
    }

    #[test]
    fn an_unknown_user_has_no_number() {
        let found = user_id(Some("no-such-user")).expect("`id` runs");
        assert_eq!(found, None);
    }
}
