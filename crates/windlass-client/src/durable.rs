//! The Durable Streams protocol, as far as it has a form of its own here: its
//! bodies are what the streams hold, and the rest is in headers.

use serde::{Deserialize, Serialize};

/// Where a read begins, and how it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
pub struct ReadQuery {
    /// `-1` for the beginning, `now` for the tail, or an offset that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        param(pattern = r"^(-1|now|[0-9a-f]{16}(_0{16})?)$")
    )]
    pub offset: Option<String>,
    /// `long-poll` to wait for rows, `sse` to be sent them as they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(pattern = r"^(long-poll|sse)$"))]
    pub live: Option<String>,
    /// The cursor of the last live answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
