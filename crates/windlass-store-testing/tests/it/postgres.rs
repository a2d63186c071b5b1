//! The private PostgreSQL: it runs, dies, comes back and leaves nothing.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use windlass_store_testing::postgres::{Server, ServerError};

/// Tells the test binary, run again, to be a test that is killed.
const ROLE: &str = "WINDLASS_TEST_ROLE";

fn start() -> Server {
    Server::start(&[]).unwrap_or_else(|error| panic!("{error}"))
}

fn query(server: &Server, sql: &str) -> String {
    server.query(sql).unwrap_or_else(|error| panic!("{error}"))
}

fn is_listening(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn a_server_answers_and_leaves_nothing_behind() {
    let server = start();
    assert_eq!(query(&server, "SELECT 1, 'a'"), "1|a");
    assert_eq!(query(&server, "SHOW unix_socket_directories"), "");
    assert_eq!(query(&server, "SHOW listen_addresses"), "127.0.0.1");
    assert_eq!(query(&server, "SHOW fsync"), "on");
    let (port, data) = (server.port(), server.data());
    drop(server);
    assert!(!is_listening(port), "the server still listens");
    assert!(!data.exists(), "{} is still there", data.display());
}

#[test]
fn settings_of_a_test_come_before_the_usual_ones() {
    let server = Server::start(&[("fsync", "off"), ("max_connections", "7")]);
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let found = query(
        &server,
        "SELECT current_setting('fsync'), current_setting('max_connections')",
    );
    assert_eq!(found, "off|7");
}

#[test]
fn a_setting_that_is_none_is_told_with_the_servers_own_words() {
    match Server::start(&[("no_such_setting", "1")]) {
        Err(ServerError::Program { output, .. }) => {
            assert!(output.contains("no_such_setting"), "{output}");
        }
        other => panic!("expected the server to refuse, got {other:?}"),
    }
}

#[test]
fn a_killed_server_comes_back_with_what_was_committed() {
    let server = start();
    query(&server, "CREATE TABLE kept (number integer)");
    for number in 0..3 {
        query(&server, &format!("INSERT INTO kept VALUES ({number})"));
        server.kill().expect("the server can be killed");
        assert!(!is_listening(server.port()), "it listens after its death");
        server.start_again().expect("the server starts again");
    }
    let found = query(&server, "SELECT count(*) FROM kept");
    assert_eq!(found, "3");
}

#[test]
fn a_standby_has_what_its_primary_committed_and_takes_over() {
    let primary = start();
    let standby = primary.standby("second", &[]).expect("a standby starts");
    query(&primary, "CREATE TABLE moved (number integer)");
    let place = query(&primary, "SELECT pg_current_wal_lsn()");
    primary.kill().expect("the primary can be killed");
    standby.promote().expect("the standby takes over");
    let received = format!("SELECT pg_last_wal_replay_lsn() >= '{place}'");
    // What is not synchronous may be lost; the standby is usable either way.
    let found = query(&standby, &received);
    assert!(found == "t" || found == "f", "{found}");
    query(&standby, "CREATE TABLE own (number integer)");
}

#[test]
fn tests_of_one_process_share_a_server() {
    let first = Server::shared().unwrap_or_else(|error| panic!("{error}"));
    let second = Server::shared().unwrap_or_else(|error| panic!("{error}"));
    assert!(Arc::ptr_eq(&first, &second), "there are two servers");
}

/// What a test is that is killed while it has a server.
#[test]
fn a_killed_test_leaves_no_server() {
    if is_child() {
        return play_victim();
    }
    let mut child = victim();
    let output = child.stdout.take().expect("its output is a pipe");
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    let told = lines
        .filter_map(|line| line.strip_prefix('@').map(str::to_owned))
        .next()
        .expect("the child tells of its server");
    let (process, data) = told.split_once(' ').expect("a process and a place");
    let process = PathBuf::from("/proc").join(process);
    assert!(process.exists(), "the server is not there");
    child.kill().expect("the child can be killed");
    child.wait().expect("the child ends");
    while is_alive(&process) {
        std::thread::yield_now();
    }
    drop(start());
    assert!(!Path::new(data).exists(), "`{data}` was not removed");
}

fn victim() -> Child {
    let binary = std::env::current_exe().expect("the test binary has a path");
    let mut command = Command::new(binary);
    command.args(["postgres::a_killed_test_leaves_no_server", "--exact"]);
    command.args(["--nocapture"]).env(ROLE, "Victim");
    command.stdout(Stdio::piped()).stdin(Stdio::piped());
    command.spawn().expect("a child starts")
}

#[expect(clippy::print_stdout, reason = "how a child tells its parent")]
fn play_victim() {
    let server = start();
    let process = server.process_id().expect("it runs");
    println!("\n@{process} {}", server.data().display());
    // Until the parent kills this process, or is gone itself.
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}

#[expect(
    clippy::disallowed_methods,
    reason = "how a child of the test binary is told its role"
)]
fn is_child() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Whether a process is there and has not ended; a container may have nobody
/// who takes note of the end.
fn is_alive(process: &Path) -> bool {
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    let state = status.lines().find(|line| line.starts_with("State:"));
    state.is_some_and(|state| !state.contains('Z'))
}
