//! Stores with recorded streams in them.

use std::path::Path;

use windlass::stream::{Caller, Ending, NewStream, Row, Settings};
use windlass::{Options, StoreLocation, Windlass};

use crate::error::BenchError;
use crate::sessions::fixture::{PRINCIPAL, TENANT, session_id};

/// Streams that can be read at a time where many are.
pub const STREAMS_MAX: usize = 20_000;

/// Who writes and reads.
#[must_use]
pub fn caller() -> Caller {
    Caller {
        tenant: TENANT.parse().expect("a valid tenant"),
        principal: PRINCIPAL.parse().expect("a valid principal"),
    }
}

/// The name of a stream.
#[must_use]
pub fn name(number: usize) -> String {
    format!("recorded-{number}")
}

/// Opens the database at `path` with the defaults, but for how many may read
/// at a time.
///
/// # Errors
///
/// The store's failures.
pub async fn open(path: &Path) -> Result<Windlass, BenchError> {
    let options = Options {
        streams: Settings {
            streams_max: STREAMS_MAX,
            principal_streams_max: STREAMS_MAX,
            ..Settings::default()
        },
        ..Options::default()
    };
    let opened = Windlass::open(&StoreLocation::Sqlite(path.to_owned()), options).await;
    opened.map_err(|cause| BenchError::Unfair(cause.to_string()))
}

/// A stream to be written, with the name of its number.
#[must_use]
pub fn new(number: usize) -> NewStream {
    NewStream {
        id: Some(name(number).parse().expect("a valid name")),
        ..NewStream::of(session_id(0))
    }
}

/// A row of JSON whose line has `line_bytes` bytes with its newline.
#[must_use]
pub fn row(number: u64, line_bytes: usize) -> Row {
    const FRAME_BYTES: usize = "{\"row\":}\n".len();
    let mut text = format!("{{\"n\":{number},\"text\":\"");
    let length = line_bytes.saturating_sub(FRAME_BYTES + 2).max(text.len());
    text.extend(std::iter::repeat_n('x', length - text.len()));
    text.push_str("\"}");
    Row::Json(text.into())
}

/// Records a stream of so many rows, and closes it.
///
/// # Errors
///
/// The store's failures.
pub async fn record(
    windlass: &Windlass,
    number: usize,
    rows: u64,
    line_bytes: usize,
) -> Result<(), BenchError> {
    let mut writer = windlass.streams().create(&caller(), &new(number)).await?;
    for at in 0..rows {
        let written = writer.append(&row(at, line_bytes)).await;
        written.map_err(|refused| refused.error)?;
    }
    writer.close(Ending::Finished).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_json_and_their_lines_as_long_as_asked() {
        for line_bytes in [100, 1_024] {
            let row = row(7, line_bytes);
            row.check().expect("JSON");
            assert_eq!(row.content().len() + "{\"row\":}\n".len(), line_bytes);
        }
    }
}
