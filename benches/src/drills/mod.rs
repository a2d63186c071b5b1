//! Drills: what has to happen when a machine is lost, done and measured.
//!
//! | module | what is in it |
//! |---|---|
//! | [`failover`] | a primary is killed, its synchronous standby takes over |

pub mod failover;
