//! The targets for libFuzzer: see tests/fuzz/run.
#![no_main]
#![allow(clippy::expect_used, unsafe_code, reason = "a tool, and libFuzzer's entry")]

use std::sync::LazyLock;

use fuzz::Target;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names the target");
    Target::named(&name).expect("FUZZ_TARGET is the name of a target")
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET.check(input));
