//! What is being done, on standard error: one line that changes on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use crate::outcome::{say, watched};

/// Tells what stage a long work is in.
pub(crate) struct Progress {
    quiet: bool,
    live: bool,
    started: Instant,
    shown: Option<Instant>,
}

/// Work that is over sooner than this says nothing on a terminal.
const PATIENCE: Duration = Duration::from_millis(300);

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        Progress { quiet, live: watched(), started: Instant::now(), shown: None }
    }

    /// A stage begins.
    pub(crate) fn stage(&mut self, what: &str) {
        if self.quiet {
            return;
        }
        if self.live {
            self.line(what, false);
        } else {
            say(&format!("{what}\n"));
        }
    }

    /// A stage goes on; told a few times a second, and on a terminal only.
    pub(crate) fn tick(&mut self, what: impl FnOnce() -> String) {
        let due = self.shown.is_none_or(|at| at.elapsed() > Duration::from_millis(100));
        if self.quiet || !self.live || !due {
            return;
        }
        let what = what();
        self.line(&what, true);
    }

    /// Clears the line.
    pub(crate) fn finish(&mut self) {
        if self.shown.take().is_some() {
            say("\r\x1b[K");
        }
    }

    fn line(&mut self, what: &str, now: bool) {
        if !now && self.started.elapsed() < PATIENCE {
            return;
        }
        let memory = resident().map(|mb| format!("  {mb} MB resident")).unwrap_or_default();
        say(&format!("\r\x1b[K{what}{memory}"));
        self.shown = Some(Instant::now());
    }
}

/// This process's resident memory in MB, where the system tells.
pub(crate) fn resident() -> Option<u64> {
    status("VmRSS:")
}

/// The most resident memory this process has had, in MB, where the system tells.
pub(crate) fn peak() -> Option<u64> {
    status("VmHWM:")
}

fn status(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|l| l.starts_with(key))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
