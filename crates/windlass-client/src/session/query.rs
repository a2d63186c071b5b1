//! What can be asked of sessions in a URL.

use serde::{Deserialize, Serialize};

use super::Status;
use crate::page::Order;

/// Which sessions to list, and how many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct ListSessions {
    /// Those of this agent; of all if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(value_type = Option<crate::schema::Identifier>))]
    pub agent: Option<String>,
    /// Those in this status; in all if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Those created at this time or later, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_from: Option<u64>,
    /// Those created before this time, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_until: Option<u64>,
    /// In which order of their creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// At most so many on the page, unreadable ones included: 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1000, default = 100))]
    pub limit: Option<u64>,
    /// The `next_cursor` of an earlier page of the same query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(min_length = 1, max_length = 4096))]
    pub cursor: Option<String>,
}

/// Which events to show, and how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Those after the one of this number; all if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most so many on the page: 1 to 1,000. Says nothing to a live stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1000, default = 100))]
    pub limit: Option<u64>,
}
