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

    /// How the command is used, for people; empty if clap has nothing to say.
    pub(crate) fn usage(&self) -> String {
        self.paragraphs().1
    }

    /// What is wrong, as one line, and what follows it.
    fn paragraphs(&self) -> (String, String) {
        let text = self.0.render().to_string();
        if self.0.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return ("a command is missing".to_owned(), text);
        }
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let (wrong, usage) = match text
            .find("\n\nUsage:")
            .or_else(|| text.find("\n\nFor more"))
        {
            Some(end) => text.split_at(end),
            None => (text, ""),
        };
        let sentences = wrong.split("\n\n").map(one_line);
        (
            sentences.collect::<Vec<_>>().join("; "),
            usage.trim().to_owned(),
        )
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_harmless(word: &str) -> bool {
    word.len() <= ECHO_BYTES_MAX && !word.chars().any(char::is_control)
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.paragraphs().0)
    }
}

impl Error for UsageError {}
