//! What a store promises when its process dies: this test runs itself again as the process
//! that writes, and kills it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;

use fanwire_store::{Batch, Store, StoreOptions, WriteError};

/// Where the writer's store is, and which writer is wanted. Without them the test that plays
/// the writer is one like the others.
const FOLDER: &str = "FANWIRE_STORE_TEST_FOLDER";
const ROLE: &str = "FANWIRE_STORE_TEST_ROLE";

/// Each batch writes its number to both tables, and deletes the batch this much older from
/// the second.
const KEPT: u64 = 50;

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn open(folder: &Path) -> Store {
    Store::open(folder, StoreOptions::default()).unwrap()
}

/// The keys of a table.
fn numbers(store: &Store, table: &'static str) -> BTreeMap<u64, usize> {
    let table = store.table(table).unwrap();
    let mut numbers = BTreeMap::new();
    store
        .for_each(table, &[], |key, value| {
            numbers.insert(u64::from_be_bytes(key.try_into().unwrap()), value.len());
        })
        .unwrap();
    numbers
}

/// Starts this test program as a writer, on `folder`.
fn run(role: &str, folder: &Path) -> (Child, BufReader<ChildStdout>) {
    // A file that grows beyond the limit is an error of `write` rather than a signal, for
    // the role that sets a limit.
    let program = std::env::current_exe().unwrap();
    let limit = if role == "write_until_the_disk_is_full" { "ulimit -f 4096;" } else { "" };
    let mut child = Command::new("sh")
        .args(["-c", &format!("trap '' XFSZ; {limit} exec \"$0\" \"$@\"")])
        .arg(program)
        .args(["--exact", "a_writer_that_is_left_alone_keeps_everything"])
        .args(["--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROLE, role)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// Numbers that the writer says are acknowledged.
fn acknowledged(output: &mut BufReader<ChildStdout>) -> impl Iterator<Item = u64> + '_ {
    output.lines().map_while(Result::ok).filter_map(|line| line.strip_prefix("ack ")?.parse().ok())
}

/// Checks what is left after the writer was killed: everything up to `last`, whole batches,
/// no holes.
fn check(folder: &Path, last: Option<u64>) -> u64 {
    let store = open(folder);
    let (all, recent) = (numbers(&store, "all"), numbers(&store, "recent"));
    let next = all.len() as u64;
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), (0..next).collect::<Vec<_>>());
    assert!(last.is_none_or(|last| last < next), "{last:?} was acknowledged, {next} are there");
    let expected = (next.saturating_sub(KEPT)..next).collect::<Vec<_>>();
    assert_eq!(recent.keys().copied().collect::<Vec<_>>(), expected);
    next
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut total = 0;
    for round in 0_u64..8 {
        let (mut child, mut output) = run("write_until_killed", folder.path());
        // The first rounds end it while it opens and starts, the later ones under load.
        let enough = total + [0, 1, 300, 1_500][usize::try_from(round % 4).unwrap()];
        let mut last = acknowledged(&mut output).find(|number| *number >= enough || round == 0);
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had acknowledged before it died is still in the pipe.
        last = acknowledged(&mut output).last().or(last);
        total = check(folder.path(), last);
    }
    assert!(total > 1_500, "{total}");
}

#[test]
fn a_store_killed_while_it_is_made_opens() {
    for files in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, mut output) = run("write_until_killed", folder.path());
        // A store that is made has more files than this, so that the wait ends.
        while count_files(folder.path()) < files {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let last = acknowledged(&mut output).last();
        check(folder.path(), last);
    }
}

/// How many files and folders there are below a folder.
fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| 1 + count_files(&entry.path())).sum()
}

#[test]
fn a_torn_end_of_the_journal_costs_the_last_batches_only() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, mut output) = run("write_until_killed", folder.path());
    acknowledged(&mut output).find(|number| *number >= 200);
    child.kill().unwrap();
    child.wait().unwrap();
    let written = check(folder.path(), None);
    let mut left = written;
    for torn in [1, 7, 100, 1_000] {
        tear(folder.path(), torn);
        let now = check(folder.path(), None);
        assert!(now < left && now > 0, "{torn} bytes torn: {now} of {left}");
        left = now;
    }
}

/// Cuts `bytes` from the end of the journal, and puts half of them back as zeros: what a
/// power cut may leave.
fn tear(folder: &Path, bytes: u64) {
    let journals = std::fs::read_dir(folder.join("data")).unwrap().filter_map(Result::ok);
    let journal = journals.map(|entry| entry.path()).find(|path| path.ends_with("0.jnl")).unwrap();
    let mut content = Vec::new();
    let mut file = OpenOptions::new().read(true).append(true).open(journal).unwrap();
    file.read_to_end(&mut content).unwrap();
    let end = content.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    file.set_len(end - bytes).unwrap();
    file.write_all(&vec![0; usize::try_from(bytes / 2).unwrap()]).unwrap();
}

#[test]
fn after_a_failed_write_nothing_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    // The journal's room is taken beforehand: with the limit it could not be.
    check(folder.path(), None);
    let (mut child, output) = run("write_until_the_disk_is_full", folder.path());
    let lines = output.lines().map_while(Result::ok).collect::<Vec<_>>();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    let said = |what: &str| lines.iter().any(|line| line.contains(what));
    assert!(said("refused: the store can no longer write (") && said("room: no"), "{lines:?}");
    let last = lines.iter().filter_map(|line| line.strip_prefix("ack ")?.parse().ok()).max();
    // What was acknowledged before is there, and the store works again.
    let next = check(folder.path(), last);
    let (mut child, mut output) = run("write_until_killed", folder.path());
    assert!(acknowledged(&mut output).any(|number| number > next));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The batch that writes `number`.
fn batch(store: &Store, number: u64) -> Batch {
    let (all, recent) = (store.table("all").unwrap(), store.table("recent").unwrap());
    let mut batch = Batch::new();
    // Now and then a large one, so that memory fills up and is written to files.
    let size = if number.is_multiple_of(10) { 60_000 } else { 300 };
    batch.put(all, &key(number), &vec![b'v'; size]);
    batch.put(recent, &key(number), b"");
    if let Some(old) = number.checked_sub(KEPT) {
        batch.delete(recent, &key(old));
    }
    batch
}

#[test]
fn a_writer_that_is_left_alone_keeps_everything() {
    if let (Some(folder), Some(role)) = (std::env::var_os(FOLDER), std::env::var_os(ROLE)) {
        let folder = Path::new(&folder);
        return if role == "write_until_killed" {
            write(folder, u64::MAX);
        } else {
            write_until_the_disk_is_full(folder);
        };
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 200);
    assert_eq!(check(folder.path(), Some(199)), 200);
}

/// Writes so many batches, some way ahead of the disk, as a broker is.
fn write(folder: &Path, count: u64) {
    let store = open(folder);
    let (done, written) = mpsc::channel();
    let next = numbers(&store, "all").len() as u64;
    for number in next..next.saturating_add(count) {
        let done = done.clone();
        let tell = move |result: Result<(), WriteError>| {
            result.unwrap();
            println!("ack {number}");
            let _ = done.send(());
        };
        store.commit(batch(&store, number), tell).unwrap();
        if number - next >= 32 {
            written.recv().unwrap();
        }
    }
}

fn write_until_the_disk_is_full(folder: &Path) {
    let store = open(folder);
    let mut failures = 0;
    for number in 0.. {
        let (done, written) = mpsc::channel();
        store.commit(batch(&store, number), move |result| done.send(result).unwrap()).unwrap();
        match written.recv().unwrap() {
            Ok(()) => {
                assert_eq!(failures, 0, "acknowledged after a failure");
                println!("ack {number}");
            }
            Err(error) if failures == 0 => {
                failures = 1;
                println!("refused: {error}");
            }
            Err(_) => break,
        }
        assert!(number < 1_000_000, "the limit was never met");
    }
    println!("room: {}", if store.room().is_err() { "no" } else { "yes" });
    assert!(store.flush().is_err());
}
