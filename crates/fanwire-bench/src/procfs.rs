//! What a process has spent and holds, read from `/proc` (proc(5)).

use std::fs;
use std::time::Duration;

use crate::Result;

/// Clock ticks a second in `/proc/PID/stat`: fixed in Linux's ABI.
const USER_HZ: u64 = 100;

/// The fields of `/proc/PID/stat` that are used here.
struct Stat {
    parent: u32,
    cpu: Duration,
}

/// User and system time of all threads of a process, those that ended included.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    Ok(stat(pid).ok_or_else(|| format!("process {pid} is gone"))?.cpu)
}

/// User and system time of the processes that a process has started, and those that
/// they have.
pub(crate) fn cpu_of_descendants(pid: u32) -> Result<Duration> {
    let mut stats = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok())
            && let Some(stat) = stat(pid)
        {
            stats.push((pid, stat));
        }
    }
    let mut family = vec![pid];
    let mut total = Duration::ZERO;
    let mut seen = 0;
    while let Some(&parent) = family.get(seen) {
        seen += 1;
        for (pid, stat) in stats.iter().filter(|(_, stat)| stat.parent == parent) {
            family.push(*pid);
            total += stat.cpu;
        }
    }
    Ok(total)
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let rollup = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let kilobytes = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .ok_or_else(|| format!("{path} has no Rss"))?;
    Ok(kilobytes * 1024)
}

fn stat(pid: u32) -> Option<Stat> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name, may hold spaces; it ends at the last `)`.
    let (_, rest) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |nth: usize| fields.get(nth)?.parse::<u64>().ok();
    // Fields 4, 14 and 15 of the whole line.
    let parent = fields.get(1)?.parse().ok()?;
    let cpu = Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / USER_HZ);
    Some(Stat { parent, cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_a_parent() {
        let pid = std::process::id();
        assert!(resident(pid).unwrap() > 100_000);
        assert_eq!(stat(pid).unwrap().parent, std::os::unix::process::parent_id());
    }

    #[test]
    fn a_process_that_is_not_there_is_said_to_be_gone() {
        assert!(cpu(u32::MAX).is_err());
    }
}
