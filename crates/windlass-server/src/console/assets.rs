//! The files of the console, which are in the binary: each as it is and
//! packed, both made once, each form with the digest of its bytes as its tag.
//!
//! Nothing is looked up on a disk: a path that is not one of the names is not
//! there, whatever it is made of.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::call::{Reply, tag_text};

/// The page that the console is.
pub(crate) const INDEX: &str = "index.html";

/// What a browser may do with the files: fetch from this server, and nothing
/// else. No script and no style is in the markup, and none is made of text.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The headers of every answer with a file, beside those of every answer.
const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", POLICY),
    ("cross-origin-opener-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    // A browser asks each time, and mostly hears that nothing has changed.
    ("cache-control", "no-cache"),
    ("vary", "accept-encoding"),
];

/// Media types by the ends of names.
const MEDIA: [(&str, &str); 6] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("json", "application/json"),
];

#[derive(RustEmbed)]
#[folder = "console/"]
struct Folder;

/// A file in one of its forms.
#[derive(Debug)]
struct Form {
    bytes: Bytes,
    tag: String,
}

impl Form {
    fn new(bytes: Bytes) -> Self {
        let digest = Sha256::digest(&bytes);
        let tag = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes, tag }
    }
}

/// A file.
#[derive(Debug)]
pub(crate) struct Asset {
    media: &'static str,
    plain: Form,
    /// Packed with gzip, if that is smaller.
    packed: Option<Form>,
}

static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    let names = Folder::iter();
    let known = names.filter_map(|name| {
        let media = media(&name)?;
        let file = Folder::get(&name)?;
        Some((name.into_owned(), Asset::new(media, file.data.into_owned())))
    });
    known.collect()
});

/// The file of this name.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.get(name)
}

fn media(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    let found = MEDIA.iter().find(|(known, _)| *known == end);
    found.map(|(_, media)| *media)
}

impl Asset {
    fn new(media: &'static str, bytes: Vec<u8>) -> Self {
        let packed = pack(&bytes);
        let packed = (packed.len() < bytes.len()).then(|| Form::new(packed.into()));
        Self {
            media,
            plain: Form::new(bytes.into()),
            packed,
        }
    }

    /// The answer to a request with these headers, by somebody who has the
    /// form of these tags already.
    pub(crate) fn reply(&self, headers: &HeaderMap, known: Option<&str>) -> Reply {
        let packed = self.packed.as_ref().filter(|_| takes_gzip(headers));
        let form = packed.unwrap_or(&self.plain);
        let mut reply = match known {
            Some(known) if has(known, &form.tag) => Reply::not_modified(&form.tag),
            _ => Reply::of(self.media, Body::from(form.bytes.clone())).tag(&form.tag),
        };
        for (name, value) in HEADERS {
            reply = reply.header(name, value);
        }
        match packed {
            Some(_) => reply.header("content-encoding", "gzip"),
            None => reply,
        }
    }
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer
        .write_all(bytes)
        .expect("memory takes whatever comes");
    packer.finish().expect("memory takes whatever comes")
}

/// Whether `tag` is one of those in an `If-None-Match`.
fn has(known: &str, tag: &str) -> bool {
    let tag = tag_text(tag);
    let mut listed = known.split(',').map(str::trim);
    listed.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// Whether the asker unpacks what was packed with gzip.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    codings.any(|coding| {
        let mut pieces = coding.split(';').map(str::trim);
        let name = pieces.next().unwrap_or_default();
        let is_refused = pieces.any(|piece| {
            let weight = piece.strip_prefix("q=").and_then(|text| text.parse().ok());
            weight.is_some_and(|weight: f32| weight <= 0.0)
        });
        name.eq_ignore_ascii_case("gzip") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_console_is_of_a_kind_that_browsers_are_told() {
        let without: Vec<_> = Folder::iter().filter(|name| find(name).is_none()).collect();
        assert!(without.is_empty(), "no media type: {without:?}");
        assert!(find(INDEX).is_some(), "there is a page");
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again_however_it_lists_it() {
        for known in ["\"aa\"", "W/\"aa\"", "\"bb\", \"aa\"", "*"] {
            assert!(has(known, "aa"), "{known}");
        }
        for known in ["\"bb\"", "aa", "", "\"aab\""] {
            assert!(!has(known, "aa"), "{known}");
        }
    }

    #[test]
    fn only_who_takes_gzip_gets_it() {
        let ask = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().expect("a header"));
            takes_gzip(&headers)
        };
        for value in ["gzip", "br, GZIP;q=0.5", "deflate,gzip"] {
            assert!(ask(value), "{value}");
        }
        for value in ["", "br", "gzip;q=0", "gzip; q=0.0", "*", "xgzip"] {
            assert!(!ask(value), "{value}");
        }
    }
}
