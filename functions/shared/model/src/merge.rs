use crate::{ContentHash, PlantedFault, Version};

/// What is known of a stored record without reading its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVersion {
    /// Its version.
    pub version: Version,
    /// The fingerprint of its content.
    pub hash: ContentHash,
}

/// What to do with an incoming record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Write it, on the condition that the stored record is still the one that was compared.
    Write,
    /// Leave the stored record: it has this content.
    Unchanged,
    /// Leave the stored record: it is newer, or just as new.
    Stale,
    /// Leave the stored record: it is of this later batch, which can't be while batches come one after the other. The
    /// batch numbers started again below it.
    Overtaken(u64),
}

/// The merge rule of everything that is pulled: equal content is never written, whatever its version; otherwise a
/// version that is not newer than the stored one never overwrites it.
pub fn merge_decision(stored: Option<&StoredVersion>, version: &Version, hash: &ContentHash) -> Decision {
    match stored {
        None => Decision::Write,
        Some(stored) if stored.hash == *hash => Decision::Unchanged,
        Some(_) if PlantedFault::WritesBlindly.is_planted() => Decision::Write,
        Some(stored) if stored.version >= *version => match (stored.version.batch(), version.batch()) {
            (Some(later), Some(own)) if later > own => Decision::Overtaken(later),
            _ => Decision::Stale,
        },
        Some(_) => Decision::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(batch: u64) -> Version {
        Version::of_batch(batch, 1)
    }

    #[test]
    fn the_rule_by_every_case() {
        let (one, two) = (ContentHash::of("one"), ContentHash::of("two"));
        let stored = StoredVersion { version: version(5), hash: one };
        assert_eq!(merge_decision(None, &version(1), &one), Decision::Write);
        assert_eq!(merge_decision(Some(&stored), &version(9), &one), Decision::Unchanged);
        assert_eq!(merge_decision(Some(&stored), &version(1), &one), Decision::Unchanged);
        assert_eq!(merge_decision(Some(&stored), &version(4), &two), Decision::Overtaken(5));
        assert_eq!(merge_decision(Some(&stored), &Version::of_batch(5, 0), &two), Decision::Stale);
        assert_eq!(merge_decision(Some(&stored), &version(5), &two), Decision::Stale);
        assert_eq!(merge_decision(Some(&stored), &version(6), &two), Decision::Write);
    }
}
