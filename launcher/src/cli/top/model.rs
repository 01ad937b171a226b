//! The state of the screen, and the effect of keys. Pure.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::link::News;
use super::order::Order;
use crate::supervisor::Snapshot;
use crate::supervisor::control::Request;

/// Columns that the log scrolls at once; a little less than a time stamp.
const SHIFT: u16 = 17;
/// The maximum horizontal scroll position.
const MAX_SHIFT: u16 = 4000;

/// A notice is shown for this many refreshes, a few seconds.
const NOTICE_REFRESHES: usize = 8;

/// The state of the screen.
#[derive(Debug)]
pub(super) struct Model {
    /// Whether colours are used.
    pub(super) coloured: bool,
    /// The last snapshot.
    pub(super) snapshot: Option<Snapshot>,
    /// Why there is no newer snapshot, if there is none.
    pub(super) problem: Option<String>,
    /// The component that keys apply to and whose log is shown.
    pub(super) selected: Option<String>,
    pub(super) log: Vec<String>,
    /// How many lines above the end of the log the screen ends; 0 follows the log.
    pub(super) scroll: usize,
    /// The horizontal scroll position in columns.
    pub(super) shift: u16,
    /// The number of rows of the log; set when it is drawn.
    pub(super) log_rows: usize,
    /// The request to be confirmed.
    pub(super) question: Option<Request>,
    /// Stored messages per second, if known.
    pub(super) rate: Option<f64>,
    /// The sort order of the components.
    pub(super) order: Order,
    /// Whether the help of all keys is shown.
    pub(super) help: bool,
    /// The last error, or what is in progress.
    pub(super) notice: Option<String>,
    /// Refreshes since the notice.
    refreshes: usize,
}

/// What a key requests of the caller.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Nothing,
    /// Quit.
    Quit,
    /// Show this component's log.
    ShowLog(String),
    /// Send a request to the launcher.
    Send(Request),
}

impl Model {
    /// Before the first snapshot.
    pub(super) fn new(coloured: bool) -> Self {
        Self {
            coloured,
            snapshot: None,
            problem: None,
            selected: None,
            log: Vec::new(),
            scroll: 0,
            shift: 0,
            log_rows: 0,
            question: None,
            rate: None,
            order: Order::Start,
            help: false,
            notice: None,
            refreshes: 0,
        }
    }

    /// Updates the state.
    pub(super) fn update(&mut self, news: News) {
        match news {
            News::State(look) => match *look {
                Ok(mut snapshot) => {
                    self.order.sort(&mut snapshot.components);
                    self.refreshes += 1;
                    if self.refreshes > NOTICE_REFRESHES {
                        self.notice = None;
                    }
                    self.snapshot = Some(snapshot);
                    self.problem = None;
                }
                Err(problem) => self.problem = Some(problem),
            },
            News::Log { component, lines } => {
                if self.selected.as_ref() == Some(&component) {
                    self.update_log(lines);
                }
            }
            News::Rate(rate) => self.rate = rate,
            News::Refused(reason) => self.notify(Some(reason)),
        }
    }

    fn notify(&mut self, notice: Option<String>) {
        (self.notice, self.refreshes) = (notice, 0);
    }

    /// While the log is scrolled back, the same lines stay on the screen as new ones arrive, as long as they are kept.
    fn update_log(&mut self, lines: Vec<String>) {
        if self.scroll > 0
            && let Some(last) = self.log.last()
            && let Some(place) = lines.iter().rposition(|line| line == last)
        {
            self.scroll += lines.len() - 1 - place;
        }
        self.log = lines;
        self.scroll = self.scroll.min(self.max_scroll());
    }

    fn max_scroll(&self) -> usize {
        self.log.len().saturating_sub(self.log_rows)
    }

    /// Handles a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Action {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Action::Quit } else { Action::Nothing };
        }
        if let Some(request) = self.question.take() {
            return if key.code == KeyCode::Char('y') { self.ask(request) } else { Action::Nothing };
        }
        if std::mem::take(&mut self.help) {
            return Action::Nothing;
        }
        self.notice = None;
        let page = self.log_rows.saturating_sub(1).max(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Action::Quit,
            KeyCode::Up | KeyCode::Char('k') => return self.select(-1),
            KeyCode::Down | KeyCode::Char('j') => return self.select(1),
            KeyCode::PageUp => self.scroll = (self.scroll + page).min(self.max_scroll()),
            KeyCode::PageDown => self.scroll = self.scroll.saturating_sub(page),
            KeyCode::Home => self.scroll = self.max_scroll(),
            KeyCode::End => self.scroll = 0,
            KeyCode::Left => self.shift = self.shift.saturating_sub(SHIFT),
            KeyCode::Right => self.shift = self.shift.saturating_add(SHIFT).min(MAX_SHIFT),
            KeyCode::Char('r') => return self.want(|component| Request::Restart { component }),
            KeyCode::Char('s') => return self.want(|component| Request::Start { component }),
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('o') => self.sort(),
            // A confirmation, so that nobody stops a server by mistake.
            KeyCode::Char('x') => {
                self.question = self.selected.clone().map(|component| Request::Stop { component });
            }
            _ => {}
        }
        Action::Nothing
    }

    /// Selects the next sort order. The start order comes with the next snapshot.
    fn sort(&mut self) {
        self.order = self.order.next();
        if let Some(snapshot) = &mut self.snapshot {
            self.order.sort(&mut snapshot.components);
        }
        self.notify(Some(format!("sorted by {}", self.order.word())));
    }

    fn want(&mut self, request: impl Fn(String) -> Request) -> Action {
        match self.selected.clone() {
            Some(component) => self.ask(request(component)),
            None => Action::Nothing,
        }
    }

    fn ask(&mut self, request: Request) -> Action {
        self.notify(words(&request));
        Action::Send(request)
    }

    /// The index of the selected component; the first if it no longer exists.
    pub(super) fn place(&self) -> Option<usize> {
        let components = &self.snapshot.as_ref()?.components;
        let selected =
            components.iter().position(|component| self.selected.as_ref() == Some(&component.name));
        selected.or((!components.is_empty()).then_some(0))
    }

    /// Selects the component this many places further on; with 0 the first, if none is selected.
    pub(super) fn select(&mut self, by: isize) -> Action {
        let Some((place, snapshot)) = self.place().zip(self.snapshot.as_ref()) else {
            return Action::Nothing;
        };
        let place = place.saturating_add_signed(by).min(snapshot.components.len() - 1);
        let name = snapshot.components[place].name.clone();
        if self.selected.as_ref() == Some(&name) {
            return Action::Nothing;
        }
        (self.log, self.scroll, self.shift) = (Vec::new(), 0, 0);
        self.selected = Some(name.clone());
        Action::ShowLog(name)
    }
}

/// Describes a request.
fn words(request: &Request) -> Option<String> {
    match request {
        Request::Restart { component } => Some(format!("restarting {component}")),
        Request::Stop { component } => Some(format!("stopping {component}")),
        Request::Start { component } => Some(format!("starting {component}")),
        Request::Status | Request::Down | Request::Reload { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    fn model() -> Model {
        let mut model = Model::new(false);
        model.update(News::State(Box::new(Ok(sample::snapshot()))));
        assert_eq!(model.select(0), Action::ShowLog("message-api".to_owned()));
        model
    }

    fn press(model: &mut Model, code: KeyCode) -> Action {
        model.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn log(from: usize, to: usize) -> News {
        let lines = (from..to).map(|number| format!("line {number}")).collect();
        News::Log { component: "message-api".to_owned(), lines }
    }

    #[test]
    fn keys_move_through_the_components_and_stop_at_the_ends() {
        let mut model = model();
        assert_eq!(press(&mut model, KeyCode::Up), Action::Nothing);
        assert_eq!(press(&mut model, KeyCode::Char('j')), Action::ShowLog("chat-server".to_owned()));
        press(&mut model, KeyCode::Down);
        press(&mut model, KeyCode::Down);
        assert_eq!(press(&mut model, KeyCode::Down), Action::Nothing);
        assert_eq!(model.place(), Some(3));
        model.update(News::State(Box::new(Err("nobody answers".to_owned()))));
        assert_eq!((model.place(), model.problem.as_deref()), (Some(3), Some("nobody answers")));
    }

    #[test]
    fn a_stop_is_asked_about_and_a_restart_is_not() {
        let mut model = model();
        let component = "message-api".to_owned();
        assert_eq!(
            press(&mut model, KeyCode::Char('r')),
            Action::Send(Request::Restart { component: component.clone() })
        );
        assert_eq!(press(&mut model, KeyCode::Char('x')), Action::Nothing);
        assert_eq!(press(&mut model, KeyCode::Char('q')), Action::Nothing, "any other key says no");
        assert_eq!(press(&mut model, KeyCode::Char('y')), Action::Nothing);
        press(&mut model, KeyCode::Char('x'));
        assert_eq!(press(&mut model, KeyCode::Char('y')), Action::Send(Request::Stop { component }));
        assert_eq!(model.notice.as_deref(), Some("stopping message-api"));
        model.update(News::Refused("no".to_owned()));
        assert_eq!(model.notice.as_deref(), Some("no"));
        (0..=NOTICE_REFRESHES).for_each(|_| model.update(News::State(Box::new(Ok(sample::snapshot())))));
        assert_eq!(model.notice, None);
    }

    #[test]
    fn who_reads_what_was_earlier_goes_on_seeing_it() {
        let mut model = model();
        model.log_rows = 10;
        model.update(log(0, 100));
        press(&mut model, KeyCode::PageUp);
        assert_eq!(model.scroll, 9);
        model.update(log(5, 105));
        assert_eq!(model.scroll, 14);
        press(&mut model, KeyCode::Home);
        assert_eq!(model.scroll, 90);
        press(&mut model, KeyCode::End);
        model.update(log(6, 106));
        assert_eq!(model.scroll, 0);
    }

    #[test]
    fn a_key_sorts_and_the_selected_one_stays_selected() {
        let mut model = model();
        press(&mut model, KeyCode::Char('o'));
        let first = |model: &Model| model.snapshot.as_ref().unwrap().components[0].name.clone();
        assert_eq!(first(&model), "a-very-long-name-of-a-service");
        assert_eq!(model.notice.as_deref(), Some("sorted by name"));
        assert_eq!(model.selected.as_deref(), Some("message-api"));
        assert_ne!(model.place(), Some(0));
        model.update(News::State(Box::new(Ok(sample::snapshot()))));
        assert_eq!(first(&model), "a-very-long-name-of-a-service", "news are sorted, too");
    }

    #[test]
    fn the_help_ends_with_any_key_which_does_nothing_else() {
        let mut model = model();
        press(&mut model, KeyCode::Char('?'));
        assert!(model.help);
        assert_eq!(press(&mut model, KeyCode::Char('q')), Action::Nothing);
        assert!(!model.help);
        assert_eq!(press(&mut model, KeyCode::Char('q')), Action::Quit);
    }

    #[test]
    fn ctrl_c_ends_it_even_while_something_is_asked() {
        let mut model = model();
        press(&mut model, KeyCode::Char('x'));
        assert_eq!(model.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Action::Quit);
    }
}
