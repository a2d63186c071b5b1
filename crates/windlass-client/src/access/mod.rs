//! Who may ask for what: credentials, API keys, tenants.

mod key;
mod tenant;

pub use key::{
    ApiKey, ApiKeyPage, ApiKeysQuery, CreateKey, CreatedKey, CredentialKind, Groups, Reach, Rotate,
    Scope, UnreadableKey, Whoami,
};
pub use tenant::{
    Certificate, Erase, Quota, SetQuota, Tenant, TenantPage, TenantStatus, TenantUsage,
    UnreadableTenant, Verification,
};
