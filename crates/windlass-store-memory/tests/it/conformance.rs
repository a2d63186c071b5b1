//! The contract of the storage trait, one test for each promise.

use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Volatile, conformance};

conformance!(Volatile::new(MemoryStore::new), not_applicable: [11, 17, 18]);
