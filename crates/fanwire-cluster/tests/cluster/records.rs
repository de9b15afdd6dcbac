//! What outlives nodes and NATS's own process.

use fanwire_cluster::fixture::NatsServer;
use fanwire_cluster::{Change, Expected, Key, Record, RecordsError, State, Write, limits};

use crate::{nodes, soon, state};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_written_together_loaded_by_prefix_and_survive_the_server() {
    let mut server = NatsServer::start().await;
    let [a, b] = nodes(&server).await;
    let records = a.records("sessions").await.unwrap();
    let client = |id: &[u8]| Key::new("s").child(id);
    let mut writes = Vec::new();
    for number in 0..1_000u32 {
        let key = client(b"odd id. *\xff").child(number.to_be_bytes());
        writes.push(Write::put(key, number.to_string()));
    }
    writes.push(Write::put(client(b"odd id").child("0"), "another's"));
    records.write_all(writes).await.unwrap();
    let some = (0..500u32).map(|n| Write::delete(client(b"odd id. *\xff").child(n.to_be_bytes())));
    records.write_all(some.collect()).await.unwrap();
    server.restart().await;
    state(&b, State::Joined).await;
    let records = b.records("sessions").await.unwrap();
    let loaded = records.load(Some(&client(b"odd id. *\xff"))).await.unwrap();
    let values: Vec<_> = loaded.iter().map(|record| record.value.clone()).collect();
    assert_eq!(values, (500..1_000).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(loaded[0].key.parts().last().unwrap().unwrap(), 500u32.to_be_bytes());
    assert_eq!(records.load(None).await.unwrap().len(), 501);
    assert!(records.load(Some(&client(b"nobody"))).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_writes_than_may_be_unconfirmed_at_once_do_not_hold_each_other_up() {
    let server = NatsServer::start().await;
    let [a, _] = nodes(&server).await;
    let records = a.records("sessions").await.unwrap();
    let writes = |of: &'static str| {
        let key = move |number: usize| Key::new(of).child(number.to_string());
        (0..2 * limits::WRITES_AT_ONCE)
            .map(move |number| Write::put(key(number), "value"))
            .collect()
    };
    // Nor does one writer another, which might renew a lease.
    let (one, other) = tokio::join!(records.write(writes("one")), records.write(writes("other")));
    let confirmed = one.iter().chain(&other).filter(|written| written.is_ok()).count();
    assert_eq!(confirmed, 4 * limits::WRITES_AT_ONCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_has_a_life_ends_with_it() {
    let server = NatsServer::start().await;
    let [a] = nodes(&server).await;
    let records = a.records("retained").await.unwrap();
    let (short, long) = (Key::new("short"), Key::new("long"));
    let life = Some(std::time::Duration::from_secs(1));
    let writes = vec![
        Write { life, ..Write::put(short.clone(), "x") },
        Write { life, ..Write::put(long.clone(), "x") },
        Write::put(long.clone(), "newer"),
    ];
    records.write_all(writes).await.unwrap();
    soon("its end", async { while records.get(&short).await != Ok(None) {} }).await;
    assert_eq!(records.get(&long).await.unwrap().unwrap().value, "newer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_want_a_record_one_gets_it() {
    let server = NatsServer::start().await;
    let [a, b] = nodes(&server).await;
    let (of_a, of_b) = (a.records("owners").await.unwrap(), b.records("owners").await.unwrap());
    let key = Key::new("client");
    let (first, second) = tokio::join!(of_a.create(&key, "a"), of_b.create(&key, "b"));
    assert_ne!(first.is_ok(), second.is_ok());
    assert!([&first, &second].contains(&&Err(RecordsError::Conflict)));
    let revision = first.or(second).unwrap();
    let next = of_b.update(&key, "next", revision).await.unwrap();
    assert_eq!(of_a.update(&key, "late", revision).await, Err(RecordsError::Conflict));
    let late = of_a.delete(&key, Expected::Revision(revision)).await;
    assert_eq!(late, Err(RecordsError::Conflict));
    assert_eq!(of_a.get(&key).await.unwrap().unwrap().value, "next");
    of_a.delete(&key, Expected::Revision(next)).await.unwrap();
    assert_eq!(of_b.get(&key).await, Ok(None));
    of_b.create(&key, "again").await.unwrap();
    let refused = of_a.write(vec![
        Write { expected: Expected::Revision(1), ..Write::delete(key.clone()) },
        Write::put(Key::new("other"), "x"),
    ]);
    let refused = refused.await;
    assert_eq!(refused[0], Err(RecordsError::Conflict));
    assert!(refused[1].is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_tells_what_is_there_and_what_changes_also_across_a_restart() {
    let mut server = NatsServer::start().await;
    let [a] = nodes(&server).await;
    let records = a.records("retained").await.unwrap();
    let key = |name: &str| Key::new("r").child(name);
    records.put(&key("one"), "1").await.unwrap();
    records.put(&Key::new("elsewhere").child("x"), "0").await.unwrap();
    let mut watch = records.watch(Some(&Key::new("r"))).await.unwrap();
    let put = |change: Change| match change {
        Change::Put(record) => (record.key, record.value),
        other => panic!("{other:?}"),
    };
    assert_eq!(put(soon("what is there", watch.next()).await), (key("one"), "1".into()));
    assert_eq!(soon("the end of it", watch.next()).await, Change::Current);
    records.put(&key("two"), "2").await.unwrap();
    assert_eq!(put(soon("a change", watch.next()).await), (key("two"), "2".into()));
    server.restart().await;
    soon("NATS", async {
        while records.put(&key("three"), "3").await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    loop {
        // What was told may be told once more.
        if put(soon("a change after", watch.next()).await).0 == key("three") {
            break;
        }
    }
    records.delete(&key("one"), Expected::Anything).await.unwrap();
    soon("the deletion", async {
        while !matches!(watch.next().await, Change::Deleted(gone, _) if gone == key("one")) {}
    })
    .await;
    let mut nothing = records.watch(Some(&Key::new("nothing"))).await.unwrap();
    assert_eq!(soon("nothing", nothing.next()).await, Change::Current);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nats_is_away_records_say_so() {
    let mut server = NatsServer::start().await;
    let [a] = nodes(&server).await;
    let records = a.records("sessions").await.unwrap();
    server.kill().await;
    state(&a, State::Away).await;
    let written = records.put(&Key::new("x"), "x").await;
    assert_eq!(written, Err(RecordsError::Away));
    assert!(records.load(None).await.is_err());
    server.restart().await;
    state(&a, State::Joined).await;
    records.put(&Key::new("x"), "x").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_written_and_watched_again_after_nats_has_lost_everything() {
    let mut server = NatsServer::start().await;
    let [a] = nodes(&server).await;
    let before = a.me();
    let records = a.records("retained").await.unwrap();
    for number in 0..10 {
        records.put(&Key::new("old").child(number.to_string()), "x").await.unwrap();
    }
    let mut watch = records.watch(None).await.unwrap();
    while soon("what is there", watch.next()).await != Change::Current {}
    server.lose_everything().await;
    let mut who = a.state();
    soon("a new place", async {
        while a.me() == before || a.me().is_none() {
            who.changed().await.unwrap();
        }
    })
    .await;
    let key = Key::new("new");
    let revision = records.put(&key, "value").await.unwrap();
    assert!(revision < 10);
    let seen = soon("what is written now", watch.next()).await;
    assert_eq!(seen, Change::Put(Record { key, value: "value".into(), revision }));
}
