//! The calls about credentials, API keys and tenants.

use super::call::Call;
use super::{Client, ClientError};
use crate::access::{
    ApiKey, ApiKeyPage, ApiKeysQuery, Certificate, CreateKey, CreatedKey, Erase, Rotate, SetQuota,
    Tenant, TenantPage, Verification, Whoami,
};
use crate::page::PageQuery;

impl Client {
    /// What the credential allows.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `unauthenticated` for one that is not good.
    pub async fn whoami(&self) -> Result<Whoami, ClientError> {
        self.ask(Call::get(&["v1", "whoami"])).await
    }

    /// Makes an API key no wider than the credential, and says its secret,
    /// this once.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; after one whose outcome is unknown the secret is
    /// lost, and the key is to be revoked.
    pub async fn create_key(&self, request: &CreateKey) -> Result<CreatedKey, ClientError> {
        self.ask(Call::post(&["v1", "keys"], request)).await
    }

    /// Lists keys, without their secrets.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn keys(&self, query: &ApiKeysQuery) -> Result<ApiKeyPage, ClientError> {
        self.ask(Call::get(&["v1", "keys"]).query(query)).await
    }

    /// One key.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found`.
    pub async fn key(&self, id: &str) -> Result<ApiKey, ClientError> {
        self.ask(Call::get(&["v1", "keys", id])).await
    }

    /// Ends a key, and what it has open.
    ///
    /// # Errors
    ///
    /// As [`Client::key`].
    pub async fn revoke_key(&self, id: &str) -> Result<ApiKey, ClientError> {
        self.ask(Call::post_bare(&["v1", "keys", id, "revoke"]).unkeyed())
            .await
    }

    /// Gives a key a new secret, and says it, this once.
    ///
    /// # Errors
    ///
    /// As [`Client::create_key`].
    pub async fn rotate_key(&self, id: &str, request: &Rotate) -> Result<CreatedKey, ClientError> {
        self.ask(Call::post(&["v1", "keys", id, "rotate"], request))
            .await
    }

    /// The credential's own tenant: what it may have and what it has.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn own_tenant(&self) -> Result<Tenant, ClientError> {
        self.ask(Call::get(&["v1", "tenant"])).await
    }

    /// Lists tenants, for operators.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn tenants(&self, query: &PageQuery) -> Result<TenantPage, ClientError> {
        self.ask(Call::get(&["v1", "tenants"]).query(query)).await
    }

    /// One tenant, for operators.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found`.
    pub async fn tenant(&self, tenant: &str) -> Result<Tenant, ClientError> {
        self.ask(Call::get(&["v1", "tenants", tenant])).await
    }

    /// Sets what a tenant may have, in the place of what it might before.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn set_quota(&self, tenant: &str, quota: &SetQuota) -> Result<Tenant, ClientError> {
        self.ask(Call::put(&["v1", "tenants", tenant, "quota"], quota).unkeyed())
            .await
    }

    /// Erases a tenant with everything it has, for good. Takes as long as that
    /// takes, up to an hour.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; asking again goes on where it stopped.
    pub async fn erase_tenant(&self, tenant: &str) -> Result<Certificate, ClientError> {
        let confirm = tenant.to_owned();
        let call = Call::post(&["v1", "tenants", tenant, "erase"], &Erase { confirm });
        self.ask(call.unkeyed().patiently()).await
    }

    /// Looks through the store for anything that is left of a tenant. Takes as
    /// long as that takes, up to an hour.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `tenant_not_erased` for one that never was.
    pub async fn erasure(&self, tenant: &str) -> Result<Verification, ClientError> {
        let call = Call::get(&["v1", "tenants", tenant, "erasure"]);
        self.ask(call.patiently()).await
    }
}
