//! Who is online, as the page is told: the whole list with every change.

use protocol::UserName;
use protocol::web::AdapterFrame;

/// Everybody online in the order they came. Bound: as many as the chat server has sessions.
#[derive(Debug)]
pub(crate) struct Roster {
    user: UserName,
    online: Vec<UserName>,
    greeted: bool,
}

impl Roster {
    pub(crate) fn new(user: UserName) -> Self {
        Self { user, online: Vec::new(), greeted: false }
    }

    /// Whose session it is.
    pub(crate) fn user(&self) -> &UserName {
        &self.user
    }

    /// Whether the page knows that its login worked.
    pub(crate) fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Connected with these online: a login the first time, afterwards whoever came and went while we were cut off.
    pub(crate) fn connected(&mut self, online: Vec<UserName>) -> Vec<AdapterFrame> {
        if !std::mem::replace(&mut self.greeted, true) {
            self.online.clone_from(&online);
            return vec![AdapterFrame::LoginSuccess { online_users: online }];
        }
        let mut frames = vec![crate::frame::system("The chat server is back.")];
        let gone: Vec<_> = self.online.iter().filter(|name| !online.contains(name)).cloned().collect();
        frames.extend(gone.into_iter().filter_map(|name| self.presence(name, false)));
        frames.extend(online.into_iter().filter_map(|name| self.presence(name, true)));
        frames
    }

    /// Somebody came or went; nothing to tell when the page knows already.
    pub(crate) fn presence(&mut self, username: UserName, online: bool) -> Option<AdapterFrame> {
        let known = self.online.iter().position(|name| *name == username);
        match (known, online) {
            (None, true) => {
                self.online.push(username.clone());
                Some(AdapterFrame::UserJoined { username, online_users: self.online.clone() })
            }
            (Some(at), false) => {
                self.online.remove(at);
                Some(AdapterFrame::UserLeft { username, online_users: self.online.clone() })
            }
            (Some(_), true) | (None, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<UserName> {
        list.iter().map(|name| UserName::parse(name).unwrap()).collect()
    }

    fn json(frames: impl IntoIterator<Item = AdapterFrame>) -> Vec<String> {
        frames.into_iter().map(|frame| serde_json::to_string(&frame).unwrap()).collect()
    }

    fn roster(online: &[&str]) -> Roster {
        let mut roster = Roster::new(names(&["alice"])[0].clone());
        roster.connected(names(online));
        roster
    }

    #[test]
    fn every_change_comes_with_the_whole_list() {
        let mut roster = Roster::new(names(&["alice"])[0].clone());
        assert!(!roster.is_greeted());
        let greeting = roster.connected(names(&["thermometer1", "alice"]));
        assert_eq!(json(greeting), [r#"{"type":"login_success","online_users":["thermometer1","alice"]}"#]);
        let bob = || names(&["bob"])[0].clone();
        assert_eq!(
            json(roster.presence(bob(), true)),
            [r#"{"type":"user_joined","username":"bob","online_users":["thermometer1","alice","bob"]}"#]
        );
        assert_eq!(json(roster.presence(bob(), true)), [""; 0]);
        assert_eq!(
            json(roster.presence(bob(), false)),
            [r#"{"type":"user_left","username":"bob","online_users":["thermometer1","alice"]}"#]
        );
        assert_eq!(json(roster.presence(bob(), false)), [""; 0]);
    }

    #[test]
    fn after_a_cut_the_page_hears_who_came_and_went_meanwhile() {
        let frames = json(roster(&["alice", "bob"]).connected(names(&["carol", "alice"])));
        assert_eq!(
            frames[1..],
            [
                r#"{"type":"user_left","username":"bob","online_users":["alice"]}"#,
                r#"{"type":"user_joined","username":"carol","online_users":["alice","carol"]}"#,
            ]
        );
    }
}
