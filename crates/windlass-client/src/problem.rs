//! What every refusal and failure looks like: a problem document (RFC 9457).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The code of a change whose `Idempotency-Key` another request is being done
/// under at this moment: ask again a little later.
pub const IN_FLIGHT: &str = "operation_in_flight";

/// Why a request was not done, as `application/problem+json`.
///
/// Beside the members below it carries the figures of its code, such as
/// `limit`, `used`, `max`, `retry_after_ms` or `meter`, as members of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Where the code is explained: a URI that ends in `#` and the code.
    #[serde(rename = "type", default = "blank")]
    #[cfg_attr(feature = "schema", schema(format = "uri"))]
    pub kind: String,
    /// The class of the problem in a few words; the same for one status.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[cfg_attr(feature = "schema", schema(minimum = 400, maximum = 599))]
    pub status: u16,
    /// The stable name of the error, in `snake_case`; what programs match on.
    #[cfg_attr(feature = "schema", schema(pattern = r"^[a-z][a-z0-9_]*$"))]
    pub code: String,
    /// What happened, in one sentence. Repeats nothing the caller sent.
    #[serde(default)]
    pub detail: String,
    /// Whether it is known that nothing has changed. Left out where it is:
    /// `unknown` if the change may have been made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The figures of the code.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = BTreeMap<String, Value>, additional_properties))]
    pub figures: BTreeMap<String, Value>,
}

/// What is known of the effect of a change that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It may have been made: ask again under the same `Idempotency-Key`, or
    /// read before going on.
    Unknown,
}

impl Problem {
    /// A figure that is a number, such as `retry_after_ms`.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.figures.get(name).and_then(Value::as_u64)
    }

    /// A figure that is a text, such as `meter`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.figures.get(name).and_then(Value::as_str)
    }
}

/// What RFC 9457 says an absent type means.
fn blank() -> String {
    "about:blank".to_owned()
}
