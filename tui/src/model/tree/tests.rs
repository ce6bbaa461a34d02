use bytes::Bytes;

use super::{RowView, Selected, Tree};
use crate::msg::{Entry, Failure, LevelPart};

fn part(names: &[&str]) -> LevelPart {
    let entries = names.iter().map(|name| match name.strip_suffix('/') {
        Some(folder) => Entry { name: Bytes::copy_from_slice(folder.as_bytes()), folder: true },
        None => Entry { name: Bytes::copy_from_slice(name.as_bytes()), folder: false },
    });
    LevelPart { entries: entries.collect(), revision: 1, done: true, ..LevelPart::default() }
}

fn root() -> Bytes {
    Bytes::new()
}

fn shown(tree: &Tree) -> Vec<String> {
    tree.view(0..tree.len())
        .enumerate()
        .map(|(nth, (depth, row))| {
            let mark = if nth == tree.selected { ">" } else { "" };
            let text = match row {
                RowView::Key { name } => String::from_utf8_lossy(name).into_owned(),
                RowView::Folder { name, open, keys } => {
                    let sign = if open { "-" } else { "+" };
                    let keys = keys.map(|keys| format!(" {keys}")).unwrap_or_default();
                    format!("{sign}{}/{keys}", String::from_utf8_lossy(name))
                }
                RowView::Loading => "...".into(),
                RowView::More => "more".into(),
                RowView::Failed(failure) => format!("!{}", failure.text),
            };
            format!("{mark}{}{text}", " ".repeat(depth.into()))
        })
        .collect()
}

fn opened() -> Tree {
    let mut tree = Tree::new(b'/');
    assert!(tree.take(&root(), part(&["a", "app/", "b/", "z"])).is_none());
    tree.move_to(1);
    let wanted = tree.toggle().expect("an unread level has to be asked for");
    assert_eq!(&wanted.prefix[..], b"app/");
    tree.take(&wanted.prefix, part(&["one", "sub/", "two"]));
    tree
}

#[test]
fn levels_are_asked_for_when_opened_and_only_then() {
    let mut tree = opened();
    assert_eq!(shown(&tree), ["a", ">-app/", " one", " +sub/", " two", "+b/", "z"]);
    assert!(tree.toggle().is_none(), "closing asks for nothing");
    assert_eq!(shown(&tree), ["a", ">+app/", "+b/", "z"]);
    assert!(tree.toggle().is_none(), "what was read is kept");
    assert_eq!(tree.len(), 7);
}

#[test]
fn paths_are_the_raw_bytes() {
    let mut tree = Tree::new(b'/');
    let names = vec![
        Entry { name: Bytes::from_static(b"\xff\x00"), folder: false },
        Entry { name: Bytes::from_static(b"\xff\x1b"), folder: true },
    ];
    tree.take(
        &root(),
        LevelPart { entries: names, revision: 1, done: true, ..LevelPart::default() },
    );
    assert_eq!(tree.selected(), Some(Selected::Key(Bytes::from_static(b"\xff\x00"))));
    tree.move_by(1);
    assert_eq!(
        tree.selected(),
        Some(Selected::Folder { prefix: Bytes::from_static(b"\xff\x1b/"), keys: None })
    );
}

#[test]
fn a_reload_keeps_what_is_open_and_the_cursor_on_its_name() {
    let mut tree = opened();
    tree.move_to(4);
    assert_eq!(tree.selected(), Some(Selected::Key(Bytes::from_static(b"app/two"))));
    tree.take(&root(), part(&["0", "a", "app/", "z"]));
    tree.take(&Bytes::from_static(b"app/"), part(&["new", "one", "two"]));
    assert_eq!(shown(&tree), ["0", "a", "-app/", " new", " one", "> two", "z"]);
    tree.take(&root(), part(&["z"]));
    assert_eq!(shown(&tree), [">z"]);
    assert!(tree.want_again().len() == 1, "the level of a folder that is gone is given up");
}

#[test]
fn closing_goes_to_the_folder_around() {
    let mut tree = opened();
    tree.move_to(4);
    tree.close();
    assert_eq!(tree.selected, 1);
    tree.close();
    assert_eq!(shown(&tree), ["a", ">+app/", "+b/", "z"]);
}

#[test]
fn a_filter_finds_names_across_levels_and_keeps_the_way_to_them() {
    let mut tree = opened();
    for (filter, expected) in [
        ("p/T", vec![]),
        ("tw", vec!["-app/", " two"]),
        ("APP", vec![]),
        ("app", vec!["-app/", " one", " +sub/", " two"]),
        ("pp/o", vec!["-app/", " one"]),
        ("", vec!["a", "-app/", " one", " +sub/", " two", "+b/", "z"]),
    ] {
        tree.set_filter(filter.into());
        let rows: Vec<String> = shown(&tree).iter().map(|row| row.replace('>', "")).collect();
        assert_eq!(rows, expected, "{filter}");
    }
}

#[test]
fn sizes_find_their_folder() {
    let mut tree = opened();
    assert_eq!(tree.unsized_in(0..100), ["app/", "app/sub/", "b/"].map(Bytes::from));
    tree.set_size(b"app/sub/", 12);
    tree.set_size(b"gone/", 12);
    tree.set_size(b"app/", 14);
    assert_eq!(shown(&tree)[1..4], [">-app/ 14", " one", " +sub/ 12"]);
}

#[test]
fn a_level_goes_on_where_it_was_cut() {
    let mut tree = Tree::new(b'/');
    let cut = LevelPart { rest: Some(Bytes::from_static(b"b\0")), ..part(&["a", "b"]) };
    tree.take(&root(), cut);
    assert_eq!(shown(&tree), [">a", "b", "more"]);
    assert!(tree.want_more_in(0..2).is_none(), "not before its end is in sight");
    let wanted = tree.want_more_in(0..3).expect("its end is in sight");
    assert_eq!(wanted.from.as_deref(), Some(&b"b\0"[..]));
    tree.take(&root(), LevelPart { continued: true, ..part(&["c"]) });
    assert_eq!(shown(&tree), [">a", "b", "c"]);
}

#[test]
fn a_level_that_cannot_be_read_says_so_and_can_be_tried_again() {
    let mut tree = Tree::new(b'/');
    let failure = Failure { text: "no".into(), refused: false, unreachable: true };
    tree.fail(&root(), failure.clone());
    assert_eq!(shown(&tree), [">!no"]);
    assert_eq!(tree.want_failed().len(), 1);
    tree.take(&root(), part(&["a"]));
    tree.fail(&root(), failure);
    assert_eq!(shown(&tree), [">a"], "what was read is still shown");
}

#[test]
fn a_single_folder_at_the_top_opens_by_itself() {
    let mut tree = Tree::new(b'/');
    let wanted = tree.take(&root(), part(&["/"])).expect("it leads on");
    assert_eq!(&wanted.prefix[..], b"/");
}

#[test]
fn the_cursor_stays_in_sight() {
    let mut tree = Tree::new(b'/');
    let names: Vec<String> = (0..100).map(|nth| format!("{nth:03}")).collect();
    tree.take(&root(), part(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    for (to, height, offset) in
        [(50, 10, 41), (45, 10, 41), (40, 10, 40), (99, 10, 90), (0, 10, 0), (99, 200, 0)]
    {
        tree.move_to(to);
        tree.scroll_to_cursor(height);
        assert_eq!(tree.offset, offset);
    }
}
