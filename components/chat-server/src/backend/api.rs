//! The calls to the message API: over HTTP, or in tests to a simulated one that injects faults.

use protocol::api::{
    AppendRequest, AppendResponse, Call, Conversations, CursorMove, EventPage, FeedFrame, FeedPosition,
    NameAsked, Names, RegisterUser, Standing, UnseenPage, Users,
};
use protocol::{ConversationId, Draft, UserName};
use transport::api::Range;
use transport::{ApiClient, ApiError, Feed, FeedError};
use uuid::Uuid;

#[cfg(test)]
use crate::simulation::{SimulatedApi, SimulatedFeed};

/// Forwards a call to either variant.
macro_rules! ask {
    ($self:ident.$question:ident($($with:expr),*)) => {
        match $self {
            Self::Http(api) => api.$question($($with),*).await,
            #[cfg(test)]
            Self::Simulated(api) => api.$question($($with),*).await,
        }
    };
}

/// The client of a message API. [`ApiClient`] documents the calls.
#[derive(Debug)]
pub(crate) enum Api {
    Http(ApiClient),
    /// In memory, for tests.
    #[cfg(test)]
    Simulated(SimulatedApi),
}

/// The feed of committed events.
pub(crate) enum ApiFeed {
    Http(Feed),
    /// In memory, for tests.
    #[cfg(test)]
    Simulated(SimulatedFeed),
}

impl Api {
    pub(crate) async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, ApiError> {
        ask!(self.call(call))
    }

    pub(crate) async fn register(&self, name: UserName, address: Option<String>) -> Result<(), ApiError> {
        self.call(&RegisterUser { name, address }).await.map(drop)
    }

    pub(crate) async fn known(&self, names: Vec<UserName>) -> Result<Vec<UserName>, ApiError> {
        self.call(&Names { names }).await.map(|answer| answer.names)
    }

    pub(crate) async fn standing(&self, name: UserName, token: Option<String>) -> Result<Standing, ApiError> {
        self.call(&NameAsked { name, token }).await
    }

    pub(crate) async fn append(&self, drafts: Vec<Draft>) -> Result<AppendResponse, ApiError> {
        self.append_batch(AppendRequest { drafts, own: None }).await
    }

    pub(crate) async fn append_batch(&self, batch: AppendRequest) -> Result<AppendResponse, ApiError> {
        match self {
            Self::Http(api) => api.call(&batch).await,
            #[cfg(test)]
            Self::Simulated(api) => api.append_batch(batch).await,
        }
    }

    pub(crate) async fn unseen(
        &self,
        user: &UserName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<UnseenPage, ApiError> {
        ask!(self.unseen(user, after, limit))
    }

    pub(crate) async fn events(
        &self,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<EventPage, ApiError> {
        ask!(self.events(conversation, range, limit))
    }

    pub(crate) async fn conversations(&self, user: &UserName) -> Result<Conversations, ApiError> {
        ask!(self.conversations(user))
    }

    pub(crate) async fn move_cursors(&self, moves: Vec<CursorMove>) -> Result<(), ApiError> {
        ask!(self.move_cursors(moves))
    }

    pub(crate) async fn users(&self, after: u64) -> Result<Users, ApiError> {
        ask!(self.users(after))
    }

    pub(crate) async fn feed(&self, position: Option<FeedPosition>, own: Uuid) -> Result<ApiFeed, FeedError> {
        match self {
            Self::Http(api) => api.feed(position, Some(own)).await.map(ApiFeed::Http),
            #[cfg(test)]
            Self::Simulated(api) => api.feed(position, own).await.map(ApiFeed::Simulated),
        }
    }
}

impl ApiFeed {
    pub(crate) async fn next(&mut self) -> Result<FeedFrame, FeedError> {
        ask!(self.next())
    }
}
