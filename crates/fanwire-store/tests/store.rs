//! What a store promises while its process lives.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fanwire_store::{
    Batch, Durability, Holder, NoRoom, Refused, Store, StoreError, StoreOptions, Table, holder,
};

fn open(folder: &Path) -> Store {
    Store::open(folder, StoreOptions::default()).unwrap()
}

fn put(table: Table, key: &str, value: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(table, key.as_bytes(), value.as_bytes());
    batch
}

fn read(store: &Store, table: Table, prefix: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    store
        .for_each(table, prefix.as_bytes(), |key, value| pairs.push((text(key), text(value))))
        .unwrap();
    pairs
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Keeps the store's thread busy until the sender is dropped.
fn hold(store: &Store) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (started, begun) = mpsc::channel();
    store
        .commit(Batch::new(), move |_| {
            started.send(()).unwrap();
            let _ = held.recv();
        })
        .unwrap();
    begun.recv().unwrap();
    release
}

#[test]
fn what_was_committed_is_there_when_the_store_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = open(folder.path());
        let (topics, sessions) = (store.table("topics").unwrap(), store.table("sessions").unwrap());
        assert_eq!(store.table("topics").unwrap(), topics);
        let mut batch = put(topics, "b", "2");
        batch.put(topics, b"a", b"1");
        batch.put(sessions, b"a", b"other table");
        store.commit(batch, |result| result.unwrap()).unwrap();
        // Not flushed: closing has to do it.
    }
    let store = open(folder.path());
    // Tables are found by name, not by the order in which they are asked for.
    let (sessions, topics) = (store.table("sessions").unwrap(), store.table("topics").unwrap());
    assert_eq!(read(&store, topics, ""), pairs(&[("a", "1"), ("b", "2")]));
    assert_eq!(read(&store, sessions, ""), pairs(&[("a", "other table")]));
}

#[test]
fn a_prefix_finds_its_keys_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let table = store.table("t").unwrap();
    let mut batch = Batch::new();
    for key in ["a/2", "b", "a", "a/1", "a0"] {
        batch.put(table, key.as_bytes(), b"");
    }
    store.commit(batch, |_| {}).unwrap();
    store.flush().unwrap();
    assert_eq!(read(&store, table, "a/"), pairs(&[("a/1", ""), ("a/2", "")]));
}

#[test]
fn the_last_change_of_a_key_counts_within_a_batch_and_a_group() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let table = store.table("t").unwrap();
    let release = hold(&store);
    let mut batch = put(table, "twice", "1");
    batch.put(table, b"twice", b"2");
    batch.put(table, b"gone", b"1");
    batch.delete(table, b"gone");
    batch.delete(table, b"back");
    batch.put(table, b"back", b"1");
    store.commit(batch, |_| {}).unwrap();
    store.commit(put(table, "later", "1"), |_| {}).unwrap();
    store.commit(put(table, "later", "2"), |_| {}).unwrap();
    drop(release);
    store.flush().unwrap();
    let expected = pairs(&[("back", "1"), ("later", "2"), ("twice", "2")]);
    assert_eq!(read(&store, table, ""), expected);
    drop(store);
    let store = open(folder.path());
    let table = store.table("t").unwrap();
    assert_eq!(read(&store, table, ""), expected);
}

#[test]
fn what_waits_is_written_as_one_group_and_called_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let table = store.table("t").unwrap();
    let release = hold(&store);
    let before = store.stats();
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..100 {
        let order = Arc::clone(&order);
        let done = move |result: Result<(), _>| {
            result.unwrap();
            order.lock().unwrap().push(number);
        };
        store.commit(put(table, &format!("{number:03}"), "v"), done).unwrap();
    }
    let (done, last) = mpsc::channel();
    store.commit(Batch::new(), move |result| done.send(result).unwrap()).unwrap();
    drop(release);
    last.recv().unwrap().unwrap();
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
    let after = store.stats();
    assert_eq!((after.batches - before.batches, after.groups - before.groups), (101, 1));
    assert_eq!(read(&store, table, "").len(), 100);
}

#[test]
fn a_full_store_gives_the_batch_back_and_takes_it_later() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions { max_waiting_bytes: 1000, ..StoreOptions::default() };
    let store = Store::open(folder.path(), options).unwrap();
    let table = store.table("t").unwrap();
    let release = hold(&store);
    store.commit(put(table, "a", &"x".repeat(700)), |_| {}).unwrap();
    assert!(matches!(store.room(), Err(NoRoom::Busy)));
    let refused = store.commit(put(table, "b", &"x".repeat(700)), |_| panic!("not taken"));
    let Err(Refused::Full(batch)) = refused else { panic!("{refused:?}") };
    drop(release);
    store.flush().unwrap();
    store.room().unwrap();
    store.commit(batch, |_| {}).unwrap();
    // Larger than all that may wait: alone it gets through.
    store.flush().unwrap();
    store.commit(put(table, "c", &"x".repeat(5000)), |_| {}).unwrap();
    store.flush().unwrap();
    assert_eq!(read(&store, table, "").len(), 3);
    assert_eq!(store.stats().waiting_bytes, 0);
}

#[test]
fn keys_that_the_engine_cannot_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let table = store.table("t").unwrap();
    for size in [0, 65_536] {
        let batch = put(table, &"k".repeat(size), "v");
        assert!(!batch.fits() && !batch.is_empty());
        let refused = store.commit(batch, |_| panic!("not taken"));
        assert!(matches!(refused, Err(Refused::Size { key, value: 1 }) if key == size));
    }
    store.commit(put(table, &"k".repeat(65_535), "v"), |_| {}).unwrap();
    store.flush().unwrap();
    assert_eq!(read(&store, table, "").len(), 1);
}

#[test]
fn a_callback_that_panics_takes_nothing_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let table = store.table("t").unwrap();
    store.commit(put(table, "a", "1"), |_| panic!("as it should")).unwrap();
    store.commit(put(table, "b", "2"), |_| {}).unwrap();
    store.flush().unwrap();
    assert_eq!(read(&store, table, ""), pairs(&[("a", "1"), ("b", "2")]));
}

#[test]
fn a_store_that_is_open_is_not_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(holder(folder.path()), None);
    let store = open(folder.path());
    let error = Store::open(folder.path(), StoreOptions::default()).unwrap_err();
    let StoreError::InUse { owner, .. } = &error else { panic!("{error}") };
    assert_eq!(*owner, Some(std::process::id()));
    assert!(error.to_string().contains("is in use by process"), "{error}");
    assert_eq!(holder(folder.path()), Some(Holder { pid: Some(std::process::id()) }));
    drop(store);
    assert_eq!(holder(folder.path()), None);
    open(folder.path());
}

#[test]
fn a_handle_dropped_by_a_callback_closes_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let release = hold(&store);
    let last = store.clone();
    store.commit(Batch::new(), move |_| drop(last)).unwrap();
    drop(store);
    drop(release);
    // The thread closes by itself, some time after the callback.
    wait("the store to close", || match Store::open(folder.path(), StoreOptions::default()) {
        Err(StoreError::InUse { .. }) => false,
        opened => opened.is_ok(),
    });
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    std::fs::write(folder.path().join("FORMAT"), "2\n").unwrap();
    let error = Store::open(folder.path(), StoreOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error}");
    std::fs::write(folder.path().join("FORMAT"), "x").unwrap();
    let error = Store::open(folder.path(), StoreOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_store_whose_making_was_cut_short_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    // What the engine has written when it is killed just before its marker has content.
    std::fs::create_dir_all(folder.path().join("data/keyspaces")).unwrap();
    for file in ["0.jnl", "version", "lock"] {
        std::fs::write(folder.path().join("data").join(file), "").unwrap();
    }
    let store = open(folder.path());
    let table = store.table("t").unwrap();
    store.commit(put(table, "a", "1"), |_| {}).unwrap();
    drop(store);
    let store = open(folder.path());
    let table = store.table("t").unwrap();
    assert_eq!(read(&store, table, ""), pairs(&[("a", "1")]));
}

#[test]
fn a_damaged_store_is_an_error_and_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = open(folder.path());
        store.table("t").unwrap();
    }
    std::fs::write(folder.path().join("data/version"), "not a marker").unwrap();
    let error = Store::open(folder.path(), StoreOptions::default()).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
}

#[test]
fn every_durability_writes() {
    let often = Durability::Power { every: Duration::from_millis(1) };
    for durability in [Durability::Process, often, Durability::Always] {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions { durability, ..StoreOptions::default() };
        let store = Store::open(folder.path(), options).unwrap();
        let table = store.table("t").unwrap();
        let (done, acknowledged) = mpsc::channel();
        for number in 0..20 {
            let done = done.clone();
            let batch = put(table, &format!("{number:02}"), "v");
            store.commit(batch, move |result| done.send(result).unwrap()).unwrap();
            acknowledged.recv().unwrap().unwrap();
        }
        drop(store);
        let store = open(folder.path());
        let table = store.table("t").unwrap();
        assert_eq!(read(&store, table, "").len(), 20, "{durability:?}");
    }
}

#[test]
fn memory_and_files_turn_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let table = store.table("t").unwrap();
    // Several memtables' worth, written and deleted, so that tables are written and merged.
    let value = "v".repeat(16 * 1024);
    for round in 0..4 {
        for number in 0..400 {
            store.commit(put(table, &format!("{round}/{number:04}"), &value), |_| {}).unwrap();
        }
        let mut batch = Batch::new();
        for number in 1..400 {
            batch.delete(table, format!("{round}/{number:04}").as_bytes());
        }
        store.commit(batch, |_| {}).unwrap();
    }
    store.flush().unwrap();
    assert_eq!(read(&store, table, "").len(), 4);
    drop(store);
    let store = open(folder.path());
    let table = store.table("t").unwrap();
    assert_eq!(read(&store, table, "").len(), 4);
    assert!(store.stats().disk_bytes > 0);
}

#[test]
fn a_full_disk_has_room_again_once_enough_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    // The journal alone takes 64 MB.
    let options = StoreOptions { max_disk_bytes: 80 << 20, ..StoreOptions::default() };
    let store = Store::open(folder.path(), options).unwrap();
    let table = store.table("t").unwrap();
    let value = "v".repeat(8 * 1024);
    let mut keys = Vec::new();
    wait("the disk to be full", || {
        for _ in 0..100 {
            keys.push(format!("{:06}", keys.len()));
            store.commit(put(table, keys.last().unwrap(), &value), |_| {}).unwrap();
        }
        store.flush().unwrap();
        matches!(store.room(), Err(NoRoom::Disk { limit, .. }) if limit == 80 << 20)
    });
    let mut batch = Batch::new();
    keys.iter().for_each(|key| batch.delete(table, key.as_bytes()));
    store.commit(batch, |_| {}).unwrap();
    wait("room", || {
        store.commit(put(table, "a", "1"), |_| {}).unwrap();
        store.flush().unwrap();
        store.room().is_ok()
    });
    assert_eq!(read(&store, table, ""), pairs(&[("a", "1")]));
}

/// Tries until it is so. What the store does on its own is not told to anybody.
fn wait(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < end, "waited too long for {what}");
        std::thread::yield_now();
    }
}
