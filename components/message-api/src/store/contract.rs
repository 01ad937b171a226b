//! The store traits, one per purpose. A new method is declared in one of these traits, implemented twice, and tested in
//! `tests/store/contract.rs`; the forwarding of an instrumented store ([`Instrumented`]) follows from the trait.

use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::api::{Appended, CursorMove, EventPage, OwnBatch, RegisterUser, Restored, Users};
use protocol::native::{ConversationSummary, Durability};
use protocol::{ConversationId, Draft, UserName};
use serde_json::Value;
use uuid::Uuid;

use super::types::{Answer, Range, StatePut, Unseen};

/// A store that forwards to another one and records the results.
pub(crate) trait Instrumented: Send + Sync {
    fn store(&self) -> &dyn Store;

    fn recorded<'a, T: Send + 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T>;
}

/// Declares a trait of asynchronous methods, and its implementation by forwarding for instrumented stores.
macro_rules! contract {
    (
        $(#[$about:meta])*
        pub trait $name:ident {
            $(
                $(#[$says:meta])*
                fn $ask:ident $(<$life:lifetime>)? (& $($of:lifetime)? self $(, $with:ident: $of_type:ty)* $(,)?) -> $answer:ty;
            )*
        }
    ) => {
        $(#[$about])*
        pub trait $name: Send + Sync {
            $(
                $(#[$says])*
                fn $ask $(<$life>)? (& $($of)? self $(, $with: $of_type)*) -> $answer;
            )*
        }

        impl<H: Instrumented> $name for H {
            $(
                fn $ask $(<$life>)? (& $($of)? self $(, $with: $of_type)*) -> $answer {
                    self.recorded(self.store().$ask($($with),*))
                }
            )*
        }
    };
}

contract! {
    /// The logs of all conversations.
    pub trait Log {
        /// A page of a conversation, in order of `seq` for either range. Every event in it was published before this returns, unless
        /// another process publishes it: a caller that then takes the feed's position will not receive it from the feed.
        fn events<'a>(
            &'a self,
            conversation: &'a ConversationId,
            range: Range,
            limit: usize,
        ) -> Answer<'a, EventPage>;

        /// The conversations after `after` in order of their keys, at most `limit`.
        fn all_conversations<'a>(
            &'a self,
            after: Option<&'a ConversationId>,
            limit: usize,
        ) -> Answer<'a, Vec<ConversationId>>;

        /// Deletes the events of a conversation up to this `seq`, a few hundred at most, and returns their number. The last event of a log
        /// must stay: the next `seq` is counted from it.
        fn delete_up_to<'a>(&'a self, conversation: &'a ConversationId, up_to: u64) -> Answer<'a, u64>;

        /// The id of the log: created with the store, and replaced by a restore.
        fn log(&self) -> Answer<'_, Uuid>;
    }
}

contract! {
    /// Cursors and unread messages.
    pub trait Cursors {
        /// A user's unread messages, oldest first over all conversations: events for the user after the user's cursors. `after` is the
        /// `end` of the previous page. Returns at most `limit` events, and those between them that were stored late: over all pages the
        /// events of a conversation have no gap. A store that cannot ensure that begins with the first page again, so events may be
        /// repeated. As with [`Log::events`], all of them were published.
        fn unseen<'a>(&'a self, user: &'a UserName, after: Option<&'a str>, limit: usize) -> Answer<'a, Unseen>;

        /// A user's conversations, the most recent first, at most `limit`.
        fn conversations<'a>(&'a self, user: &'a UserName, limit: usize) -> Answer<'a, Vec<ConversationSummary>>;

        /// Moves cursors forward: never back, never beyond the end. A move in a conversation without events has no effect.
        fn move_cursors(&self, moves: Vec<CursorMove>) -> Answer<'_, ()>;

        /// Every cursor in a conversation: those of its users, then those of their devices.
        fn cursors<'a>(&'a self, conversation: &'a ConversationId) -> Answer<'a, Vec<CursorMove>>;
    }
}

contract! {
    /// The registered users.
    pub trait UserRegistry {
        /// Registers a user who logged in.
        fn register(&self, user: RegisterUser) -> Answer<'_, ()>;

        /// Registered users in order of first registration, after this number; at most `limit`.
        fn users(&self, after: u64, limit: usize) -> Answer<'_, Users>;

        /// Those of these names that are registered, at most [`KNOWN_NAMES`](protocol::limits::KNOWN_NAMES).
        fn known(&self, names: Vec<UserName>) -> Answer<'_, Vec<UserName>>;

        /// The user who registered first among those with another name of the same skeleton ([`UserName::skeleton`]).
        fn lookalike<'a>(&'a self, name: &'a UserName) -> Answer<'a, Option<UserName>>;
    }
}

contract! {
    /// Values that services store.
    pub trait ServiceState {
        /// The values of a service.
        fn state<'a>(&'a self, owner: &'a UserName) -> Answer<'a, BTreeMap<String, Value>>;

        /// Sets a value, or deletes it with `None`.
        fn put_state(&self, put: StatePut) -> Answer<'_, ()>;

        /// The values of all services after this owner and key, in order, at most `limit`.
        fn all_state(&self, after: Option<(UserName, String)>, limit: usize) -> Answer<'_, Vec<StatePut>>;
    }
}

/// A store: the traits above, appending, and operations on the whole store. Their instrumentation is written by hand.
pub trait Store: Log + Cursors + UserRegistry + ServiceState + 'static {
    /// Appends drafts in order. All are durable when this returns; after an error some may be, and sending the same drafts again resolves
    /// that, because a client id that its sender has used before returns the first result.
    fn append(&self, drafts: Vec<Draft>) -> Answer<'_, Vec<Appended>>;

    /// Like [`Self::append`]. If the store [marks](Self::marks_own) them, the events are published as those of a reader's batch.
    fn append_own(&self, drafts: Vec<Draft>, own: OwnBatch) -> Answer<'_, Vec<Appended>> {
        let _ = own;
        self.append(drafts)
    }

    /// Whether [`Self::append_own`] publishes events as the reader's own.
    fn marks_own(&self) -> bool {
        false
    }

    /// Replaces the content with that of a backup: all of it, or nothing has changed. The feed then begins a new epoch.
    fn restore(&self, backup: PathBuf) -> Answer<'_, Restored>;

    /// Tests whether something could be stored now: does everything that storing does, but stores nothing.
    fn probe(&self) -> Answer<'_, ()>;

    /// Reads the whole store and returns what is damaged; empty if nothing is, or if the database checks that itself.
    fn verify(&self) -> Answer<'_, Vec<String>>;

    /// Whether the previous process did not close the store.
    fn was_not_closed(&self) -> bool;

    /// What "durable" means for this store.
    fn durability(&self) -> Durability;

    /// Finishes what is in flight and closes. Later calls fail.
    fn close(&self) -> Answer<'_, ()>;
}
