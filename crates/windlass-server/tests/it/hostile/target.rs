//! A server in a process of its own, so that its memory is its own, and what
//! a healthy client sees of it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::RwLockWriteGuard;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use windlass::core::Env;
use windlass::{Options, SystemEnv, Windlass};
use windlass_server::{Config, Server};

use super::wire::Wire;
use crate::support::{get, post};
use crate::turns::take_alone;

const ROLE: &str = "WINDLASS_TEST_ROLE";

/// Rounds of a measurement; the median of theirs is what counts.
const ROUNDS: usize = 7;

/// Requests of a round.
const REQUESTS: usize = 200;

/// A 99th percentile that is responsive on whatever machine.
const RESPONSIVE: Duration = Duration::from_millis(150);

#[expect(
    clippy::disallowed_methods,
    reason = "a child process is told its role this way"
)]
fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// The settings a child is started with, as `name=value`.
fn config(settings: &str) -> Config {
    let mut config = Config::default();
    config.listen = "127.0.0.1:0".parse().expect("an address");
    config.maintain = false;
    for setting in settings.split_whitespace().skip(1) {
        let (name, value) = setting.split_once('=').expect("a setting");
        let value = value.parse().expect("a number");
        match name {
            "head_ms" => config.patience.head_ms = value,
            "body_ms" => config.patience.body_ms = value,
            "write_ms" => config.patience.write_ms = value,
            "connections" => config.connections_max = usize::try_from(value).expect("a size"),
            _ => panic!("`{name}` is no setting of these tests"),
        }
    }
    config
}

/// Started as a child this serves; otherwise it does nothing.
#[test]
fn a_child_serves_until_its_parent_has_gone() {
    let Some(settings) = role().filter(|role| role.starts_with("server")) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let location = "memory:".parse().expect("a location");
        let engine = Windlass::open(&location, Options::default()).await;
        let server = Server::bind(engine.expect("a store"), config(&settings)).await;
        let server = server.expect("bound");
        let line = format!("@{}\n", server.address());
        let mut output = std::io::stdout();
        output.write_all(line.as_bytes()).expect("told");
        output.flush().expect("told");
        let stop = async {
            let waited =
                tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
            waited.await.expect("waited").expect("an end");
        };
        server.run(stop, std::future::pending()).await;
    });
}

/// A server to be mistreated.
pub(crate) struct Target {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The path of a session in it.
    pub(crate) session: String,
    _alone: RwLockWriteGuard<'static, ()>,
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CREATE: &str = r#"{"agent":"researcher","intent":"go on working",
    "tools":"all","budget":{"calls":1000000}}"#;

const USE: &str = r#"{"agent":"researcher","items":[{"tool":"search"}]}"#;

impl Target {
    pub(crate) fn start(settings: &str) -> Self {
        let alone = take_alone();
        let binary = std::env::current_exe().expect("the test binary has a path");
        let mut child = Command::new(binary)
            .args([
                "hostile::target::a_child_serves_until_its_parent_has_gone",
                "--exact",
                "--nocapture",
            ])
            .env(ROLE, format!("server {settings}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.expect("a line");
            // The harness says what it runs on the same line.
            line.split_once('@')?.1.parse().ok()
        });
        let address = address.expect("it serves");
        // Whatever else it says is not waited for.
        std::thread::spawn(move || lines.for_each(drop));
        let made = Wire::to(address)
            .ask(&post("/v1/sessions", CREATE))
            .expect(201);
        let id = made.json()["id"].as_str().expect("an id").to_owned();
        Self {
            child,
            address,
            session: format!("/v1/sessions/{id}"),
            _alone: alone,
        }
    }

    pub(crate) fn wire(&self) -> Wire {
        Wire::to(self.address)
    }

    /// Everything that is stored.
    pub(crate) fn dump(&self) -> Vec<u8> {
        self.wire().ask(&get("/v1/store/export")).expect(200).body
    }

    /// The memory it has, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("a number").parse().expect("a number")
    }

    /// Panics if it has grown by more than so much since.
    pub(crate) fn check_growth(&self, before_kib: u64, mib_max: u64) {
        let grown = self.resident_kib().saturating_sub(before_kib);
        assert!(grown <= mib_max * 1_024, "it has grown by {grown} KiB");
    }

    /// The 99th percentile of a healthy client's waits, reading and using a
    /// session in turn: the median of several rounds.
    pub(crate) fn p99(&self) -> Duration {
        let clock = SystemEnv::new();
        let mut wire = self.wire();
        let uses = format!("{}/uses", self.session);
        let (read, used) = (get(&self.session).bytes(), post(&uses, USE).bytes());
        let mut rounds: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let mut waits: Vec<Duration> = (0..REQUESTS)
                    .map(|turn| {
                        let began = clock.monotonic();
                        wire.send(if turn % 2 == 0 { &read } else { &used });
                        wire.answer().expect("an answer").expect(200);
                        clock.monotonic() - began
                    })
                    .collect();
                waits.sort();
                waits[REQUESTS * 99 / 100]
            })
            .collect();
        rounds.sort();
        rounds[ROUNDS / 2]
    }

    /// Measures a healthy client while `mischief` is done again and again.
    pub(crate) fn check_responsive(&self, mischief: impl Fn() + Sync) {
        self.check_ratio(|| {
            let (end, ended) = channel::<()>();
            std::thread::scope(|scope| {
                let (pause, mischief) = (Duration::from_millis(5), &mischief);
                scope.spawn(move || {
                    while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                        mischief();
                    }
                });
                let during = self.p99();
                drop(end);
                during
            })
        });
    }

    /// Measures a healthy client `beside` something and when it is quiet, and
    /// says both. A machine with other work to do may slow either, so what
    /// fails is only what nobody would call responsive.
    #[expect(clippy::print_stdout, reason = "a test's figures")]
    pub(crate) fn check_ratio(&self, beside: impl FnOnce() -> Duration) {
        let before = self.p99();
        let during = beside();
        let quiet = before.max(self.p99());
        println!("p99 beside it {during:?}, when it is quiet {quiet:?}");
        assert!(
            during <= RESPONSIVE.max(quiet * 3),
            "p99 was {during:?}, and {quiet:?} when it was quiet"
        );
    }
}
