//! Every way to fail: its code, its kind and its words, each layer once.

use std::error::Error;

use windlass_cache::{CacheError, Key, Metadata, Namespace, Policy, Put, Tag};
use windlass_core::{Coded, RandomError};

use crate::support::{World, key};

/// Code, kind and words of an error, and of all below it.
fn shown(error: &CacheError) -> String {
    let mut text = format!("{} {:?}: {error}", error.code(), error.kind());
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(" because ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[test]
fn every_error_has_a_code_a_kind_and_its_words() {
    let errors = [
        CacheError::BlobTooLarge { size: 9, max: 8 },
        CacheError::MetadataTooLarge { keys: 33, bytes: 9 },
        CacheError::TooManyNamespaces { max: 256 },
        CacheError::VersionMismatch {
            existing: Some(2),
            attempted: Some(1),
        },
        CacheError::Random(RandomError::new("gone")),
    ];
    let expected = [
        "blob_too_large Invalid: the blob has 9 bytes; at most 8 are allowed",
        "metadata_too_large Invalid: the metadata has 33 keys and 9 bytes; at most 32 and 4096 \
         are allowed",
        "too_many_namespaces Refused: there are 256 namespaces already",
        "version_mismatch Conflict: the entry is not at a version that allows the change",
        "no_randomness Environment: no random bytes could be drawn because random generator \
         failed: gone",
    ];
    assert_eq!(errors.each_ref().map(shown), expected);
}

#[test]
fn names_that_are_none_are_refused_without_being_repeated() {
    let long = "x".repeat(513);
    let refused = [
        "".parse::<Key>().unwrap_err(),
        long.parse::<Key>().unwrap_err(),
        "a\u{7}".parse::<Tag>().unwrap_err(),
        long.parse::<Namespace>().unwrap_err(),
    ];
    let expected = [
        "invalid_request Invalid: `key` has 0 bytes; 1 to 512 are allowed",
        "invalid_request Invalid: `key` has 513 bytes; 1 to 512 are allowed",
        "invalid_request Invalid: `tag` has a control character",
        "invalid_request Invalid: `namespace` has 513 bytes; 1 to 128 are allowed",
    ];
    assert_eq!(refused.each_ref().map(shown), expected);
}

#[test]
fn metadata_above_its_limits_is_refused() {
    let many = (0..33).map(|number| (format!("k{number}"), ""));
    let expected = "metadata_too_large Invalid: the metadata has 33 keys and 89 bytes; at most \
                    32 and 4096 are allowed";
    assert_eq!(shown(&Metadata::new(many).unwrap_err()), expected);
    Metadata::new([("k", "v".repeat(4_095))]).expect("it just fits");
    let large = Metadata::new([("k", "v".repeat(4_096))]).unwrap_err();
    assert_eq!(large.code(), "metadata_too_large");
    let json = serde_json::to_string(&Metadata::new([("k", "v")]).unwrap()).unwrap();
    assert_eq!(json, r#"{"k":"v"}"#);
    let read = serde_json::from_str::<Metadata>(&format!(r#"{{"k":"{}"}}"#, "v".repeat(5_000)));
    assert!(read.is_err_and(|error| error.is_data()));
}

#[test]
fn policies_that_contradict_themselves_are_refused() {
    let bad = [
        Policy::ttl_ms(0),
        Policy {
            idle_ms: Some(0),
            ..Policy::default()
        },
        Policy {
            jitter_ms: 10,
            ..Policy::ttl_ms(10)
        },
        Policy {
            jitter_ms: 1,
            ..Policy::default()
        },
    ];
    let expected = [
        "`ttl_ms` is 0; 1 to 18446744073709551615 are allowed",
        "`idle_ms` is 0; 1 to 18446744073709551615 are allowed",
        "`jitter_ms` is 10; less than `ttl_ms` is allowed, which is 10",
        "`jitter_ms` is 1; less than `ttl_ms` is allowed, which is 0",
    ];
    let world = World::new();
    let words = bad.map(|policy| {
        let put = Put {
            policy,
            ..Put::new("v")
        };
        let refused = world.cache.put(&world.space, &key("k"), put);
        refused.unwrap_err().to_string()
    });
    assert_eq!(words, expected);
}
