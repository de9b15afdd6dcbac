use super::*;
use proptest::prelude::*;

/// MQTT 3.1.1, 4.7: whether a filter matches a topic, level by level.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && !filter.starts_with('$') {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) => return true,
            (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(level), Some(other)) if level == other => {}
            _ => return false,
        }
    }
}

fn of(subjects: &[String]) -> SubjectSet {
    let mut set = SubjectSet::new();
    for subject in subjects {
        set.insert(subject);
    }
    set
}

fn level() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]",
        1 => Just(String::new()),
        1 => Just("!".to_owned()),
        1 => "[.*>% $ü!x\u{7f}\u{1}]{1,3}",
        1 => Just("long".repeat(300)),
    ]
}

pub(crate) fn topic() -> impl Strategy<Value = String> {
    let topic = proptest::collection::vec(level(), 1..5).prop_map(|levels| levels.join("/"));
    topic.prop_filter("a topic is not empty", |topic| !topic.is_empty())
}

pub(crate) fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => level(), 1 => Just("+".to_owned())];
    (proptest::collection::vec(level, 0..5), any::<bool>()).prop_map(|(mut levels, rest)| {
        if rest || levels.is_empty() || levels == [""] {
            levels.push("#".to_owned());
        }
        levels.join("/")
    })
}

fn is_long(topic: &str) -> bool {
    subject_of(topic).starts_with("x.")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_filters_subjects_match_what_it_matches(filter in filter(), topic in topic()) {
        let found = of(&subjects_of(&filter)).matches(&subject_of(&topic));
        if matches(&filter, &topic) {
            prop_assert!(found, "{} {}", filter, topic);
        } else if !is_long(&topic) {
            prop_assert!(!found, "{} {}", filter, topic);
        }
    }

    #[test]
    fn topics_that_differ_have_subjects_that_do(a in topic(), b in topic()) {
        prop_assert_eq!(a == b, subject_of(&a) == subject_of(&b));
    }

    #[test]
    fn subjects_are_ones_that_nats_takes(topic in topic()) {
        let subject = subject_of(&topic);
        prop_assert!(subject.len() <= limits::SUBJECT_BYTES + 8);
        let fits = |token: &str| !token.is_empty() && !token.contains([' ', '\t', '\r', '\n', '*', '>']);
        prop_assert!(subject.split('.').all(fits), "{}", subject);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn interest_is_what_its_filters_are_and_brings_nothing_twice(
        filters in proptest::collection::vec(filter(), 1..12),
        removed in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        topics in proptest::collection::vec(topic(), 1..12),
    ) {
        let mut interest = Interest::new();
        let mut subjects = std::collections::BTreeSet::new();
        let mut there = filters.clone();
        let mut apply = |changes: Changes| {
            for subject in changes.removed {
                assert!(subjects.remove(&subject), "{subject} was not there");
            }
            for subject in changes.added {
                assert!(subjects.insert(subject.clone()), "{subject} was there");
            }
            subjects.clone()
        };
        for filter in &filters {
            apply(interest.add(filter));
        }
        for index in removed {
            if !there.is_empty() {
                let filter = there.swap_remove(index.index(there.len()));
                apply(interest.remove(&filter));
            }
        }
        let subjects: Vec<_> = apply(Changes::default()).into_iter().collect();
        prop_assert_eq!(&subjects, &interest.subjects().map(str::to_owned).collect::<Vec<_>>());
        let mut fresh = Interest::new();
        for filter in &there {
            fresh.add(filter);
        }
        prop_assert_eq!(&subjects, &fresh.subjects().map(str::to_owned).collect::<Vec<_>>());
        for topic in topics {
            let wanted = there.iter().any(|filter| matches(filter, &topic));
            let subject = subject_of(&topic);
            let found = subjects.iter().filter(|each| of(&[(*each).clone()]).matches(&subject)).count();
            prop_assert!(found <= 1, "{} comes {} times: {:?}", topic, found, subjects);
            prop_assert!(found == 1 || !wanted, "{} does not come: {:?}", topic, subjects);
        }
    }
}

#[test]
fn a_million_filters_are_few_subjects_and_few_again_when_they_go() {
    let mut interest = Interest::new();
    let mut most = 0;
    for number in 0..100_000 {
        interest.add(&format!("devices/{number}/commands"));
        interest.add(&format!("rooms/{}/+/{number}", number % 50));
        most = most.max(interest.subjects().count());
    }
    assert!(most <= limits::INTEREST_SUBJECTS, "{most}");
    let mut set = SubjectSet::new();
    for subject in interest.subjects() {
        set.insert(subject);
    }
    assert!(set.matches(&subject_of("devices/77777/commands")));
    assert!(set.matches(&subject_of("rooms/3/x/3")));
    assert!(!set.matches(&subject_of("elsewhere/1")));
    for number in 10..100_000 {
        interest.remove(&format!("devices/{number}/commands"));
        interest.remove(&format!("rooms/{}/+/{number}", number % 50));
    }
    let subjects: Vec<_> = interest.subjects().collect();
    // Ten of each, and the long topics that a wildcard may match.
    assert_eq!(subjects.len(), 21, "{subjects:?}");
}

#[test]
fn a_subscription_more_to_the_same_filter_changes_nothing() {
    let mut interest = Interest::new();
    assert_eq!(interest.add("a/b").added, ["t.a.b.!"]);
    assert!(interest.add("a/b").is_empty());
    assert!(interest.remove("a/b").is_empty());
    assert_eq!(interest.remove("a/b").removed, ["t.a.b.!"]);
    assert!(interest.remove("a/b").is_empty());
}
