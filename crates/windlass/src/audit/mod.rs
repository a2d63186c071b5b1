//! The audit: who did what, in chains that show where they were tampered with.
//!
//! Every part tells what was made, widened, ended, removed or refused, and by
//! whom. The events of a tenant are a chain in the store: each is hashed
//! together with the hash of the one before, so that changing, removing,
//! reordering or doubling one is found by [`AuditLog::verify`]. What belongs to
//! no tenant has a chain of its own, [`Chain::System`].
//!
//! Events are not part of the commit they tell of. They wait in memory, for
//! [`AuditOptions::linger_ms`], and are appended together; a process that is
//! killed leaves those untold. Auditing fails no operation and delays none: what
//! finds no room or cannot be written is counted, by [`AuditLog::figures`], and
//! in its chain by an event [`LOST_ACTION`] as soon as that takes events again.
//!
//! A chain is evidence against whoever changes rows, not against whoever can
//! write it anew from the first event on: note [`ChainHead`] elsewhere from time
//! to time, and hold the chain to it ([`Verify::noted`]).
//!
//! Read first: [`AuditLog`], [`AuditEvent`], [`AuditSink`].
//!
//! ```
//! use windlass::audit::{AuditOptions, Chain, Verify};
//! use windlass::session::{Caller, Create};
//! use windlass::{Options, Windlass};
//!
//! # #[cfg(feature = "memory")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options {
//!     audit: Some(AuditOptions::default()),
//!     ..Options::default()
//! };
//! let windlass = Windlass::open(&"memory:".parse()?, options).await?;
//! let caller = Caller::new("acme".parse()?, "runtime".parse()?);
//! let request = Create::new("researcher".parse()?, "compare three suppliers");
//! windlass.sessions().create(&caller, request).await?;
//!
//! let (audit, acme): (_, Chain) = (windlass.audit(), "acme".parse()?);
//! audit.flush().await;
//! let noted = audit.head(&acme).await?;
//! let asked = Verify { from: None, noted: Some((noted.last, noted.hash)) };
//! let verified = audit.verify(&acme, asked, &mut |_, _| {}).await?;
//! assert_eq!((verified.broken, verified.events, verified.lost), (None, 1, 0));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "memory"))]
//! # fn main() {}
//! ```

mod chain;
pub(crate) mod check;
mod error;
mod event;
mod lane;
mod layout;
pub mod limits;
mod lines;
mod log;
mod options;
mod read;
mod record;
mod recorder;
mod shelf;
mod sink;
mod trim;
mod verify;
mod waiting;
mod who;

pub use chain::{Chain, ChainHash, NoHash};
pub use error::AuditError;
pub use event::{AuditEvent, AuditOutcome, ChainedEvent};
pub use lines::{LineBreak, VerifiedLines, VerifyLines, verify_lines};
pub use log::AuditLog;
pub use options::{AuditOptions, AuditSinkHandle};
pub use read::{AuditLines, AuditPage, AuditQuery};
pub use shelf::{AuditKeep, ChainHead};
pub use sink::{AuditSink, SinkFailure};
pub use trim::AuditReport;
pub use verify::{BreakKind, ChainBreak, Observe, Verified, Verifier, Verify};
pub use waiting::{AuditFigures, LOST_ACTION};
pub use who::{Who, on_behalf};
pub use windlass_core::Detail;
