//! Contents of any size, cut into blobs that are named by what they hold.

mod compression;
mod id;

pub use compression::{Compression, Profile};
pub use id::{BlobId, BlobIdError};
