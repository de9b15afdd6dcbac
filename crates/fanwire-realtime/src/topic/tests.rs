//! Both structures beside a matcher that does nothing clever.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Parent, TopicIndex, TopicMap};

/// Levels that sort around the separator, that are empty, hidden, or begin alike.
const LEVELS: [&str; 8] = ["", "a", "a-", "a0", "b", "ab", "$a", "é"];

/// The standard's words (MQTT 5, 4.7), one level after the other.
fn naive_match(filter: &str, name: &str, parent: Parent) -> bool {
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let filter: Vec<&str> = filter.split('/').collect();
    let name: Vec<&str> = name.split('/').collect();
    for (nth, level) in filter.iter().enumerate() {
        if *level == "#" {
            return name.len() > nth || parent == Parent::Matches;
        }
        if name.get(nth).is_none_or(|own| *level != "+" && own != level) {
            return false;
        }
    }
    name.len() == filter.len()
}

fn name() -> impl Strategy<Value = String> {
    vec(select(&LEVELS[..]), 1..6).prop_map(|levels| levels.join("/"))
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => select(&LEVELS[..]), 1 => Just("+")];
    (vec(level, 0..5), any::<bool>()).prop_map(|(mut levels, all)| {
        if all || levels.is_empty() {
            levels.push("#");
        }
        levels.join("/")
    })
}

fn parent() -> impl Strategy<Value = Parent> {
    select(&[Parent::Matches, Parent::DoesNot][..])
}

fn matches(index: &TopicIndex<String>, name: &str, parent: Parent) -> Vec<String> {
    let mut found = Vec::new();
    index.matches(name, parent, |value| found.push(value.clone()));
    found.sort();
    found
}

fn find(map: &TopicMap<usize>, filter: &str, parent: Parent) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    map.find(filter, parent, |name, value| {
        found.push((name.to_string(), *value));
        ControlFlow::Continue(())
    });
    found
}

/// The same, looking at so many names at once.
fn find_piece_by_piece(
    map: &TopicMap<usize>,
    filter: &str,
    parent: Parent,
    piece: usize,
) -> Vec<(String, usize)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let before = found.len();
        let go_on_behind = map.find_after(filter, parent, after, piece, |name, value| {
            found.push((name.to_string(), *value));
        });
        assert!(found.len() - before <= piece);
        let Some(name) = go_on_behind else { return found };
        after = Some(&**name);
    }
}

proptest! {
    #[test]
    fn an_index_finds_the_filters_that_match(
        steps in vec((filter(), any::<bool>()), 1..60),
        names in vec(name(), 1..20),
        parent in parent(),
    ) {
        let mut index = TopicIndex::<String>::new();
        let mut model = BTreeSet::new();
        for (filter, added) in steps {
            if added {
                index.get_or_default(&filter).clone_from(&filter);
                model.insert(filter);
            } else {
                let removed = index.remove(&filter);
                prop_assert_eq!(removed.is_some(), model.remove(&filter));
            }
            prop_assert_eq!(index.len(), model.len());
            for name in &names {
                let expected: Vec<String> = model
                    .iter()
                    .filter(|filter| naive_match(filter, name, parent))
                    .cloned()
                    .collect();
                prop_assert_eq!(matches(&index, name, parent), expected);
            }
        }
        for filter in &model {
            prop_assert_eq!(index.get(filter), Some(filter));
            prop_assert_eq!(index.get_mut(filter).cloned(), Some(filter.clone()));
        }
        prop_assert!(index.nodes() <= 2 * model.len() + 1, "filters need two nodes at the most");
        for filter in &model {
            prop_assert_eq!(index.remove(filter), Some(filter.clone()));
        }
        prop_assert_eq!(index.nodes(), 0);
    }

    #[test]
    fn a_map_finds_the_names_that_match_in_order(
        names in vec((name(), any::<usize>()), 0..80),
        removed in vec(name(), 0..10),
        filters in vec(filter(), 1..20),
        parent in parent(),
        piece in 1usize..9,
    ) {
        let mut map = TopicMap::new();
        let mut model = BTreeMap::new();
        for (name, value) in names {
            prop_assert_eq!(map.insert(name.as_str(), value), model.insert(name, value));
        }
        for name in removed {
            prop_assert_eq!(map.remove(&name), model.remove(&name));
        }
        prop_assert_eq!(map.len(), model.len());
        for filter in filters {
            let expected: Vec<(String, usize)> = model
                .iter()
                .filter(|(name, _)| naive_match(&filter, name, parent))
                .map(|(name, value)| (name.clone(), *value))
                .collect();
            prop_assert_eq!(find(&map, &filter, parent), &*expected, "{}", filter);
            prop_assert_eq!(find_piece_by_piece(&map, &filter, parent, piece), expected);
        }
    }

    #[test]
    fn pages_of_a_map_hold_every_name_once(names in vec(name(), 0..40), size in 1usize..7) {
        let all: BTreeSet<String> = names.into_iter().collect();
        let mut map = TopicMap::new();
        for name in &all {
            map.insert(name.as_str(), ());
        }
        let (mut listed, mut last) = (Vec::new(), None);
        loop {
            let page: Vec<_> = map.list_after(last).take(size).collect();
            let Some((end, ())) = page.last() else { break };
            last = Some(*end);
            listed.extend(page.iter().map(|(name, ())| (*name).to_owned()));
        }
        prop_assert_eq!(listed, all.into_iter().collect::<Vec<_>>());
    }
}

/// Runs where recursion of a few hundred levels would overflow the stack.
fn with_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(64 * 1024).spawn(test).unwrap();
    thread.join().unwrap();
}

/// As long as a topic can be (MQTT 5, 1.5.4).
const LONGEST: usize = 65_535;

#[test]
fn a_name_of_empty_levels_as_long_as_can_be_is_matched() {
    with_small_stack(|| {
        let name = "/".repeat(LONGEST);
        let any = "+/".repeat(LONGEST / 2);
        let mut index = TopicIndex::<usize>::new();
        for filter in
            ["#", "/#", "+/#", &name, &any, &format!("{any}#"), &format!("{}#", &name[1..])]
        {
            *index.get_or_default(filter) = filter.len();
        }
        let mut found = Vec::new();
        index.matches(&name, Parent::DoesNot, |value| found.push(*value));
        found.sort_unstable();
        assert_eq!(found, [1, 2, 3, any.len() + 1, LONGEST, LONGEST]);

        let mut map = TopicMap::new();
        map.insert(name.as_str(), 1);
        for filter in ["#", "/#", "+/#", &name, &format!("{any}#")] {
            assert_eq!(find(&map, filter, Parent::DoesNot).len(), 1, "{} bytes", filter.len());
        }
        assert_eq!(find(&map, &any, Parent::Matches), []);
    });
}

#[test]
fn filters_that_each_begin_the_next_are_matched_and_freed() {
    with_small_stack(|| {
        let filters = || (0..4000).map(|depth| format!("{}#", "/".repeat(depth)));
        let mut index = TopicIndex::<usize>::new();
        for filter in filters() {
            *index.get_or_default(&filter) = filter.len();
        }
        let mut found = 0;
        index.matches(&"/".repeat(LONGEST), Parent::Matches, |_| found += 1);
        assert_eq!(found, 4000);
        // All but the deepest: what they were the beginnings of becomes one label again.
        for filter in filters().take(3999) {
            assert!(index.remove(&filter).is_some());
        }
        assert_eq!(index.nodes(), 2);
        assert_eq!(index.remove(&format!("{}#", "/".repeat(3999))), Some(4000));
        assert_eq!(index.nodes(), 0);
    });
}

#[test]
fn a_search_can_be_broken_off() {
    let mut map = TopicMap::new();
    for nth in 0..10 {
        map.insert(format!("a/{nth}"), nth);
    }
    let mut found = Vec::new();
    map.find("a/+", Parent::Matches, |_, value| {
        found.push(*value);
        if found.len() < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert_eq!(found, [0, 1, 2]);
}

#[test]
fn a_name_is_shared_with_who_brings_it() {
    let name: std::sync::Arc<str> = "a/b".into();
    let mut map = TopicMap::new();
    map.insert(name.clone(), 1);
    let (held, _) = map.list_after(None).next().unwrap();
    assert!(std::ptr::eq(held, &*name));
}

#[test]
fn the_examples_of_the_standard_hold() {
    let cases = [
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
        ("sport/#", "sport", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("+", "/finance", false),
        ("#", "$SYS/monitor/Clients", false),
        ("+/monitor/Clients", "$SYS/monitor/Clients", false),
        ("$SYS/#", "$SYS/monitor/Clients", true),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
        ("ACCOUNTS", "Accounts", false),
    ];
    for (filter, name, matched) in cases {
        assert_eq!(naive_match(filter, name, Parent::Matches), matched, "{filter} {name}");
        let mut index = TopicIndex::<String>::new();
        *index.get_or_default(filter) = filter.to_owned();
        assert_eq!(matches(&index, name, Parent::Matches).len() == 1, matched, "{filter} {name}");
        let mut map = TopicMap::new();
        map.insert(name, 0);
        assert_eq!(find(&map, filter, Parent::Matches).len() == 1, matched, "{filter} {name}");
    }
    let mut index = TopicIndex::<String>::new();
    *index.get_or_default("sport/#") = "sport/#".to_owned();
    assert!(matches(&index, "sport", Parent::DoesNot).is_empty());
    assert_eq!(matches(&index, "sport/", Parent::DoesNot).len(), 1);
}
