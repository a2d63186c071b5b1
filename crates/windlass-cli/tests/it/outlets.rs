//! The commands about streams on a server, over lines that break and lines
//! that lie.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::bench::{Bench, Ran, settled};
use crate::outputs::LINES;
use crate::refusals::assert_refused;
use crate::remote::{Serving, key};

/// A server with a key that may do everything with sessions and streams, and
/// read states.
struct Far {
    bench: Bench,
    serving: Serving,
    key: String,
}

impl Far {
    fn start() -> Self {
        let bench = Bench::with_session();
        let key = key(&bench, "--verb session.* --verb state.read --verb stream.*");
        let serving = Serving::start(&bench);
        Self {
            bench,
            serving,
            key,
        }
    }

    /// Runs a line on the server at `url`, with something to read.
    fn run_at(&self, url: &str, line: &str, input: &[u8]) -> Ran {
        let file = self.bench.path(".input");
        fs::write(&file, input).unwrap();
        let mut words = vec!["--server", url];
        words.extend(line.split_whitespace());
        let mut command = self.bench.command(&words);
        command.env("WINDLASS_KEY", &self.key);
        command.stdin(fs::File::open(&file).unwrap());
        Ran::new(&command.output().unwrap())
    }

    fn run(&self, line: &str, input: &[u8]) -> Ran {
        self.run_at(&self.serving.url, line, input)
    }
}

#[test]
fn streams_are_the_same_on_a_server() {
    let (here, there) = (Bench::with_session(), Far::start());
    for (line, input) in LINES {
        for line in [line.to_owned(), format!("--json {line}")] {
            let on_store = here.run_with_input(&line, input.as_bytes());
            let on_server = there.run(&line, input.as_bytes());
            assert_eq!(on_store.code, on_server.code, "{line}: {on_server:?}");
            let said = [&on_store, &on_server].map(|ran| settled(&ran.stdout));
            assert_eq!(said[0], said[1], "{line}");
            if on_store.stderr.contains("\"error\"") {
                let code = |ran: &Ran| {
                    let last = ran.stderr.lines().last().unwrap();
                    let said: serde_json::Value = serde_json::from_str(last).unwrap();
                    said["error"]["code"].clone()
                };
                assert_eq!(code(&on_store), code(&on_server), "{line}");
            }
        }
    }
}

/// What stands between a client and its server: `pass` gets the number of the
/// connection and what the server said, and says what goes on, or that the
/// line breaks there.
struct Line {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl Line {
    fn to(
        server: &str,
        pass: impl Fn(usize, usize, &mut Vec<u8>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, pass) = (Arc::clone(&connections), Arc::new(pass));
        let server = server.strip_prefix("http://").unwrap().to_owned();
        thread::spawn(move || {
            for near in listener.incoming() {
                let number = counted.fetch_add(1, Ordering::Relaxed);
                let far = TcpStream::connect(&server).unwrap();
                let pass = Arc::clone(&pass);
                thread::spawn(move || carry(number, near.unwrap(), far, pass.as_ref()));
            }
        });
        Self { url, connections }
    }
}

/// Carries both ways until one side has gone, or the line breaks. What cannot
/// be carried any more has nobody who waits for it.
fn carry(
    number: usize,
    near: TcpStream,
    mut far: TcpStream,
    pass: &(dyn Fn(usize, usize, &mut Vec<u8>) -> bool + Send + Sync),
) {
    let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut near, mut carried) = (near, 0);
    let mut buffer = vec![0; 16 * 1_024];
    while let Ok(length @ 1..) = far.read(&mut buffer) {
        let mut said = buffer[..length].to_vec();
        let goes_on = pass(number, carried, &mut said);
        carried += length;
        if near.write_all(&said).is_err() || !goes_on {
            break;
        }
    }
    let _ = near.shutdown(Shutdown::Both);
    let _ = far.shutdown(Shutdown::Both);
}

/// Rows of a stream of `chunks` chunks.
fn written(far: &Far, chunks: usize) -> String {
    far.run("stream create s1 --id st", b"").assert_code(0);
    let mut all = String::new();
    for chunk in 0..chunks {
        let row = |row| format!("{{\"chunk\":{chunk},\"row\":{row},\"text\":\"{row:050}\"}}\n");
        let rows: String = (0..20).map(row).collect();
        far.run("stream append st", rows.as_bytes()).assert_code(0);
        all.push_str(&rows);
    }
    far.run("stream close st", b"").assert_code(0);
    all
}

#[test]
fn a_read_goes_on_by_itself_however_often_the_line_breaks() {
    let far = Far::start();
    let rows = written(&far, 6);
    // Each line lasts for a few bytes more than a chunk and what is said
    // first, and breaks in the middle of whatever comes then.
    let line = Line::to(&far.serving.url, |number, carried, said| {
        let lasts = 3_400 + 97 * number;
        let left = lasts.saturating_sub(carried);
        let goes_on = said.len() < left;
        said.truncate(left);
        goes_on
    });
    for command in ["stream read st", "stream tail st --all"] {
        let before = line.connections.load(Ordering::Relaxed);
        let read = far.run_at(&line.url, command, b"");
        assert_eq!(read.assert_code(0).stdout, rows, "{command}");
        let lines = line.connections.load(Ordering::Relaxed) - before;
        assert!(lines > 3, "{command} took {lines} lines");
    }
}

#[test]
fn a_row_that_was_changed_on_the_way_is_noticed_and_not_printed() {
    let far = Far::start();
    let rows = written(&far, 3);
    let line = Line::to(&far.serving.url, |_, _, said| {
        let wanted = b"{\"chunk\":2,\"row\":7,";
        let found = said.windows(wanted.len()).position(|it| it == wanted);
        if let Some(place) = found {
            said[place + wanted.len() - 2] = b'8';
        }
        true
    });
    let read = far.run_at(&line.url, "--json stream read st", b"");
    assert_eq!(
        read.assert_code(7).error()["code"],
        "stream_digest_mismatch"
    );
    let printed = read
        .stdout
        .lines()
        .filter(|line| line.starts_with("{\"row\":"));
    assert_eq!(printed.count(), 40, "what was proven before is printed");
    assert!(!read.stdout.contains("\"chunk\":2"), "{}", read.stdout);
    assert_eq!(far.run("stream read st", b"").assert_code(0).stdout, rows);
}

#[test]
fn a_read_of_a_server_goes_on_with_its_cursor_until_it_is_cancelled() {
    let far = Far::start();
    written(&far, 2);
    let read = far.run("--json stream read st", b"");
    let lines = read.assert_code(0).objects();
    let mark = lines.iter().find_map(|line| line.get("mark")).unwrap();
    let end = &lines.last().unwrap()["end"];
    let [offset, digest] = ["offset", "digest"].map(|name| mark[name].as_str().unwrap());
    let cursor = end["cursor"].as_str().unwrap();
    let rest = format!("stream read st --cursor {cursor} --after {offset} --digest {digest}");
    let rest = far.run(&rest, b"");
    assert_eq!(rest.assert_code(0).stdout.lines().count(), 20);
    let cancel = format!("stream cancel st {cursor}");
    far.run(&cancel, b"").assert_code(0);
    far.run(&cancel, b"").assert_code(0);
    let refused = far.run(&format!("--json stream read st --cursor {cursor}"), b"");
    assert_refused(&refused, "cancelled", 3, "a cursor that was cancelled");
}

#[test]
fn a_source_is_the_same_on_a_server_and_goes_on_with_its_cursor() {
    let (here, there) = (Bench::with_session(), Far::start());
    for number in 0..3 {
        // Without an id of its own a server's client draws one.
        let line = format!("session use s1 search --agent scout --operation op-{number}");
        here.run(&line).assert_code(0);
        there.run(&line, b"").assert_code(0);
    }
    for (line, code) in [
        ("stream source usage s1", 0),
        ("stream source usage s1 --newest-first --limit 2", 0),
        ("--json stream source usage s1 --kind close", 0),
        ("stream source graph s1 --raw", 0),
        ("stream source usage s1 --kind message", 2),
        ("stream source usage nobody", 4),
    ] {
        let (on_store, on_server) = (here.run(line), there.run(line, b""));
        assert_eq!(
            on_store.assert_code(code).code,
            on_server.assert_code(code).code
        );
        let said = [&on_store, &on_server].map(|ran| settled(&ran.stdout));
        assert_eq!(said[0], said[1], "{line}");
    }
    let run: [&dyn Fn(&str) -> Ran; 2] = [&|line| here.run(line), &|line| there.run(line, b"")];
    for run in run {
        let whole = run("--json stream source usage s1");
        let end = whole.assert_code(0).objects().pop().unwrap();
        let cursor = end["end"]["cursor"].as_str().unwrap().to_owned();
        let rest = format!("stream source usage s1 --cursor {cursor} --after 0000000000000002");
        assert_eq!(run(&rest).assert_code(0).stdout.lines().count(), 1);
        let cancel = format!("stream source usage s1 --cursor {cursor} --cancel");
        run(&cancel).assert_code(0);
        let refused = run(&format!("--json stream source usage s1 --cursor {cursor}"));
        assert_refused(&refused, "cancelled", 3, "a cursor that was cancelled");
    }
}

#[test]
fn rows_that_are_longer_than_a_keyed_append_are_appended_to_a_server() {
    let far = Far::start();
    far.run("stream create s1 --id st", b"").assert_code(0);
    let row = format!("\"{}\"\n", "x".repeat(9 * 1_024 * 1_024));
    far.run("stream append st --close", row.as_bytes())
        .assert_code(0);
    let read = far.run("stream read st", b"");
    assert_eq!(read.assert_code(0).stdout.len(), row.len());
    assert_eq!(read.stdout, row);
}
