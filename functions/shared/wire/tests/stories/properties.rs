//! Properties of every document.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::connector;
use wire::{DetailsReader, Limits};

use crate::sample::{JANE, bulk, content, customer, read_bulk, read_queue, read_status};

/// Every reader reads the bytes to an end.
fn read_with_all(bytes: &[u8], limits: Limits) {
    let mut reader = DetailsReader::new(bytes, limits);
    let mut errors = 0;
    for detail in reader.by_ref() {
        match detail {
            Ok(detail) => assert!(detail.raw.len() <= limits.raw),
            Err(_) => errors += 1,
        }
    }
    assert!(errors <= 1 && reader.next().is_none());
    let _ = read_queue(bytes, &limits, |_| {});
    let _ = read_status(bytes, &limits);
    let _ = connector::read_user(bytes, &limits);
    let _ = connector::read_staff(bytes, &limits);
    let _ = connector::read_lead_source(bytes, &limits);
}

fn small_limits() -> Limits {
    Limits {
        depth: 4,
        text_bytes: 20,
        customers: 3,
        queue_entries: 3,
        queue_id_bytes: 9,
        document_bytes: 10_000,
        elements_per_customer: 12,
        customer_bytes: 500,
        id_bytes: 5,
        raw: 50,
    }
}

/// Pieces that documents are made of, in any order.
fn xml_pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<custInfo>",
        "</custInfo>",
        "<custId>",
        "</custId>",
        "1",
        "<error>",
        "</error>",
        "<a b='1'>",
        "</a>",
        "<c/>",
        "&amp;",
        "&#65;",
        "&",
        ";",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?p",
        "?>",
        "<",
        ">",
        "\"",
        "'",
        "/",
        "=",
        "ü",
        "\u{feff}",
        "<!DOCTYPE",
        "<status>",
        "FAILURE",
        "</status>",
        "<user>",
        "</user>",
        "<leadSource>",
        "<providerInfo><clubID>",
        "</clubID></providerInfo>",
        "<userInfo><country>",
        "</country></userInfo>",
        "<leadInfo><ownerID>",
        "</ownerID></leadInfo>",
        "<emails><email>",
        "</email></emails>",
        " ",
        "\r\n",
    ]);
    vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// A customer's children, each of a different name.
fn children() -> impl Strategy<Value = Vec<String>> {
    let text = "[a-zA-Z0-9 .@&é-]{0,12}".prop_map(|text| text.replace('&', "&amp;"));
    let entry = (text.clone(), text.clone(), any::<bool>(), any::<bool>());
    let phones = vec(entry.clone(), 0..4).prop_map(|entries| {
        let phones: String = entries
            .into_iter()
            .map(|(number, ext, preferred, best)| {
                format!("<phone><best>{best}</best><number>{number}</number><ext>{ext}</ext><preferred>{preferred}</preferred></phone>")
            })
            .collect();
        format!("<phones>{phones}</phones>")
    });
    let memberships = vec(entry, 0..4).prop_map(|entries| {
        let memberships: String = entries
            .into_iter()
            .map(|(id, date, member, _)| {
                format!("<membership><subgroupId>{id}</subgroupId><joinDate>{date}</joinDate><member>{member}</member></membership>")
            })
            .collect();
        format!("<memberships>{memberships}</memberships>")
    });
    let roles = vec(text.clone(), 0..4).prop_map(|roles| {
        let roles: String = roles.into_iter().map(|role| format!("<role>{role}</role>")).collect();
        format!("<roles>{roles}</roles>")
    });
    (phones, memberships, roles, text.clone(), text).prop_map(|(phones, memberships, roles, bio, first)| {
        vec![
            "<custId>1</custId>".to_owned(),
            "<custType>I</custType>".to_owned(),
            phones,
            memberships,
            roles,
            format!("<bio>{bio}</bio>"),
            format!("<name><firstName>{first}</firstName></name>"),
        ]
    })
}

/// The same children in another order, with the entries of each typed section in reverse order.
fn turned(child: &str) -> String {
    for entry in ["phone", "membership", "role"] {
        let (open, close) = (format!("<{entry}s>"), format!("</{entry}s>"));
        let Some(entries) = child.strip_prefix(&open).and_then(|rest| rest.strip_suffix(&close)) else {
            continue;
        };
        let end = format!("</{entry}>");
        let mut entries: Vec<&str> = entries.split_inclusive(&end).collect();
        entries.reverse();
        return format!("{open}{}{close}", entries.concat());
    }
    child.to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..400)) {
        read_with_all(&bytes, Limits::default());
        read_with_all(&bytes, small_limits());
    }

    #[test]
    fn no_order_of_markup_makes_a_reader_panic(document in xml_pieces()) {
        read_with_all(document.as_bytes(), Limits::default());
        read_with_all(format!("<r>{document}</r>").as_bytes(), small_limits());
    }

    #[test]
    fn no_mutation_of_an_answer_makes_a_reader_panic(
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6)
    ) {
        let mut bytes = bulk(&[JANE, &customer("2")].concat()).into_bytes();
        for (position, byte, kind) in changes {
            let position = position.index(bytes.len());
            match kind {
                0 => bytes[position] = byte,
                1 => drop(bytes.remove(position)),
                _ => bytes.insert(position, byte),
            }
        }
        read_with_all(&bytes, Limits::default());
        read_with_all(&bytes, small_limits());
    }

    #[test]
    fn content_does_not_depend_on_the_order_of_children(
        (ordered, shuffled) in children().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let one = content(&format!("<custInfo>{}</custInfo>", ordered.concat()));
        let turned: String = shuffled.iter().map(|child| turned(child)).collect();
        let other = content(&format!("<custInfo>{turned}</custInfo>"));
        prop_assert_eq!(one.hash(), other.hash());
        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_text_comes_back_as_it_was_sent(text in "[^\\p{Cc}\u{fffe}\u{ffff}]{0,40}") {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
        let document = bulk(&format!("<custInfo><custId>1</custId><note>{escaped}</note></custInfo>"));
        let content = read_bulk(document).unwrap().remove(0).content.unwrap();
        prop_assert_eq!(&content.attributes["note"], &crate::sample::text(text.trim_matches(' ')));
    }
}
