//! How far an import has come.

use std::fmt::Write;

use bytes::Bytes;

/// How far an import has come: whole frames, and the digest of what they
/// brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) frames: u64,
    pub(super) digest: String,
}

impl Mark {
    pub(super) fn encode(&self) -> Bytes {
        let Self { frames, digest } = self;
        format!(r#"{{"v":1,"frames":{frames},"digest":"{digest}"}}"#).into()
    }

    /// Reads what [`Mark::encode`] wrote; `None` for anything else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        let text = text.strip_prefix(r#"{"v":1,"frames":"#)?;
        let (frames, digest) = text.split_once(r#","digest":""#)?;
        Some(Self {
            frames: frames.parse().ok()?,
            digest: digest.strip_suffix(r#""}"#)?.to_owned(),
        })
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is() {
        let mark = Mark {
            frames: 12,
            digest: hex(&[0, 255]),
        };
        let bytes = mark.encode();
        assert_eq!(Mark::decode(&bytes), Some(mark));
        for other in [&bytes[1..], &bytes[..bytes.len() - 1], b"{}", b"\xff", b""] {
            assert_eq!(Mark::decode(other), None, "{other:?}");
        }
    }
}
