//! The number of the layout that stored records carry.
//!
//! It is one number for all parts: a store is of one layout. What is in a
//! record, and how it is written, is the part's own.

use serde::{Deserialize, Serialize};

/// The version every record of this layout carries, written as its number.
/// Reading another fails, and says which was found and which is read.
///
/// ```
/// use windlass_core::Format;
///
/// assert_eq!(u8::from(Format), 1);
/// assert_eq!(
///     Format::try_from(2),
///     Err("format 2; this version reads 1".to_owned())
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub struct Format;

/// The number of this layout.
const FORMAT: u8 = 1;

impl From<Format> for u8 {
    fn from(_: Format) -> Self {
        FORMAT
    }
}

impl TryFrom<u8> for Format {
    type Error = String;

    fn try_from(found: u8) -> Result<Self, String> {
        if found == FORMAT {
            Ok(Self)
        } else {
            Err(format!("format {found}; this version reads {FORMAT}"))
        }
    }
}
