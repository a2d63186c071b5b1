//! Which part of a list is asked for. Answers say where to go on in
//! `next_cursor`, which is `null` at the end.

use serde::{Deserialize, Serialize};

/// How many a page holds where nothing is said.
pub const LIMIT_DEFAULT: u64 = 100;

/// Most that a page can hold.
pub const LIMIT_MAX: u64 = 1_000;

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// At most so many: 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1000, default = 100))]
    pub limit: Option<u64>,
    /// The `next_cursor` of an earlier page of the same list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(min_length = 1, max_length = 4096))]
    pub cursor: Option<String>,
}

/// Which of two directions a list has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Oldest first.
    #[default]
    Oldest,
    /// Newest first.
    Newest,
}
