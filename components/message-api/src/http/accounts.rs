//! The endpoints for accounts, `/v1/accounts`.

use std::sync::Arc;

use protocol::NewName;
use protocol::account::{
    Account, Accounts, AddAccount, ChangedAccounts, Changes, IssueToken, IssuedToken, ListAccounts,
    RevokeToken, SetAccountState, TokenInfo,
};
use protocol::api::{Done, RegisterUser};

use super::problem::Refusal;
use crate::service::Service;

/// `POST /v1/accounts/add`. A name that looks like another one is refused, and one of a service.
pub(super) async fn add(service: Arc<Service>, asked: AddAccount) -> Result<Account, Refusal> {
    let AddAccount { name } = asked;
    name.check().map_err(|error| Refusal::field("name", format!("'{name}': {error}")))?;
    if service.reserved.contains(&name) {
        return Err(Refusal::field("name", format!("'{name}' is reserved for a service")));
    }
    let is_known = service.store.known(vec![name.clone()]).await?.contains(&name);
    let looks_like = service.reserved.lookalike(&name).cloned();
    let looks_like = match looks_like {
        Some(other) => Some(other),
        None => service.store.lookalike(&name).await?,
    };
    if let Some(other) = looks_like {
        return Err(Refusal::field("name", format!("'{name}' looks like '{other}'; choose another name")));
    }
    if !is_known {
        NewName::new(name.clone()).map_err(|error| Refusal::field("name", format!("'{name}': {error}")))?;
    }
    let account = service.accounts.add(name.clone()).await?;
    // So that nobody takes a name that looks like it, although its owner was never online.
    service.store.register(RegisterUser { name, address: None }).await?;
    Ok(account)
}

/// `POST /v1/accounts/token`.
pub(super) async fn issue(service: Arc<Service>, asked: IssueToken) -> Result<IssuedToken, Refusal> {
    Ok(service.accounts.issue(asked).await?)
}

/// `POST /v1/accounts/revoke`.
pub(super) async fn revoke(service: Arc<Service>, asked: RevokeToken) -> Result<TokenInfo, Refusal> {
    Ok(service.accounts.revoke(&asked.name, &asked.token).await?)
}

/// `POST /v1/accounts/state`.
pub(super) async fn set_state(service: Arc<Service>, asked: SetAccountState) -> Result<Done, Refusal> {
    service.accounts.set_state(&asked.name, asked.state).await?;
    Ok(Done {})
}

/// `POST /v1/accounts/list`.
pub(super) async fn list(service: Arc<Service>, asked: ListAccounts) -> Result<Accounts, Refusal> {
    Ok(service.accounts.list(asked.after).await?)
}

/// `POST /v1/accounts/changed`.
pub(super) async fn changed(service: Arc<Service>, _: ChangedAccounts) -> Result<Changes, Refusal> {
    Ok(Changes { accounts: service.accounts.changed().await? })
}
