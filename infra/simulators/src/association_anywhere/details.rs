//! *Get customer details*: which customers are asked for, and the document that holds them.

use std::collections::HashSet;

use super::{
    customers::Identity,
    documents,
    requests::{text, texts},
    sections::{self, Section, write_header},
    types::{AaSimulator, Poison, Procedure},
};
use crate::xml::{DECLARATION, Element, element, too_deep};

/// The customers of a bulk request that exist, each once; or the one of a single request.
pub(super) fn answer(simulator: &AaSimulator, request: &Element, duplicates: bool) -> String {
    let sections = sections::requested(request);
    if text(request, "bulkrequest").eq_ignore_ascii_case("true") {
        return bulk(simulator, request, &sections, duplicates);
    }
    let mut texts = texts(request, "custid");
    let (Some(text), None) = (texts.next(), texts.next()) else {
        return refusal("Exactly one custId is needed where bulkRequest is not true");
    };
    single(simulator, text, &sections)
}

fn bulk(simulator: &AaSimulator, request: &Element, sections: &[&Section], duplicates: bool) -> String {
    let mut seen = HashSet::new();
    let habits = simulator.state().habits;
    let asked = texts(request, "custid").filter_map(|text| text.parse().ok()).chain(habits.always_answers);
    let mut ids: Vec<u64> = asked.filter(|&id| seen.insert(id)).collect();
    if habits.answers_at_most.is_some() {
        ids.sort_unstable_by(|one, other| other.cmp(one));
    }
    let mut customers = existing(simulator, &ids);
    customers.truncate(habits.answers_at_most.unwrap_or(usize::MAX));

    let mut out = format!("{DECLARATION}<custInfoResponse>");
    for (identity, poison) in &customers {
        for _ in 0..if duplicates { 2 } else { 1 } {
            write_customer(&mut out, identity, sections, *poison);
            out.push('\n');
        }
    }
    out.push_str("</custInfoResponse>\n");
    out
}

fn single(simulator: &AaSimulator, text: &str, sections: &[&Section]) -> String {
    let ids: Vec<u64> = text.parse().into_iter().collect();
    let customers = existing(simulator, &ids);
    let [(identity, poison)] = customers.as_slice() else {
        return refusal(&format!("No customer found for custId {text}"));
    };
    let mut out = DECLARATION.to_owned();
    write_customer(&mut out, identity, sections, *poison);
    out.push('\n');
    out
}

fn refusal(message: &str) -> String {
    documents::refusal(Procedure::Details, message)
}

/// Takes from the state only what is needed, so that writing a long document does not hold it up.
fn existing(simulator: &AaSimulator, ids: &[u64]) -> Vec<(Identity, Option<Poison>)> {
    let seed = simulator.settings().seed;
    let mut state = simulator.state();
    let customers: Vec<(Identity, Option<Poison>)> =
        ids.iter().filter_map(|&id| Some((state.identity(seed, id)?, state.poisons.get(&id).copied()))).collect();
    if customers.iter().any(|(_, poison)| poison.is_some()) {
        state.counts.poisoned += 1;
    }
    drop(state);
    for poison in customers.iter().filter_map(|(_, poison)| *poison) {
        simulator.note_met(format!("poison {}", poison.name()));
    }
    customers
}

fn write_customer(out: &mut String, identity: &Identity, sections: &[&Section], poison: Option<Poison>) {
    out.push_str("<custInfo>");
    if poison != Some(Poison::NoCustId) {
        element(out, "custId", identity.id);
    }
    if poison == Some(Poison::ErrorElement) {
        out.push_str("<error>ORA-01403: no data found</error></custInfo>");
        return;
    }
    write_header(out, identity);
    match poison {
        Some(Poison::BrokenXml) => out.push_str("<referralInfo><source>unfinished</referralInfo>"),
        Some(Poison::TooDeep) => out.push_str(&too_deep()),
        Some(Poison::HugeText(bytes)) => element(out, "remarks", "x".repeat(bytes)),
        Some(Poison::NoCustId | Poison::ServerError | Poison::ErrorElement) | None => {}
    }
    for section in sections {
        identity.write_section(out, section);
    }
    out.push_str("</custInfo>");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::association_anywhere::AaSettings;

    fn bulk_request(ids: std::ops::Range<u64>, sections: &[&str]) -> Element {
        let ids: String = ids.map(|id| format!("<custId>{id}</custId>")).collect();
        let sections: String = sections.iter().map(|section| format!("<{section} include=\"true\"/>")).collect();
        crate::xml::parse(&format!(
            "<custInfoRequest>{ids}<bulkRequest>true</bulkRequest><details>{sections}</details></custInfoRequest>"
        ))
        .unwrap()
    }

    const ALL_SECTIONS: [&str; 13] = [
        "roles",
        "addresses",
        "phones",
        "emails",
        "websites",
        "jobs",
        "committeePositions",
        "memberships",
        "subscriptions",
        "communicationPreferences",
        "customerAttributes",
        "bio",
        "aliases",
    ];

    #[test]
    fn a_customer_has_the_size_of_a_real_one() {
        let simulator = AaSimulator::new(AaSettings::default());
        let document = answer(&simulator, &bulk_request(1001..2001, &ALL_SECTIONS), false);
        let bytes_a_customer = document.len() / 1000;
        assert!((1000..1500).contains(&bytes_a_customer), "{bytes_a_customer} bytes a customer");
    }
}
