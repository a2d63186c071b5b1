//! Where events go.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use windlass_core::BoxFuture;

use super::event::AuditEvent;

/// Takes events: the store's chains are one, a caller's own may be others.
///
/// It is called from a task of its own, never from an operation's: one that
/// fails, hangs or panics delays and fails nobody. It is asked again only where
/// [`SinkFailure::again`] says so.
pub trait AuditSink: fmt::Debug + Send + Sync {
    /// Takes some events of one chain, oldest first. What it answers holds for
    /// all of them.
    fn write<'a>(&'a self, events: &'a [Arc<AuditEvent>])
    -> BoxFuture<'a, Result<(), SinkFailure>>;
}

/// Why a sink did not take events.
#[derive(Debug)]
pub struct SinkFailure {
    again: bool,
    source: Box<dyn Error + Send + Sync>,
}

impl SinkFailure {
    /// It may take them later; they are kept meanwhile, as far as there is
    /// room.
    #[must_use]
    pub fn later(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            again: true,
            source: source.into(),
        }
    }

    /// It will never take these events.
    #[must_use]
    pub fn never(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            again: false,
            source: source.into(),
        }
    }

    /// Whether it may take them later.
    #[must_use]
    pub const fn again(&self) -> bool {
        self.again
    }
}

impl fmt::Display for SinkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sink did not take the events")
    }
}

impl Error for SinkFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}
