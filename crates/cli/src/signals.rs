//! What a signal that ends the process leaves: nothing that is unfinished.

use std::fs;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// From now on a signal that asks the process to end first has unfinished files removed. It ends by the signal, as its
/// parent then sees.
pub(crate) fn watch() {
    let ignored = ignored();
    let heeded = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| match ignored {
        Some(mask) => mask >> (signal - 1) & 1 == 0,
        // Where it is not known what `nohup` asked for, a hangup is left to it.
        None => signal != SIGHUP,
    });
    // Without the watch a signal ends the process as it always does.
    let Ok(mut signals) = Signals::new(heeded) else { return };
    thread::spawn(move || {
        for signal in signals.forever() {
            files::abandon(|| {
                let _ = emulate_default_handler(signal);
            });
        }
    });
}

/// The signals that this process was started to ignore, as bits from the lowest, where the system tells.
fn ignored() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}
