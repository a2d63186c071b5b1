//! P1 to P19 of the storage trait.

use windlass_store_testing::conformance;

use crate::fixture::Files;

conformance!(Files::new());
