//! The watchdog: a tiny process that ends the host's functions if the host is killed.
//!
//! Our own bootstraps end by themselves when their channel closes; a `Command` function,
//! and what any function started, need not. So the host tells a second process, line by
//! line, which process groups there are. That process does nothing but read; when the
//! pipe ends, however the host ended, it kills the groups that are left.

use std::collections::HashSet;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::options::CommandLine;

/// The host's end: the watchdog process, and what it was told.
pub(crate) struct Watchdog {
    command: CommandLine,
    state: Mutex<State>,
}

struct State {
    child: Child,
    pipe: Option<ChildStdin>,
    groups: HashSet<u32>,
}

impl Watchdog {
    /// Starts the watchdog, in a process group of its own so that a terminal's Ctrl-C
    /// does not reach it.
    pub(crate) fn start(command: CommandLine) -> io::Result<Self> {
        let (child, pipe) = spawn(&command)?;
        let state = State { child, pipe: Some(pipe), groups: HashSet::new() };
        Ok(Self { command, state: Mutex::new(state) })
    }

    /// From now on the group ends with the host.
    pub(crate) fn watch(&self, group: u32) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.groups.insert(group);
        self.tell(&mut state, &format!("+{group}\n"));
    }

    /// The group is gone.
    pub(crate) fn forget(&self, group: u32) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.groups.remove(&group);
        self.tell(&mut state, &format!("-{group}\n"));
    }

    /// Writes one line. A watchdog that somebody killed is started again, once a line,
    /// and told of every group.
    fn tell(&self, state: &mut State, line: &str) {
        let written = state.pipe.as_mut().map(|pipe| pipe.write_all(line.as_bytes()));
        if matches!(written, Some(Ok(()))) {
            return;
        }
        let _ = state.child.wait();
        let Ok((child, mut pipe)) = spawn(&self.command) else {
            state.pipe = None;
            return;
        };
        for group in &state.groups {
            // If this fails too, the next line starts over.
            let _ = writeln!(pipe, "+{group}");
        }
        state.child = child;
        state.pipe = Some(pipe);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.pipe = None;
        let _ = state.child.wait();
    }
}

fn spawn(command: &CommandLine) -> io::Result<(Child, ChildStdin)> {
    let mut child = Command::new(&command.program)
        .args(&command.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .process_group(0)
        .spawn()?;
    let pipe = child.stdin.take().ok_or_else(|| io::Error::other("the watchdog has no pipe"))?;
    Ok((child, pipe))
}

/// What the watchdog process does: reads `+GROUP` and `-GROUP` lines from standard
/// input, and at its end kills the groups that are left. Returns when that is done: the
/// program that calls it should then end with status 0.
///
/// It is in a process group of its own, so a terminal's Ctrl-C does not reach it; and
/// it holds nothing but the pipe, so the host can end at any moment in any way.
pub fn main() {
    let mut groups = HashSet::new();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        apply(&mut groups, &line);
    }
    for group in groups {
        if let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn apply(groups: &mut HashSet<u32>, line: &str) {
    match (line.get(..1), line.get(1..).and_then(|group| group.parse::<u32>().ok())) {
        // Group 1 would be every process of the machine, 0 our own group.
        (Some("+"), Some(group)) if group > 1 => {
            groups.insert(group);
        }
        (Some("-"), Some(group)) => {
            groups.remove(&group);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_that_were_added_and_not_removed_are_left() {
        let mut groups = HashSet::new();
        for line in ["+12", "+13", "-12", "+1", "+0", "+", "", "é", "+x", "-99"] {
            apply(&mut groups, line);
        }
        assert_eq!(groups, HashSet::from([13]));
    }
}
