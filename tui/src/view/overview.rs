//! The overview: every member with what it says of itself, the cluster, and the selected member.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::figures;
use crate::model::cluster::EndpointState;
use crate::model::verdict::{Standing, standings};
use crate::model::{Model, Pane};
use crate::msg::{Member, Status};
use crate::text;
use crate::view::{Look, pane, put, put_line, safe};

/// A column of the members' table.
struct Column {
    title: &'static str,
    right: bool,
    /// The smallest screen on which it is worth its room.
    from_width: u16,
    cell: fn(&Model, &Member, &Status) -> String,
}

const NAME_MAX: usize = 20;

const COLUMNS: [Column; 12] = [
    Column {
        title: "ROLE",
        right: false,
        from_width: 0,
        cell: |_, member, status| role(member, status).into(),
    },
    Column {
        title: "TERM",
        right: true,
        from_width: 0,
        cell: |_, _, status| figures::grouped(status.raft_term),
    },
    Column {
        title: "INDEX",
        right: true,
        from_width: 0,
        cell: |_, _, status| figures::grouped(status.raft_index),
    },
    Column {
        title: "APPLIED",
        right: true,
        from_width: 0,
        cell: |_, _, status| figures::grouped(status.raft_applied),
    },
    Column {
        title: "DB SIZE",
        right: true,
        from_width: 0,
        cell: |_, _, status| figures::bytes(status.db_size_bytes),
    },
    Column {
        title: "IN USE",
        right: true,
        from_width: 100,
        cell: |_, _, status| figures::bytes(status.db_in_use_bytes),
    },
    Column {
        title: "LATENCY",
        right: true,
        from_width: 0,
        cell: |_, _, status| figures::latency(status.latency_us),
    },
    Column {
        title: "VERSION",
        right: false,
        from_width: 0,
        cell: |_, _, status| text::fit(&safe(&status.version), 12),
    },
    Column {
        title: "ALARM",
        right: false,
        from_width: 76,
        cell: |model, member, _| alarms(model, member),
    },
    Column {
        title: "ERRORS",
        right: false,
        from_width: 120,
        cell: |_, _, status| match status.errors.len() {
            0 => "-".into(),
            many => format!("{many}"),
        },
    },
    Column {
        title: "ID",
        right: false,
        from_width: 120,
        cell: |_, member, _| format!("{:x}", member.id),
    },
    Column {
        title: "ADDRESS",
        right: false,
        from_width: 130,
        cell: |model, member, _| {
            model
                .cluster
                .endpoint_of(member)
                .map(|endpoint| text::fit(&safe(&endpoint.address), 40))
                .unwrap_or_default()
        },
    },
];

pub(super) fn draw(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let rows = model.cluster.members().len().max(model.cluster.endpoints.len().min(8)) as u16;
    let [table, rest] =
        Layout::vertical([Constraint::Max(rows + 3), Constraint::Min(0)]).areas(area);
    if model.cluster.members().is_empty() {
        return addresses(model, look, area, buffer);
    }
    members(model, look, table, buffer);
    if rest.height < 4 {
        return;
    }
    let facts = (rest.width * 2 / 5).min(56);
    let [left, right] =
        Layout::horizontal([Constraint::Length(facts), Constraint::Min(1)]).areas(rest);
    cluster(model, look, left, buffer);
    member(model, look, right, buffer);
}

fn members(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let inside = pane(look, "members", model.pane == Pane::Overview, area, buffer);
    let members = model.cluster.members();
    let names: Vec<String> =
        members.iter().map(|member| text::fit(&model.cluster.name(member.id), NAME_MAX)).collect();
    let name_width = names.iter().map(|name| text::width(name)).max().unwrap_or(0).max(4);
    let columns: Vec<&Column> =
        COLUMNS.iter().filter(|column| column.from_width <= area.width).collect();
    let rows: Vec<Option<Vec<String>>> = members
        .iter()
        .map(|member| {
            let status = model.cluster.status_of(member)?;
            Some(columns.iter().map(|column| (column.cell)(model, member, status)).collect())
        })
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(nth, column)| {
            let cells = rows.iter().flatten().map(|row| text::width(&row[nth]));
            cells.max().unwrap_or(0).max(column.title.len())
        })
        .collect();
    let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
    put(
        buffer,
        inside,
        0,
        &format!("  {}{}", pad("NAME", name_width, false), cells(&columns, &widths, &titles)),
        look.dim(),
    );

    let room = usize::from(inside.height).saturating_sub(1).max(1);
    let first = model.cluster.selected.saturating_sub(room - 1);
    let standings = standings(&model.cluster);
    for (nth, row) in rows.iter().enumerate().skip(first).take(room) {
        let selected = nth == model.cluster.selected;
        let sign = if selected { "> " } else { "  " };
        let name = pad(&names[nth], name_width, false);
        let (told, style) = match row {
            Some(row) => (cells(&columns, &widths, row), Style::default()),
            None => silence(model, &members[nth], &standings[nth], look),
        };
        let style = if selected { style.patch(look.strong()) } else { style };
        put(buffer, inside, 1 + nth - first, &format!("{sign}{name}{told}"), style);
    }
}

/// What stands in the row of a member that does not answer.
fn silence(model: &Model, member: &Member, standing: &Standing, look: Look) -> (String, Style) {
    let why = match model.cluster.endpoint_of(member).map(|endpoint| &endpoint.state) {
        Some(EndpointState::Silent { failure, .. }) => format!(": {}", safe(&failure.text)),
        _ => String::new(),
    };
    match standing {
        Standing::Serving | Standing::Asking => ("  asking".into(), look.dim()),
        Standing::Unstarted => ("  not started yet".into(), look.warning_text()),
        Standing::Down { since } => {
            (format!("  down since {}{why}", since.strftime("%H:%M:%S")), look.bad_text())
        }
        Standing::Unreachable { since } => (
            format!("  unreachable from here since {}{why}", since.strftime("%H:%M:%S")),
            look.warning_text(),
        ),
    }
}

/// The addresses, as long as no list of members was read.
fn addresses(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let inside = pane(look, "addresses", true, area, buffer);
    let mut row = 0;
    for endpoint in &model.cluster.endpoints {
        let state = match &endpoint.state {
            EndpointState::Untried => "connecting".to_owned(),
            EndpointState::Answering => "answers".to_owned(),
            EndpointState::Silent { since, failure } => {
                format!("silent since {}: {}", since.strftime("%H:%M:%S"), safe(&failure.text))
            }
        };
        let line = format!("  {}  {state}", safe(&endpoint.address));
        for piece in text::wrap_words(&line, inside.width.into()) {
            put(buffer, inside, row, &piece, Style::default());
            row += 1;
        }
    }
    if !model.cluster.is_answering() {
        put(
            buffer,
            inside,
            row + 1,
            "  An address that does not answer is tried again; r tries at once.",
            look.dim(),
        );
    }
}

fn cluster(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let inside = pane(look, "cluster", false, area, buffer);
    let cluster = &model.cluster;
    let id = cluster.membership.as_ref().map_or(0, |membership| membership.cluster_id);
    let unknown = if cluster.is_answering() { "none" } else { "unknown" };
    let leader = cluster.leader().map_or_else(|| unknown.to_owned(), |leader| cluster.name(leader));
    let writes = match cluster.writes_per_s {
        Some(rate) if rate >= 0.05 => format!(" ({rate:.1} revisions/s)"),
        Some(_) => " (at rest)".into(),
        None => String::new(),
    };
    let alarms = match (
        cluster.membership.as_ref().and_then(|membership| membership.alarms.as_ref()),
        cluster.alarms().len(),
    ) {
        (None, _) => "unknown".to_owned(),
        (Some(_), 0) => "none".to_owned(),
        (Some(alarms), _) => {
            let named = alarms
                .iter()
                .map(|alarm| format!("{} on {}", safe(&alarm.kind), cluster.name(alarm.member)));
            named.collect::<Vec<_>>().join(", ")
        }
    };
    let term = cluster.answering().map(|status| status.raft_term).max();
    let facts = [
        ("id", format!("{id:x}")),
        ("leader", leader),
        ("term", term.map_or_else(|| unknown.to_owned(), figures::grouped)),
        ("revision", format!("{}{writes}", figures::grouped(cluster.revision))),
        ("alarms", alarms),
        ("reads", model.reads.to_string()),
    ];
    for (row, (label, fact)) in facts.iter().enumerate() {
        fact_line(look, inside, row, label, fact, buffer);
    }
}

fn member(model: &Model, look: Look, area: Rect, buffer: &mut Buffer) {
    let Some(member) = model.cluster.members().get(model.cluster.selected) else { return };
    let title = format!("member {}", model.cluster.name(member.id));
    let inside = pane(look, &title, false, area, buffer);
    let endpoint = model.cluster.endpoint_of(member);
    let (through, whose) = match endpoint {
        None => ("no address is advertised".to_owned(), ""),
        Some(endpoint) if endpoint.given => {
            (safe(&endpoint.address), "(the address that was given)")
        }
        Some(endpoint) => (safe(&endpoint.address), "(the address that it advertises)"),
    };
    let mut facts = vec![
        ("id", format!("{:x}{}", member.id, if member.learner { " (learner)" } else { "" })),
        ("clients", safe(&member.client_urls.join(", "))),
        ("peers", safe(&member.peer_urls.join(", "))),
        ("seen via", through),
        ("", whose.to_owned()),
    ];
    if let Some(EndpointState::Silent { failure, .. }) = endpoint.map(|endpoint| &endpoint.state) {
        facts.push(("silent", safe(&failure.text)));
    }
    for error in
        model.cluster.status_of(member).map(|status| status.errors.as_slice()).unwrap_or_default()
    {
        facts.push(("reports", safe(error)));
    }
    let mut row = 0;
    for (label, fact) in facts {
        let room = usize::from(inside.width).saturating_sub(12);
        for (nth, piece) in text::wrap_words(&fact, room).iter().enumerate() {
            fact_line(look, inside, row, if nth == 0 { label } else { "" }, piece, buffer);
            row += 1;
        }
    }
}

fn fact_line(look: Look, area: Rect, row: usize, label: &str, fact: &str, buffer: &mut Buffer) {
    let room = usize::from(area.width).saturating_sub(11);
    let line = Line::from(vec![
        Span::styled(format!(" {label:<9} "), look.dim()),
        Span::raw(text::fit(fact, room)),
    ]);
    put_line(buffer, area, row, &line);
}

fn role(member: &Member, status: &Status) -> &'static str {
    if status.leader == member.id {
        "leader"
    } else if status.learner || member.learner {
        "learner"
    } else if status.leader == 0 {
        "no leader"
    } else {
        "follower"
    }
}

fn alarms(model: &Model, member: &Member) -> String {
    let raised = model.cluster.alarms().iter().filter(|alarm| alarm.member == member.id);
    let kinds: Vec<String> = raised.map(|alarm| safe(&alarm.kind)).collect();
    if kinds.is_empty() { "-".into() } else { kinds.join(",") }
}

fn cells(columns: &[&Column], widths: &[usize], texts: &[String]) -> String {
    let mut row = String::new();
    for ((column, width), text) in columns.iter().zip(widths).zip(texts) {
        row.push_str("  ");
        row.push_str(&pad(text, *width, column.right));
    }
    row
}

fn pad(text: &str, columns: usize, right: bool) -> String {
    let blanks = " ".repeat(columns.saturating_sub(text::width(text)));
    if right { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
}
