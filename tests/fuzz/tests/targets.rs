//! Every target over its seeds, over the inputs that once failed, and over a fixed number of inputs made from these.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fuzz::corpus::{folder, inputs};
use fuzz::generate::{Numbers, mutated};
use fuzz::{TARGETS, Target};

/// How many inputs are made for each target.
const MADE: u64 = 600;

/// Where an input that fails is written, so that it can be kept: `FUZZ_FAILURES`, a folder.
fn keep(target: &Target, name: &str, input: &[u8]) -> String {
    let Some(to) = std::env::var_os("FUZZ_FAILURES") else { return name.to_owned() };
    let path = std::path::Path::new(&to).join(format!("{}-{name}", target.name));
    fs::write(&path, input).unwrap();
    path.display().to_string()
}

fn check(target: &Target, name: &str, input: &[u8], whole: bool) {
    let checked = catch_unwind(AssertUnwindSafe(|| if whole { target.check_all(input) } else { target.check(input) }));

    if checked.is_err() {
        panic!("{} fails on {}, an input of {} bytes", target.name, keep(target, name, input), input.len());
    }
}

fn run(name: &str) {
    let target = Target::named(name).unwrap();
    let mut seeds = Vec::new();
    for kind in ["corpus", "regressions"] {
        for (name, input) in inputs(kind, target) {
            check(target, &name, &input, true);
            seeds.push(input);
        }
    }
    assert!(!seeds.is_empty(), "{name} has no seeds");
    check(target, "nothing", b"", true);
    let mut numbers = Numbers::of(1);
    for number in 0..MADE {
        let input = mutated(&seeds, &mut numbers);
        check(target, &format!("made-{number}"), &input, number % 8 == 0);
    }
}

macro_rules! targets {
    ($($test:ident $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                run($name);
            }
        )*

        #[test]
        fn every_target_is_run() {
            assert!(TARGETS.iter().map(|target| target.name).eq([$($name),*]));
        }
    };
}

targets! {
    aa_queue "aa-queue",
    aa_details "aa-details",
    aa_status "aa-status",
    bc_contacts "bc-contacts",
    bc_update_answer "bc-update-answer",
    connector_user "connector-user",
    connector_staff "connector-staff",
    connector_lead_source "connector-lead-source",
    batch_form "batch-form",
    batch_multipart "batch-multipart",
    batch_rows "batch-rows",
    batch_answer "batch-answer",
    body "body",
    connections "connections",
    registration "registration",
    content "content",
    listed "listed",
    listing_progress "listing-progress",
    send_window "send-window",
    before_images "before-images",
    messages "messages",
    ids "ids",
    redaction "redaction",
}

#[test]
fn every_folder_of_inputs_belongs_to_a_target() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    for kind in ["corpus", "regressions"] {
        let parent = folder(kind, "");
        let Ok(entries) = fs::read_dir(parent) else { continue };
        for entry in entries {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(names.contains(&name), "{kind}/{name}");
        }
    }
}
