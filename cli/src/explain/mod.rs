//! What errors, alarms and exit codes mean. The texts are a flat table, `topics.txt`; this finds
//! the right one.

use std::sync::LazyLock;

/// One thing that can be explained.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topic {
    pub name: &'static str,
    /// Other words for it; parts of messages.
    pub also: Vec<&'static str>,
    pub means: &'static str,
    /// Empty if there is nothing to say.
    pub why: &'static str,
    /// What to do, in order.
    pub next: Vec<&'static str>,
}

/// All topics, in the order of the table.
pub fn topics() -> &'static [Topic] {
    static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(|| parse(include_str!("topics.txt")));
    &TOPICS
}

/// What somebody's words are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Topic(&'static Topic),
    /// Nothing, but these are near; best first, at most [`MAX_NEAR`].
    Near(Vec<&'static str>),
}

pub const MAX_NEAR: usize = 3;

/// Longer ones are cut: the point of a message stands at its beginning.
const MAX_QUERY_CHARS: usize = 500;

/// Finds the topic of a name, a part of a name, or a message, however it is framed.
pub fn find(words: &str) -> Found {
    let words: String = words.chars().take(MAX_QUERY_CHARS).collect::<String>().to_lowercase();
    let words = words.trim();
    let is = |name: &&str| name.to_lowercase() == words;
    let code = format!("exit {words}");
    let named = topics()
        .iter()
        .find(|topic| is(&topic.name) || topic.also.iter().any(is) || topic.name == code);
    if let Some(topic) = named {
        return Found::Topic(topic);
    }
    // A message holds the words of its topic; the longest of them are about it most.
    let within = topics().iter().flat_map(|topic| {
        let all = topic.also.iter().chain([&topic.name]);
        let held = all.filter(|also| holds(words, &also.to_lowercase()));
        held.map(move |also| (also.len(), topic))
    });
    if let Some((_, topic)) = within.max_by_key(|(length, _)| *length) {
        return Found::Topic(topic);
    }
    // Part of a message is enough if it is part of one topic only.
    let mut partly = topics().iter().filter(|topic| {
        !words.is_empty()
            && topic
                .also
                .iter()
                .chain([&topic.name])
                .any(|also| also.to_lowercase().contains(words))
    });
    match (partly.next(), partly.next()) {
        (Some(topic), None) => Found::Topic(topic),
        _ => Found::Near(near(words)),
    }
}

/// Whether the words hold these, not cut within a number: `exit 10` does not hold `exit 1`.
fn holds(words: &str, part: &str) -> bool {
    let digit = |text: Option<char>| text.is_some_and(|c| c.is_ascii_digit());
    words.match_indices(part).any(|(at, _)| {
        let cut = digit(part.chars().last()) && digit(words[at + part.len()..].chars().next());
        !cut
    })
}

fn near(words: &str) -> Vec<&'static str> {
    /// Fewer shared pairs than this are chance.
    const ALIKE_PERCENT: usize = 40;
    let likeness = |topic: &Topic| {
        let all = topic.also.iter().chain([&topic.name]);
        all.map(|also| alike_percent(&also.to_lowercase(), words)).max().unwrap_or(0)
    };
    let scored = topics().iter().map(|topic| (likeness(topic), topic.name));
    let mut scored: Vec<_> = scored.filter(|(score, _)| *score >= ALIKE_PERCENT).collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().take(MAX_NEAR).map(|(_, name)| name).collect()
}

/// Of the pairs of neighbouring letters in both, how many in a hundred they share (Dice).
fn alike_percent(one: &str, other: &str) -> usize {
    let pairs = |text: &str| {
        let letters: Vec<char> = text.chars().collect();
        letters.windows(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>()
    };
    let (one, mut other) = (pairs(one), pairs(other));
    let all = one.len() + other.len();
    let mut shared: usize = 0;
    for pair in one {
        if let Some(at) = other.iter().position(|found| *found == pair) {
            other.swap_remove(at);
            shared += 1;
        }
    }
    (200 * shared).checked_div(all).unwrap_or(0)
}

fn parse(table: &'static str) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
        if kind == "topic" {
            topics.push(Topic { name: text, ..Topic::default() });
        }
        let Some(topic) = topics.last_mut() else { continue };
        match kind {
            "also" => topic.also.push(text),
            "means" => topic.means = text,
            "why" => topic.why = text,
            "next" => topic.next.push(text),
            _ => {}
        }
    }
    topics
}

#[cfg(test)]
mod tests;
