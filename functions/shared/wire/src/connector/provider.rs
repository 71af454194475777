use model::{Attributes, ExternalKey};

use super::error::Problems;
use crate::record::{Element, fill, read_fields};

/// Reads `providerInfo`, which names the record of the document. Returns the other data in it, too.
///
/// All four parts are mandatory. Each must come once: a document that gives one of them twice has no valid key.
pub(super) fn read_provider(root: Element, problems: &mut Problems) -> (Option<ExternalKey>, Attributes) {
    let mut parts = [
        ("providerInfo/identifier", "identifier", None),
        ("providerInfo/clientID", "clientid", None),
        ("providerInfo/clubID", "clubid", None),
        ("providerInfo/recordID", "recordid", None),
    ];
    let mut elements = root.children().filter(|child| child.known_name() == "providerinfo");
    let leftover = match elements.next() {
        None => Attributes::new(),
        Some(element) => read_fields(element, |child, text| match parts.iter_mut().find(|part| part.1 == child) {
            None => false,
            Some((name, _, value)) => {
                if value.is_some() {
                    problems.add(name, "is given twice");
                }
                fill(value, text)
            }
        }),
    };
    if elements.next().is_some() {
        problems.add("providerInfo", "is given twice");
        return (None, leftover);
    }
    let [identifier, client_id, club_id, record_id] = parts.map(|(name, _, value)| problems.required(name, value));
    let key = match (identifier, client_id, club_id, record_id) {
        (Some(identifier), Some(client_id), Some(club_id), Some(record_id)) => {
            Some(ExternalKey { identifier, client_id, club_id, record_id })
        }
        _ => None,
    };
    (key, leftover)
}
