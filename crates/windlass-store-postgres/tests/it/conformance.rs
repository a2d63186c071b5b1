//! Every promise of the contract.

use crate::fixture::Schemas;

windlass_store_testing::conformance!(Schemas::new());
