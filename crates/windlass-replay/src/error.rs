//! Every way in which reading recorded runs can fail.

use std::io;
use std::path::PathBuf;
use std::str::Utf8Error;

use windlass::core::{Coded, ErrorKind, IdError};
use windlass::session::Problem;
use windlass::session::limits::DEPTH_MAX;

use crate::Format;
use crate::limits::{DIRECTORY_DEPTH_MAX, FILES_MAX, RUN_KEY_BYTES_MAX, STEPS_MAX};

/// Why recorded runs could not be read. Nothing has been played then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system refused.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is a socket, a device or the like.
    #[error("`{}` is neither a file nor a directory", path.display())]
    Kind {
        /// What was to be read.
        path: PathBuf,
    },
    /// A directory without any file.
    #[error("there is no file in `{}`", path.display())]
    NoFiles {
        /// The directory.
        path: PathBuf,
    },
    /// A directory with too many files.
    #[error("`{}` has more than {FILES_MAX} files", path.display())]
    TooManyFiles {
        /// The directory.
        path: PathBuf,
    },
    /// Directories nested too deep.
    #[error("`{}` is more than {DIRECTORY_DEPTH_MAX} directories down", path.display())]
    TooDeep {
        /// The directory that is too far down.
        path: PathBuf,
    },
    /// More to read than is held in memory.
    #[error("with `{}` there are more than {max} bytes of runs", path.display())]
    TooLarge {
        /// The file with which the limit was passed.
        path: PathBuf,
        /// Most bytes that all files may have together.
        max: u64,
    },
    /// A file of nothing, or of white space.
    #[error("`{}` is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are no text.
    #[error("`{}` is not UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where it is not.
        source: Utf8Error,
    },
    /// Text that is neither an array nor an object of JSON.
    #[error("`{}` is no JSON array or object", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where it is not.
        source: serde_json::Error,
    },
    /// A cassette that is no YAML.
    #[error("line {line} of `{}` is no YAML", path.display())]
    NotYaml {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// JSON, but of none of the formats.
    #[error("the runs in `{}` are in none of the formats {}", path.display(), Format::LIST)]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The format asked for keeps its runs differently.
    #[error("`{}` is not in the format `{format}`, which is {}", path.display(), format.shape())]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The format asked for.
        format: Format,
    },
    /// What holds the runs of the format together is damaged.
    #[error("`{}` does not have the form of `{format}`, which is {}", path.display(), format.shape())]
    Form {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: Format,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An array or object of nothing.
    #[error("there is no run in `{}`", path.display())]
    NoRuns {
        /// The file.
        path: PathBuf,
    },
    /// Runs of several formats in one file.
    #[error("{} {index} of `{}` is in the format `{found}`, not `{expected}` like the first", expected.part(), path.display())]
    Mixed {
        /// The file.
        path: PathBuf,
        /// The place of the run, or of what the first format has there,
        /// counted from 0.
        index: u64,
        /// The format of the first run.
        expected: Format,
        /// The format of this one.
        found: Format,
    },
    /// One run, or a part of one, cannot be read.
    #[error("cannot read {} {index} of `{}`", format.part(), path.display())]
    Run {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: Format,
        /// The run's place, counted from 0; where the format's runs have
        /// several elements of the file, the element's.
        index: u64,
        /// What is wrong with it.
        source: RunError,
    },
    /// A line of a trace of arrivals cannot be read.
    #[error("line {line} of `{}` has no time, or one before the last", path.display())]
    Arrival {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// Two runs of a file with one key.
    #[error("`{}` has two runs `{key}`", path.display())]
    DuplicateRun {
        /// The file.
        path: PathBuf,
        /// Their key.
        key: String,
    },
    /// Two files with the same content: their runs could not be told apart.
    #[error("`{}` has the same content as `{}`", path.display(), other.display())]
    SameContent {
        /// The later file.
        path: PathBuf,
        /// The earlier one.
        other: PathBuf,
    },
}

impl Coded for ReadError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "unreadable_input",
            Self::TooLarge { .. } | Self::TooManyFiles { .. } | Self::TooDeep { .. } => {
                "input_too_large"
            }
            Self::UnknownFormat { .. } | Self::WrongShape { .. } => "unknown_format",
            _ => "invalid_input",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                ErrorKind::Environment
            }
            _ => ErrorKind::Invalid,
        }
    }
}

/// What is wrong with one recorded run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It has not the fields of its format.
    #[error("it does not have the form of its format")]
    Form(#[from] serde_json::Error),
    /// The agent it names cannot be one.
    #[error("its agent cannot be used")]
    Agent(#[from] IdError),
    /// Its key cannot be part of an id.
    #[error("its key cannot be used")]
    Key(#[source] IdError),
    /// Its key is too long to be part of an id.
    #[error("its key has {length} bytes; at most {RUN_KEY_BYTES_MAX} are allowed")]
    KeyTooLong {
        /// The key's length in bytes.
        length: usize,
    },
    /// A tool has a name that no session could allow.
    #[error("the tool of call {call} cannot be used")]
    Tool {
        /// The call, counted from 1.
        call: usize,
        /// What is wrong with the name.
        source: Problem,
    },
    /// One event of it cannot be read.
    #[error("cannot read event {event}")]
    Event {
        /// The event's place, counted from 0.
        event: usize,
        /// What is wrong with it.
        source: Box<RunError>,
    },
    /// Something among the events that is none.
    #[error("it is neither an action nor an observation")]
    NoEvent,
    /// A tool's message answers no call before it.
    #[error("message {message} answers a tool call that nobody made")]
    AnswerWithoutCall {
        /// The message's place, counted from 0.
        message: usize,
    },
    /// Actions and observations do not pair up.
    #[error("there are {actions} actions but {observations} observations")]
    UnequalTurns {
        /// How many actions.
        actions: usize,
        /// How many observations.
        observations: usize,
    },
    /// More tool calls than a session can hold.
    #[error("it makes {steps} tool calls; at most {STEPS_MAX} are allowed")]
    TooManySteps {
        /// How many it makes.
        steps: usize,
    },
    /// A chain of delegations that no tree of sessions may have.
    #[error("more than {DEPTH_MAX} agents delegate one to the next")]
    TooDeep,
    /// It says that it was allowed no call at all.
    #[error("its budget of tool calls is 0")]
    NoBudget,
}
