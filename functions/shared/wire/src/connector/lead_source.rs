use model::LeadSource;

use super::error::Problems;
use super::provider::read_provider;
use super::read::read_tree;
use super::{Push, PushError};
use crate::Limits;
use crate::record::{UnmappedData, fill, read_fields};

/// Reads a pushed `leadSource`. Mandatory are the four parts of `providerInfo`, and `name`; `active` is true by
/// default.
///
/// # Errors
/// If it can't be read, or anything is wrong with it.
pub fn read_lead_source(document: &[u8], limits: &Limits) -> Result<Push<LeadSource>, PushError> {
    let tree = read_tree(document, limits, &["leadSource"])?;
    let mut problems = Problems::default();
    let mut attributes = UnmappedData::default();
    let (mut name, mut active) = (None, None);
    let mut sender = None;
    if let Some(root) = tree.root() {
        let (key, leftover) = read_provider(root, &mut problems);
        sender = key;
        attributes.insert_leftover("providerInfo", leftover);
        attributes.insert_own_data(root);
        let mut is_read = false;
        for child in root.children() {
            match child.known_name() {
                "providerinfo" | "uuid" => {}
                "leadinfo" if !is_read => {
                    is_read = true;
                    let leftover = read_fields(child, |child, text| match child {
                        "name" => fill(&mut name, text),
                        "active" => fill(&mut active, text),
                        _ => false,
                    });
                    attributes.insert_leftover("leadInfo", leftover);
                }
                _ => attributes.insert_element(child),
            }
        }
    }
    let name = problems.required("leadInfo/name", name);
    let active = problems.choice("leadInfo/active", active.as_deref(), &[("true", true), ("false", false)]);
    let key = problems.none_or_err(sender)?;
    let content = LeadSource {
        name: name.unwrap_or_default(),
        active: active.unwrap_or(true),
        attributes: attributes.into_attributes(),
    };
    Ok(Push { key, content })
}
