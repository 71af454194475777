//! The ratios that benchmarks measure, beside those that are committed in `tests/figures/committed.toml`.
//!
//! A ratio of two things that were measured in one run says the same on every machine, more or less; a time does not.
//! A benchmark tells each of its ratios to [`Figures`], which prints it beside the committed one. A ratio that is worse
//! by more than [`TOLERANCE`] fails the run. `cargo figures` runs these benchmarks; with `UPDATE_FIGURES=1` in the
//! environment it notes what it measures instead.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use toml::Table;

/// How much worse than the committed one a ratio may be: 15 %. Two runs on a shared machine differ by less.
pub const TOLERANCE: f64 = 0.15;

/// Which ratios are good.
#[derive(Clone, Copy, Debug)]
pub enum Better {
    /// Small ones: a time, or a size.
    Less,
    /// Large ones: a speed.
    More,
}

impl Better {
    /// By how much `measured` is worse than `committed`: 0.2 is 20 %, and what is below zero is better.
    fn worse_by(self, measured: f64, committed: f64) -> f64 {
        match self {
            Self::Less => measured / committed - 1.0,
            Self::More => committed / measured - 1.0,
        }
    }
}

/// The ratios of one benchmark.
#[derive(Debug)]
pub struct Figures {
    benchmark: &'static str,
    measured: Vec<(String, f64, Better)>,
}

impl Figures {
    /// Those of a benchmark, by the name under which they are committed.
    pub fn of(benchmark: &'static str) -> Self {
        Self { benchmark, measured: Vec::new() }
    }

    /// Takes a ratio.
    pub fn add(&mut self, name: impl Into<String>, ratio: f64, better: Better) {
        self.measured.push((name.into(), ratio, better));
    }

    /// Prints every ratio beside the committed one, and fails if one of them is worse by more than [`TOLERANCE`]; if
    /// `UPDATE_FIGURES` is set, commits them instead.
    pub fn end(self) -> ExitCode {
        let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/committed.toml"));
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut all: Table = match text.parse() {
            Ok(all) => all,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::FAILURE;
            }
        };
        let committed = all.get(self.benchmark).and_then(|ratios| ratios.as_table()).cloned().unwrap_or_default();
        let mut worse = 0;
        println!("\n{:<60} {:>9} {:>9}", self.benchmark, "measured", "committed");
        for (name, ratio, better) in &self.measured {
            let before = committed.get(name).and_then(toml::Value::as_float);
            let is_worse = before.is_some_and(|before| better.worse_by(*ratio, before) > TOLERANCE);
            worse += usize::from(is_worse);
            let before = before.map_or_else(|| "none".to_owned(), |before| format!("{before:.2}"));
            println!("{name:<60} {ratio:>9.2} {before:>9}{}", if is_worse { "  worse" } else { "" });
        }
        if env::var_os("UPDATE_FIGURES").is_some() {
            let mut ratios = committed;
            ratios.extend(self.measured.into_iter().map(|(name, ratio, _)| (name, rounded(ratio).into())));
            all.insert(self.benchmark.to_owned(), ratios.into());
            return match fs::write(&file, all.to_string()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{}: {error}", file.display());
                    ExitCode::FAILURE
                }
            };
        }
        if worse == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// To three digits behind the point.
fn rounded(ratio: f64) -> f64 {
    (ratio * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_worse_in_the_direction_that_it_is_measured_in() {
        assert!(Better::Less.worse_by(1.2, 1.0) > TOLERANCE);
        assert!(Better::Less.worse_by(1.1, 1.0) < TOLERANCE);
        assert!(Better::More.worse_by(0.8, 1.0) > TOLERANCE);
        assert!(Better::More.worse_by(2.0, 1.0) < 0.0);
    }
}
