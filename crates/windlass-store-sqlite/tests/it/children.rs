//! Other processes: the test binary run again with a role to play.
//!
//! A child is started with one test, [`every_role_can_be_told_to_a_child`], and its role in the
//! environment. It tells its parent what it did in lines on its standard
//! output that begin with `@`, and ends when its standard input does.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::{deaths, disk_full, processes, space};

const ROLE: &str = "WINDLASS_TEST_ROLE";
const PATH: &str = "WINDLASS_TEST_PATH";

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Commits until it is killed, and acknowledges.
    Mortal,
    /// Counts up a key that others count up as well.
    Counter,
    /// Commits as fast as it can on keys of its own.
    Saturating,
    /// Commits one after the other.
    Light,
    /// Has the store for itself until it is told to end.
    Exclusive,
    /// Commits until the system refuses to let its files grow.
    Growing,
    /// Opens the store for the first time, with others.
    Opening,
    /// Reads what it is told to.
    Watching,
    /// Empties a store and gives back its space until it is killed.
    Shrinking,
}

const ROLES: [Role; 9] = [
    Role::Mortal,
    Role::Counter,
    Role::Saturating,
    Role::Light,
    Role::Exclusive,
    Role::Growing,
    Role::Opening,
    Role::Watching,
    Role::Shrinking,
];

impl Role {
    fn name(self) -> String {
        format!("{self:?}")
    }

    fn named(name: &str) -> Option<Self> {
        ROLES.into_iter().find(|role| role.name() == name)
    }

    fn play(self, path: &Path) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime starts");
        runtime.block_on(async {
            match self {
                Self::Mortal => deaths::play_mortal(path).await,
                Self::Counter => processes::play_counter(path).await,
                Self::Saturating => processes::play_saturating(path).await,
                Self::Light => processes::play_light(path).await,
                Self::Exclusive => processes::play_exclusive(path).await,
                Self::Growing => disk_full::play_growing(path).await,
                Self::Opening => processes::play_opening(path).await,
                Self::Watching => processes::play_watching(path).await,
                Self::Shrinking => space::play_shrinking(path).await,
            }
        });
    }
}

/// Where a child begins. Without a role it only checks that every role can be
/// told to a child.
#[test]
fn every_role_can_be_told_to_a_child() {
    let Some(role) = variable(ROLE) else {
        assert_eq!(ROLES.map(|role| Role::named(&role.name())), ROLES.map(Some));
        return;
    };
    let role = Role::named(&role).expect("the parent names a role");
    role.play(Path::new(&variable(PATH).expect("the parent names a path")));
}

/// A number that a longer run sets in the environment.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    variable(name).map_or(otherwise, |text| {
        text.parse().expect("the variable holds a number")
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "how a child of the test binary is told its role"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Tells the parent something; what it told stays told if the child dies.
pub(crate) fn tell(line: &str) {
    let mut output = std::io::stdout().lock();
    let written = output
        .write_all(format!("@{line}\n").as_bytes())
        .and_then(|()| output.flush());
    written.expect("the parent listens");
}

/// Waits until the parent says something, or goes.
pub(crate) fn listen() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin()
        .read_line(&mut line)
        .expect("standard input can be read");
    (read > 0).then(|| line.trim().to_owned())
}

/// A child process that plays a role; killed when dropped.
pub(crate) struct Player {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Player {
    pub(crate) fn start(role: Role, path: &Path) -> Self {
        let binary = std::env::current_exe().expect("the test binary has a path");
        Self::spawn(Command::new(binary), role, path)
    }

    /// Starts a child none of whose files may grow beyond so many bytes.
    pub(crate) fn start_limited(role: Role, path: &Path, file_bytes_max: u64) -> Self {
        let binary = std::env::current_exe().expect("the test binary has a path");
        let mut command = Command::new("sh");
        // An ignored SIGXFSZ stays ignored, so that writes fail instead.
        let script = format!(
            "trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"",
            file_bytes_max / 512
        );
        command.arg("-c").arg(script).arg(binary);
        Self::spawn(command, role, path)
    }

    fn spawn(mut command: Command, role: Role, path: &Path) -> Self {
        let mut child = command
            .args([
                "children::every_role_can_be_told_to_a_child",
                "--exact",
                "--nocapture",
            ])
            .env(ROLE, role.name())
            .env(PATH, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child starts");
        let output = child.stdout.take().expect("the output is a pipe");
        Self {
            child,
            lines: BufReader::new(output).lines(),
        }
    }

    /// The next thing the child tells; `None` once it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.expect("the output can be read");
            if let Some(told) = line.strip_prefix('@') {
                return Some(told.to_owned());
            }
        }
    }

    /// Hears something that must begin with `word`; the rest of it.
    pub(crate) fn expect(&mut self, word: &str) -> String {
        let told = self
            .hear()
            .unwrap_or_else(|| panic!("the child ended instead of telling `{word}`"));
        let rest = told
            .strip_prefix(word)
            .unwrap_or_else(|| panic!("expected `{word}`, heard `{told}`"));
        rest.trim().to_owned()
    }

    /// Says something to the child.
    pub(crate) fn say(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("the input is a pipe");
        input
            .write_all(format!("{line}\n").as_bytes())
            .expect("the child listens");
    }

    /// Kills the child as a crash would, and gives what it told until then.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("the child can be killed");
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// Waits for the child to end well.
    pub(crate) fn finish(mut self) {
        drop(self.child.stdin.take());
        while self.hear().is_some() {}
        let status = self.child.wait().expect("the child ends");
        assert!(status.success(), "the child ended with {status}");
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
