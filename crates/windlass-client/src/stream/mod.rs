//! Streams: append-only output that is read on after any cut.
//!
//! What is read comes as lines of NDJSON, each an object with one member that
//! says what it is: `open`, then `row` or `bytes` and `mark` as often as there
//! are any, then `end` or `error`. What is appended is sent as lines of `row`
//! or `bytes`. Offsets are texts of 16 hexadecimal digits that sort as the
//! places do; digests have 64.

mod answer;
mod frame;
mod request;

pub use answer::{
    Appended, FinishedInput, Input, InputAppended, InputState, Placed, PrincipalReads, Reads,
    RemovedStream, Stream, StreamClosed, StreamList, StreamRead, StreamsReport, Trimmed,
};
pub use frame::{StreamEnd, StreamFailure, StreamMark, StreamOpened};
pub use request::{
    CloseStream, CreateStream, FinishInput, NewInput, NewRow, ReadSource, ReadStream, Source,
    SourceOrder, StreamEnding, StreamExpiry, StreamsQuery, TrimStream,
};

/// Longest that a read waits for rows, in milliseconds.
pub const WAIT_MS_MAX: u64 = 30_000;

/// The media type of rows.
pub const ROWS_MEDIA_TYPE: &str = "application/x-ndjson";

/// Bytes of rows, as framed, of one append under an idempotency key: it is
/// made whole or not at all.
pub const KEYED_BYTES_MAX: usize = 8 * 1024 * 1024;
