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
        if !quiet {
            say(&format!("LiteRT {} into {}\n", runtime::VERSION, cache.display()));
        }
        let library = runtime::set_up(&cache).map_err(|e| vec![e.into()])?;
        print(&format!("{}\n", library.display()))
    }
}
