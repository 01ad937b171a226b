//! The users and groups of this machine, by name or number.
//!
//! Read from `/etc/passwd` and `/etc/group`, and where these do not know one, asked of `getent(1)`, which also knows those of a network
//! directory.

use std::process::{Command, Stdio};

/// A user, with what a process needs to become it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// Its name and home directory; `None` for an id without an entry.
    pub entry: Option<(String, String)>,
    /// The id of its primary group, if it has an entry.
    pub gid: Option<u32>,
    /// The ids of its supplementary groups.
    pub groups: Vec<u32>,
}

/// Looks up a user by name or id.
///
/// # Errors
/// If there is no such user.
pub fn user(named: &str) -> Result<Account, String> {
    let line = line_of("/etc/passwd", "passwd", named, 2);
    match (line, named.parse()) {
        (Some(line), _) => {
            let fields: Vec<&str> = line.split(':').collect();
            let (Some(uid), Some(gid)) = (number(&fields, 2), number(&fields, 3)) else {
                return Err(format!("the entry of user '{named}' in /etc/passwd has no numbers"));
            };
            let name = fields[0].to_owned();
            let home = fields.get(5).map_or("/", |home| home).to_owned();
            let groups = memberships(&std::fs::read_to_string("/etc/group").unwrap_or_default(), &name);
            Ok(Account { uid, entry: Some((name, home)), gid: Some(gid), groups })
        }
        (None, Ok(uid)) => Ok(Account { uid, ..Account::default() }),
        (None, Err(_)) => Err(format!("there is no user '{named}' on this machine")),
    }
}

/// Looks up the id of a group by name or id.
///
/// # Errors
/// If there is no such group.
pub fn group(named: &str) -> Result<u32, String> {
    if let Ok(gid) = named.parse() {
        return Ok(gid);
    }
    let line = line_of("/etc/group", "group", named, 2);
    let gid = line.and_then(|line| number(&line.split(':').collect::<Vec<_>>(), 2));
    gid.ok_or_else(|| format!("there is no group '{named}' on this machine"))
}

/// The name of a user of this machine, or the id if `/etc/passwd` has no name for it: no network directory is asked, which may take long.
pub(super) fn name_of(uid: u32) -> String {
    let id = uid.to_string();
    let line = line_in("/etc/passwd", &id, 2);
    line.and_then(|line| line.split(':').next().map(str::to_owned)).unwrap_or(id)
}

/// The line of an entry with this name, or with this id in that field.
fn line_of(file: &str, database: &str, named: &str, field: usize) -> Option<String> {
    line_in(file, named, field).or_else(|| getent(database, named))
}

fn line_in(file: &str, named: &str, field: usize) -> Option<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let is_it = |line: &&str| {
        let mut fields = line.split(':');
        let name = fields.next();
        name == Some(named) || fields.nth(field - 1) == Some(named)
    };
    text.lines().find(is_it).map(str::to_owned)
}

fn getent(database: &str, named: &str) -> Option<String> {
    let mut command = Command::new("getent");
    command.args([database, "--", named]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.lines().next()?.to_owned())
}

/// The groups that list a user as a member, as in `initgroups(3)`.
fn memberships(groups: &str, name: &str) -> Vec<u32> {
    let lines = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let is_member = |fields: &Vec<&str>| {
        fields.get(3).is_some_and(|members| members.split(',').any(|member| member == name))
    };
    lines.filter(is_member).filter_map(|fields| number(&fields, 2)).collect()
}

fn number(fields: &[&str], field: usize) -> Option<u32> {
    fields.get(field)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let root = user("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, Some(0)));
        assert_eq!(user("0").unwrap(), root);
        assert_eq!(group("root"), Ok(0));
        assert_eq!((name_of(0).as_str(), name_of(4_000_000).as_str()), ("root", "4000000"));
        assert_eq!(group("4000000"), Ok(4_000_000));
        assert_eq!(user("4000000").unwrap(), Account { uid: 4_000_000, ..Account::default() });
        assert_eq!(user("no-such").unwrap_err(), "there is no user 'no-such' on this machine");
        assert_eq!(group("no-such").unwrap_err(), "there is no group 'no-such' on this machine");
    }

    #[test]
    fn a_user_is_in_the_groups_that_name_it() {
        let groups = "root:x:0:\nadm:x:4:syslog,web\nweb:x:33:\nssl:x:110:webmaster,web\nbroken\n";
        assert_eq!(memberships(groups, "web"), [4, 110]);
    }
}
