//! The list of conversations: those with messages, the latest first, then other online users.

use crate::history::entry::{Entry, key_of};
use crate::history::read::Summary;

/// Most conversations listed. Overflow rule: the least recent is dropped; search and `/to` find it.
const LIMIT: usize = 500;

/// One conversation in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) partner: String,
    key: String,
    pub(super) unseen: u64,
    pub(super) online: bool,
    /// When its latest message was said, in microseconds since 1970.
    said: i64,
}

/// The list.
#[derive(Debug, Default)]
pub(super) struct List {
    rows: Vec<Row>,
    /// All online users in their own spelling.
    online: Vec<String>,
    me: String,
    /// The partner of the open conversation, listed even without messages.
    open: Option<String>,
}

impl List {
    /// Fills the list from the history.
    pub(super) fn fill(&mut self, me: &str, conversations: Vec<Summary>) {
        self.me = key_of(me);
        let rows = conversations.into_iter().map(|summary| Row {
            key: key_of(&summary.partner),
            partner: summary.partner,
            unseen: summary.unseen,
            online: false,
            said: summary.said,
        });
        self.rows = rows.collect();
        self.mark();
    }

    /// Sets the online users.
    pub(super) fn come(&mut self, online: Vec<String>) {
        self.online = online;
        self.mark();
    }

    /// Sets the open conversation.
    pub(super) fn open(&mut self, partner: &str) {
        self.open = Some(partner.to_owned());
    }

    fn mark(&mut self) {
        let online: Vec<String> = self.online.iter().map(|name| key_of(name)).collect();
        for row in &mut self.rows {
            row.online = online.contains(&row.key);
        }
    }

    /// A message was added, unread if `unseen`. Its row moves to the front; but what was said before and arrives only now stands behind what
    /// was said later.
    pub(super) fn spoken(&mut self, entry: &Entry, unseen: bool, live: bool) {
        let row = self.row(&entry.partner);
        row.unseen += u64::from(unseen && !entry.outgoing);
        row.said = row.said.max(entry.said.micros());
        if !live {
            let said = row.said;
            let later = self.rows[1..].iter().take_while(|other| other.said > said).count();
            self.rows[..=later].rotate_left(1);
        }
    }

    /// Moves a partner's row to the front.
    fn row(&mut self, partner: &str) -> &mut Row {
        let key = key_of(partner);
        let row = match self.rows.iter().position(|row| row.key == key) {
            Some(at) => self.rows.remove(at),
            None => {
                let online = self.online.iter().any(|name| key_of(name) == key);
                Row { partner: partner.to_owned(), key, unseen: 0, online, said: 0 }
            }
        };
        self.rows.insert(0, row);
        self.rows.truncate(LIMIT);
        &mut self.rows[0]
    }

    /// Sets the number of unread messages of a conversation. Returns whether it changed.
    pub(super) fn left(&mut self, partner: &str, unseen: u64) -> bool {
        let key = key_of(partner);
        let row = self.rows.iter_mut().find(|row| row.key == key);
        row.is_some_and(|row| std::mem::replace(&mut row.unseen, unseen) != unseen)
    }

    /// All rows in order.
    pub(super) fn rows(&self) -> Vec<Row> {
        let listed = |key: &str| key == self.me || self.rows.iter().any(|row| row.key == key);
        let others = self.online.iter().map(|name| (name, key_of(name))).filter(|(_, key)| !listed(key));
        let others =
            others.map(|(name, key)| Row { partner: name.clone(), key, unseen: 0, online: true, said: 0 });
        let mut rows: Vec<Row> = self.rows.iter().cloned().chain(others).collect();
        if let Some(open) = &self.open
            && !rows.iter().any(|row| row.key == key_of(open))
        {
            let key = key_of(open);
            rows.insert(0, Row { partner: open.clone(), key, unseen: 0, online: false, said: 0 });
        }
        rows
    }

    /// The conversation with the latest message.
    pub(super) fn latest(&self) -> Option<String> {
        self.rows.first().map(|row| row.partner.clone())
    }

    /// The position of a partner.
    pub(super) fn position(&self, partner: &str) -> Option<usize> {
        let key = key_of(partner);
        self.rows().iter().position(|row| row.key == key)
    }

    pub(super) fn is_online(&self, partner: &str) -> bool {
        let key = key_of(partner);
        self.online.iter().any(|name| key_of(name) == key)
    }

    /// The number of all unread messages.
    pub(super) fn unseen(&self) -> u64 {
        self.rows.iter().map(|row| row.unseen).sum()
    }

    /// The first conversation with unread messages, other than the open one.
    pub(super) fn first_unseen(&self, open: Option<&str>) -> Option<String> {
        let open = open.map(key_of);
        let mut others = self.rows.iter().filter(|row| Some(&row.key) != open.as_ref());
        others.find(|row| row.unseen > 0).map(|row| row.partner.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_is_first_and_whoever_is_online_follows() {
        let mut list = List::default();
        let summary = |partner: &str, unseen| Summary { partner: partner.to_owned(), unseen, said: 0 };
        list.fill("alice", vec![summary("bob", 2), summary("carol", 0)]);
        list.come(vec!["Alice".into(), "Carol".into(), "dave".into()]);
        let shown = |list: &List| {
            let rows = list.rows();
            rows.iter()
                .map(|row| format!("{} {} {}", row.partner, row.unseen, row.online))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(&list), ["bob 2 false", "carol 0 true", "dave 0 true"]);
        assert_eq!(
            (list.unseen(), list.first_unseen(None), list.first_unseen(Some("Bob"))),
            (2, Some("bob".to_owned()), None)
        );
        assert!(list.left("BOB", 0) && !list.left("bob", 0));
        list.row("carol");
        assert_eq!(shown(&list), ["carol 0 true", "bob 0 false", "dave 0 true"]);
        assert_eq!(list.position("Dave"), Some(2));
        list.open("DAVE");
        assert_eq!(list.rows().len(), 3);
        list.open("erin");
        assert_eq!(shown(&list)[0], "erin 0 false", "also before anything was said");
        list.open("bob");
        assert_eq!(list.position("erin"), None);
    }
}
