use crate::{ContentHash, Version};

/// What is known of a stored record without reading its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredStamp {
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
    /// Leave the stored record: it is newer.
    Stale,
}

/// The merge rule of everything that is pulled: equal content is never written, whatever its version; otherwise a
/// version that is not newer than the stored one never overwrites it.
pub fn decide(stored: Option<&StoredStamp>, version: &Version, hash: &ContentHash) -> Decision {
    match stored {
        None => Decision::Write,
        Some(stored) if stored.hash == *hash => Decision::Unchanged,
        Some(stored) if stored.version >= *version => Decision::Stale,
        Some(_) => Decision::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(batch: u64) -> Version {
        Version::of_fetch(batch, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_rule_by_every_case() {
        let (one, two) = (ContentHash::of("one"), ContentHash::of("two"));
        let stored = StoredStamp { version: version(5), hash: one };
        assert_eq!(decide(None, &version(1), &one), Decision::Write);
        assert_eq!(decide(Some(&stored), &version(9), &one), Decision::Unchanged);
        assert_eq!(decide(Some(&stored), &version(1), &one), Decision::Unchanged);
        assert_eq!(decide(Some(&stored), &version(4), &two), Decision::Stale);
        assert_eq!(decide(Some(&stored), &version(5), &two), Decision::Stale);
        assert_eq!(decide(Some(&stored), &version(6), &two), Decision::Write);
    }
}
