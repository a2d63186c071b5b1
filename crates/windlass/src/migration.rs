//! Bringing what a server holds up to the format of this release, apart from
//! opening a store: for who deploys with other rights than the service has.

use crate::{OpenError, StoreLocation};

/// How a server's schema stands to this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The format that is there; `None` where there is no store yet.
    pub found: Option<i32>,
    /// The format that this release brings about.
    pub expected: i32,
}

impl Schema {
    /// Whether there is nothing to migrate.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.found.is_some_and(|found| found >= self.expected)
    }
}

/// A step of a migration that is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The format it leads to.
    pub format: i32,
    /// The format after the last step.
    pub last: i32,
}

/// Says how the schema at `location` stands, and changes nothing; `None` for
/// a store in files or in memory, which is brought up to date when it is
/// opened.
///
/// # Errors
///
/// [`OpenError::Store`] where the server cannot be reached, or the schema is
/// somebody else's or of a newer release that this one cannot read.
pub async fn check(location: &StoreLocation) -> Result<Option<Schema>, OpenError> {
    match location {
        #[cfg(feature = "postgres")]
        StoreLocation::Postgres(address) => postgres::check(location, address).await.map(Some),
        other => without_schema(other),
    }
}

/// Makes the schema at `location`, or brings it up to date; `progress` hears
/// of each step before it begins. All steps happen or none. Safe while the
/// previous release runs, and if several do it at once. `None` as for
/// [`check`].
///
/// # Errors
///
/// Those of [`check`].
pub async fn migrate(
    location: &StoreLocation,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<Option<Schema>, OpenError> {
    match location {
        #[cfg(feature = "postgres")]
        StoreLocation::Postgres(address) => {
            let migrated = postgres::migrate(location, address, progress).await;
            migrated.map(Some)
        }
        other => {
            let _ = progress;
            without_schema(other)
        }
    }
}

fn without_schema(location: &StoreLocation) -> Result<Option<Schema>, OpenError> {
    match location {
        StoreLocation::Postgres(_) => Err(OpenError::NotBuilt {
            scheme: location.scheme(),
        }),
        _ => Ok(None),
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use windlass_store::StoreError;
    use windlass_store_postgres::{self as driver, Options, Status};

    use super::{Schema, Step};
    use crate::{OpenError, PostgresAddress, StoreLocation};

    pub(super) async fn check(
        location: &StoreLocation,
        address: &PostgresAddress,
    ) -> Result<Schema, OpenError> {
        let options = Options::from_url(address.secret()).map_err(at(location))?;
        let status = driver::check(&options).await;
        status.map(schema).map_err(at(location))
    }

    pub(super) async fn migrate(
        location: &StoreLocation,
        address: &PostgresAddress,
        progress: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Schema, OpenError> {
        let options = Options::from_url(address.secret()).map_err(at(location))?;
        let told = |driver::Step { format, last, .. }| progress(Step { format, last });
        let status = driver::migrate(&options, told).await;
        status.map(schema).map_err(at(location))
    }

    const fn schema(status: Status) -> Schema {
        Schema {
            found: status.found,
            expected: status.expected,
        }
    }

    fn at(location: &StoreLocation) -> impl FnOnce(StoreError) -> OpenError + Copy + '_ {
        |source| OpenError::Store {
            location: location.clone(),
            source,
        }
    }
}
