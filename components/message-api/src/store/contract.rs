//! What a store can do, cut by what it is for. A new method stands in one of these traits, in its two implementations, and in a case of
//! `tests/store/contract.rs`: how a store that is listened to ([`Heard`]) hands it on follows from the trait.

use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::api::{Appended, CursorMove, EventPage, RegisterUser, Restored, Users};
use protocol::native::{ConversationSummary, Durability};
use protocol::{ConversationId, Draft, UserName};
use serde_json::Value;
use uuid::Uuid;

use super::terms::{Answer, Range, StatePut, Unseen};

/// A store that asks another one, and notes what comes of it.
pub(crate) trait Heard: Send + Sync {
    fn store(&self) -> &dyn Store;

    fn noted<'a, T: Send + 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T>;
}

/// A trait whose methods ask a store something, and how a store that is listened to hands each on.
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

        impl<H: Heard> $name for H {
            $(
                fn $ask $(<$life>)? (& $($of)? self $(, $with: $of_type)*) -> $answer {
                    self.noted(self.store().$ask($($with),*))
                }
            )*
        }
    };
}

contract! {
    /// The logs of all conversations.
    pub trait Log {
        /// A page of a conversation, in order of `seq` whichever way it was asked for. Everything in it that is published at all was
        /// published before this is answered: whoever takes the feed's position then knows that none of it comes after.
        fn events<'a>(
            &'a self,
            conversation: &'a ConversationId,
            range: Range,
            limit: usize,
        ) -> Answer<'a, EventPage>;

        /// The conversations behind `after` in order of their keys, at most `limit`.
        fn all_conversations<'a>(
            &'a self,
            after: Option<&'a ConversationId>,
            limit: usize,
        ) -> Answer<'a, Vec<ConversationId>>;

        /// Removes the events of a conversation up to this `seq`, a few hundred at most, and answers how many there were. The last event
        /// of a log must stay: the next one's place is counted from it.
        fn forget<'a>(&'a self, conversation: &'a ConversationId, up_to: u64) -> Answer<'a, u64>;

        /// Which log this is: made with the store, and another one after a restore.
        fn log(&self) -> Answer<'_, Uuid>;
    }
}

contract! {
    /// How far everybody has read, and what they have not.
    pub trait Cursors {
        /// What a user has not seen, oldest first over all conversations: events for the user past the user's cursors.
        /// `after` is the `end` of the page before. At most `limit` events, and those between them that were stored late: each
        /// conversation's are without a gap over all pages. A store that cannot see to that begins with the first page again, so events may
        /// come twice. As with [`Log::events`], all of them were published.
        fn unseen<'a>(&'a self, user: &'a UserName, after: Option<&'a str>, limit: usize) -> Answer<'a, Unseen>;

        /// A user's conversations, the most recent first, at most `limit`.
        fn conversations<'a>(&'a self, user: &'a UserName, limit: usize) -> Answer<'a, Vec<ConversationSummary>>;

        /// Moves cursors forward: never back, never past the end. A move in a conversation that has no events does nothing.
        fn move_cursors(&self, moves: Vec<CursorMove>) -> Answer<'_, ()>;

        /// Every cursor in a conversation: those of its users, then those of their devices.
        fn cursors<'a>(&'a self, conversation: &'a ConversationId) -> Answer<'a, Vec<CursorMove>>;
    }
}

contract! {
    /// Those who ever logged in.
    pub trait People {
        /// Notes that a user logged in.
        fn register(&self, user: RegisterUser) -> Answer<'_, ()>;

        /// Those who ever registered, in order of first registration, behind the one of this number; at most `limit`.
        fn users(&self, after: u64, limit: usize) -> Answer<'_, Users>;

        /// Those of these names that are registered, at most [`KNOWN_NAMES`](protocol::limits::KNOWN_NAMES) of them.
        fn known(&self, names: Vec<UserName>) -> Answer<'_, Vec<UserName>>;

        /// Who registered first of those whose names look like this one and are others ([`UserName::skeleton`]).
        fn lookalike<'a>(&'a self, name: &'a UserName) -> Answer<'a, Option<UserName>>;
    }
}

contract! {
    /// What services keep.
    pub trait ServiceState {
        /// What a service keeps.
        fn state<'a>(&'a self, owner: &'a UserName) -> Answer<'a, BTreeMap<String, Value>>;

        /// Keeps a value, or forgets it with `None`.
        fn put_state(&self, put: StatePut) -> Answer<'_, ()>;

        /// What services keep behind this owner and key, in their order, at most `limit`.
        fn all_state(&self, after: Option<(UserName, String)>, limit: usize) -> Answer<'_, Vec<StatePut>>;
    }
}

/// A store: all of this, what appends to the logs, and what is done to it as a whole. How that is noted is written by hand.
pub trait Store: Log + Cursors + People + ServiceState + 'static {
    /// Appends drafts in order. All are durable when this is answered; on an error some may be, and sending the same
    /// drafts again tells, for a client id that its sender has used before yields the first result.
    fn append(&self, drafts: Vec<Draft>) -> Answer<'_, Vec<Appended>>;

    /// Becomes what a backup holds: all of it, or nothing has changed. The feed then begins a new epoch.
    fn restore(&self, backup: PathBuf) -> Answer<'_, Restored>;

    /// Whether something could be stored now: does all that storing does, and stores nothing.
    fn probe(&self) -> Answer<'_, ()>;

    /// Reads all of the store and tells what is damaged in it; nothing where it is as it should be, or sees to that alone.
    fn verify(&self) -> Answer<'_, Vec<String>>;

    /// Whether the store was not closed by whoever had it open before.
    fn was_left_open(&self) -> bool;

    /// What "durable" means here.
    fn durability(&self) -> Durability;

    /// Finishes what is under way and closes. What is asked later is refused.
    fn close(&self) -> Answer<'_, ()>;
}
