//! The commands about streams: what they print, what they prove, and what they
//! refuse.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use windlass::store::{Batch, Commit, KeyRange};
use windlass::{Options, StoreLocation, Windlass};

use crate::bench::{Bench, Ran, skip};
use crate::refusals::assert_refused;

/// A bench with a session `s1` and its open stream `st`.
fn bench() -> Bench {
    let bench = Bench::with_session();
    bench.run("stream create s1 --id st").assert_code(0);
    bench
}

fn append(bench: &Bench, flags: &str, rows: &[u8]) -> Ran {
    bench.run_with_input(&format!("--json stream append st {flags}"), rows)
}

/// Runs lines, each with what it reads, and writes down all that was said.
fn transcript(bench: &Bench, lines: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (line, input) in lines {
        let said = bench.run_with_input(line, input.as_bytes()).transcript();
        text.push_str(&format!("$ windlass {line}\n{said}\n"));
    }
    text
}

/// What is done with streams, and what is read by it.
pub(crate) const LINES: [(&str, &str); 17] = [
    ("stream create s1 --id st --idle-ms 3600000", ""),
    ("stream create s1 --id st", ""),
    (
        "stream append st",
        "{\"token\":\"Hel\"}\n{\"token\":\"lo\"}\n",
    ),
    ("stream append st --bytes", "as it is\n\n"),
    ("stream append st", "1\nnot json\n2\n"),
    ("stream read st", ""),
    ("stream read st --raw", ""),
    ("stream read st --after 0000000000000002", ""),
    ("stream append st --close", "{\"token\":\"!\"}"),
    ("stream append st", "too late"),
    ("stream append st", "3"),
    ("stream tail st --all", ""),
    ("stream list s1", ""),
    ("stream show st", ""),
    ("stream create s1 --id given-up", ""),
    (
        "stream close given-up --failed model_gone --message no\u{9b}answer",
        "",
    ),
    ("stream read given-up", ""),
];

#[test]
fn streams_are_written_read_and_closed_in_words() {
    insta::assert_snapshot!(transcript(&Bench::with_session(), &LINES));
}

#[test]
fn streams_are_written_read_and_closed_as_json() {
    let lines = LINES.map(|(line, input)| (format!("--json {line}"), input));
    let lines: Vec<_> = lines
        .iter()
        .map(|(line, it)| (line.as_str(), *it))
        .collect();
    insta::assert_snapshot!(transcript(&Bench::with_session(), &lines));
}

/// The marks among the lines of a read.
fn marks(ran: &Ran) -> Vec<(String, String)> {
    let text = |mark: &Value, name: &str| mark[name].as_str().unwrap().to_owned();
    let marks = ran.objects().into_iter().filter_map(|mut line| {
        let mark = line["mark"].take();
        mark.is_object()
            .then(|| (text(&mark, "offset"), text(&mark, "digest")))
    });
    marks.collect()
}

#[test]
fn a_read_goes_on_from_a_mark_and_only_under_its_digest() {
    let bench = bench();
    for rows in ["1\n2\n", "3\n"] {
        append(&bench, "", rows.as_bytes()).assert_code(0);
    }
    let whole = bench.run("--json stream read st");
    let (offset, digest) = &marks(whole.assert_code(0))[0];
    let rest = bench.run(&format!(
        "stream read st --after {offset} --digest {digest}"
    ));
    assert_eq!(rest.assert_code(0).stdout, "3\n");
    let other = digest.replace(|digit: char| digit.is_ascii_digit(), "a");
    let refused = bench.run(&format!(
        "--json stream read st --after {offset} --digest {other}"
    ));
    assert_refused(&refused, "prefix_hash_mismatch", 3, "another digest");
    let beyond = bench.run("--json stream read st --after 0000000000000004");
    assert_refused(&beyond, "offset_beyond_tail", 2, "beyond the tail");
    assert_eq!(beyond.error()["details"]["tail"], "0000000000000003");
}

#[test]
fn a_read_goes_on_with_its_cursor_until_that_is_cancelled() {
    let bench = bench();
    append(&bench, "", b"1\n2\n").assert_code(0);
    let whole = bench.run("--json stream read st");
    let end = whole.assert_code(0).objects().pop().unwrap();
    let cursor = end["end"]["cursor"].as_str().unwrap().to_owned();
    append(&bench, "", b"3\n").assert_code(0);
    let again = bench.run(&format!("stream read st --cursor {cursor}"));
    assert_eq!(
        again.assert_code(0).stdout,
        "1\n2\n",
        "what it was opened for"
    );
    for _ in 0..2 {
        let cancelled = bench.run(&format!("stream cancel st {cursor}"));
        assert_eq!(cancelled.assert_code(0).stdout, "cancelled\n");
    }
    let refused = bench.run(&format!("--json stream read st --cursor {cursor}"));
    assert_refused(&refused, "cancelled", 3, "a cursor that was cancelled");
    let unknown = bench.run(&format!("--json stream cancel st {}", "0".repeat(48)));
    assert_refused(&unknown, "not_found", 4, "a cursor of nobody");
    bench.run("stream cancel st nonsense").assert_code(2);
}

#[test]
fn the_digest_of_a_stream_is_what_its_documents_say() {
    use sha2::{Digest, Sha256};
    let bench = bench();
    for rows in ["{\"a\":1}\n[2]\n", "\"three\"\n"] {
        append(&bench, "", rows.as_bytes()).assert_code(0);
    }
    let chunks: [(u64, &[&[u8]]); 2] = [(0, &[b"{\"a\":1}", b"[2]"]), (2, &[b"\"three\""])];
    let mut digest = vec![0; 32];
    for (first, rows) in chunks {
        let mut hash = Sha256::new();
        for row in rows {
            hash.update(u64::try_from(row.len()).unwrap().to_be_bytes());
            hash.update(row);
        }
        let chain = Sha256::new().chain_update(&digest);
        let chain = chain.chain_update(first.to_be_bytes());
        digest = chain.chain_update(hash.finalize()).finalize().to_vec();
    }
    let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let shown = bench.run("--json stream show st").objects().remove(0);
    assert_eq!(shown["digest"], json!(expected));
}

/// The first block of a language in a page of the documents.
pub(crate) fn block(page: &str, language: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let text = fs::read_to_string(docs.join(page)).unwrap();
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// What Python says of lines, by the program in docs/streams.md; `None` where
/// there is no Python.
fn checked(bench: &Bench, lines: &str) -> Option<Ran> {
    fs::write(bench.path("check.py"), block("streams.md", "python")).unwrap();
    fs::write(bench.path("lines"), lines).unwrap();
    let mut python = Command::new("python3");
    python.arg(bench.path("check.py"));
    python.stdin(fs::File::open(bench.path("lines")).unwrap());
    match python.output() {
        Ok(output) => Some(Ran::new(&output)),
        Err(error) => {
            skip(&format!("there is no python3: {error}"));
            None
        }
    }
}

#[test]
fn the_program_of_the_documents_checks_digests_by_hand() {
    let bench = bench();
    append(&bench, "", b"{\"a\":1}\n[2]\n").assert_code(0);
    append(&bench, "--bytes --close", b"\xff\x00\n\n").assert_code(0);
    let read = bench
        .run("--json stream read st")
        .assert_code(0)
        .stdout
        .clone();
    let Some(said) = checked(&bench, &read) else {
        return;
    };
    let shown = bench.run("--json stream show st").objects().remove(0);
    let digest = shown["digest"].as_str().unwrap();
    assert_eq!(said.assert_code(0).stdout.trim(), digest);
    let other = checked(&bench, &read.replace("[2]", "[3]")).unwrap();
    assert_eq!(
        (other.code, other.stderr.as_str()),
        (Some(1), "the rows before 0000000000000002 are other ones\n")
    );
}

/// Changes one byte of the first chunk in the store.
fn damage(bench: &Bench) {
    let location = StoreLocation::Sqlite(bench.path("windlass.db"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let windlass = Windlass::open(&location, Options::default()).await.unwrap();
        let export = windlass.store().export(KeyRange::all()).await.unwrap();
        let entries = export.collect().await.unwrap();
        let is_chunk = |key: &[u8]| String::from_utf8_lossy(key).contains("/chunk/");
        let chunk = entries
            .into_iter()
            .find(|entry| is_chunk(&entry.key))
            .unwrap();
        let mut value = chunk.value.to_vec();
        value[b"{\"row\":".len()] ^= 1;
        let batch = Batch::new().put(chunk.key, value);
        let damaged = windlass.store().commit(batch).await.unwrap();
        assert!(matches!(damaged, Commit::Applied(_)), "{damaged:?}");
        windlass.close().await.unwrap();
    });
}

#[test]
fn rows_that_are_not_those_of_the_digest_are_not_printed() {
    let bench = bench();
    append(&bench, "", b"4\n2\n").assert_code(0);
    damage(&bench);
    for form in ["--json stream read st", "--json stream tail st --all"] {
        let refused = bench.run(form);
        assert_refused(&refused, "stream_digest_mismatch", 7, form);
        assert_eq!(refused.stdout, "", "{form}");
    }
}

#[test]
fn rows_are_there_for_whoever_follows_before_the_input_ends() {
    let bench = bench();
    let mut tail = bench.command(&["stream", "tail", "st", "--all"]);
    let mut tail = tail.stdout(Stdio::piped()).spawn().unwrap();
    let mut shown = BufReader::new(tail.stdout.take().unwrap()).lines();
    let words = ["stream", "append", "st", "--close"];
    let mut writing = bench.command(&words);
    let mut writing = writing
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = writing.stdin.take().unwrap();
    for row in ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"] {
        writeln!(input, "{row}").unwrap();
        assert_eq!(shown.next().unwrap().unwrap(), row);
    }
    drop(input);
    assert!(shown.next().is_none(), "the stream is closed");
    assert_eq!(tail.wait().unwrap().code(), Some(0));
    assert_eq!(writing.wait().unwrap().code(), Some(0));
}

#[test]
fn input_of_any_length_is_appended_and_read_back_byte_for_byte() {
    let bench = bench();
    let mut rows = Vec::new();
    for number in 0..5_000 {
        rows.extend_from_slice(
            format!("{{\"row\":{number},\"text\":\"{number:060}\"}}\n").as_bytes(),
        );
    }
    let appended = append(&bench, "--close", &rows)
        .assert_code(0)
        .objects()
        .remove(0);
    assert_eq!(
        (&appended["appended"], &appended["closed"]),
        (&json!(5_000), &json!(true))
    );
    let read = bench.run("stream read st");
    assert_eq!(read.assert_code(0).stdout.as_bytes(), rows);
}

#[test]
fn streams_of_others_and_of_nobody_are_absent_alike() {
    let bench = bench();
    let lines = [
        "stream show",
        "stream read",
        "stream tail",
        "stream close",
        "stream append",
    ];
    for line in lines {
        let foreign = bench.run(&format!("--json --principal eve {line} st"));
        assert_refused(&foreign, "not_found", 4, line);
        let absent = bench.run(&format!("--json {line} nothing"));
        assert_eq!(foreign.stderr, absent.stderr, "{line}");
    }
    let session = bench.run("--json stream create nobody");
    assert_refused(&session, "not_found", 4, "no session");
    let taken = bench.run("--json --principal eve stream create s1 --id st");
    assert_refused(&taken, "stream_exists", 3, "a name that is taken");
    for wrong in [
        "stream read",
        "stream read st --digest 00",
        "stream close st --message m",
    ] {
        bench.run(wrong).assert_code(2);
    }
}
