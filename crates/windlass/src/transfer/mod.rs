//! Moving everything that is stored into another store, by way of a file.
//!
//! The file is the same whatever store it came from: equal content gives equal
//! bytes. It is written and read as a stream in bounded memory, compressed,
//! and its content is hashed, so that a file that was cut short or damaged is
//! refused. An import that was interrupted is no store: opening it is refused
//! until the import has been finished with the same file.
//!
//! | module | what is in it |
//! |---|---|
//! | `frame` | the format of the file |
//! | `writing` | a store to a file |
//! | `reading` | a file to a store |
//! | `mark` | how far an import has come |

mod error;
mod frame;
mod mark;
mod reading;
mod writing;

use std::io::{Read, Write};
use std::time::Duration;

use windlass_core::Sharing;

use crate::opening::{Terms, open_store};
use crate::{StoreLocation, Windlass};

pub use error::TransferError;
pub(crate) use mark::hex;
pub use reading::import;
pub(crate) use reading::read_through;
pub use writing::export;
pub(crate) use writing::export_visited;

/// How long reading everything back may take at the end of an import, and
/// what an export that moves a whole store should be allowed.
pub const MOVE_TIME_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How much has been moved so far, or was moved in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Entries, of whatever part.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// What was moved, and what identifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How much it was.
    pub moved: Moved,
    /// The SHA-256 of the whole content, in hexadecimal. Stores with the same
    /// content have the same, whatever their kind.
    pub digest: String,
    /// Entries that an earlier, interrupted import had brought already.
    pub found: u64,
}

/// Hears how far it is, after each piece of about a MiB.
pub type Progress<'a> = &'a mut (dyn FnMut(Moved) + Send);

impl Windlass {
    /// Writes everything that is stored to a file; see [`export`]. A large
    /// store needs more time than it gives an export by itself:
    /// [`Options::export_time_max`](crate::Options::export_time_max).
    ///
    /// # Errors
    ///
    /// Those of [`export`].
    pub async fn export_to(
        &self,
        to: &mut (dyn Write + Send),
        progress: Progress<'_>,
    ) -> Result<Report, TransferError> {
        export(self.store().as_ref(), to, progress).await
    }

    /// Opens a new store, or one that an interrupted import has left, brings
    /// everything in a file into it, and closes it; see [`import`]. Where the
    /// kind of store allows it, no other process can open it meanwhile.
    ///
    /// # Errors
    ///
    /// [`TransferError::Open`], and those of [`import`].
    pub async fn import_from(
        location: &StoreLocation,
        from: &mut (dyn Read + Send),
        progress: Progress<'_>,
    ) -> Result<Report, TransferError> {
        let sharing = match location {
            StoreLocation::Postgres(_) => Sharing::Shared,
            _ => Sharing::Exclusive,
        };
        let terms = Terms {
            sharing,
            export_time_max: Some(MOVE_TIME_MAX),
            uses: crate::opening::Uses::Everything,
        };
        let store = open_store(location, terms).await?.store;
        let imported = import(store.as_ref(), from, progress).await;
        let closed = store.close().await;
        let report = imported?;
        closed.map_err(TransferError::store("close"))?;
        Ok(report)
    }
}
