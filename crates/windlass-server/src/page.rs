//! The page that shows the OpenAPI document to people. It loads nothing from
//! outside and sends nothing anywhere.

/// Where the document is.
pub(crate) const DOCUMENT_PATH: &str = "/openapi.json";

/// Where the page is.
pub(crate) const PAGE_PATH: &str = "/docs";

/// The page.
pub(crate) const HTML: &str = include_str!("page.html");
