//! Accounts, in the store's values ([`ServiceState`](crate::store::ServiceState)) of the user: both stores, backups and `migrate` have them
//! already.
//!
//! * `account`: the state, as JSON. `token.ID`: one token, by its SHA-256. A token has a key of its own, so that two servers that change one
//!   account at the same time cannot bring a revoked token back.
//! * The owner [`NOTES`] has a key for each change of the last minute, noted before the change: a server that asks for them every second
//!   ([`Accounts::changed`]) sees the account as it is after the change, even if the server that changed it was killed in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::account::{
    Access, Account, AccountState, Accounts as Page, IssueToken, IssuedToken, LABEL_BYTES, PAGE_ACCOUNTS,
    Proof, TOKENS, TokenInfo, TokenKind, decide, is_token,
};
use protocol::{Timestamp, UserName, sanitise};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::archive::hexadecimal;
use crate::store::{StatePut, Store, StoreError};

/// Whose values are the notes of changes. It is no user: names of users do not begin with `p2p-`.
const NOTES: &str = "p2p-accounts";
const ACCOUNT: &str = "account";
const TOKEN: &str = "token.";
/// How long a change is noted. The clocks of servers on one database may differ by less than that.
const NOTED: Duration = Duration::from_secs(60);
/// Values read at once.
const PAGE: usize = 500;

/// The accounts of a store. A lock orders the changes of this server.
pub(crate) struct Accounts {
    store: Arc<dyn Store>,
    changing: Mutex<()>,
}

/// The value of [`ACCOUNT`].
#[derive(Debug, Serialize, Deserialize)]
struct StoredAccount {
    name: UserName,
    state: AccountState,
    created: Timestamp,
}

/// The value of a token.
#[derive(Debug, Serialize, Deserialize)]
struct StoredToken {
    sha256: String,
    label: String,
    kind: TokenKind,
    created: Timestamp,
}

/// An account with the hashes of its tokens.
struct Record {
    account: Account,
    hashes: Vec<String>,
}

impl Record {
    /// The account among a user's values, if there is one. A value that cannot be read is no token: it admits nobody.
    fn of(values: &BTreeMap<String, Value>) -> Result<Option<Self>, StoreError> {
        let Some(account) = values.get(ACCOUNT) else { return Ok(None) };
        let StoredAccount { name, state, created } = StoredAccount::deserialize(account)
            .map_err(|error| StoreError::damaged("an account in the store is damaged", error))?;
        let (mut tokens, mut hashes) = (Vec::new(), Vec::new());
        for (key, value) in values {
            let id = key.strip_prefix(TOKEN).and_then(|id| id.parse().ok());
            if let (Some(id), Ok(token)) = (id, StoredToken::deserialize(value)) {
                let StoredToken { sha256, label, kind, created } = token;
                tokens.push(TokenInfo { id, label, kind, created });
                hashes.push(sha256);
            }
        }
        Ok(Some(Self { account: Account { name, state, created, tokens }, hashes }))
    }

    fn proof(&self, token: Option<&str>) -> Proof {
        let Some(token) = token else { return Proof::None };
        let hash = sha256(token);
        let found = self.hashes.iter().position(|it| *it == hash);
        found.map_or(Proof::Wrong, |at| Proof::Token(self.account.tokens[at].id))
    }
}

impl Accounts {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, changing: Mutex::default() }
    }

    /// Whether somebody who shows this token may use the name. A text that cannot be a token counts as none.
    pub(crate) async fn access(&self, name: &UserName, token: Option<&str>) -> Result<Access, StoreError> {
        let token = token.filter(|token| is_token(token));
        let record = Record::of(&self.store.state(name).await?)?;
        let proof = match &record {
            Some(record) => record.proof(token),
            None => token.map_or(Proof::None, |_| Proof::Wrong),
        };
        Ok(decide(record.map(|record| record.account.state), proof))
    }

    /// Registers a name, or returns why it cannot be.
    pub(crate) async fn add(&self, name: UserName) -> Result<Account, StoreError> {
        let _changing = self.changing.lock().await;
        if name.key().starts_with("p2p-") {
            return Err(refused(format!(
                "names that begin with 'p2p-' are the project's own; '{name}' cannot be registered"
            )));
        }
        if self.record(&name).await?.is_some() {
            return Err(refused(format!("'{name}' is registered already")));
        }
        let account =
            Account { name, state: AccountState::Active, created: Timestamp::now(), tokens: Vec::new() };
        self.put(&account).await?;
        Ok(account)
    }

    /// Changes whether an account can be used. A deleted one loses its tokens, and stays deleted.
    pub(crate) async fn set_state(&self, name: &UserName, state: AccountState) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        let mut account = self.existing(name).await?.account;
        account.state = state;
        self.put(&account).await?;
        if state == AccountState::Deleted {
            for token in &account.tokens {
                self.store.put_state(StatePut::new(name.clone(), &key(token.id), None)?).await?;
            }
        }
        Ok(())
    }

    /// Issues a token.
    pub(crate) async fn issue(&self, asked: IssueToken) -> Result<IssuedToken, StoreError> {
        let IssueToken { name, label, kind } = asked;
        let label = label.trim().to_owned();
        if label.is_empty() || label.len() > LABEL_BYTES || label != sanitise::line(&label) {
            return Err(StoreError::refused(
                "label",
                format!("a label is 1 to {LABEL_BYTES} bytes of printable text"),
            ));
        }
        let _changing = self.changing.lock().await;
        let account = self.existing(&name).await?.account;
        if account.tokens.iter().any(|token| token.label == label) {
            return Err(StoreError::refused(
                "label",
                format!("'{name}' has a token '{label}' already; revoke it first"),
            ));
        }
        if account.tokens.len() >= TOKENS {
            return Err(refused(format!("'{name}' has {TOKENS} tokens, the maximum; revoke one first")));
        }
        let random = kit::Secret::random()
            .map_err(|error| StoreError::because("the system has no randomness for a token", error))?;
        let token = format!("{}{}", kind.prefix(), random.expose());
        let info = TokenInfo { id: Uuid::now_v7(), label, kind, created: Timestamp::now() };
        let stored =
            StoredToken { sha256: sha256(&token), label: info.label.clone(), kind, created: info.created };
        self.write(&account.name, &key(info.id), &stored).await?;
        Ok(IssuedToken { info, token })
    }

    /// Revokes a token, by its label or id.
    pub(crate) async fn revoke(&self, name: &UserName, token: &str) -> Result<TokenInfo, StoreError> {
        let _changing = self.changing.lock().await;
        let account = self.existing(name).await?.account;
        let found = account.tokens.into_iter().find(|it| it.label == token || it.id.to_string() == token);
        let Some(found) = found else {
            return Err(StoreError::refused("token", format!("'{name}' has no token '{token}'")));
        };
        self.note(&account.name).await?;
        self.store.put_state(StatePut::new(account.name, &key(found.id), None)?).await?;
        Ok(found)
    }

    /// A page of all accounts after this name.
    pub(crate) async fn list(&self, after: Option<UserName>) -> Result<Page, StoreError> {
        let mut accounts = Vec::new();
        // `account` is the first of a user's keys that matters here, and others' values are passed over.
        let mut after = after.map(|name| (name, "\u{10ffff}".to_owned()));
        loop {
            let page = self.store.all_state(after.take(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(Page { accounts, next: None }) };
            after = Some((last.owner.clone(), last.key.clone()));
            for put in page.iter().filter(|put| put.key == ACCOUNT) {
                if let Some(record) = self.record(&put.owner).await? {
                    accounts.push(record.account);
                }
                if accounts.len() == PAGE_ACCOUNTS {
                    return Ok(Page { accounts, next: Some(put.owner.clone()) });
                }
            }
        }
    }

    /// The accounts that changed within the last minute, as they are now.
    pub(crate) async fn changed(&self) -> Result<Vec<Account>, StoreError> {
        let notes = self.store.state(&notes()).await?;
        let names = notes.values().filter_map(|name| UserName::stored(name.as_str()?).ok());
        let mut accounts = Vec::new();
        for name in names.collect::<BTreeSet<_>>() {
            accounts.extend(self.record(&name).await?.map(|record| record.account));
        }
        Ok(accounts)
    }

    async fn record(&self, name: &UserName) -> Result<Option<Record>, StoreError> {
        Record::of(&self.store.state(name).await?)
    }

    async fn existing(&self, name: &UserName) -> Result<Record, StoreError> {
        let record = self.record(name).await?;
        let there = record.filter(|record| record.account.state != AccountState::Deleted);
        there.ok_or_else(|| {
            refused(format!("there is no account '{name}'; 'launcher accounts list' shows all"))
        })
    }

    async fn put(&self, account: &Account) -> Result<(), StoreError> {
        let Account { name, state, created, tokens: _ } = account;
        self.write(name, ACCOUNT, &StoredAccount { name: name.clone(), state: *state, created: *created })
            .await
    }

    async fn write(&self, name: &UserName, key: &str, value: &impl Serialize) -> Result<(), StoreError> {
        self.note(name).await?;
        let value = serde_json::to_value(value).expect("it serialises into memory");
        self.store.put_state(StatePut::new(name.clone(), key, Some(&value))?).await
    }

    /// Notes a change that follows, and deletes the notes that have been read by everybody.
    async fn note(&self, name: &UserName) -> Result<(), StoreError> {
        let (owner, id) = (notes(), Uuid::now_v7());
        let expired = millis(id).saturating_sub(u64::try_from(NOTED.as_millis()).unwrap_or(u64::MAX));
        for key in self.store.state(&owner).await?.into_keys() {
            if key.parse().is_ok_and(|id: Uuid| millis(id) < expired) {
                self.store.put_state(StatePut::new(owner.clone(), &key, None)?).await?;
            }
        }
        let value = Value::from(name.as_str());
        self.store.put_state(StatePut::new(owner, &id.to_string(), Some(&value))?).await
    }
}

fn notes() -> UserName {
    UserName::stored(NOTES).expect("letters and a hyphen are a name")
}

fn key(id: Uuid) -> String {
    format!("{TOKEN}{id}")
}

/// When a UUIDv7 was made, in milliseconds of Unix time (RFC 9562, 5.7).
fn millis(id: Uuid) -> u64 {
    u64::try_from(id.as_u128() >> 80).unwrap_or(u64::MAX)
}

fn sha256(token: &str) -> String {
    hexadecimal(Sha256::new_with_prefix(token))
}

fn refused(detail: String) -> StoreError {
    StoreError::refused("name", detail)
}
