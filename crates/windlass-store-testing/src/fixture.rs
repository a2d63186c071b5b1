//! What a store gives the suite: ways to make, re-open, share and damage it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use windlass_store::{Store, StoreError};

/// Makes stores for the conformance suite.
///
/// A fixture has one *current* store: the last that [`Fixture::fresh`] made.
/// Every promise gets a fixture of its own. There are no default methods, so
/// that a promise is left out only by saying why
/// ([`FixtureError::not_applicable`]).
///
/// A fixture must not keep a handle of the store it gave out: the suite
/// counts on the store being let go of when it drops its own.
///
/// ```
/// # use std::{io, path::{Path, PathBuf}, sync::Arc};
/// # use async_trait::async_trait;
/// # use windlass_store::{Store, StoreError};
/// # use windlass_store_testing::{Fixture, FixtureError, Strict, Tamper};
/// # fn open(path: &Path) -> Result<Strict<dyn Store>, StoreError> { Err(StoreError::closed("open")) }
/// # fn damage(path: &Path, tamper: &Tamper) -> io::Result<()> { Ok(()) }
/// struct Files { directory: PathBuf, made: usize }
///
/// impl Files {
///     fn current(&self) -> PathBuf { self.directory.join(self.made.to_string()) }
/// }
///
/// #[async_trait]
/// impl Fixture for Files {
///     async fn fresh(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
///         self.made += 1;
///         self.reopen().await
///     }
///     async fn reopen(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
///         Ok(Arc::new(open(&self.current())?))
///     }
///     async fn contender(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
///         Err(FixtureError::not_applicable("the file belongs to one process"))
///     }
///     async fn tamper(&mut self, tamper: Tamper) -> Result<(), FixtureError> {
///         damage(&self.current(), &tamper).map_err(FixtureError::setup)
///     }
/// }
/// ```
#[async_trait]
pub trait Fixture: Send + 'static {
    /// Makes a new, empty store beside those made before, and makes it the
    /// current one.
    async fn fresh(&mut self) -> Result<Arc<dyn Store>, FixtureError>;

    /// Opens the current store again, as a process that starts would. The
    /// suite has dropped every handle to it before, closed or not.
    ///
    /// Not applicable to a store that ends with its process.
    async fn reopen(&mut self) -> Result<Arc<dyn Store>, FixtureError>;

    /// Opens the current store a second time while the suite holds the first
    /// handle, sharing no memory with it: what another process would have.
    ///
    /// Not applicable to a store that allows one process only.
    async fn contender(&mut self) -> Result<Arc<dyn Store>, FixtureError>;

    /// Damages what the current store has written. The suite has closed and
    /// dropped every handle to it before.
    ///
    /// Not applicable to a store that writes nothing that could be damaged.
    async fn tamper(&mut self, tamper: Tamper) -> Result<(), FixtureError>;
}

/// A way to damage a stored store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// Flips one bit of the value stored under a key, and nothing else: no
    /// checksum is put right.
    ValueBit {
        /// The key.
        key: Bytes,
        /// Which bit: bit 0 is the lowest of the first byte.
        bit: usize,
    },
    /// Flips one bit of a stored key; its value and version stay.
    KeyBit {
        /// The key.
        key: Bytes,
        /// Which bit: bit 0 is the lowest of the first byte.
        bit: usize,
    },
    /// Cuts the second half off the store's main file.
    Truncate,
    /// Leaves the store's main file in place with no byte in it.
    Empty,
    /// Puts a file of another program in the place of the main file.
    Foreign,
}

/// Why a fixture did not do what it was asked.
#[derive(Debug)]
pub enum FixtureError {
    /// The store at hand has nothing of the kind.
    NotApplicable {
        /// Why, for the reader of the suite's report.
        reason: String,
    },
    /// The store failed.
    Store(StoreError),
    /// Something around the store failed: the test is void.
    Setup(Box<dyn Error + Send + Sync>),
}

impl FixtureError {
    /// Says that the store at hand has nothing of the kind, and why.
    #[must_use]
    pub fn not_applicable(reason: impl Into<String>) -> Self {
        Self::NotApplicable {
            reason: reason.into(),
        }
    }

    /// Wraps a failure of something around the store.
    #[must_use]
    pub fn setup(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Setup(cause.into())
    }
}

impl fmt::Display for FixtureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotApplicable { reason } => write!(f, "not applicable: {reason}"),
            Self::Store(_) => f.write_str("the store under test failed"),
            Self::Setup(_) => f.write_str("the surroundings of the store under test failed"),
        }
    }
}

impl Error for FixtureError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotApplicable { .. } => None,
            Self::Store(cause) => Some(cause),
            Self::Setup(cause) => Some(cause.as_ref()),
        }
    }
}

impl From<StoreError> for FixtureError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

/// The fixture of any store that ends with its process and shares nothing
/// with another: only [`Fixture::fresh`] applies.
pub struct Volatile<Make> {
    make: Make,
}

impl<Make, Made> Volatile<Make>
where
    Make: Fn() -> Result<Made, StoreError> + Send + Sync + 'static,
    Made: Store,
{
    /// A fixture whose stores come from `make`.
    pub const fn new(make: Make) -> Self {
        Self { make }
    }
}

impl<Make> fmt::Debug for Volatile<Make> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volatile").finish_non_exhaustive()
    }
}

#[async_trait]
impl<Make, Made> Fixture for Volatile<Make>
where
    Make: Fn() -> Result<Made, StoreError> + Send + Sync + 'static,
    Made: Store,
{
    async fn fresh(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        Ok(Arc::new((self.make)()?))
    }

    async fn reopen(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        Err(FixtureError::not_applicable(
            "the store ends with its process",
        ))
    }

    async fn contender(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        Err(FixtureError::not_applicable(
            "the store belongs to one process",
        ))
    }

    async fn tamper(&mut self, _: Tamper) -> Result<(), FixtureError> {
        Err(FixtureError::not_applicable(
            "the store writes nothing that could be damaged",
        ))
    }
}
