//! Executes the user's actions on the full screen.

use kit::Failure;
use protocol::UserName;
use protocol::limits::PAGE_EVENTS;
use protocol::native::{ClientFrame, HistoryPage, HistoryRequest};

use super::Chat;
use crate::history::entry::{Entry, key_of};
use crate::model::Effect;
use crate::screen::{LOADED, is_worth_remembering};
use crate::typed::{Act, Typed};

/// Messages loaded at once.
const PAGE: usize = 200;
/// Messages loaded before a search result or the first unread message.
const CONTEXT: usize = 50;

impl Chat<'_> {
    /// Fills the screen from the history.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        if self.console.full().is_none() {
            return Ok(());
        }
        let conversations = self.keeper.ask(|history| history.conversations()).await?;
        let typed = self.keeper.ask(|history| history.typed()).await?;
        let Some(full) = self.console.full() else { return Ok(()) };
        full.screen.begin(conversations, typed);
        Ok(())
    }

    pub(super) async fn act_on(&mut self, act: Act) -> Result<Vec<Effect>, Failure> {
        match act {
            Act::Line(line) => {
                if is_worth_remembering(&line) {
                    let line = line.clone();
                    self.keeper.ask(move |history| history.remember(&line)).await?;
                }
                return Ok(self.line(&line));
            }
            Act::Open(partner) => self.open(partner).await?,
            Act::Find(entry) => self.find(entry).await?,
            Act::Older => self.reload(PAGE).await?,
            Act::Ask(before) => return Ok(self.ask(before)),
            Act::Interrupt => return Ok(self.typed(Typed::Interrupt)),
            Act::Leave => return Ok(vec![Effect::Leave]),
            Act::Suspend => {
                if let Some(full) = self.console.full() {
                    full.suspend().await?;
                }
            }
            Act::Mouse(used) => {
                if let Some(full) = self.console.full() {
                    full.use_mouse(used)?;
                }
            }
            Act::Redraw => {
                if let Some(full) = self.console.full() {
                    full.redraw()?;
                }
            }
        }
        Ok(Vec::new())
    }

    /// Opens the conversation that lines go to; at the start, the latest one.
    pub(super) async fn follow_partner(&mut self) -> Result<(), Failure> {
        let Some(full) = self.console.full() else { return Ok(()) };
        let Some(partner) = self.model.partner() else {
            return match full.screen.to_open() {
                Some(latest) => self.open(latest).await,
                None => Ok(()),
            };
        };
        let open = full.screen.partner().map(key_of);
        if self.followed.as_ref() == Some(partner) && open.is_some() {
            return Ok(());
        }
        if open.as_deref() == Some(partner.key()) {
            self.followed = Some(partner.clone());
            return Ok(());
        }
        self.open(partner.to_string()).await
    }

    async fn open(&mut self, partner: String) -> Result<(), Failure> {
        let name = UserName::parse(&partner).ok();
        // All unread messages are loaded, to be read from the first.
        let unseen = self.console.full().map_or(0, |full| full.screen.unseen(&partner));
        let count = usize::try_from(unseen).unwrap_or(LOADED).saturating_add(CONTEXT).clamp(PAGE, LOADED);
        let page = self.keeper.ask(move |history| history.page(&partner, None, count)).await?;
        if let Some(full) = self.console.full() {
            full.screen.open(page);
        }
        self.model.open(name.clone());
        self.followed = name;
        Ok(())
    }

    async fn find(&mut self, entry: Entry) -> Result<(), Failure> {
        let (partner, place) = (entry.partner.clone(), entry.place);
        let wanted = self.keeper.ask(move |history| history.count_from(&partner, place)).await?;
        self.open(entry.partner.clone()).await?;
        let more = wanted.saturating_add(CONTEXT).saturating_sub(PAGE);
        self.reload(more).await?;
        if let Some(full) = self.console.full() {
            full.screen.find(entry.row);
        }
        Ok(())
    }

    /// Reloads the open conversation with additional older messages.
    pub(super) async fn reload(&mut self, more: usize) -> Result<(), Failure> {
        let Some(full) = self.console.full() else { return Ok(()) };
        let Some(partner) = full.screen.partner().map(str::to_owned) else { return Ok(()) };
        let count = full.screen.loaded().max(PAGE).saturating_add(more).min(LOADED);
        let page = self.keeper.ask(move |history| history.page(&partner, None, count)).await?;
        if let Some(full) = self.console.full() {
            full.screen.reload(page);
        }
        Ok(())
    }

    fn ask(&mut self, before: Option<u64>) -> Vec<Effect> {
        let partner = self.console.full().and_then(|full| UserName::parse(full.screen.partner()?).ok());
        let limit = u32::try_from(PAGE_EVENTS).ok();
        let request = partner.map(|with| HistoryRequest { with, before, limit });
        request.map(|request| Effect::Ask(ClientFrame::History(request))).into_iter().collect()
    }

    /// A page of history arrived that the screen requested.
    pub(super) async fn filled_in(&mut self, page: HistoryPage) -> Result<Vec<Effect>, Failure> {
        let (me, count) = (self.model.me().clone(), page.events.len());
        let events = page.events;
        self.keeper.ask(move |history| history.fill_in(&events, &me)).await?;
        self.reload(count).await?;
        Ok(Vec::new())
    }

    /// Reloads the list of conversations.
    pub(super) async fn refill(&mut self) -> Result<Vec<Effect>, Failure> {
        if self.console.full().is_some() {
            let conversations = self.keeper.ask(|history| history.conversations()).await?;
            if let Some(full) = self.console.full() {
                full.screen.refill(conversations);
            }
        }
        Ok(Vec::new())
    }
}
