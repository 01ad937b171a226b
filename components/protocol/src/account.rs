//! Accounts: which names are protected, by what, and who may use them.
//!
//! A name without an account is free: whoever comes first has it, until they disconnect. A name with an account is used with one of its
//! tokens, at every door; [`decide`] is the only place that says so. Bodies of the message API's requests about accounts are here, too.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Timestamp, UserName};

/// Every token of an account begins with this. No name, and no token of a `welcome`, does so.
const PREFIX: &str = "p2p_";

/// Most tokens of one account.
pub const TOKENS: usize = 64;
/// Longest label of a token, in bytes.
pub const LABEL_BYTES: usize = 64;
/// Accounts in a page.
pub const PAGE_ACCOUNTS: usize = 500;

/// Whether a text is meant as the token of an account.
#[must_use]
pub fn is_token(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Splits `alice:TOKEN`, as a name prompt takes it. `:` cannot be in a name; what follows it and is no token is left to the name's rules.
#[must_use]
pub fn split_token(typed: &str) -> (&str, Option<&str>) {
    match typed.trim().split_once(':') {
        Some((name, token)) if is_token(token.trim()) => (name, Some(token.trim())),
        Some(_) | None => (typed, None),
    }
}

/// What a token is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// A person's device.
    #[default]
    Device,
    /// A program.
    Bot,
}

impl TokenKind {
    /// The beginning of such a token, by which secret scanners and people recognise it.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Device => "p2p_dev_",
            Self::Bot => "p2p_bot_",
        }
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "device",
            Self::Bot => "bot",
        })
    }
}

/// Whether an account can be used. A deleted one keeps its name, which is never given to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccountState {
    /// With its tokens.
    Active,
    /// By nobody, until it is active again.
    Suspended,
    /// By nobody, for ever.
    Deleted,
}

impl fmt::Display for AccountState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        })
    }
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenInfo {
    /// Names it in lists and for revocation.
    pub id: Uuid,
    /// What the owner calls it.
    pub label: String,
    /// What it is for.
    pub kind: TokenKind,
    /// When it was issued.
    pub created: Timestamp,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// Its name, as it was registered.
    pub name: UserName,
    /// Whether it can be used.
    pub state: AccountState,
    /// When it was registered.
    pub created: Timestamp,
    /// Its tokens, oldest first.
    pub tokens: Vec<TokenInfo>,
}

impl Account {
    /// Whether a session that logged in with this token may go on; `None` is one without a token.
    #[must_use]
    pub fn admits(&self, token: Option<Uuid>) -> bool {
        self.state == AccountState::Active && token.is_some_and(|id| self.tokens.iter().any(|it| it.id == id))
    }
}

/// What somebody shows who wants to use a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing.
    None,
    /// Something that is no token of this account: another account's, a revoked one, or none at all.
    Wrong,
    /// This token of the account.
    Token(Uuid),
}

/// Whether somebody may use a name: log in under it, send as it, read for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "access")]
pub enum Access {
    /// The name has no account: it is free.
    #[default]
    Open,
    /// With this token.
    Owner {
        /// Its id.
        token: Uuid,
    },
    /// No: the token is missing.
    TokenMissing,
    /// No: the token is not one of the account's, or not any more.
    TokenWrong,
    /// No: the account is suspended or deleted.
    Closed,
}

/// Whether somebody may use a name that has this account, or none. The whole rule, for every door.
///
/// A token that is shown for a free name is wrong, too: it is another account's, and its owner would be surprised to be somebody else.
#[must_use]
pub fn decide(account: Option<AccountState>, proof: Proof) -> Access {
    match (account, proof) {
        (None, Proof::None) => Access::Open,
        (None, Proof::Wrong | Proof::Token(_)) => Access::TokenWrong,
        (Some(AccountState::Active), Proof::Token(token)) => Access::Owner { token },
        (Some(AccountState::Active), Proof::None) => Access::TokenMissing,
        (Some(AccountState::Active), Proof::Wrong) => Access::TokenWrong,
        (Some(AccountState::Suspended | AccountState::Deleted), _) => Access::Closed,
    }
}

/// Registers a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddAccount {
    /// The name.
    pub name: UserName,
}

/// Issues a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssueToken {
    /// The account.
    pub name: UserName,
    /// What the owner calls it: 1 to [`LABEL_BYTES`] bytes, unique in the account.
    pub label: String,
    /// What it is for.
    pub kind: TokenKind,
}

/// A new token. Only its hash is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuedToken {
    /// Its description.
    pub info: TokenInfo,
    /// The token itself.
    pub token: String,
}

/// Revokes a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevokeToken {
    /// The account.
    pub name: UserName,
    /// The token's label, or its id.
    pub token: String,
}

/// Changes whether an account can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetAccountState {
    /// The account.
    pub name: UserName,
    /// Its new state.
    pub state: AccountState,
}

/// Asks for a page of all accounts, in order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListAccounts {
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<UserName>,
}

/// A page of accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accounts {
    /// At most [`PAGE_ACCOUNTS`].
    pub accounts: Vec<Account>,
    /// There are more after this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<UserName>,
}

/// Asks which accounts changed within the last minute, by whatever server. Asked more often than that, nothing is missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangedAccounts {}

/// Accounts that changed, as they are now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// Each once.
    pub accounts: Vec<Account>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_this_table() {
        use AccountState::{Active, Deleted, Suspended};
        let id = Uuid::from_u128(1);
        let (none, wrong, right) = (Proof::None, Proof::Wrong, Proof::Token(id));
        let owner = Access::Owner { token: id };
        let table = [
            (None, [Access::Open, Access::TokenWrong, Access::TokenWrong]),
            (Some(Active), [Access::TokenMissing, Access::TokenWrong, owner]),
            (Some(Suspended), [Access::Closed; 3]),
            (Some(Deleted), [Access::Closed; 3]),
        ];
        for (account, answers) in table {
            assert_eq!([none, wrong, right].map(|proof| decide(account, proof)), answers, "{account:?}");
        }
    }

    #[test]
    fn a_token_is_split_from_a_name_and_nothing_else_is() {
        assert_eq!(split_token(" alice:p2p_dev_00 \r"), ("alice", Some("p2p_dev_00")));
        assert_eq!(split_token("alice: p2p_bot_1"), ("alice", Some("p2p_bot_1")));
        for other in ["alice", "alice:", "alice:secret", "bob: hi", "p2p_dev_1", ":", ""] {
            assert_eq!(split_token(other), (other, None), "{other}");
        }
        assert_eq!(split_token(":p2p_x"), ("", Some("p2p_x")));
    }

    #[test]
    fn a_session_goes_on_only_with_a_token_that_is_left() {
        let info = |id| TokenInfo {
            id: Uuid::from_u128(id),
            label: id.to_string(),
            kind: TokenKind::Device,
            created: Timestamp::from_micros(0),
        };
        let name = UserName::parse("alice").unwrap();
        let account = |state| Account {
            name: name.clone(),
            state,
            created: Timestamp::from_micros(0),
            tokens: vec![info(1)],
        };
        let active = account(AccountState::Active);
        assert!(active.admits(Some(Uuid::from_u128(1))));
        assert!(!active.admits(Some(Uuid::from_u128(2))) && !active.admits(None));
        assert!(!account(AccountState::Suspended).admits(Some(Uuid::from_u128(1))));
    }
}
