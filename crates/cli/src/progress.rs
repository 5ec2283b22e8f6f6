//! What is being done, on standard error: one line that changes on a terminal, plain lines elsewhere.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::outcome::{say, watched};

/// Tells what stage a long work is in.
pub(crate) struct Progress {
    quiet: bool,
    live: bool,
    started: Instant,
    shown: Option<Instant>,
    reminder: Option<Reminder>,
}

/// Work that is over sooner than this says nothing on a terminal.
const PATIENCE: Duration = Duration::from_millis(300);

/// Where no terminal shows it, a stage is told again each time that it has gone on for so long.
const INTERVAL: Duration = Duration::from_secs(10);

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        Progress { quiet, live: watched(), started: Instant::now(), shown: None, reminder: None }
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
            self.reminder = Some(Reminder::new(what.into(), INTERVAL, |line| say(&line)));
        }
    }

    /// A stage goes on; told a few times a second on a terminal, and with the next reminder elsewhere.
    pub(crate) fn tick(&mut self, what: impl FnOnce() -> String) {
        let due = self.shown.is_none_or(|at| at.elapsed() > Duration::from_millis(100));
        if self.quiet || !due {
            return;
        }
        match &self.reminder {
            Some(reminder) => {
                reminder.now(what());
                self.shown = Some(Instant::now());
            }
            None if self.live => self.line(&what(), true),
            None => {}
        }
    }

    /// Clears the line.
    pub(crate) fn finish(&mut self) {
        if self.reminder.take().is_some() {
            self.shown = None;
        }
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

/// A thread that tells again and again what is being done, until it is dropped.
struct Reminder {
    what: Arc<Mutex<String>>,
    _until: Sender<()>,
}

impl Reminder {
    fn new(what: String, interval: Duration, tell: impl Fn(String) + Send + 'static) -> Self {
        let (until, over): (Sender<()>, Receiver<()>) = channel();
        let what = Arc::new(Mutex::new(what));
        let (shared, started) = (Arc::clone(&what), Instant::now());
        thread::spawn(move || {
            while over.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let what = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                tell(format!("{what}, for {} s\n", started.elapsed().as_secs()));
            }
        });
        Reminder { what, _until: until }
    }

    /// Something else is being done.
    fn now(&self, what: String) {
        *self.what.lock().unwrap_or_else(PoisonError::into_inner) = what;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reminder_comes_again_until_it_is_dropped() {
        let (said, heard) = channel();
        let reminder =
            Reminder::new("reading".into(), Duration::from_millis(5), move |line| drop(said.send(line)));
        assert_eq!(heard.recv().as_deref(), Ok("reading, for 0 s\n"));
        reminder.now("writing".into());
        assert!(heard.iter().any(|line| line.starts_with("writing, for ")));
        drop(reminder);
        // The thread ends, and with it what it tells.
        assert!(heard.iter().count() < 1000);
    }
}
