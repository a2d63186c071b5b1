//! A command line that cannot be understood, without repeating it at length.

use std::error::Error;
use std::fmt;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Longest word of the command line that an error repeats, in bytes.
const ECHO_BYTES_MAX: usize = 64;

/// What clap found wrong. Words that are long, or could move the cursor of a
/// terminal, are left out of it.
#[derive(Debug)]
pub(crate) struct UsageError(Box<clap::Error>);

impl UsageError {
    pub(crate) fn new(mut error: clap::Error) -> Self {
        let said = [
            ContextKind::InvalidValue,
            ContextKind::InvalidArg,
            ContextKind::InvalidSubcommand,
        ];
        for kind in said {
            if matches!(error.get(kind), Some(ContextValue::String(word)) if !is_harmless(word)) {
                error.insert(kind, ContextValue::String("...".to_owned()));
            }
        }
        Self(Box::new(error))
    }

    /// What may have been meant instead.
    pub(crate) fn tips(&self) -> Vec<String> {
        self.parts().tips
    }

    /// The tips and how the command is used, for people; empty if clap has
    /// nothing to say.
    pub(crate) fn hint(&self) -> String {
        let Parts { tips, usage, .. } = self.parts();
        let tips = tips.iter().map(|tip| format!("  tip: {tip}"));
        let tips = tips.collect::<Vec<_>>().join("\n");
        let said = [tips, usage];
        let said: Vec<_> = said.into_iter().filter(|part| !part.is_empty()).collect();
        said.join("\n\n")
    }

    fn parts(&self) -> Parts {
        let text = self.0.render().to_string();
        if self.0.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Parts {
                wrong: "a command is missing".to_owned(),
                tips: Vec::new(),
                usage: text,
            };
        }
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let usage = text.find("\n\nUsage:");
        let usage = usage.or_else(|| text.find("\n\nFor more"));
        let (found, usage) = text.split_at(usage.unwrap_or(text.len()));
        let (tips, wrong): (Vec<_>, Vec<_>) =
            found.lines().partition(|line| tip_in(line).is_some());
        let tips = tips.into_iter().filter_map(tip_in);
        Parts {
            wrong: one_line(&wrong.join(" ")),
            tips: tips.map(str::to_owned).collect(),
            usage: usage.trim().to_owned(),
        }
    }
}

/// What clap says of one mistake.
struct Parts {
    /// What is wrong, as one line.
    wrong: String,
    tips: Vec<String>,
    /// How the command is used, and where to read more.
    usage: String,
}

fn tip_in(line: &str) -> Option<&str> {
    line.trim().strip_prefix("tip: ")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_harmless(word: &str) -> bool {
    word.len() <= ECHO_BYTES_MAX && !word.chars().any(char::is_control)
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().wrong)
    }
}

impl Error for UsageError {}
