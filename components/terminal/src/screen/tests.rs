//! Tests of the screen with snapshots. `P2P_UPDATE_SNAPSHOTS=1` updates the snapshots; review the changes.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use protocol::{MessageType, Metadata, Timestamp, UserName};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::pane::LOADED;
use super::state::*;
use super::theme::Look;
use crate::clock::Zone;
use crate::completion::Names;
use crate::history::entry::{Entry, State};
use crate::history::read::{Page, Summary};
use crate::item::{Item, Link};
use crate::options::Theme;
use crate::typed::Act;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn message(row: i64, partner: &str, outgoing: bool, said: &str, text: &str) -> Entry {
    Entry {
        row,
        place: row,
        partner: partner.to_owned(),
        outgoing,
        text: text.to_owned(),
        said: at(said),
        state: State::Stored,
        seq: u64::try_from(row).ok(),
        kind: MessageType::Chat,
        metadata: Metadata::default(),
        client_id: None,
    }
}

fn page(partner: &str, entries: Vec<Entry>) -> Page {
    Page { partner: partner.to_owned(), entries, more: false }
}

fn screen() -> Screen {
    let names = Names::default();
    names.set(vec!["bob".into(), "Carol".into(), "thermometer1".into()]);
    let me = UserName::parse("alice").unwrap();
    let look = Look::choose(Theme::Mono, None);
    let mut screen = Screen::new(look, Zone::local(Some("UTC0")), me, "127.0.0.1:5000".into(), names);
    let summary = |partner: &str, unseen| Summary { partner: partner.to_owned(), unseen, said: 0 };
    screen.begin(
        vec![summary("bob", 1), summary("Carol", 12), summary("mary-jane", 0)],
        vec!["an old line".into()],
    );
    let online: Vec<String> = ["alice", "bob", "thermometer1"].map(str::to_owned).to_vec();
    screen.show(Item::Link(Link::Up {
        server: "127.0.0.1:5000".into(),
        me: "alice".into(),
        online: online.clone(),
        unseen: 13,
    }));
    screen.keep_current(Some(online), 1, true);
    screen
}

/// A conversation with all kinds of messages.
fn talk() -> Page {
    let mut waiting = message(7, "bob", true, "2020-11-21T08:06:00Z", "this one waits");
    waiting.state = State::Waiting;
    let mut refused = message(6, "bob", true, "2020-11-21T08:05:00Z", "this one was refused");
    refused.state = State::Refused;
    let mut note = message(5, "bob", false, "2020-11-21T08:04:00Z", "Temperature update");
    note.kind = MessageType::Notification;
    note.metadata = serde_json::from_str(r#"{"temperature":22.9}"#).unwrap();
    page(
        "bob",
        vec![
            message(1, "bob", false, "2020-11-20T23:58:00Z", "hello"),
            message(2, "bob", true, "2020-11-21T08:01:00Z", "two\nlines"),
            message(
                3,
                "bob",
                false,
                "2020-11-21T08:02:00Z",
                "a message that is much longer than one row of a narrow terminal is wide, so it goes on in the next one: \
                 日本語のテキスト, 👩\u{200d}👩\u{200d}👧, שלום",
            ),
            message(4, "bob", true, "2020-11-21T08:03:00Z", "ok \u{1b}]0;title\u{7} \u{202e}"),
            note,
            refused,
            waiting,
        ],
    )
}

fn picture(screen: &mut Screen, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut rows = Vec::new();
    for y in 0..height {
        let (mut row, mut skip) = (String::new(), 0usize);
        for x in 0..width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                row.push_str(symbol);
            }
            skip = skip.max(unicode_width::UnicodeWidthStr::width(symbol)).saturating_sub(1);
        }
        rows.push(row.trim_end().to_owned());
    }
    rows.join("\n") + "\n"
}

fn agrees(name: &str, picture: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/screen/snapshots").join(name);
    if std::env::var_os("P2P_UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, picture).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(picture == expected, "{name} is now:\n{picture}\nand was:\n{expected}");
}

/// Messages from bob with these `seq` numbers.
fn lines(seqs: impl Iterator<Item = i64>) -> Page {
    page(
        "bob",
        seqs.map(|n| message(n, "bob", false, "2020-11-21T08:07:00Z", &format!("line {n}."))).collect(),
    )
}

fn press(screen: &mut Screen, code: KeyCode, modifiers: KeyModifiers) -> Vec<Act> {
    screen.handle(Event::Key(KeyEvent::new(code, modifiers)))
}

fn key(screen: &mut Screen, code: KeyCode) -> Vec<Act> {
    press(screen, code, KeyModifiers::NONE)
}

fn control(screen: &mut Screen, letter: char) -> Vec<Act> {
    press(screen, KeyCode::Char(letter), KeyModifiers::CONTROL)
}

fn write(screen: &mut Screen, text: &str) {
    for letter in text.chars() {
        key(screen, KeyCode::Char(letter));
    }
}

#[test]
fn a_conversation_at_every_size() {
    let mut screen = screen();
    screen.open(talk());
    write(&mut screen, "half a line");
    // After resizing back, the snapshot is the same: nothing remains of the other sizes.
    for (width, height) in [(80, 24), (200, 50), (40, 12), (20, 5), (80, 24)] {
        let picture = picture(&mut screen, width, height);
        assert!(!picture.contains(['\u{1b}', '\u{7}', '\u{202e}']));
        agrees(&format!("conversation-{width}x{height}.txt"), &picture);
    }
    for (width, height) in [(1, 1), (9, 3), (10, 4), (11, 5), (49, 6), (50, 7), (300, 100)] {
        picture(&mut screen, width, height);
    }
}

#[test]
fn a_search_that_is_given_up_leaves_nothing_in_the_line() {
    let mut screen = screen();
    screen.open(talk());
    write(&mut screen, "half a sen");
    control(&mut screen, 'f');
    assert_eq!(screen.composer.text(), "/search half a sen");
    key(&mut screen, KeyCode::Esc);
    assert_eq!(
        screen.composer.text(),
        "half a sen",
        "what was written is still there, and no command before it"
    );
}

#[test]
fn what_arrives_at_once_on_a_new_machine_is_listed_by_when_it_was_said() {
    let mut screen = screen();
    screen.begin(Vec::new(), Vec::new());
    screen.keep_current(None, 0, false);
    for (row, partner, hour) in [(1, "new", 9), (2, "newer", 8), (3, "old", 7)] {
        let said = format!("2020-11-21T0{hour}:00:00Z");
        screen.show(Item::News(message(row, partner, false, &said, "while you were offline")));
    }
    let listed: Vec<String> = screen.list.rows().into_iter().map(|row| row.partner).collect();
    assert_eq!(listed[..3], ["new", "newer", "old"]);
    screen.keep_current(None, 0, true);
    screen.show(Item::News(message(4, "old", false, "2020-11-21T06:00:00Z", "live")));
    assert_eq!(screen.list.rows()[0].partner, "old", "what comes live is the latest");
}

#[test]
fn help_and_results_lie_over_the_conversation() {
    let mut screen = screen();
    screen.open(talk());
    key(&mut screen, KeyCode::F(1));
    agrees("help-80x24.txt", &picture(&mut screen, 80, 24));
    key(&mut screen, KeyCode::Esc);
    screen.found("one".into(), talk().entries.into_iter().skip(5).collect());
    agrees("results-80x24.txt", &picture(&mut screen, 80, 24));
    key(&mut screen, KeyCode::Up);
    let chosen = key(&mut screen, KeyCode::Enter);
    assert!(matches!(chosen.as_slice(), [Act::Find(entry)] if entry.row == 6), "{chosen:?}");
}

#[test]
fn the_beginning_says_what_to_do() {
    let me = UserName::parse("alice").unwrap();
    let look = Look::choose(Theme::Basic, Some("1"));
    let mut screen = Screen::new(look, Zone::local(Some("UTC0")), me, "here:5000".into(), Names::default());
    screen.show(Item::Link(Link::Unreachable {
        server: "here:5000".into(),
        reason: "refused".into(),
        waiting: 0,
    }));
    agrees("beginning-80x24.txt", &picture(&mut screen, 80, 24));
}

#[test]
fn lines_are_written_recalled_completed_and_sent() {
    let mut screen = screen();
    write(&mut screen, "ca");
    key(&mut screen, KeyCode::Tab);
    write(&mut screen, "hi");
    assert_eq!(key(&mut screen, KeyCode::Enter), [Act::Line("Carol: hi".into())]);
    write(&mut screen, "unfinished");
    for _ in 0..3 {
        key(&mut screen, KeyCode::Up);
    }
    for _ in 0..3 {
        key(&mut screen, KeyCode::Down);
    }
    assert!(picture(&mut screen, 80, 24).contains("› unfinished"));
    control(&mut screen, 'u');
    key(&mut screen, KeyCode::Up);
    key(&mut screen, KeyCode::Up);
    assert_eq!(key(&mut screen, KeyCode::Enter), [Act::Line("an old line".into())]);
    screen.handle(Event::Paste("two\nlines".into()));
    press(&mut screen, KeyCode::Enter, KeyModifiers::ALT);
    write(&mut screen, "x");
    assert_eq!(key(&mut screen, KeyCode::Enter), [Act::Line("two\nlines\nx".into())]);
    assert_eq!(key(&mut screen, KeyCode::Enter), [], "nothing is sent empty");
    write(&mut screen, "half");
    assert_eq!(control(&mut screen, 'c'), [], "ctrl-C throws the line away first");
    assert_eq!(control(&mut screen, 'c'), [Act::Interrupt]);
    assert_eq!(control(&mut screen, 'd'), [Act::Leave]);
    assert_eq!(control(&mut screen, 'z'), [Act::Suspend]);
    write(&mut screen, "/mouse");
    assert_eq!(key(&mut screen, KeyCode::Enter), [Act::Mouse(true)]);
}

#[test]
fn conversations_are_left_and_come_back_with_their_drafts() {
    let mut screen = screen();
    screen.open(talk());
    write(&mut screen, "draft");
    assert_eq!(control(&mut screen, 'n'), [Act::Open("Carol".into())]);
    screen.open(page("Carol", vec![message(9, "Carol", false, "2020-11-21T08:00:00Z", "hey")]));
    assert!(!picture(&mut screen, 80, 24).contains("draft"));
    screen.open(talk());
    assert!(picture(&mut screen, 80, 24).contains("› draft"));
    assert_eq!(control(&mut screen, 'p'), [], "bob is the first");
    assert_eq!(press(&mut screen, KeyCode::Char('a'), KeyModifiers::ALT), [Act::Open("Carol".into())]);
    control(&mut screen, 'u');
    assert_eq!(key(&mut screen, KeyCode::Tab), [Act::Open("Carol".into())], "she has something unseen");
    screen.open(page("Carol", vec![message(9, "Carol", false, "2020-11-21T08:00:00Z", "hey")]));
    picture(&mut screen, 80, 24);
    screen.shown();
    assert_eq!(key(&mut screen, KeyCode::Tab), [Act::Open("bob".into())]);
    screen.open(talk());
    picture(&mut screen, 80, 24);
    screen.shown();
    assert_eq!(key(&mut screen, KeyCode::Tab), []);
    assert!(picture(&mut screen, 80, 24).contains("no unread messages"));
}

#[test]
fn what_is_not_looked_at_is_counted_rings_and_is_not_seen() {
    let mut screen = screen();
    screen.open(talk());
    picture(&mut screen, 80, 24);
    assert_eq!(screen.shown().map(|(_, seq)| seq), Some(7));
    screen.take_bell();
    screen.show(Item::News(message(8, "bob", false, "2020-11-21T08:07:00Z", "looked at")));
    assert!(!screen.take_bell());
    screen.show(Item::News(message(20, "Carol", false, "2020-11-21T08:07:00Z", "not looked at")));
    assert!(screen.take_bell());
    assert!(screen.title().starts_with("(13)"), "what is looked at does not count: {}", screen.title());
    // While older messages are visible, a new one is announced, does not scroll, and stays unread.
    picture(&mut screen, 80, 24);
    screen.shown();
    screen.open(lines(1..100));
    picture(&mut screen, 80, 24);
    key(&mut screen, KeyCode::PageUp);
    let before = picture(&mut screen, 80, 24);
    assert_eq!(screen.shown().map(|(_, seq)| seq), Some(99));
    screen.show(Item::News(message(100, "bob", false, "2020-11-21T08:08:00Z", "below\nwith a second row")));
    let shown = picture(&mut screen, 80, 24);
    assert_eq!(screen.shown().map(|(_, seq)| seq), Some(99));
    assert!(shown.contains("↓ 1 new below") && !shown.contains("alice  below"), "{shown}");
    let text = |row: &str| row.chars().skip(21).collect::<String>();
    let messages = |picture: &str| picture.lines().skip(1).take(20).map(text).collect::<Vec<_>>();
    assert_eq!(messages(&shown), messages(&before));
    let narrow = picture(&mut screen, 60, 24);
    assert_eq!(messages(&narrow).last(), messages(&before).last(), "not by another width either");
    press(&mut screen, KeyCode::End, KeyModifiers::CONTROL);
    let shown = picture(&mut screen, 80, 24);
    assert!(shown.contains("── new ──"), "{shown}");
    assert_eq!(screen.shown().map(|(_, seq)| seq), Some(100));
    screen.handle(Event::FocusLost);
    screen.show(Item::News(message(101, "bob", false, "2020-11-21T08:09:00Z", "while nobody looks")));
    let shown = picture(&mut screen, 80, 24);
    assert!(shown.contains("while nobody looks") && screen.take_bell(), "{shown}");
    assert_eq!(screen.shown().map(|(_, seq)| seq), Some(100), "nobody looks");
    let new = shown.lines().position(|row| row.contains("── new ──")).unwrap();
    assert!(shown.lines().nth(new + 1).unwrap().contains("while nobody looks"), "{shown}");
    screen.handle(Event::FocusGained);
    picture(&mut screen, 80, 24);
    assert_eq!(screen.shown().map(|(_, seq)| seq), Some(101));
}

#[test]
fn more_than_fits_is_read_from_its_beginning_and_nothing_is_skipped() {
    let mut screen = screen();
    let unseen = vec![Summary { partner: "bob".into(), unseen: 60, said: 0 }];
    screen.refill(unseen);
    screen.open(lines(1..101));
    agrees("unseen-80x24.txt", &picture(&mut screen, 80, 24));
    assert_eq!(screen.shown().map(|(_, seq)| seq), Some(60));
    let mut seen = vec![60];
    while picture(&mut screen, 80, 24).contains("new below") {
        assert_eq!(key(&mut screen, KeyCode::Tab), []);
        picture(&mut screen, 80, 24);
        seen.push(screen.shown().unwrap().1);
    }
    assert_eq!(seen, [60, 79, 98, 100]);
    assert!(screen.title().starts_with("P2P"), "no unread messages: {}", screen.title());
    // If more arrives than fits while following, the view stays at the first of it.
    for n in 101..150 {
        screen.show(Item::News(message(n, "bob", false, "2020-11-21T08:08:00Z", &format!("line {n}."))));
    }
    let shown = picture(&mut screen, 80, 24);
    assert!(shown.contains("line 101.") && !shown.contains("line 149."), "{shown}");
    assert_eq!(screen.shown().map(|(_, seq)| seq), Some(120));
    key(&mut screen, KeyCode::Esc);
    assert!(picture(&mut screen, 80, 24).contains("line 149."));
    assert_eq!(screen.shown().map(|(_, seq)| seq), Some(149), "whoever goes to the newest has seen them");
    // A message higher than the screen is read once its end was visible.
    screen.show(Item::News(message(150, "bob", false, "2020-11-21T08:08:00Z", &"row\n".repeat(40))));
    picture(&mut screen, 80, 24);
    assert_eq!(screen.shown().map(|(_, seq)| seq), Some(149));
}

#[test]
fn what_came_while_one_was_away_is_marked_in_the_open_conversation() {
    let mut screen = screen();
    screen.open(lines(1..4));
    picture(&mut screen, 80, 24);
    let link = Link::Again { server: "here".into(), me: "alice".into(), online: Vec::new() };
    screen.show(Item::Link(link));
    screen.show(Item::News(message(4, "bob", false, "2020-11-21T08:08:00Z", "meanwhile")));
    screen.keep_current(None, 0, true);
    screen.show(Item::News(message(5, "bob", false, "2020-11-21T08:08:00Z", "now")));
    let shown = picture(&mut screen, 80, 24);
    let rows: Vec<&str> = shown.lines().skip(1).collect();
    let new = rows.iter().position(|row| row.contains("── new ──")).unwrap();
    assert!(rows[new - 1].contains("line 3.") && rows[new + 1].contains("meanwhile"), "{shown}");
    assert_eq!(screen.shown().map(|(_, seq)| seq), Some(5));
}

#[test]
fn a_crowd_that_writes_while_one_reads_is_bounded() {
    let mut screen = screen();
    screen.open(lines(1..100));
    picture(&mut screen, 80, 24);
    key(&mut screen, KeyCode::PageUp);
    for n in 100..2 * 5_000 + 200 {
        screen.show(Item::News(message(n, "bob", false, "2020-11-21T08:08:00Z", "more")));
    }
    picture(&mut screen, 80, 24);
    assert!(screen.loaded() <= 2 * LOADED, "{}", screen.loaded());
}

#[test]
fn without_a_connection_nobody_is_called_online_or_offline() {
    let mut screen = screen();
    screen.open(talk());
    let list = |picture: &str| picture.lines().take(5).map(str::to_owned).collect::<Vec<_>>().join("\n");
    let before = picture(&mut screen, 80, 24);
    assert!(list(&before).contains(" ● bob") && before.starts_with(" bob · online"), "{before}");
    screen.show(Item::Link(Link::Lost { reason: "gone".into(), waiting: 0 }));
    let lost = picture(&mut screen, 80, 24);
    assert!(!lost.contains('●') && !list(&lost).contains("○ bob") && lost.starts_with(" bob  "), "{lost}");
    assert!(lost.contains("\n   bob") && lost.contains("\n   thermometer1"), "{lost}");
    // The greeting has the current state.
    let online = vec!["alice".to_owned(), "Carol".to_owned()];
    let again = Link::Again { server: "here".into(), me: "alice".into(), online: online.clone() };
    screen.show(Item::Link(again));
    screen.keep_current(Some(online), 0, true);
    let back = picture(&mut screen, 80, 24);
    assert!(
        back.starts_with(" bob · offline") && back.contains(" ○ bob") && back.contains(" ● Carol"),
        "{back}"
    );
    assert!(!back.contains("thermometer1"), "{back}");
}

#[test]
fn what_is_too_long_to_be_sent_is_not_taken_and_that_is_said() {
    let mut screen = screen();
    write(&mut screen, "half");
    screen.handle(Event::Paste("x".repeat(20_000)));
    let shown = picture(&mut screen, 80, 24);
    assert!(shown.contains("! too long: a message holds 16384 bytes"), "{shown}");
    assert!(shown.contains("\n› half\n"), "{shown}");
    let long = "a message that is pasted ".repeat(600);
    screen.handle(Event::Paste(long.clone()));
    assert_eq!(key(&mut screen, KeyCode::Enter), [Act::Line(format!("half{long}"))]);
}

#[test]
fn on_a_small_screen_the_help_is_scrolled() {
    let mut screen = screen();
    key(&mut screen, KeyCode::F(1));
    let first = picture(&mut screen, 40, 12);
    assert!(first.contains("Help; Esc closes it; Up, Down") && first.contains("Enter "), "{first}");
    key(&mut screen, KeyCode::PageDown);
    key(&mut screen, KeyCode::PageDown);
    key(&mut screen, KeyCode::PageDown);
    let last = picture(&mut screen, 40, 12);
    assert!(last.contains("use the mouse, or not") && !last.contains("Enter "), "{last}");
    key(&mut screen, KeyCode::Up);
    assert!(picture(&mut screen, 40, 12).contains("─ Help"));
    key(&mut screen, KeyCode::Esc);
    assert!(!picture(&mut screen, 40, 12).contains("─ Help"));
}

#[test]
fn long_words_about_the_chat_are_shown_whole() {
    let mut screen = screen();
    screen.open(talk());
    let trouble = format!(
        "history is not saved: '/{}.db' is locked by another program; stop that program, then start again",
        "x".repeat(60)
    );
    screen.show(Item::Trouble(trouble));
    screen.show(Item::Link(Link::Unreachable {
        server: "[2001:db8::1]:5000".into(),
        reason: "a reason that is longer than what one row of eighty columns has room for".into(),
        waiting: 0,
    }));
    agrees("trouble-80x24.txt", &picture(&mut screen, 80, 24));
    key(&mut screen, KeyCode::Esc);
    assert!(!picture(&mut screen, 80, 24).contains("history"));
    picture(&mut screen, 20, 5);
}

#[test]
fn without_colours_there_are_none() {
    for theme in [Theme::Basic, Theme::Dark, Theme::Light] {
        let mut screen = screen();
        screen.look = Look::choose(theme, Some("1"));
        screen.open(talk());
        screen.show(Item::Error("wrong".into()));
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let plain = |cell: &ratatui::buffer::Cell| (cell.fg, cell.bg) == Default::default();
        assert!(terminal.backend().buffer().content().iter().all(plain));
    }
}

#[test]
fn the_mouse_scrolls_and_opens() {
    let mut screen = screen();
    screen.open(lines(1..100));
    picture(&mut screen, 80, 24);
    let mut mouse = |kind, column, row| {
        screen.handle(Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
    };
    assert_eq!(mouse(MouseEventKind::Down(MouseButton::Left), 3, 2), [Act::Open("Carol".into())]);
    assert_eq!(mouse(MouseEventKind::Down(MouseButton::Left), 40, 2), [], "a message opens nothing");
    assert_eq!(mouse(MouseEventKind::Down(MouseButton::Left), 3, 15), [], "nor does an empty row");
    mouse(MouseEventKind::ScrollUp, 40, 10);
    assert!(!picture(&mut screen, 80, 24).contains("line 98."));
    screen.handle(Event::Mouse(MouseEvent {
        kind: MouseEventKind::ScrollDown,
        column: 40,
        row: 10,
        modifiers: KeyModifiers::NONE,
    }));
    assert!(picture(&mut screen, 80, 24).contains("line 99."));
}

#[test]
fn older_messages_are_asked_for_where_the_top_is_looked_at() {
    let mut screen = screen();
    screen.open(Page { more: true, ..lines(301..500) });
    picture(&mut screen, 80, 24);
    assert_eq!(screen.missing(), None);
    press(&mut screen, KeyCode::Home, KeyModifiers::CONTROL);
    assert!(picture(&mut screen, 80, 24).contains("line 301"));
    assert_eq!(screen.missing(), Some(Act::Older));
    screen.reload(lines(251..500));
    assert!(picture(&mut screen, 80, 24).contains("line 310"), "nothing moves");
    press(&mut screen, KeyCode::Home, KeyModifiers::CONTROL);
    picture(&mut screen, 80, 24);
    assert_eq!(screen.missing(), Some(Act::Ask(Some(251))));
    assert_eq!(screen.missing(), None, "asked once");
    screen.open(page("nobody", Vec::new()));
    assert!(picture(&mut screen, 80, 24).contains("No messages yet with nobody"));
    assert_eq!(screen.missing(), Some(Act::Ask(None)));
    // A gap, as left by use of another machine.
    screen.open(lines((1..50).chain(60..80)));
    picture(&mut screen, 80, 24);
    assert_eq!(screen.missing(), Some(Act::Ask(Some(60))));
}

#[test]
fn what_was_found_is_shown_where_it_stands() {
    let mut screen = screen();
    screen.open(lines(1..500));
    screen.find(100);
    key(&mut screen, KeyCode::Left);
    let shown = picture(&mut screen, 80, 24);
    assert!(shown.contains("line 100.") && shown.contains("↓ 1 new below"), "{shown}");
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| screen.draw(frame)).unwrap();
    let marked =
        |y: &u16| terminal.backend().buffer()[(20, *y)].modifier.contains(ratatui::style::Modifier::REVERSED);
    let marked: Vec<u16> = (1..22).filter(marked).collect();
    let row = shown.lines().position(|row| row.contains("line 100.")).unwrap();
    assert_eq!(marked, [u16::try_from(row).unwrap()], "it stands out");
}
