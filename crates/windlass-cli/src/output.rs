//! Where data and messages go, and in which form.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use clap::builder::StyledStr;
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{ColorWhen, Global};
use crate::config::Environment;
use crate::failure::{CommandError, Failure};
use crate::figures::figures;
use crate::table::plain;

/// Standard output for data, standard error for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    color: Color,
}

/// Which of the two streams may carry colours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Color {
    when: ColorWhen,
    stdout: bool,
    stderr: bool,
}

impl Color {
    fn new(when: ColorWhen, environment: &Environment) -> Self {
        let on = |terminal: bool| match when {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => terminal && !environment.no_color(),
        };
        Self {
            when,
            stdout: on(io::stdout().is_terminal()),
            stderr: on(io::stderr().is_terminal()),
        }
    }

    /// The same choice in clap's words, for its help.
    pub(crate) const fn for_clap(self) -> clap::ColorChoice {
        match self.when {
            ColorWhen::Auto => clap::ColorChoice::Auto,
            ColorWhen::Always => clap::ColorChoice::Always,
            ColorWhen::Never => clap::ColorChoice::Never,
        }
    }
}

impl Output {
    pub(crate) fn new(json: bool, when: ColorWhen, environment: &Environment) -> Self {
        Self {
            json,
            color: Color::new(when, environment),
        }
    }

    /// How to speak in a command that reads no settings, only flags.
    pub(crate) fn unsettled(global: &Global, environment: &Environment) -> Self {
        Self::new(global.json, global.color.unwrap_or_default(), environment)
    }

    /// How to speak while the command line is not parsed yet, or cannot be.
    pub(crate) fn guess(words: &[OsString], environment: &Environment) -> Self {
        let said = |word: &str| words.iter().any(|given| given == word);
        let follows = |when: &str| {
            words
                .windows(2)
                .any(|pair| pair[0] == "--color" && pair[1] == when)
        };
        let when = if said("--color=always") || follows("always") {
            ColorWhen::Always
        } else if said("--color=never") || follows("never") {
            ColorWhen::Never
        } else {
            ColorWhen::Auto
        };
        Self::new(said("--json"), when, environment)
    }

    /// Whether data and messages are JSON.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }

    /// Where colours may be used.
    pub(crate) const fn color(&self) -> Color {
        self.color
    }

    /// `text` with or without its colours, as standard output takes them.
    pub(crate) fn rendered(&self, text: &StyledStr) -> String {
        if self.color.stdout {
            text.ansi().to_string()
        } else {
            text.to_string()
        }
    }

    /// Writes text to standard output, ended by a line break.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        write_data(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
    }

    /// Writes bytes to standard output as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        write_data(bytes)
    }

    /// Writes one object as one line to standard output.
    pub(crate) fn object(&self, object: &impl Serialize) -> Result<(), Failure> {
        let mut line =
            serde_json::to_vec(object).map_err(|cause| CommandError::Output(cause.into()))?;
        line.push(b'\n');
        write_data(&line)
    }

    /// Writes one answer: `object` with `--json`, otherwise what `text` makes.
    pub(crate) fn answer(
        &self,
        object: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.json {
            self.object(object)
        } else {
            self.text(&text())
        }
    }

    /// Says something that is worth knowing to standard error: `object` with
    /// `--json`, otherwise `text`.
    pub(crate) fn note(&self, object: &Value, text: &str) {
        if self.json {
            say(&object.to_string());
        } else {
            say(&format!(
                "{} {}",
                self.label("note:", AnsiColor::Cyan),
                plain(text)
            ));
        }
    }

    /// Says how a command failed to standard error.
    pub(crate) fn failure(&self, failure: &Failure) {
        if matches!(failure, Failure::Unheard) {
            return;
        }
        if self.json {
            say(&failure_json(failure).to_string());
            return;
        }
        let label = self.label("error:", AnsiColor::Red);
        say(&format!("{label} {}", messages(failure).join(": ")));
        if let Some(hint) = failure.usage_hint() {
            say(&format!("\n{hint}"));
        }
    }

    fn label(&self, word: &str, color: AnsiColor) -> String {
        if !self.color.stderr {
            return word.to_owned();
        }
        let style: Style = color.on_default().bold();
        format!("{style}{word}{style:#}")
    }
}

/// What each layer says, outermost first.
fn messages(failure: &Failure) -> Vec<String> {
    let (Failure::Error(error) | Failure::Check(error)) = failure else {
        return vec!["interrupted".to_owned()];
    };
    let mut said = vec![plain(&error.to_string())];
    let mut next = error.source();
    while let Some(cause) = next {
        said.push(plain(&cause.to_string()));
        next = cause.source();
    }
    said
}

fn failure_json(failure: &Failure) -> Value {
    let mut said = messages(failure).into_iter();
    let message = said.next();
    let causes: Vec<String> = said.collect();
    let mut error = json!({ "code": failure.code(), "kind": failure.kind(), "message": message });
    if !causes.is_empty() {
        error["causes"] = causes.into();
    }
    if let Failure::Error(cause) = failure
        && let details @ Value::Object(_) = figures(cause.as_ref())
    {
        error["details"] = details;
    }
    json!({ "error": error })
}

/// Writes and flushes; a reader that has gone is not an error of ours.
fn write_data(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Unheard),
        Err(error) => Err(CommandError::Output(error).into()),
    }
}

/// Writes a line to standard error. Where that fails there is nowhere left to
/// say so.
fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
