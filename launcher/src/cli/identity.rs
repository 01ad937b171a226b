//! Changes to another user before a program is executed.

use std::os::unix::fs::lchown;
use std::process::Command;

use kit::{Exit, Failure};
use rustix::fs::{Gid, Uid, fchown};
use rustix::process::{geteuid, getgid, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::supervisor::accounts::{self, Account};

/// The user and group that a program is run as.
#[derive(Debug, clap::Args)]
pub(super) struct Identity {
    /// The user, by name or number
    #[arg(long)]
    user: Option<String>,
    /// The group, by name or number
    #[arg(long)]
    group: Option<String>,
    /// The variables that it is given as at a login
    #[arg(long, value_delimiter = ',')]
    login: Vec<String>,
}

/// Changes user and groups of this process permanently.
///
/// For the kernel these are properties of threads; this process has one, and `exec(2)` ends any other.
pub(super) fn take_on(identity: &Identity, command: &mut Command) -> Result<(), Failure> {
    if identity.user.is_none() && identity.group.is_none() {
        return Ok(());
    }
    let account = identity.user.as_deref().map(accounts::user).transpose().map_err(unknown)?;
    let group = identity.group.as_deref().map(accounts::group).transpose().map_err(unknown)?;
    let gid = group.or(account.as_ref().and_then(|account| account.gid)).map(Gid::from_raw);
    let uid = account.as_ref().map(|account| Uid::from_raw(account.uid));
    let (wanted_uid, wanted_gid) = (uid.unwrap_or(getuid()), gid.unwrap_or(getgid()));
    if (wanted_uid, wanted_gid) != (getuid(), getgid()) {
        if !geteuid().is_root() {
            let what = "user and group need a launcher that is started by root; this one runs as user ";
            return Err(Failure::new(Exit::Config, format!("{what}{}", geteuid().as_raw())));
        }
        become_other(wanted_uid, wanted_gid, account.as_ref()).map_err(|error| {
            Failure::new(Exit::Config, format!("cannot become {}: {error}", shown(identity)))
        })?;
    }
    log_in(&identity.login, account.as_ref(), command);
    Ok(())
}

fn become_other(uid: Uid, gid: Gid, account: Option<&Account>) -> rustix::io::Result<()> {
    // So that writing to `/dev/stdout` reaches its log, too.
    for output in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let _ = fchown(output, Some(uid), Some(gid));
    }
    // Only its owner may send to it.
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET") {
        let _ = lchown(socket, Some(uid.as_raw()), Some(gid.as_raw()));
    }
    let members = account.map(|account| account.groups.as_slice()).unwrap_or_default();
    let groups: Vec<Gid> = std::iter::once(gid).chain(members.iter().copied().map(Gid::from_raw)).collect();
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}

/// As `login(1)` does.
fn log_in(variables: &[String], account: Option<&Account>, command: &mut Command) {
    let Some((name, home)) = account.and_then(|account| account.entry.as_ref()) else { return };
    for variable in variables {
        command.env(variable, if variable == "HOME" { home } else { name });
    }
}

fn shown(identity: &Identity) -> String {
    let user = identity.user.as_ref().map(|user| format!("user '{user}'"));
    let group = identity.group.as_ref().map(|group| format!("group '{group}'"));
    user.into_iter().chain(group).collect::<Vec<_>>().join(" and ")
}

fn unknown(what: String) -> Failure {
    Failure::new(Exit::Config, what)
}
