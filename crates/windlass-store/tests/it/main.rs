//! Tests of what every store shares: the codec, the seal, the limits, the
//! hints and the conveniences.

mod batch;
mod changes;
mod error;
mod export;
mod ext;
mod key;
mod plain;
mod range;
mod scan;
mod seal;
mod version;
