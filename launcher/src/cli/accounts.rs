//! `launcher accounts`: which names are protected, and by which tokens.

use clap::Subcommand;
use kit::{Exit, Failure};
use protocol::UserName;
use protocol::account::{
    Account, AccountState, AddAccount, IssueToken, IssuedToken, ListAccounts, RevokeToken, SetAccountState,
    TokenKind,
};
use protocol::api::Call;

use super::api::Api;
use super::options::{Where, With, small_runtime};
use super::output::{self, many};
use super::table::{Cell, Table};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Protect a name: from now on it is used with its tokens alone; prints the first one
    Add(With<Add>),
    /// List all accounts and their tokens
    List(With<List>),
    /// Issue another token, for one more device or a program; prints it once
    Token(With<Token>),
    /// Revoke a token; its sessions are closed within a second
    Revoke(With<Revoke>),
    /// Close an account's sessions and refuse its tokens until it is resumed
    Suspend(With<Named>),
    /// Accept a suspended account's tokens again
    Resume(With<Named>),
    /// Delete an account: its tokens are gone, and nobody can use the name again
    Delete(With<Delete>),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// The name
    name: String,
    /// What the first token is called
    #[arg(long, default_value = "first")]
    label: String,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Token {
    /// The account
    name: String,
    /// What the token is called, such as the device
    #[arg(long)]
    label: String,
    /// For a program
    #[arg(long)]
    bot: bool,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// The account
    name: String,
    /// The token's label or id
    token: String,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The account
    name: String,
}

#[derive(Debug, clap::Args)]
struct Delete {
    /// The account
    name: String,
    /// Delete it: the name cannot be used again
    #[arg(long, required = true)]
    yes: bool,
}

/// Asks the message API.
pub(super) fn accounts(place: Where, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Add(it) => add(&place.then(it.place), it.args),
        Command::List(it) => list(&place.then(it.place), &it.args),
        Command::Token(it) => token(&place.then(it.place), it.args),
        Command::Revoke(it) => revoke(&place.then(it.place), it.args),
        Command::Suspend(it) => set_state(&place.then(it.place), &it.args.name, AccountState::Suspended),
        Command::Resume(it) => set_state(&place.then(it.place), &it.args.name, AccountState::Active),
        Command::Delete(it) => set_state(&place.then(it.place), &it.args.name, AccountState::Deleted),
    }
}

fn add(place: &Where, args: Add) -> Result<Exit, Failure> {
    let name = parse(&args.name)?;
    let account = ask(place, &AddAccount { name })?;
    show(place, account.name, args.label, TokenKind::Device)
}

fn token(place: &Where, args: Token) -> Result<Exit, Failure> {
    let kind = if args.bot { TokenKind::Bot } else { TokenKind::Device };
    show(place, parse(&args.name)?, args.label, kind)
}

/// Issues a token, and prints it as a name prompt takes it.
fn show(place: &Where, name: UserName, label: String, kind: TokenKind) -> Result<Exit, Failure> {
    let IssuedToken { token, info: _ } = ask(place, &IssueToken { name: name.clone(), label, kind })?;
    output::line(&format!("{name}:{token}"));
    output::error(
        "this is the only time the token is shown; type the whole line where a client asks for the name",
    );
    Ok(Exit::Fine)
}

fn revoke(place: &Where, args: Revoke) -> Result<Exit, Failure> {
    let name = parse(&args.name)?;
    let revoked = ask(place, &RevokeToken { name: name.clone(), token: args.token })?;
    output::line(&format!("revoked '{}' of {name}", revoked.label));
    Ok(Exit::Fine)
}

fn set_state(place: &Where, name: &str, state: AccountState) -> Result<Exit, Failure> {
    let name = parse(name)?;
    ask(place, &SetAccountState { name: name.clone(), state })?;
    output::line(&format!("{name} is {state}"));
    Ok(Exit::Fine)
}

fn list(place: &Where, args: &List) -> Result<Exit, Failure> {
    let api = Api::of_running(place)?;
    let accounts = small_runtime()?.block_on(all(&api))?;
    if args.json {
        output::json(&accounts);
        return Ok(Exit::Fine);
    }
    table(&accounts).lines(false).iter().for_each(|line| output::line(line));
    Ok(Exit::Fine)
}

async fn all(api: &Api) -> Result<Vec<Account>, Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = api.client.call(&ListAccounts { after }).await.map_err(|error| api.failure(&error))?;
        all.extend(page.accounts);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

fn table(accounts: &[Account]) -> Table {
    let mut table = Table::new(&["NAME", "STATE", "SINCE (UTC)", "TOKENS"]);
    for account in accounts {
        let labels: Vec<&str> = account.tokens.iter().map(|token| token.label.as_str()).collect();
        let tokens = if labels.is_empty() { many(0, "token") } else { labels.join(", ") };
        table.row(vec![
            Cell::plain(account.name.as_str()),
            Cell::plain(account.state.to_string()),
            Cell::plain(account.created.to_seconds_text()),
            Cell::plain(tokens),
        ]);
    }
    table
}

fn ask<C: Call>(place: &Where, call: &C) -> Result<C::Answer, Failure> {
    let api = Api::of_running(place)?;
    small_runtime()?.block_on(api.client.call(call)).map_err(|error| api.failure(&error))
}

fn parse(name: &str) -> Result<UserName, Failure> {
    UserName::parse(name).map_err(|error| {
        Failure::new(Exit::Usage, format!("invalid name '{}': {error}", output::sanitise(name)))
    })
}
