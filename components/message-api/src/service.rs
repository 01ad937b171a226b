//! The state that the endpoints share, and operations that several of them need.

use std::sync::Arc;

use kit::Secret;
use kit::http::Hosts;
use protocol::api::{Appended, CursorMove, OwnBatch, UnseenPage};
use protocol::limits::PAGE_EVENTS;
use protocol::{Draft, Reserved, UserName};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::budget::Budget;
use crate::deliveries::Deliveries;
use crate::feed::Feed;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::observed::ObservedStore;
use crate::probe_messages;
use crate::retention::Rule;
use crate::store::{Store, StoreError};

/// Batches read into memory concurrently; others wait before their body is read. Times the largest body, this bounds the memory that
/// senders can take.
const BATCHES: usize = 16;

/// Conversations of one read that are published on the feed. More would push out of the ring what others have not read yet; a session
/// learns of the rest at its next login.
const SEEN_TOLD: usize = 1000;

/// The shared state.
pub(crate) struct Service {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) accounts: Accounts,
    pub(crate) feed: Arc<Feed>,
    pub(crate) token: Secret,
    pub(crate) hosts: Hosts,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) batches: Semaphore,
    /// Names that only a service with the token may send as or read for.
    pub(crate) reserved: Reserved,
    pub(crate) deliveries: Arc<Deliveries>,
    /// The retention rule, if any.
    pub(crate) retention: Option<Rule>,
    /// Held while messages are being deleted.
    pub(crate) sweeping: tokio::sync::Mutex<()>,
}

impl Service {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        feed: Arc<Feed>,
        reserved: Vec<UserName>,
        (retention, budget): (Option<Rule>, Budget),
        context: &kit::Context,
    ) -> Self {
        let (metrics, health) = (Arc::default(), Arc::new(Health::new(context.notifier.clone())));
        if store.was_not_closed() {
            health.was_not_closed();
        }
        let observed = ObservedStore { store, health: Arc::clone(&health), metrics: Arc::clone(&metrics) };
        let store: Arc<dyn Store> = Arc::new(observed);
        Self {
            accounts: Accounts::new(Arc::clone(&store)),
            store,
            feed,
            token: context.service_token.clone(),
            hosts: Hosts::default(),
            metrics,
            health,
            budget: Arc::new(budget),
            shutdown: context.shutdown.clone(),
            batches: Semaphore::new(BATCHES),
            reserved: reserved.into_iter().collect(),
            deliveries: Arc::default(),
            retention,
            sweeping: tokio::sync::Mutex::default(),
        }
    }

    /// Stores a batch of direct messages, unless a sender has exceeded their limit or the disk is nearly full.
    pub(crate) async fn append(
        &self,
        drafts: Vec<Draft>,
        own: Option<OwnBatch>,
    ) -> Result<Vec<Appended>, StoreError> {
        if let Some(draft) = drafts.iter().find(|draft| !draft.conversation.is_dm_of(&draft.sender)) {
            let detail = format!("{} takes no part in {}", draft.sender, draft.conversation);
            return Err(StoreError::refused("conversation", detail));
        }
        if let Err(error) = self.budget.spend(&drafts) {
            match &error {
                StoreError::Full { .. } => self.metrics.no_room.add(1),
                StoreError::Refused { .. }
                | StoreError::Limited { .. }
                | StoreError::Unavailable { .. }
                | StoreError::Damaged { .. } => self.metrics.over_budget.add(1),
            }
            return Err(error);
        }
        let stored = match own {
            Some(own) => self.store.append_own(drafts, own).await?,
            None => self.store.append(drafts).await?,
        };
        probe_messages::trim(&self.store, &stored);
        Ok(stored)
    }

    /// Moves cursors to what was read over REST. The user's sessions are notified, because they count unread messages too.
    pub(crate) async fn read_over_rest(&self, moves: Vec<CursorMove>) -> Result<(), StoreError> {
        if moves.is_empty() {
            return Ok(());
        }
        self.store.move_cursors(moves.clone()).await?;
        for CursorMove { user, conversation, seq, .. } in moves.iter().take(SEEN_TOLD) {
            self.feed.tell_seen(user, conversation, *seq);
        }
        Ok(())
    }

    /// A page of unread events, with the feed's end before and after it was read. Whatever was published for the user up to that end is in
    /// this page or an earlier one, or `next` says that there is more: events that arrive while the page is read make it not the last.
    /// Whatever is in the page was published up to that end, because the store returns nothing before the feed does.
    pub(crate) async fn unseen(
        &self,
        user: &UserName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<UnseenPage, StoreError> {
        let began = self.feed.position();
        let page = self.store.unseen(user, after, limit.clamp(1, PAGE_EVENTS)).await?;
        let position = self.feed.position();
        let more = page.more || self.feed.has_other_for(user, began, &page.events);
        let next = more.then_some(page.end);
        Ok(UnseenPage { events: page.events, next, began, position })
    }
}
