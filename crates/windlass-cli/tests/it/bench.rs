//! A directory of its own in which the command is run, and what came out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use windlass::{Options, StoreLocation, Windlass};

/// An empty directory with the default store in it, once one is made.
pub(crate) struct Bench {
    directory: TempDir,
}

/// What one run of the command said, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A bench whose store has the session `s1` of agent `scout`, which may
    /// call `search` and `read_*` and has 10 calls.
    pub(crate) fn with_session() -> Self {
        let bench = Self::new();
        let create = "session create --id s1 --agent scout --intent errands --tool search --tool read_* --calls 10";
        bench.run(create).assert_code(0);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The command with these arguments, out of reach of the machine's own
    /// settings.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("windlass"));
        command
            .env_clear()
            .current_dir(self.directory())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs the command with the words of `line`, which has no quotes.
    pub(crate) fn run(&self, line: &str) -> Ran {
        let words: Vec<&str> = line.split_whitespace().collect();
        Ran::new(&self.command(&words).output().unwrap())
    }

    /// Runs the command with exactly these arguments.
    pub(crate) fn run_words(&self, words: &[&str]) -> Ran {
        Ran::new(&self.command(words).output().unwrap())
    }

    /// Runs the command with `input` on its standard input.
    pub(crate) fn run_with_input(&self, line: &str, input: &[u8]) -> Ran {
        let file = self.path(".input");
        fs::write(&file, input).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = self.command(&words);
        command.stdin(fs::File::open(&file).unwrap());
        Ran::new(&command.output().unwrap())
    }

    /// Runs a line as a user's shell would, and gives all that it printed, its
    /// exit code last unless it is 0.
    pub(crate) fn shell(&self, line: &str) -> String {
        let windlass = assert_cmd::cargo::cargo_bin!("windlass");
        let script = format!(
            "windlass() {{ {} \"$@\"; }}\n{{ {line}\n}} 2>&1",
            windlass.display()
        );
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &script])
            .env_clear()
            .current_dir(self.directory());
        command.env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        let ran = Ran::new(&command.output().unwrap());
        match ran.code {
            Some(0) => ran.stdout,
            code => format!("{}(exit code {})\n", ran.stdout, code.unwrap()),
        }
    }

    /// Every key and value of the default store.
    pub(crate) fn export(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let location = StoreLocation::Sqlite(self.path("windlass.db"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let windlass = Windlass::open(&location, Options::default()).await.unwrap();
            let entries = windlass.export().await.unwrap().collect().await.unwrap();
            windlass.close().await.unwrap();
            entries
                .into_iter()
                .map(|entry| (entry.key.to_vec(), entry.value.to_vec()))
                .collect()
        })
    }
}

impl Ran {
    pub(crate) fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Panics with everything that was said unless it ended with `code`.
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Every line of standard output as JSON.
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The one error on standard error.
    pub(crate) fn error(&self) -> Value {
        let mut lines = self.stderr.lines();
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("no error was said: {self:?}"));
        assert_eq!(lines.next(), None, "more than one line: {self:?}");
        let mut error: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{self:?}"));
        error["error"].take()
    }

    /// All of it as one text, with times made the same for every run.
    pub(crate) fn transcript(&self) -> String {
        let mut text = String::new();
        text.push_str(&self.stdout);
        text.extend(self.stderr.lines().map(|line| format!("stderr: {line}\n")));
        if self.code != Some(0) {
            text.push_str(&format!("exit code: {:?}\n", self.code.unwrap()));
        }
        settled(&text)
    }
}

/// Says what a test leaves out on this machine, and why.
#[expect(
    clippy::print_stderr,
    reason = "a test that leaves something out must say so"
)]
pub(crate) fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

/// `text` with every time of day, every cursor's time, what is left of an hour
/// and everything drawn at random made the same for every run, width kept.
pub(crate) fn settled(text: &str) -> String {
    let text = drawn(&unnamed(&timeless(text)));
    let mut settled = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        settled.push_str(&rest[..start]);
        rest = &rest[start..];
        let (shown, length) = number(rest);
        settled.push_str(&shown);
        rest = &rest[length..];
    }
    settled.push_str(rest);
    settled
}

/// `text` with every name of a backup, how long one took and how large it was,
/// made the same for every run.
fn timeless(text: &str) -> String {
    const NAME: &str = "20261121T134553Z-1f6a09c2";
    const FIGURES: [&str; 2] = ["took_ms", "file_bytes"];
    let like_name = |found: &str| {
        found
            .bytes()
            .zip(NAME.bytes())
            .enumerate()
            .all(|(at, (found, model))| match at {
                8 | 15 | 16 => found == model,
                17.. => found.is_ascii_hexdigit(),
                _ => found.is_ascii_digit(),
            })
    };
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = match rest.get(..NAME.len()) {
            Some(candidate) if like_name(candidate) => {
                shown.push_str(NAME);
                NAME.len()
            }
            _ if FIGURES.iter().any(|name| rest.starts_with(name)) => {
                let figure = rest[rest.find([' ', '"']).unwrap_or(rest.len())..]
                    .trim_start_matches([' ', '\"', ':']);
                let digits = figure.len()
                    - figure
                        .trim_start_matches(|it: char| it.is_ascii_digit())
                        .len();
                let before = rest.len() - figure.len();
                shown.push_str(&rest[..before]);
                shown.push('1');
                before + digits
            }
            _ => {
                shown.push(next);
                next.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    shown
}

/// `text` with every UUID made the same for every run.
fn unnamed(text: &str) -> String {
    const UUID: &str = "00000000-0000-7000-8000-000000000000";
    let is_uuid = |candidate: &str| {
        candidate
            .bytes()
            .zip(UUID.bytes())
            .all(|(found, model)| match model {
                b'-' => found == b'-',
                _ => matches!(found, b'0'..=b'9' | b'a'..=b'f'),
            })
    };
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = match rest.get(..UUID.len()) {
            Some(candidate) if is_uuid(candidate) => {
                shown.push_str(UUID);
                UUID.len()
            }
            _ => {
                shown.push(next);
                next.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    shown
}

/// `text` with every id of a key, secret, cursor and hash made the same for every run:
/// words of just 16, 32, 48 or 64 lower-case hexadecimal digits.
fn drawn(text: &str) -> String {
    let is_word = |character: char| character.is_ascii_alphanumeric();
    let is_hex = |character: char| matches!(character, '0'..='9' | 'a'..='f');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let word = &rest[start..];
        let end = word
            .find(|character| !is_word(character))
            .unwrap_or(word.len());
        shown.push_str(&rest[..start]);
        match &word[..end] {
            hex if matches!(hex.len(), 16 | 32 | 48 | 64) && hex.chars().all(is_hex) => {
                shown.push_str(&"0123456789abcdef".repeat(hex.len() / 16));
            }
            other => shown.push_str(other),
        }
        rest = &word[end..];
    }
    shown.push_str(rest);
    shown
}

/// What stands for the number that `text` begins with, and how long that is.
fn number(text: &str) -> (String, usize) {
    const TIME: &str = "2026-01-01T00:00:00.000Z";
    if let Some(candidate) = text.get(..TIME.len())
        && candidate.bytes().zip(TIME.bytes()).all(|(found, model)| {
            if model.is_ascii_digit() {
                found.is_ascii_digit()
            } else {
                found == model
            }
        })
    {
        return (TIME.to_owned(), TIME.len());
    }
    let length = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let digits = &text[..length];
    let shown = match length {
        13 => "1767225600000",
        7 if digits.starts_with("35") => "3600000",
        _ => digits,
    };
    (shown.to_owned(), length)
}
