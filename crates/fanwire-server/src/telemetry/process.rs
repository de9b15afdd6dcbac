//! What the server's own process takes of the machine, as Linux tells (proc(5)).

use std::fs;

/// Clock ticks a second: 100 on every Linux that programs see, whatever the kernel counts in
/// (sysconf(3), `_SC_CLK_TCK`).
const TICKS: f64 = 100.0;

/// What the process takes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    pub(super) resident_bytes: u64,
    pub(super) threads: u64,
    pub(super) open_fds: u64,
    pub(super) max_fds: Option<u64>,
    pub(super) cpu_seconds: f64,
}

/// Looks. `None` where the system does not tell in this way.
pub(super) fn look() -> Option<Process> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let open_fds = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    Some(Process {
        resident_bytes: of_status(&status, "VmRSS:")? * 1024,
        threads: of_status(&status, "Threads:")?,
        // One of them is the folder that was just read.
        open_fds: open_fds.saturating_sub(1),
        max_fds: max_fds(&limits),
        cpu_seconds: cpu_seconds(&stat)?,
    })
}

/// The number in a line of `/proc/self/status`.
fn of_status(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time: fields 14 and 15, counted from the end of the name, which may have
/// anything in it.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

/// The soft limit. `None` where there is none.
fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_strange_name_is_understood() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 150 0 0 20 0 9 0 100 1 2";
        assert_eq!(cpu_seconds(stat), Some(4.0));
        assert_eq!(of_status("Name:\tx\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(max_fds("Max open files            1024   524288   files\n"), Some(1024));
        assert_eq!(max_fds("Max open files            unlimited  unlimited  files\n"), None);
    }
}
