//! Sessions: what an agent may call, how often, for how long, and what is
//! left.

mod answer;
mod event;
mod query;
mod request;

pub use answer::{
    ActiveCount, Allow, Closed, Left, RateKind, RateLimit, Reading, Readings, Receipt, Sensitivity,
    Session, SessionPage, Status, TreeNode, TreePage, Unreadable,
};
pub use event::{Charge, End, EndReason, Event, HistoryPage, What};
pub use query::{EventsQuery, ListSessions};
pub use request::{
    Budget, Cost, CreateSession, Delegate, Funding, Outcome, Rate, Settle, TopUp, UseItem, UseTools,
};
