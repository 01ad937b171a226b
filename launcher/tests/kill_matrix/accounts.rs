//! Accounts under kills: what an operator was told of is so afterwards, and nothing else than what they asked for.

use std::process::Command;

use serde_json::{Value, json};

use super::kill_some;
use crate::support::dice::{Dice, rounds};
use crate::support::line_client::LineClient;
use crate::support::{Home, Launcher};

/// What became of an account: the output of each command that succeeded. A command that failed may have had its effect or not.
struct Account {
    name: String,
    added: Option<String>,
    second: Option<String>,
    /// Whether the first token's revocation was begun, and whether it succeeded.
    revoking: bool,
    revoked: bool,
}

fn outcome(mut command: Command) -> Option<String> {
    let output = command.output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

/// Whether somebody with this token, or without one, is let in under the name.
fn is_admitted(launcher: &Launcher, name: &str, shown: Option<&str>) -> bool {
    let mut hello = json!({"type": "hello", "name": name});
    if let Some(shown) = shown {
        hello["token"] = shown.split_once(':').unwrap().1.into();
    }
    let mut client = LineClient::connect(launcher.home.chat);
    client.send(&format!("{hello}\n"));
    let answer: Value = serde_json::from_str(&client.line()).unwrap();
    assert!(answer["type"] == "welcome" || answer["code"] == "protected", "{answer}");
    answer["type"] == "welcome"
}

impl Account {
    /// Adds it, issues a second token and revokes the first one, while processes are killed. Returns whether the launcher was.
    fn made(launcher: &mut Launcher, name: String, dice: &mut Dice) -> (Self, bool) {
        let command = |arguments: &[&str]| launcher.home.command(&[&["accounts"], arguments].concat());
        let add = command(&["add", &name]);
        let token = command(&["token", &name, "--label", "second"]);
        let revoke = command(&["revoke", &name, "first"]);
        let acts = std::thread::spawn(move || {
            let (added, second) = (outcome(add), outcome(token));
            // Without the second token the first is kept, so that somebody can come in.
            let revoking = second.is_some();
            (added, second, revoking, revoking && outcome(revoke).is_some())
        });
        dice.pause(50);
        let down = kill_some(launcher, dice);
        let (added, second, revoking, revoked) = acts.join().unwrap();
        (Self { name, added, second, revoking, revoked }, down)
    }

    fn expect_as_told(&self, launcher: &Launcher) {
        let Self { name, added, second, revoking, revoked } = self;
        if let Some(first) = added {
            assert!(!is_admitted(launcher, name, None), "{name} was protected");
            if *revoked {
                assert!(!is_admitted(launcher, name, Some(first)), "{name}'s first token was revoked");
            } else if !revoking {
                assert!(is_admitted(launcher, name, Some(first)), "{name}'s first token was issued");
            }
        }
        if let Some(second) = second {
            assert!(is_admitted(launcher, name, Some(second)), "{name}'s second token was issued");
        }
    }
}

#[test]
fn an_account_is_as_its_operator_was_told_whoever_is_killed() {
    let count = rounds(4, 200);
    let (mut dice, seed) = Dice::cast();
    eprintln!("P2P_SEED={seed} repeats this");
    let home = Home::on_members(3).argument("--no-thermometer").set("chat-server.logins-per-minute=0");
    let mut launcher = home.up();
    let mut accounts: Vec<Account> = Vec::new();
    for number in 1..=count {
        eprintln!("round {number}");
        let (account, down) = Account::made(&mut launcher, format!("user{number}"), &mut dice);
        if down {
            launcher.up_again();
        } else {
            launcher.wait_until_healthy();
        }
        account.expect_as_told(&launcher);
        accounts.push(account);
        // A new launcher has its whole restart budget.
        if !down {
            launcher.end("-KILL");
            launcher.up_again();
        }
    }
    accounts.iter().for_each(|account| account.expect_as_told(&launcher));
    let listed = launcher.home.run(&["accounts", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let whole =
        listed.as_array().unwrap().iter().all(|it| it["state"] == "active" && it["tokens"].is_array());
    assert!(whole, "no half account: {listed}");
    let [added, revoked] = [
        accounts.iter().filter(|it| it.added.is_some()).count(),
        accounts.iter().filter(|it| it.revoked).count(),
    ];
    eprintln!("{count} rounds, {added} accounts and {revoked} revocations acknowledged");
}
