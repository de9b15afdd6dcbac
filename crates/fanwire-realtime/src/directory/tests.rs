//! What the shards hear of each other.

use std::sync::atomic::AtomicBool;

use fanwire_wire::mqtt::QoS;

use super::*;

fn member(client_id: &str) -> Member {
    Member {
        shard: 0,
        client_id: client_id.into(),
        qos: QoS::AtMostOnce,
        retain_as_published: false,
        subscription_id: None,
        online: Arc::new(AtomicBool::new(true)),
    }
}

#[test]
fn lifecycle_events_are_heard_while_a_filter_may_match_them() {
    let directory = Directory::default();
    for deaf in ["#", "+/events/#", "$aws/rules/#", "$aws", "$share/aws/events/x"] {
        directory.add_interest(deaf, 0);
    }
    assert!(!directory.hears_events());
    for filter in ["$aws/events/presence/+/c", "$aws/#", "$aws/+/presence/connected/c"] {
        directory.add_interest(filter, 0);
        directory.add_interest(filter, 0);
        directory.add_interest(filter, 1);
        directory.join("g", filter, member("c"));
        directory.join("g", filter, member("d"));
        let tap = directory.add_tap(filter, Reach::Here, Arc::new(|_: &Arc<crate::Message>| {}));
        for shard in [0, 0, 1] {
            assert!(directory.hears_events(), "{filter}");
            directory.remove_interest(filter, shard);
        }
        assert!(directory.hears_events(), "{filter}: the group and the tap are left");
        directory.leave("g", filter, "c");
        directory.leave("g", filter, "d");
        assert!(directory.hears_events(), "{filter}: the tap is left");
        directory.remove_tap(filter, tap);
        assert!(!directory.hears_events(), "{filter}");
    }
}

#[test]
fn a_shard_hears_of_each_change_once_and_of_too_many_as_all() {
    let directory = Directory::default();
    let mut seen = 0;
    directory.add_interest("a/b", 1);
    directory.add_interest("a/b", 1);
    directory.add_interest("a/#", 0);
    let mut heard = Vec::new();
    directory.catch_up(&mut seen, |filter| heard.push(filter.map(str::to_owned)));
    assert_eq!(heard, [Some("a/b".to_owned()), Some("a/#".to_owned())]);
    directory.catch_up(&mut seen, |_| panic!("nothing has changed"));
    for n in 0..=MAX_CHANGES {
        directory.add_interest(&format!("t/{n}"), 1);
    }
    heard.clear();
    directory.catch_up(&mut seen, |filter| heard.push(filter.map(str::to_owned)));
    assert_eq!(heard, [None]);
    directory.catch_up(&mut seen, |_| panic!("nothing has changed"));
}

#[test]
fn changes_take_no_more_memory_than_they_may_however_long_their_filters_are() {
    let directory = Directory::default();
    let mut seen = 0;
    for n in 0..100 {
        directory.add_interest(&format!("{}/{n}", "a".repeat(60_000)), 1);
    }
    let changes = directory.changes.lock().unwrap();
    assert!(changes.bytes <= MAX_CHANGE_BYTES && changes.recent.len() > 10);
    drop(changes);
    let mut heard = Vec::new();
    directory.catch_up(&mut seen, |filter| heard.push(filter.map(str::to_owned)));
    assert_eq!(heard, [None]);
}

#[test]
fn only_other_shards_with_subscribers_are_elsewhere() {
    let directory = Directory::default();
    directory.add_interest("a/+", 0);
    directory.add_interest("a/b", 2);
    let at = |shard| {
        let found = directory.elsewhere("a/b", Parent::Matches, shard);
        found.shards.iter(4, shard).collect::<Vec<_>>()
    };
    assert_eq!(at(0), [2]);
    assert_eq!(at(1), [0, 2]);
    directory.remove_interest("a/b", 2);
    assert_eq!(at(1), [0]);
}
#[test]
fn a_group_that_nobody_is_left_of_is_gone() {
    let directory = Directory::default();
    let groups = || directory.elsewhere("t", Parent::Matches, 0).groups.len();
    for name in ["a", "b"] {
        directory.join("g", "t", member(name));
    }
    directory.leave("g", "t", "a");
    assert_eq!(groups(), 1);
    directory.leave("g", "t", "b");
    assert_eq!(groups(), 0);
}

#[test]
fn who_joins_a_group_as_the_last_of_it_leaves_is_a_member() {
    const ROUNDS: usize = 5_000;
    let directory = Directory::default();
    let join_and_leave = |name: &str, node: Node| {
        for _ in 0..ROUNDS {
            directory.join("g", "t", member(name));
            let group = directory.find_group("g", "t").expect("it has a member");
            assert!(group.choose_here().is_some());
            directory.leave("g", "t", name);
            directory.set_members("g", "t", node, Members { online: 1, all: 1 });
            assert!(directory.find_group("g", "t").is_some(), "it has a member elsewhere");
            directory.set_members("g", "t", node, Members::default());
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| join_and_leave("a", Node { id: 1, boot: 1 }));
        scope.spawn(|| join_and_leave("b", Node { id: 2, boot: 1 }));
    });
    assert!(directory.find_group("g", "t").is_none());
}
