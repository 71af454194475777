//! The inputs that stand beside the targets.

use std::fs;
use std::path::PathBuf;

use crate::Target;

/// The folder of a target's inputs: `kind` is `corpus` or `regressions`.
pub fn folder(kind: &str, target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), kind, target].iter().collect()
}

/// The inputs in such a folder with their names, by name; none if there is no folder.
pub fn inputs(kind: &str, target: &Target) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder(kind, target.name)) else { return Vec::new() };
    let mut inputs: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}
