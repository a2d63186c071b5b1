//! What it takes to refuse a name that is nobody's: as much as one that is
//! somebody else's.
//!
//! Both are refused with the same words. For their time to be the same too, the
//! same is read from the store for both; and as the record of a foreign one has
//! to be taken apart before its owner is known, one is taken apart for an
//! unknown one as well.

use std::hint::black_box;

use serde::de::DeserializeOwned;

use crate::error::StreamError;
use crate::record::{CursorRow, Head, decode};

/// A head like most.
const HEAD: &str = r#"{"v":1,"rev":2,"principal":"principal","session":"0199b2b0-7f3a-7000-8000-00000000000a","created":1700000000007,"at":1700000000007,"tail":"0000000000000001","digest":"29242f2ffcb04fe77b99c4548dc5d776e9c90e4d7d8ead0524c9e1cc083d0987","bytes":10,"widest":125,"by":[["022ab1ba804098e6",1],["cb293e6770eb3a95",2]]}"#;

/// A cursor like most.
const CURSOR: &str = r#"{"v":1,"proof":"b26402a82fdfb89e7a648d8256d78a86","principal":"principal","stream":"0199b2b0-7f3a-7000-8000-00000000000a","request":"be6891554d5c9a36c44f585df3d4cf088912f0365b33d4f7571215b41e5cfbd6","at":"0000000000000001","tail":"0000000000000003","until":1700000090007}"#;

/// The refusal of a stream that is nobody's.
pub(crate) fn no_stream() -> StreamError {
    refused::<Head>(HEAD)
}

/// The refusal of a cursor that is nobody's.
pub(crate) fn no_cursor() -> StreamError {
    refused::<CursorRow>(CURSOR)
}

fn refused<T: DeserializeOwned>(sample: &str) -> StreamError {
    let taken_apart = decode::<T>("sample", black_box(sample).as_bytes());
    black_box(taken_apart.is_ok());
    StreamError::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_apart_is_a_whole_record() {
        let head: Result<Head, _> = decode("sample", HEAD.as_bytes());
        assert!(head.is_ok_and(|head| head.rev == 2), "a head");
        let cursor: Result<CursorRow, _> = decode("sample", CURSOR.as_bytes());
        assert!(cursor.is_ok_and(|row| row.at.number() == 1), "a cursor");
    }
}
