//! How blobs are named.

use windlass_checkpoint::{BlobId, BlobIdError};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn a_content_is_named_by_its_sha_256() {
    let id = BlobId::of(b"");
    assert_eq!(id.to_string(), EMPTY);
    assert_eq!(EMPTY.parse(), Ok(id));
    let stored = serde_json::to_string(&id).unwrap();
    assert_eq!(stored, format!("\"{EMPTY}\""));
    assert_eq!(serde_json::from_str::<BlobId>(&stored).unwrap(), id);
}

#[test]
fn other_texts_are_no_names_of_blobs() {
    let long = format!("{EMPTY}00");
    let upper = EMPTY.to_uppercase();
    for text in [
        "",
        "e3",
        &EMPTY[1..],
        &long,
        &upper,
        &EMPTY.replace('e', "é"),
    ] {
        assert_eq!(text.parse::<BlobId>(), Err(BlobIdError), "{text}");
    }
}
