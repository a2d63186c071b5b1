//! Several processes on one store: the test binary run again with a role to
//! play.
//!
//! A child is started with one test and its role in the environment. It tells
//! its parent what was acknowledged to it, in lines that begin with `@`, and
//! does what it is told on its standard input.

mod auditing;
#[cfg(feature = "transfer")]
mod backing;
mod caching;
mod deaths;
mod leaving;
mod racing;
mod sharing;
mod turns;
mod working;

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use windlass::Windlass;
use windlass::core::AgentId;
use windlass::session::{Caller, Create};

use crate::place::{Place, open};

const ROLE: &str = "WINDLASS_TEST_ROLE";
/// Where the store is.
const PATH: &str = "WINDLASS_TEST_PATH";

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Changes sessions until it is killed.
    Mortal,
    /// Uses sessions that another process uses too, until all are spent.
    Spender,
    /// Tops up and closes what it is told to.
    Clerk,
    /// Uses sessions of its own as fast as it can, until its input ends.
    Saturated,
    /// Makes one use after the other and tells how long they took.
    Light,
    /// Commits to states that another process commits to as well.
    Writer,
    /// Enqueues work and does it, and tells everything.
    Worker,
    /// Does the work that others left.
    Last,
    /// Enqueues when it is told to.
    Producer,
    /// Makes sessions, of which the audit is told.
    Audited,
    /// Puts into its cache.
    Cacher,
    /// Makes backups.
    #[cfg(feature = "transfer")]
    Copyist,
    /// Restores a backup into one new store after the other.
    #[cfg(feature = "transfer")]
    Restorer,
}

impl Role {
    const ALL: &[Self] = &[
        Self::Mortal,
        Self::Spender,
        Self::Clerk,
        Self::Saturated,
        Self::Light,
        Self::Writer,
        Self::Worker,
        Self::Last,
        Self::Producer,
        Self::Audited,
        Self::Cacher,
        #[cfg(feature = "transfer")]
        Self::Copyist,
        #[cfg(feature = "transfer")]
        Self::Restorer,
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|role| format!("{role:?}") == name)
    }

    async fn play(self, engine: Windlass) {
        match self {
            Self::Mortal => deaths::play_mortal(engine).await,
            Self::Spender => sharing::play_spender(engine).await,
            Self::Clerk => sharing::play_clerk(engine).await,
            Self::Saturated => turns::play_saturated(engine).await,
            Self::Light => turns::play_light(engine).await,
            Self::Writer => racing::play_writer(engine).await,
            Self::Worker => working::play_worker(engine).await,
            Self::Last => working::play_last(engine).await,
            Self::Producer => working::play_producer(engine).await,
            Self::Audited => auditing::play_audited(engine).await,
            Self::Cacher => caching::play_cacher(engine).await,
            #[cfg(feature = "transfer")]
            Self::Copyist => backing::play_copyist(engine).await,
            #[cfg(feature = "transfer")]
            Self::Restorer => backing::play_restorer(engine).await,
        }
    }
}

/// Where a child begins. Without a role it checks that each can be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_plays_the_role_it_is_told() {
    let Some(role) = variable(ROLE) else {
        for role in Role::ALL {
            assert_eq!(Role::named(&format!("{role:?}")), Some(*role));
        }
        return;
    };
    let role = Role::named(&role).unwrap();
    let location = variable(PATH).unwrap();
    role.play(open(&location).await).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "how a child of the test binary is told its role, and a longer run its length"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A number that a longer run sets in the environment.
fn setting(name: &str, otherwise: u64) -> u64 {
    variable(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn caller() -> Caller {
    Caller::new("acme".parse().unwrap(), "tests".parse().unwrap())
}

fn agent(name: &str) -> AgentId {
    name.parse().unwrap()
}

/// A session that may call every tool.
fn session(id: &str, agent_name: &str, calls: u64) -> Create {
    let mut request = Create::new(agent(agent_name), "be used by several processes");
    request.id = Some(id.parse().unwrap());
    request.tools = windlass::session::Allow::All;
    request.time_limit_ms = 24 * 60 * 60 * 1_000;
    request.budget.calls = calls;
    request
}

/// Tells the parent something; it stays told if the child dies.
fn tell(line: &str) {
    let mut output = std::io::stdout().lock();
    output.write_all(format!("@{line}\n").as_bytes()).unwrap();
    output.flush().unwrap();
}

/// A child process; killed when dropped.
struct Player {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Player {
    fn start(role: Role, place: &Place) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "processes::a_child_plays_the_role_it_is_told",
                "--exact",
                "--nocapture",
            ])
            .env(ROLE, format!("{role:?}"))
            .env(PATH, place.location_of_children())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next thing the child tells; `None` once it has ended. A line that
    /// a kill cut off was not told.
    fn hear(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.unwrap();
            if let Some(told) = line.strip_prefix('@') {
                return Some(told.to_owned());
            }
        }
    }

    /// Says something to the child.
    fn say(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Says something to the child and hears what it answers.
    fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear().expect("the child answers")
    }

    /// Kills the child as a crash would; what it had told until then. It must
    /// not have ended by itself.
    fn kill(mut self) -> Vec<String> {
        let ended = self.child.try_wait().unwrap();
        assert_eq!(ended, None, "the child ended by itself");
        self.child.kill().unwrap();
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// All the child tells until it ends, which it must do well.
    fn finish(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let told = std::iter::from_fn(|| self.hear()).collect();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "a child ended with {status}");
        told
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A small generator for tests (SplitMix64), so that a seed repeats a run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
