//! What topic filters and retained topics take of the heap. Run with `--nocapture` for the
//! figures, and with `--release` for times as in the program.

#![expect(clippy::print_stdout, reason = "the figures are for people")]

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Instant;

use fanwire_realtime::topic::{Parent, TopicIndex, TopicMap};

#[global_allocator]
static HEAP: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// Two lists, as the broker has them for each filter.
type Value = [u64; 6];

/// A count between the powers of two at which tables grow, so that what they have in
/// reserve is neither the least nor the most.
const FILTERS: usize = 150_000;

/// Bytes for each of `FILTERS`, beside their text.
fn measure<T>(what: &str, text: impl Fn(usize) -> String, build: impl FnOnce() -> T) -> (T, f64) {
    let text: usize = (0..FILTERS).map(|nth| text(nth).len()).sum();
    let before = HEAP.current_usage();
    let built = build();
    let each = (HEAP.current_usage() - before - text) as f64 / FILTERS as f64;
    println!("{what}: {each:.1} bytes each, beside {} of text", text / FILTERS);
    (built, each)
}

fn index_of(filter: impl Fn(usize) -> String) -> TopicIndex<Value> {
    let mut index = TopicIndex::<Value>::new();
    for nth in 0..FILTERS {
        index.get_or_default(&filter(nth))[0] = 1;
    }
    index
}

/// Nanoseconds for one of many.
fn time(what: &str, mut once: impl FnMut(usize)) {
    const TIMES: usize = 200_000;
    let started = Instant::now();
    (0..TIMES).for_each(&mut once);
    println!("{what}: {} ns", started.elapsed().as_nanos() / TIMES as u128);
}

// One test: the allocator counts for the whole process.
#[test]
fn a_filter_or_name_takes_less_than_150_bytes_beside_its_text() {
    let exact = |nth| format!("home/{}/floor/{}/room/{nth}/sensor/temperature", nth % 7, nth % 3);
    let wild = |nth| format!("home/{}/floor/{}/room/{nth}/sensor/+", nth % 7, nth % 3);

    let count = |value: &Value| _ = black_box(value);
    let (mut index, each) = measure("exact filters", exact, || index_of(exact));
    assert!(each < 150.0, "{each}");
    time("match of 8 levels with exact filters", |nth| {
        let name = exact(nth % FILTERS);
        index.matches(&name, Parent::Matches, count);
    });
    *index.get_or_default("home/+/floor/#") = Value::default();
    time("the same with a wildcard beside them", |nth| {
        let name = exact(nth % FILTERS);
        index.matches(&name, Parent::Matches, count);
    });
    let before = HEAP.current_usage();
    for nth in 0..FILTERS {
        assert!(index.remove(&exact(nth)).is_some());
    }
    assert!(before - HEAP.current_usage() > FILTERS * 100, "memory returns");
    drop(index);

    let (mut index, each) = measure("filters with wildcards", wild, || index_of(wild));
    assert!(each < 150.0, "{each}");
    time("match of 8 levels with wildcards", |nth| {
        let name = exact(nth % FILTERS);
        index.matches(&name, Parent::Matches, count);
    });
    let before = HEAP.current_usage();
    for nth in 0..FILTERS - 1 {
        assert!(index.remove(&wild(nth)).is_some());
    }
    assert!(before - HEAP.current_usage() > FILTERS * 100, "memory returns");
    drop(index);

    let (map, each) = measure("names", exact, || {
        let mut map = TopicMap::new();
        for nth in 0..FILTERS {
            map.insert(exact(nth), Value::default());
        }
        map
    });
    assert!(each < 150.0, "{each}");
    time("find of a name", |nth| {
        map.find(&exact(nth % FILTERS), Parent::Matches, |_, value| {
            black_box(value);
            ControlFlow::Continue(())
        });
    });
    let started = Instant::now();
    let mut found = 0;
    map.find("home/+/floor/+/room/+/sensor/temperature", Parent::Matches, |_, _| {
        found += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(found, FILTERS);
    println!("find of all {FILTERS} names by levels: {} ms", started.elapsed().as_millis());
}
