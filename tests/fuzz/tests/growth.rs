//! How real time grows with the input: `cargo test -p fuzz --test growth -- --ignored --nocapture`. Not in every run,
//! as a busy machine can't be told from slow code.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use fuzz::corpus::inputs;
use fuzz::generate::enlarged;
use fuzz::{TARGETS, Target};

const SMALL: usize = 64 * 1024;
const LARGE: usize = 1024 * 1024;
/// What takes less than this is not judged.
const SHORT: Duration = Duration::from_millis(200);

fn took(target: &Target, input: &[u8]) -> Duration {
    let once = || {
        let began = Instant::now();
        (target.read)(input);
        began.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap()
}

#[test]
#[ignore = "measures real time"]
fn sixteen_times_the_input_takes_sixteen_times_as_long() {
    let mut slow = Vec::new();
    for target in TARGETS {
        let mut worst = (0.0, String::new());
        for (name, seed) in inputs("corpus", target).into_iter().chain(inputs("regressions", target)) {
            for number in 0..12 {
                let (small, large) = (enlarged(&seed, number, SMALL), enlarged(&seed, number, LARGE));
                let (short, long) = (took(target, &small), took(target, &large));
                let times = long.as_secs_f64() / short.as_secs_f64().max(1e-6);
                let bytes = large.len() as f64 / small.len() as f64;
                if long > SHORT && times > 3.0 * bytes {
                    slow.push(format!(
                        "{} {name} {number}: {bytes:.0} times the bytes, {times:.0} times as long",
                        target.name
                    ));
                }
                let each = long.as_secs_f64() * 1e9 / large.len() as f64;
                if each > worst.0 {
                    worst = (each, format!("{name} {number}"));
                }
            }
        }
        println!("{}: at most {:.0} ns for a byte ({})", target.name, worst.0, worst.1);
    }
    assert!(slow.is_empty(), "{slow:#?}");
}
