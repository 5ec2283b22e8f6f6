//! `edgewright setup`: the pinned LiteRT library, fetched by its hash.

use clap::Args;

use crate::outcome::{Outcome, print, say};
use crate::place;

/// Fetch the pinned LiteRT library.
#[derive(Args)]
pub(crate) struct Setup {}

impl Setup {
    pub(crate) fn run(self, quiet: bool) -> Outcome {
        let cache = place::cache()?;
        let there = runtime::set_up_before(&cache).is_some();
        if !quiet {
            let how = if there { "is already there:" } else { "into" };
            say(&format!("LiteRT {} {how} {}\n", runtime::VERSION, cache.display()));
        }
        let library = runtime::set_up(&cache).map_err(|e| vec![e.into()])?;
        print(&format!("{}\n", library.display()))
    }
}
