//! Draws the [`Model`]: health and launcher at the top, a table of the components, a note on the selected one and the end of its log, and
//! at the bottom the keys, a question, or an error.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState, Wrap};

use super::model::Model;
use crate::cli::output::Colour;
use crate::cli::overview::{self, footer, heading, health, note};
use crate::cli::table;
use crate::supervisor::Snapshot;
use crate::supervisor::control::Request;

const KEYS: &str = "? help  q quit  ↑↓ select  r restart  s start  x stop  o sort  PgUp PgDn log";

/// All keys with their effects.
const HELP: [(&str, &str); 12] = [
    ("?", "this help; any key leaves it"),
    ("↑ ↓, k j", "select a component"),
    ("r", "restart it"),
    ("s", "start it"),
    ("x", "stop it, after a question"),
    ("o", "sort: start order, name, state, CPU, memory, restarts"),
    ("PgUp PgDn", "scroll its log"),
    ("Home End", "to the beginning of what is shown of its log, and to its end"),
    ("← →", "to the left and right of long lines"),
    ("q, Esc", "leave; everything goes on running"),
    ("ctrl-C", "the same"),
    ("", "all of a log: launcher logs NAME; all of a state: launcher why NAME"),
];

/// Rows reserved for the log with its border, if there are as many.
const LOG_ROWS: u16 = 6;
/// Rows for the note on the selected component.
const NOTE_ROWS: u16 = 2;

const SPACING: u16 = 2;
/// The columns omitted first on a narrow terminal: ready in, pid, restarts, uptime, memory, CPU.
const DISPENSABLE: [usize; 6] = [4, 2, 5, 3, 7, 6];

/// Draws everything, and records how many rows the log has.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model) {
    let components = model.snapshot.as_ref().map_or(0, |snapshot| snapshot.components.len());
    let table_rows = u16::try_from(components + 1).unwrap_or(u16::MAX);
    let most = frame.area().height.saturating_sub(2 + NOTE_ROWS + LOG_ROWS).max(2);
    let [top, table, note, log, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(table_rows.min(most)),
        Constraint::Length(NOTE_ROWS),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(head(model), top);
    if let Some(snapshot) = &model.snapshot {
        let mut state = TableState::new().with_selected(model.place());
        frame.render_stateful_widget(components_table(snapshot, model, table.width), table, &mut state);
        frame.render_widget(remark(snapshot, model), note);
    }
    if model.help {
        draw_help(frame, model, log)
    } else {
        draw_log(frame, model, log)
    }
    frame.render_widget(foot(model), bottom);
}

fn head(model: &Model) -> Line<'_> {
    let plain = overview::Style { width: None, coloured: false };
    match (&model.problem, &model.snapshot) {
        (Some(problem), _) => Line::styled(problem.as_str(), in_colour(model, Some(Colour::Red)).bold()),
        (None, Some(snapshot)) => {
            let colour = if snapshot.is_healthy() { Colour::Green } else { Colour::Red };
            let health = Span::styled(health(snapshot, plain), in_colour(model, Some(colour)).bold());
            let rate = model.rate.map(|rate| format!("   {rate:.1} messages/s")).unwrap_or_default();
            Line::from(vec![health, Span::raw(format!("{rate}   {}", footer(snapshot)))])
        }
        (None, None) => Line::raw("asking the launcher …"),
    }
}

fn components_table<'a>(snapshot: &Snapshot, model: &Model, room: u16) -> Table<'a> {
    let style = overview::Style { width: Some(80), coloured: model.coloured };
    let rows: Vec<Vec<table::Cell>> =
        snapshot.components.iter().map(|component| overview::row(component, style)).collect();
    let heading = heading();
    let width = |column: usize| {
        let cells = rows.iter().chain([&heading]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.text().chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let columns = fitting(&widths, usize::from(room));
    let row = |cells: &[table::Cell]| {
        Row::new(columns.iter().filter_map(|column| cells.get(*column)).map(|cell| shown(cell, model)))
    };
    let widths = columns.iter().map(|column| u16::try_from(widths[*column]).unwrap_or(u16::MAX));
    Table::new(rows.iter().map(|cells| row(cells)), widths.map(Constraint::Length))
        .header(row(&heading).style(Style::new().add_modifier(Modifier::BOLD)))
        .column_spacing(SPACING)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
}

/// The columns that fit: whole columns are omitted, the least important first.
fn fitting(widths: &[usize], room: usize) -> Vec<usize> {
    let mut columns: Vec<usize> = (0..widths.len()).collect();
    for dispensable in DISPENSABLE {
        let spaces = usize::from(SPACING) * columns.len().saturating_sub(1);
        if columns.iter().map(|column| widths[*column]).sum::<usize>() + spaces <= room {
            break;
        }
        columns.retain(|column| *column != dispensable);
    }
    columns
}

fn shown<'a>(cell: &table::Cell, model: &Model) -> Cell<'a> {
    let line = Line::styled(cell.text().to_owned(), in_colour(model, cell.colour()));
    Cell::new(if cell.is_number() { line.right_aligned() } else { line })
}

fn remark<'a>(snapshot: &Snapshot, model: &Model) -> Paragraph<'a> {
    let component = model.place().and_then(|place| snapshot.components.get(place));
    let text = component.map(note).unwrap_or_default();
    Paragraph::new(text).style(in_colour(model, Some(Colour::Grey))).wrap(Wrap { trim: true })
}

fn draw_log(frame: &mut Frame<'_>, model: &mut Model, area: Rect) {
    let name = model.selected.as_deref().unwrap_or("nothing");
    let place =
        if model.scroll == 0 { String::new() } else { format!(", {} lines further on", model.scroll) };
    let block = Block::new().borders(Borders::TOP).title(format!(" the log of {name}{place} "));
    let rows = usize::from(block.inner(area).height);
    model.log_rows = rows;
    let end = model.log.len().saturating_sub(model.scroll);
    let lines: Vec<Line<'_>> =
        model.log[end.saturating_sub(rows)..end].iter().map(|line| Line::raw(line.as_str())).collect();
    frame.render_widget(Paragraph::new(lines).block(block).scroll((0, model.shift)), area);
}

fn draw_help(frame: &mut Frame<'_>, model: &mut Model, area: Rect) {
    let block = Block::new().borders(Borders::TOP).title(" keys ");
    model.log_rows = usize::from(block.inner(area).height);
    let lines: Vec<Line<'_>> =
        HELP.iter().map(|(key, what)| Line::raw(format!("{key:<10} {what}"))).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn foot(model: &Model) -> Line<'_> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    match (&model.question, &model.notice) {
        (Some(Request::Stop { component }), _) => Line::styled(format!("stop {component}? y/n"), bold),
        (_, Some(notice)) => Line::styled(notice.as_str(), bold),
        (_, None) => Line::styled(KEYS, in_colour(model, Some(Colour::Grey))),
    }
}

fn in_colour(model: &Model, colour: Option<Colour>) -> Style {
    match colour.filter(|_| model.coloured) {
        None => Style::new(),
        Some(colour) => Style::new().fg(match colour {
            Colour::Red => Color::Red,
            Colour::Green => Color::Green,
            Colour::Yellow => Color::Yellow,
            Colour::Blue => Color::Blue,
            Colour::Magenta => Color::Magenta,
            Colour::Cyan => Color::Cyan,
            Colour::Grey => Color::DarkGray,
        }),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::link::News;
    use super::*;
    use crate::cli::sample;

    fn screen(model: &mut Model, width: u16, height: u16) -> (Vec<String>, bool) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        let coloured = buffer.content().iter().any(|cell| cell.fg != Color::Reset);
        ((0..height).map(row).collect(), coloured)
    }

    fn model(coloured: bool) -> Model {
        let mut model = Model::new(coloured);
        model.update(News::State(Box::new(Ok(sample::snapshot()))));
        model.select(0);
        let lines = (0..100).map(|number| format!("line {number}")).collect();
        model.update(News::Log { component: "message-api".to_owned(), lines });
        model
    }

    #[test]
    fn everything_has_its_place() {
        let (rows, coloured) = screen(&mut model(true), 80, 24);
        assert!(coloured && rows[0].starts_with("unhealthy: chat-server, "), "{rows:#?}");
        assert!(rows[1].starts_with("COMPONENT       STATE"), "{rows:#?}");
        assert!(
            rows[2]
                .starts_with("message-api     ready    4194303   1h 1m    120 ms         0  0.3%  12.3 MB")
        );
        assert!(rows[6].starts_with("http://127.0.0.1:8000; 12 clients"), "{rows:#?}");
        assert!(rows[8].contains(" the log of message-api "), "{rows:#?}");
        assert_eq!((rows[22].as_str(), rows[23].as_str()), ("line 99", KEYS));
    }

    #[test]
    fn without_colour_there_is_none_and_what_was_earlier_can_be_seen() {
        let mut model = model(false);
        model.scroll = 10;
        model.question = Some(Request::Stop { component: "message-api".to_owned() });
        let (rows, coloured) = screen(&mut model, 80, 24);
        assert!(!coloured);
        assert_eq!((rows[22].as_str(), rows[23].as_str()), ("line 89", "stop message-api? y/n"));
        assert!(rows[8].contains("10 lines further on"), "{rows:#?}");
    }

    #[test]
    fn the_help_takes_the_logs_place_and_the_rate_is_on_top() {
        let mut model = model(false);
        model.update(News::Rate(Some(12.34)));
        model.help = true;
        let (rows, _) = screen(&mut model, 120, 24);
        assert!(rows[0].contains("   12.3 messages/s   launcher pid"), "{rows:#?}");
        assert!(rows[8].contains(" keys ") && rows[9].starts_with("?          this help"), "{rows:#?}");
        assert!(rows.iter().any(|row| row.starts_with("x          stop it, after a question")), "{rows:#?}");
        assert!(!rows.iter().any(|row| row.starts_with("line 9")), "{rows:#?}");
    }

    #[test]
    fn no_size_is_too_small() {
        for (width, height) in [(1, 1), (10, 3), (40, 8), (200, 60)] {
            screen(&mut model(true), width, height);
        }
        let (rows, _) = screen(&mut model(true), 50, 20);
        assert_eq!(rows[1], "COMPONENT       STATE    UPTIME   CPU   MEMORY", "{rows:#?}");
        screen(&mut Model::new(true), 80, 24);
    }
}
