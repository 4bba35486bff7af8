//! The real binary on real servers, struck down hundreds of times at every kind of moment: nothing may be lost, nothing
//! doubled.
//!
//! `POSTROOM_KILLS` says how often, `POSTROOM_SEED` from which seed everything random is drawn: a failure names them.
//! What the clock makes of it is another matter, so a failure may take several goes to come back. With `--nocapture` a
//! summary is printed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed setup step is a failed test"
)]

mod arrivals;
mod figures;
mod mail;
mod plan;
mod rig;
mod run;
mod steps;
mod verdict;

use std::time::{Duration, Instant};

use devstack::Chance;
use futures_util::{StreamExt, stream};

use crate::figures::Figures;

/// No step of a run takes this long, not even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// How often the worker is struck down when nothing else is said.
const KILLS: usize = 300;

/// The most kills in one run: what is wrong is then found near where it happened.
const RUN: usize = 75;

/// How many runs go on at once: a worker waits more than it works.
const AT_ONCE: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn killed_hundreds_of_times_it_loses_and_doubles_nothing() {
    let seed = setting("POSTROOM_SEED").unwrap_or_else(Chance::fresh_seed);
    let kills = setting("POSTROOM_KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap());
    let started = Instant::now();
    let mut seeds = Chance::of(seed);
    // The first run has the seed itself, so that any run can be made alone by its own.
    let runs: Vec<(u64, usize)> = (0..kills.div_ceil(RUN))
        .map(|run| (if run == 0 { seed } else { seeds.draw() }, RUN.min(kills - run * RUN)))
        .collect();

    let mut figures = Figures::default();
    let mut wrong = Vec::new();
    let mut ended = stream::iter(runs)
        .map(|(seed, kills)| async move { (seed, kills, run::run(seed, kills).await) })
        .buffer_unordered(AT_ONCE);
    while let Some((seed, kills, outcome)) = ended.next().await {
        match outcome {
            Ok(run) => figures.add(run),
            Err(error) => {
                wrong.push(format!("POSTROOM_SEED={seed} POSTROOM_KILLS={kills}:\n{error:#}"));
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    println!("seed {seed}, {:.0?}\n{figures}", started.elapsed());
}

/// A number in the environment.
fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is to be a number")))
}
