//! Other processes: the test binary run again with a role to play.
//!
//! A child is started with one test, [`every_role_can_be_told_to_a_child`],
//! and its role in the environment. It tells its parent what it did in lines
//! that begin with `@`, and ends when its standard input does.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

#[cfg(target_os = "linux")]
use crate::power;
use crate::{deaths, disk_full, lifetime};

const ROLE: &str = "WINDLASS_TEST_ROLE";
const PATH: &str = "WINDLASS_TEST_PATH";

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Commits until it is killed, and acknowledges.
    Mortal,
    /// Commits until the system refuses to let its files grow.
    Growing,
    /// Has the store open until it is told to end.
    Holding,
    /// Is the disk of a trial of power loss.
    #[cfg(target_os = "linux")]
    Serving,
    /// Works on that disk.
    #[cfg(target_os = "linux")]
    Working,
}

const ROLES: &[Role] = &[
    Role::Mortal,
    Role::Growing,
    Role::Holding,
    #[cfg(target_os = "linux")]
    Role::Serving,
    #[cfg(target_os = "linux")]
    Role::Working,
];

impl Role {
    fn name(self) -> String {
        format!("{self:?}")
    }

    fn named(name: &str) -> Option<Self> {
        ROLES.iter().copied().find(|role| role.name() == name)
    }

    fn play(self, path: &Path) {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build();
        runtime.expect("a runtime starts").block_on(async {
            match self {
                Self::Mortal => deaths::play_mortal(path).await,
                Self::Growing => disk_full::play_growing(path).await,
                Self::Holding => lifetime::play_holding(path).await,
                #[cfg(target_os = "linux")]
                Self::Serving => power::play_serving(path),
                #[cfg(target_os = "linux")]
                Self::Working => power::play_working(path).await,
            }
        });
    }
}

/// Where a child begins. Without a role it only checks that every role can be
/// told to a child.
#[test]
fn every_role_can_be_told_to_a_child() {
    let Some(role) = variable(ROLE) else {
        for role in ROLES {
            assert_eq!(Role::named(&role.name()), Some(*role));
        }
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
    let written = output.write_all(format!("@{line}\n").as_bytes());
    let written = written.and_then(|()| output.flush());
    written.expect("the parent listens");
}

/// Waits until the parent goes.
pub(crate) fn wait_for_the_end() {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    assert_eq!(read.expect("standard input can be read"), 0, "{line}");
}

/// A child process that plays a role; killed when dropped.
pub(crate) struct Player {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Player {
    pub(crate) fn start(role: Role, path: &Path) -> Self {
        Self::spawn(Command::new(binary()), role, path)
    }

    /// Starts a child none of whose files may grow beyond so many bytes.
    #[cfg(unix)]
    pub(crate) fn start_limited(role: Role, path: &Path, file_bytes_max: u64) -> Self {
        let mut command = Command::new("sh");
        // An ignored SIGXFSZ stays ignored, so that writes fail instead.
        let blocks = file_bytes_max / 512;
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(script).arg(binary());
        Self::spawn(command, role, path)
    }

    /// Starts a child whose mounts are its own, and gone when it is.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_in_a_namespace(role: Role, path: &Path) -> Self {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private"])
            .arg(binary());
        Self::spawn(command, role, path)
    }

    fn spawn(mut command: Command, role: Role, path: &Path) -> Self {
        let name = "children::every_role_can_be_told_to_a_child";
        let command = command.args([name, "--exact", "--nocapture"]);
        let command = command.env(ROLE, role.name()).env(PATH, path);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("a child starts");
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

fn binary() -> std::path::PathBuf {
    std::env::current_exe().expect("the test binary has a path")
}

impl Drop for Player {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
