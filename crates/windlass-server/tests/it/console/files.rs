//! The files of the console: what browsers are told of them, and that nothing
//! else is ever served.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Answer, Request, Running, get};

/// What browsers hold the page to.
const POLICY: [&str; 10] = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
];

const GZIP: &[(&str, &str)] = &[("Accept-Encoding", "br, gzip")];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("console")
}

/// The names of the files, as they are in the sources.
fn names() -> Vec<String> {
    let (root, mut folders) = (folder(), vec![folder()]);
    let mut names = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).expect("it is below");
            names.push(name.to_str().expect("text").to_owned());
        }
    }
    assert!(names.len() > 1, "{names:?}");
    names
}

fn source(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).expect("a file")
}

fn check_headers(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap_or_default();
    let said: Vec<_> = policy.split(';').map(str::trim).collect();
    assert_eq!(said, POLICY, "{}", answer.head);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-cache"),
        ("vary", "accept-encoding"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}: {}", answer.head);
    }
}

#[tokio::test]
async fn every_file_is_served_as_it_is_under_strict_headers() {
    let server = Running::start().await;
    for name in names() {
        let path = format!("/console/{name}");
        let answer = server.ask(get(&path)).await.expect(200);
        check_headers(&answer);
        assert_eq!(answer.header("content-encoding"), None, "{name}");
        assert!(answer.body == source(&name), "{name} is another");
    }
    let page = source("index.html");
    for path in ["/console", "/console/"] {
        let answer = server.ask(get(path)).await.expect(200);
        check_headers(&answer);
        let media = answer.header("content-type");
        assert_eq!(media, Some("text/html; charset=utf-8"), "{path}");
        assert!(answer.body == page, "{path} is another");
    }
}

#[tokio::test]
async fn scripts_and_styles_have_the_types_without_which_browsers_refuse_them() {
    let server = Running::start().await;
    for name in names() {
        let wanted = match name.rsplit_once('.').map(|(_, end)| end) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("html") => "text/html; charset=utf-8",
            _ => continue,
        };
        let answer = server.ask(get(&format!("/console/{name}"))).await;
        assert_eq!(answer.header("content-type"), Some(wanted), "{name}");
    }
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let server = Running::start().await;
    for headers in [&[][..], GZIP] {
        let first = server.ask(get("/console").with(headers)).await.expect(200);
        let tag = first.header("etag").expect("a tag");
        let mut again = headers.to_vec();
        again.push(("If-None-Match", tag));
        let answer = server.ask(get("/console").with(&again)).await.expect(304);
        assert!(answer.body.is_empty(), "{}", answer.head);
        assert_eq!(answer.header("etag"), Some(tag));
        check_headers(&answer);
        let other = [("If-None-Match", "\"0\"")];
        server.ask(get("/console").with(&other)).await.expect(200);
    }
}

#[tokio::test]
async fn a_packed_file_has_a_tag_of_its_own_and_unpacks_to_the_same() {
    let server = Running::start().await;
    let mut packed_files = 0;
    for name in names() {
        let path = format!("/console/{name}");
        let plain = server.ask(get(&path)).await.expect(200);
        let packed = server.ask(get(&path).with(GZIP)).await.expect(200);
        check_headers(&packed);
        if packed.header("content-encoding").is_none() {
            assert_eq!(plain.body, packed.body, "{name}");
            continue;
        }
        packed_files += 1;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{name}");
        assert!(packed.body.len() < plain.body.len(), "{name}");
        assert_ne!(plain.header("etag"), packed.header("etag"), "{name}");
        let mut unpacked = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(packed.body.as_slice());
        std::io::Read::read_to_end(&mut reader, &mut unpacked).expect("it unpacks");
        assert!(unpacked == plain.body, "{name} unpacks to another");
    }
    assert!(packed_files > 0, "no file is packed");
}

#[tokio::test]
async fn a_head_request_gets_the_headers_alone() {
    let server = Running::start().await;
    let request = Request {
        method: "HEAD",
        ..get("/console")
    };
    let mut connection = server.connect().await;
    connection.send(&request.bytes()).await;
    let head = connection.head().await.expect("a head");
    let answer = Answer::of_head(head).expect("an answer").expect(200);
    check_headers(&answer);
    let length = source("index.html").len().to_string();
    assert_eq!(answer.header("content-length"), Some(length.as_str()));
    // Were there a body, the next answer would begin with it.
    connection.ask(get("/livez")).await.expect(200);
}

#[tokio::test]
async fn no_path_leads_out_of_the_folder() {
    let server = Running::start().await;
    for path in [
        "/console/../Cargo.toml",
        "/console/..%2fCargo.toml",
        "/console/%2e%2e/Cargo.toml",
        "/console/..%5cCargo.toml",
        "/console/./index.html",
        "/console//index.html",
        "/console/index.html/",
        "/console/index.html%00",
        "/console/index.html%00.js",
        "/console/%2fetc%2fpasswd",
        "/console/INDEX.HTML",
        "/console/.git",
        "/console/none.js",
        "/consoles",
    ] {
        let answer = server.ask(get(path)).await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 404, "{path}: {}{said}", answer.head);
        assert_eq!(answer.code(), "not_found", "{path}");
    }
}

#[tokio::test]
async fn a_file_is_only_to_be_read() {
    let server = Running::start().await;
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let request = Request {
            method,
            ..get("/console/index.html")
        };
        let answer = server.ask(request).await.expect(405);
        assert_eq!(answer.code(), "method_not_allowed", "{method}");
    }
}

#[tokio::test]
async fn the_page_is_served_to_whoever_has_no_key_yet() {
    let server = Running::start().await;
    let grant = windlass::access::Grant {
        scope: windlass::access::Scope::Operator,
        reach: windlass::access::Reach::Own,
        groups: windlass::access::Groups::None,
        verbs: windlass::access::Verbs::all(),
    };
    let _key = server.key_of(grant).await;
    server.ask(get("/v1/whoami")).await.expect(401);
    server.ask(get("/console")).await.expect(200);
}
