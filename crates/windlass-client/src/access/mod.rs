//! Who may ask for what: credentials, API keys, tenants.

mod key;
mod tenant;

pub use key::{
    ApiKey, ApiKeyPage, CreateKey, CreatedKey, CredentialKind, Groups, KeysQuery, Reach, Rotate,
    Scope, Whoami,
};
pub use tenant::{Erase, Erasure, Quota, SetQuota, Tenant, TenantPage, TenantStatus, TenantUsage};
