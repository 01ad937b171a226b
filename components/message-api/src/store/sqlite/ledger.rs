//! Writes within one transaction: events, cursors, registrations, state.
//!
//! An error rolls the whole transaction back, so each function first checks what may be rejected.

use std::sync::Arc;

use protocol::api::{Appended, CursorMove, OwnBatch, RegisterUser};
use protocol::native::Device;
use protocol::{ConversationId, Draft, Event, Timestamp, UserName};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::cache::{Cache, Head, KnownUser, Member};
use super::row::{self, Counted};
use crate::store::{DEVICES, News, STATE_KEYS, StatePut, StoreError};

/// The writer's view of the file during a transaction.
pub(super) struct Ledger<'w> {
    pub(super) connection: &'w Connection,
    pub(super) cache: &'w mut Cache,
    /// The events that this transaction appends.
    pub(super) news: News,
}

impl<'w> Ledger<'w> {
    /// Appends the drafts of one caller.
    pub(super) fn append_all(
        &mut self,
        drafts: Vec<Draft>,
        own: Option<OwnBatch>,
    ) -> rusqlite::Result<Vec<Appended>> {
        let mut insert = self.prepare_insert()?;
        let place = |draft| own.map(|batch| (batch, draft));
        let append = |(index, draft)| self.append(&mut insert, draft, place(index));
        drafts.into_iter().enumerate().map(append).collect()
    }

    /// Appends a draft, or finds the event stored earlier under its client id.
    fn append(
        &mut self,
        insert: &mut CachedStatement<'_>,
        draft: Draft,
        own: Option<(OwnBatch, usize)>,
    ) -> rusqlite::Result<Appended> {
        let sender = self.user(&draft.sender)?;
        let head = self.head(&draft.conversation)?;
        let pos = self.last_pos()? + 1;
        // Informative only. Whatever the clock does, the order is `seq`, and `pos` between conversations.
        let at = Timestamp::now();
        let event = draft.into_event(Uuid::now_v7(), head.seq + 1, at);
        let counted = head.last.followed_by(sender.id);
        if !insert_event(insert, pos, head.conversation, &sender, counted, &event)? {
            return self.first_result(sender.id, &event);
        }
        self.advance(pos, head, counted, &event)?;
        let appended = Appended {
            conversation: event.conversation.clone(),
            seq: event.seq,
            id: event.id,
            at,
            duplicate: false,
        };
        match own {
            Some((batch, draft)) => self.news.push_own(event, batch, draft),
            None => self.news.events.push(event),
        }
        Ok(appended)
    }

    /// The statement for [`insert_event`]: prepared once for many events, because even finding a prepared one takes time.
    pub(super) fn prepare_insert(&self) -> rusqlite::Result<CachedStatement<'w>> {
        self.connection.prepare_cached(
            "INSERT INTO events(pos, conversation, seq, ordinal, sent, sender, id, at, timestamp, kind, client_id, body,
                metadata, sender_name)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
             ON CONFLICT (client_id, sender) DO NOTHING",
        )
    }

    fn first_result(&self, sender: i64, event: &Event) -> rusqlite::Result<Appended> {
        let mut find = self.connection.prepare_cached(
            "SELECT c.key, e.seq, e.id, e.at FROM events AS e JOIN conversations AS c ON c.id = e.conversation
             WHERE e.client_id = ?2 AND e.sender = ?1",
        )?;
        find.query_row(params![sender, event.client_id.as_str()], |row| {
            Ok(Appended {
                conversation: row::parse(row, 0, ConversationId::parse)?,
                seq: row.get(1)?,
                id: Uuid::from_bytes(row.get(2)?),
                at: Timestamp::from_micros(row.get(3)?),
                duplicate: true,
            })
        })
    }

    /// Updates the end of the log in the cache, and marks it unread for the other user.
    fn advance(&mut self, pos: i64, mut head: Head, counted: Counted, event: &Event) -> rusqlite::Result<()> {
        let conversation = head.conversation;
        if let Some(receiver) = head.receiver_mut(counted.sender) {
            if !receiver.unread {
                let mut mark = self.connection.prepare_cached(
                    "UPDATE members SET unread = 1, read_to = ?3 WHERE user = ?1 AND conversation = ?2 AND unread = 0",
                )?;
                mark.execute(params![receiver.user, conversation, event.seq - 1])?;
                receiver.unread = true;
            }
            receiver.last = Some(event.seq);
        }
        (head.seq, head.last) = (event.seq, counted);
        self.cache.heads.put(event.conversation.clone(), head);
        self.cache.pos = Some(pos);
        Ok(())
    }

    pub(super) fn last_pos(&mut self) -> rusqlite::Result<i64> {
        if let Some(pos) = self.cache.pos {
            return Ok(pos);
        }
        let pos = last_pos(self.connection)?;
        self.cache.pos = Some(pos);
        Ok(pos)
    }

    /// The user's row, created if it does not exist.
    pub(super) fn user(&mut self, name: &UserName) -> rusqlite::Result<KnownUser> {
        if let Some(known) = self.cache.users.get(name.key()) {
            return Ok(known.clone());
        }
        let mut find = self.connection.prepare_cached("SELECT id, name FROM users WHERE key = ?1")?;
        let found =
            find.query_row([name.key()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).optional()?;
        let known = if let Some((id, name)) = found {
            KnownUser { id, name: name.into() }
        } else {
            let mut insert =
                self.connection.prepare_cached("INSERT INTO users(key, name) VALUES (?1, ?2)")?;
            let id = insert.insert([name.key(), name.as_str()])?;
            KnownUser { id, name: name.as_str().into() }
        };
        self.cache.users.put(Arc::from(name.key()), known.clone());
        Ok(known)
    }

    /// The end of the conversation's log; the conversation is created if it does not exist.
    pub(super) fn head(&mut self, conversation: &ConversationId) -> rusqlite::Result<Head> {
        if let Some(head) = self.known_head(conversation)? {
            return Ok(head);
        }
        let head = self.start_conversation(conversation)?;
        self.cache.heads.put(conversation.clone(), head);
        Ok(head)
    }

    /// The end of the conversation's log, if the conversation exists.
    fn known_head(&mut self, conversation: &ConversationId) -> rusqlite::Result<Option<Head>> {
        if let Some(head) = self.cache.heads.get(conversation) {
            return Ok(Some(*head));
        }
        let mut find =
            self.connection.prepare_cached("SELECT id, floor FROM conversations WHERE key = ?1")?;
        let found =
            find.query_row([conversation.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((id, floor)) = found else { return Ok(None) };
        let head = self.read_head(id, floor)?;
        self.cache.heads.put(conversation.clone(), head);
        Ok(Some(head))
    }

    fn read_head(&self, conversation: i64, floor: u64) -> rusqlite::Result<Head> {
        let mut members = self.connection.prepare_cached(
            "SELECT user, unread FROM members INDEXED BY members_of WHERE conversation = ?1 LIMIT 2",
        )?;
        let member = |row: &Row<'_>| Ok(Member { user: row.get(0)?, unread: row.get(1)?, last: None });
        let mut found = members.query_map([conversation], member)?;
        let members = [found.next().transpose()?, found.next().transpose()?];
        let mut head = Head { conversation, seq: floor, last: Counted::default(), members };
        let mut last = self.connection.prepare_cached(
            "SELECT ordinal, sender, sent, seq FROM events WHERE conversation = ?1 ORDER BY seq DESC LIMIT 1",
        )?;
        let last = last.query_row([conversation], |row| Ok((row::counted(row)?, row.get(3)?)));
        if let Some((counted, seq)) = last.optional()? {
            (head.seq, head.last) = (floor.max(seq), counted);
            if let Some(receiver) = head.receiver_mut(counted.sender) {
                receiver.last = Some(seq);
            }
        }
        Ok(head)
    }

    /// A direct conversation has both users as members from the start. Members of a room are added when they join.
    fn start_conversation(&mut self, key: &ConversationId) -> rusqlite::Result<Head> {
        let mut insert = self.connection.prepare_cached("INSERT INTO conversations(key) VALUES (?1)")?;
        let conversation = insert.insert([key.as_str()])?;
        let mut head = Head { conversation, seq: 0, last: Counted::default(), members: [None; 2] };
        for (place, name) in head.members.iter_mut().zip(key.dm_members()) {
            let name = UserName::stored(name).expect("the id of a direct conversation holds names");
            let user = self.user(&name)?.id;
            let mut join = self
                .connection
                .prepare_cached("INSERT OR IGNORE INTO members(user, conversation) VALUES (?1, ?2)")?;
            join.execute([user, conversation])?;
            *place = Some(Member { user, unread: false, last: None });
        }
        Ok(head)
    }

    /// Moves a user's cursor, and the device's own.
    pub(super) fn move_cursor(&mut self, to: &CursorMove) -> rusqlite::Result<()> {
        let Some(head) = self.known_head(&to.conversation)? else { return Ok(()) };
        let mut reached = self.connection.prepare_cached(
            "SELECT seq FROM events WHERE conversation = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1",
        )?;
        // A cursor beyond the end becomes one at the end.
        let wanted = i64::try_from(to.seq).unwrap_or(i64::MAX);
        let reached =
            reached.query_row([head.conversation, wanted], |row| row.get::<_, u64>(0)).optional()?;
        let Some(seq) = reached else { return Ok(()) };
        let user = self.user(&to.user)?.id;
        if let Some(device) = &to.device {
            self.move_device_cursor(user, device, head.conversation, seq)?;
        }
        let unread = head.may_have_after(user, seq);
        let mut advance = self.connection.prepare_cached(
            "UPDATE members SET cursor = ?3, unread = min(unread, ?4)
             WHERE user = ?1 AND conversation = ?2 AND cursor < ?3 RETURNING unread",
        )?;
        let unread = advance.query_row(params![user, head.conversation, seq, unread], |row| row.get(0));
        if let Some(unread) = unread.optional()?
            && let Some(head) = self.cache.heads.get_mut(&to.conversation)
            && let Some(member) = head.member_mut(user)
        {
            member.unread = unread;
        }
        Ok(())
    }

    fn move_device_cursor(
        &self,
        user: i64,
        device: &Device,
        conversation: i64,
        seq: u64,
    ) -> rusqlite::Result<()> {
        let mut touch = self.connection.prepare_cached(
            "INSERT INTO devices(user, name, used) VALUES (?1, ?2, ?3)
             ON CONFLICT (user, name) DO UPDATE SET used = excluded.used RETURNING id",
        )?;
        let now = Timestamp::now().micros();
        let id: i64 = touch.query_row(params![user, device.as_str(), now], |row| row.get(0))?;
        let mut advance = self.connection.prepare_cached(
            "INSERT INTO device_cursors(device, conversation, cursor) VALUES (?1, ?2, ?3)
             ON CONFLICT (device, conversation) DO UPDATE SET cursor = max(cursor, excluded.cursor)",
        )?;
        advance.execute(params![id, conversation, seq])?;
        self.forget_old_devices(user)
    }

    fn forget_old_devices(&self, user: i64) -> rusqlite::Result<()> {
        let mut old = self.connection.prepare_cached(
            "SELECT id FROM devices WHERE user = ?1 ORDER BY used DESC, id DESC LIMIT -1 OFFSET ?2",
        )?;
        let old: Vec<i64> =
            old.query_map(params![user, DEVICES], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for device in old {
            self.connection
                .prepare_cached("DELETE FROM device_cursors WHERE device = ?1")?
                .execute([device])?;
            self.connection.prepare_cached("DELETE FROM devices WHERE id = ?1")?.execute([device])?;
        }
        Ok(())
    }

    /// Deletes the beginning of a log.
    pub(super) fn delete_up_to(
        &mut self,
        conversation: &ConversationId,
        up_to: u64,
    ) -> rusqlite::Result<u64> {
        let mut find = self.connection.prepare_cached("SELECT id FROM conversations WHERE key = ?1")?;
        let Some(id) = find.query_row([conversation.as_str()], |row| row.get::<_, i64>(0)).optional()? else {
            return Ok(0);
        };
        let mut delete =
            self.connection.prepare_cached("DELETE FROM events WHERE conversation = ?1 AND seq <= ?2")?;
        let removed = delete.execute(params![id, i64::try_from(up_to).unwrap_or(i64::MAX)])?;
        let mut mark = self.connection.prepare_cached(
            "UPDATE members SET unread = EXISTS (SELECT 1 FROM events INDEXED BY log
                WHERE conversation = ?1 AND seq > max(members.cursor, members.read_to)
                    AND (sender <> members.user OR ?2))
             WHERE conversation = ?1 AND unread = 1",
        )?;
        mark.execute(params![id, conversation.is_note_to_self()])?;
        // The cached entry has the last events per member, which may be deleted now.
        self.cache.heads.pop(conversation);
        Ok(removed as u64)
    }

    /// Registers a user who logged in.
    pub(super) fn register(&mut self, user: &RegisterUser) -> rusqlite::Result<()> {
        let id = self.user(&user.name)?.id;
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO registrations(user, name, address, first_seen, last_seen, skeleton) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
             ON CONFLICT (user) DO UPDATE SET last_seen = excluded.last_seen,
                address = coalesce(excluded.address, address)",
        )?;
        let (now, skeleton) = (Timestamp::now().micros(), user.name.skeleton());
        upsert.execute(params![id, user.name.as_str(), user.address, now, &*skeleton])?;
        Ok(())
    }

    /// Sets or deletes a value. The inner error means that there are too many keys.
    pub(super) fn put_state(&mut self, put: &StatePut) -> rusqlite::Result<Result<(), StoreError>> {
        let owner = self.user(&put.owner)?.id;
        let Some(value) = &put.value else {
            let mut delete =
                self.connection.prepare_cached("DELETE FROM state WHERE owner = ?1 AND key = ?2")?;
            delete.execute(params![owner, put.key])?;
            return Ok(Ok(()));
        };
        let mut update =
            self.connection.prepare_cached("UPDATE state SET value = ?3 WHERE owner = ?1 AND key = ?2")?;
        if update.execute(params![owner, put.key, value])? == 1 {
            return Ok(Ok(()));
        }
        let mut count = self.connection.prepare_cached("SELECT count(*) FROM state WHERE owner = ?1")?;
        if count.query_row([owner], |row| row.get::<_, u64>(0))? >= STATE_KEYS {
            let detail = format!("{} already has {STATE_KEYS} keys, the maximum", put.owner);
            return Ok(Err(StoreError::refused("key", detail)));
        }
        let mut insert =
            self.connection.prepare_cached("INSERT INTO state(owner, key, value) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![owner, put.key, value])?;
        Ok(Ok(()))
    }
}

/// Inserts the event's row; returns `false` if the sender has used the client id before.
pub(super) fn insert_event(
    insert: &mut CachedStatement<'_>,
    pos: i64,
    conversation: i64,
    sender: &KnownUser,
    counted: Counted,
    event: &Event,
) -> rusqlite::Result<bool> {
    let timestamp = (event.timestamp != event.at).then(|| event.timestamp.micros());
    let metadata = (!event.metadata.is_empty()).then(|| event.metadata.to_json());
    let spelling = (event.sender.as_str() != &*sender.name).then(|| event.sender.as_str());
    let inserted = insert.execute(params![
        pos,
        conversation,
        event.seq,
        counted.ordinal,
        counted.sent,
        sender.id,
        event.id.as_bytes(),
        event.at.micros(),
        timestamp,
        event.kind.number(),
        event.client_id.as_str(),
        event.body.as_str(),
        metadata,
        spelling,
    ])?;
    Ok(inserted == 1)
}

/// The last position of the commit order.
pub(super) fn last_pos(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT coalesce(max(pos), 0) FROM events", [], |row| row.get(0))
}
