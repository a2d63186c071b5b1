//! P1 to P19 of the storage trait. P17 does not apply: sled's files belong to
//! one process.

use windlass_store_testing::conformance;

use crate::fixture::Directories;

conformance!(Directories::new(), not_applicable: [17]);
