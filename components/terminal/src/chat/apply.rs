//! Executes the model's effects.

use std::collections::VecDeque;

use kit::Failure;
use protocol::native::{Ack, ConversationSummary, HistoryPage, Send};
use protocol::{ClientId, ConversationId, Event, Timestamp, UserName};
use tokio::time::Instant;
use uuid::Uuid;

use super::Chat;
use super::farewell::wait;
use super::leaving::Leaving;
use super::remainder::Remainder;
use crate::history::write::Logs;
use crate::item::Item;
use crate::model::Effect;

/// Most search results; the latest are shown.
const FOUND: usize = 200;
/// Messages of an earlier session that are loaded and shown at once; then the position is saved.
const PAGE: usize = 100;

impl Chat<'_> {
    pub(super) async fn apply(&mut self, effects: Vec<Effect>) -> Result<(), Failure> {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            // Effects of an effect come before the next one.
            for effect in self.act(effect, &mut effects).await?.into_iter().rev() {
                effects.push_front(effect);
            }
        }
        Ok(())
    }

    /// Executes an effect together with the following ones of the same kind, so that one commit saves them.
    async fn act(&mut self, effect: Effect, next: &mut VecDeque<Effect>) -> Result<Vec<Effect>, Failure> {
        match effect {
            Effect::Show(item) => self.show(item).await,
            Effect::Say(send) => {
                let sends = run(send, next, |effect| match effect {
                    Effect::Say(send) => Ok(send),
                    other => Err(Box::new(other)),
                });
                Ok(self.say(sends).await)
            }
            Effect::Keep(event) => {
                let events = run(event, next, |effect| match effect {
                    Effect::Keep(event) => Ok(event),
                    other => Err(Box::new(other)),
                });
                self.keep(events).await
            }
            Effect::Settle(ack) => {
                let acks = run(ack, next, |effect| match effect {
                    Effect::Settle(ack) => Ok(ack),
                    other => Err(Box::new(other)),
                });
                self.settle(acks).await
            }
            Effect::Unseen if self.console.full().is_some() => Ok(Vec::new()),
            Effect::Unseen => self.unseen().await,
            Effect::Past(page) if self.console.full().is_some() => self.filled_in(page).await,
            Effect::Past(page) => self.past(page).await,
            Effect::Refill => self.refill().await,
            // Boxed, because an action may be a line that has any effect: the future would contain itself.
            Effect::Do(act) => Box::pin(self.act_on(act)).await,
            Effect::Recall(with, count) => self.recall(with, count).await,
            Effect::Search(text) => self.search(text).await,
            Effect::Refuse(id, reason) => self.refuse(id, reason).await,
            Effect::Greet(conversations, log) => self.greet(conversations, log).await,
            Effect::Seen(conversation, seq) => {
                self.client.seen(conversation.clone(), seq).await;
                self.see(&conversation, seq).await
            }
            Effect::SeenElsewhere(conversation, seq) => {
                self.see(&conversation, seq).await?;
                self.refill().await
            }
            Effect::Ask(frame) => {
                self.client.frame(frame).await;
                Ok(Vec::new())
            }
            Effect::Leave => self.leave().await,
            Effect::Rejected(error) => {
                self.rejected = Some(error);
                Ok(Vec::new())
            }
        }
    }

    async fn show(&mut self, item: Item) -> Result<Vec<Effect>, Failure> {
        self.console.show(item, self.model.me()).await?;
        Ok(Vec::new())
    }

    /// Shows messages that an earlier session saved but did not show.
    async fn unseen(&mut self) -> Result<Vec<Effect>, Failure> {
        let mut after = 0;
        loop {
            let entries = self.keeper.ask(move |history| history.unseen(after, PAGE)).await?;
            let Some(last) = entries.last() else { return Ok(Vec::new()) };
            after = last.row;
            for entry in entries {
                self.show(Item::News(entry)).await?;
            }
            let shown = self.shown();
            // Boxed for the type system; there is no actual recursion.
            Box::pin(self.apply(shown)).await?;
        }
    }

    async fn say(&mut self, sends: Vec<Send>) -> Vec<Effect> {
        let ids: Vec<ClientId> = sends.iter().map(|send| send.client_id.clone()).collect();
        let said: Vec<(Send, Timestamp)> = sends
            .into_iter()
            .map(|send| {
                let said = send.timestamp.unwrap_or_else(Timestamp::now);
                (send, said)
            })
            .collect();
        match self.keeper.ask(move |history| history.say(&said)).await {
            Ok(entries) => {
                self.outbox.filled();
                entries.into_iter().flat_map(|entry| self.model.saved(entry)).collect()
            }
            Err(error) => {
                let error = kit::failure::chain(&error);
                ids.iter().flat_map(|id| self.model.not_saved(id, &error)).collect()
            }
        }
    }

    async fn keep(&mut self, events: Vec<Event>) -> Result<Vec<Effect>, Failure> {
        let (me, kept) = (self.model.me().clone(), events.clone());
        let entries = self.keeper.ask(move |history| history.receive(&kept, &me)).await?;
        let told = events.iter().zip(entries);
        Ok(told.flat_map(|(event, entry)| self.model.kept(event, entry)).collect())
    }

    async fn past(&mut self, page: HistoryPage) -> Result<Vec<Effect>, Failure> {
        let (me, with) = (self.model.me().clone(), page.with);
        let events = page.events;
        let entries = self.keeper.ask(move |history| history.fill_in(&events, &me)).await?;
        Ok(past(&with, entries))
    }

    async fn recall(&mut self, with: UserName, count: u32) -> Result<Vec<Effect>, Failure> {
        let partner = with.to_string();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let page = self.keeper.ask(move |history| history.page(&partner, None, count)).await?;
        Ok(past(&with, page.entries))
    }

    async fn search(&mut self, text: String) -> Result<Vec<Effect>, Failure> {
        let needle = text.clone();
        let entries = self.keeper.ask(move |history| history.search(&needle, None, FOUND)).await?;
        if let Some(full) = self.console.full() {
            full.screen.found(text, entries);
            return Ok(Vec::new());
        }
        if entries.is_empty() {
            let nothing = format!("no local messages match '{text}'");
            return Ok(vec![Effect::Show(Item::Answer(nothing))]);
        }
        Ok(entries.into_iter().map(|entry| Effect::Show(Item::Past(entry))).collect())
    }

    async fn settle(&mut self, acks: Vec<Ack>) -> Result<Vec<Effect>, Failure> {
        let kept = acks.clone();
        let entries = self.keeper.ask(move |history| history.acknowledge(&kept)).await?;
        Ok(acks.iter().zip(entries).flat_map(|(ack, entry)| self.model.stored(ack, entry)).collect())
    }

    async fn refuse(&mut self, id: ClientId, reason: String) -> Result<Vec<Effect>, Failure> {
        let (kept, why) = (id.clone(), reason.clone());
        let entry = self.keeper.ask(move |history| history.refuse(&kept, &why)).await?;
        Ok(self.model.refused(&id, reason, entry))
    }

    async fn greet(
        &mut self,
        conversations: Vec<ConversationSummary>,
        log: Option<Uuid>,
    ) -> Result<Vec<Effect>, Failure> {
        let me = self.model.me().clone();
        match self.keeper.ask(move |history| history.greet(&conversations, log, &me)).await? {
            Logs::Same => {}
            Logs::Replaced => self.reload(0).await?,
            Logs::Shorter => {
                self.client.replay().await;
                self.reload(0).await?;
            }
        }
        self.refill().await
    }

    async fn see(&mut self, conversation: &ConversationId, seq: u64) -> Result<Vec<Effect>, Failure> {
        if let Some(partner) = conversation.dm_partner(self.model.me()).map(str::to_owned) {
            self.keeper.ask(move |history| history.see(&partner, seq)).await?;
        }
        Ok(Vec::new())
    }

    async fn leave(&mut self) -> Result<Vec<Effect>, Failure> {
        if !self.console.is_interactive() {
            self.remainder.get_or_insert_with(|| Remainder::new(Instant::now()));
            return Ok(self.no_more_input());
        }
        self.leaving = Leaving::user(Instant::now());
        self.console.finish();
        let unanswered = self.model.unanswered();
        if unanswered > 0 && self.model.is_connected() {
            let text = format!("{} to be saved", wait(unanswered));
            self.show(Item::Notice(text)).await?;
        }
        Ok(Vec::new())
    }
}

/// Collects a run of effects of the same kind, so that one commit saves them.
fn run<T>(
    first: T,
    effects: &mut VecDeque<Effect>,
    like: impl Fn(Effect) -> Result<T, Box<Effect>>,
) -> Vec<T> {
    let mut all = vec![first];
    while let Some(effect) = effects.pop_front() {
        match like(effect) {
            Ok(next) => all.push(next),
            Err(other) => {
                effects.push_front(*other);
                break;
            }
        }
    }
    all
}

fn past(with: &UserName, entries: Vec<crate::history::entry::Entry>) -> Vec<Effect> {
    if entries.is_empty() {
        let nothing = format!("no messages yet with {with}");
        return vec![Effect::Show(Item::Answer(nothing))];
    }
    entries.into_iter().map(|entry| Effect::Show(Item::Past(entry))).collect()
}
