//! How fast answers are read: `cargo bench -p wire`. One customer is about 1.1 KB of XML, as the vendor sends it.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::fmt::Write;
use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use wire::{DetailsMode, DetailsReader, Limits, read_queue};

const CUSTOMERS: usize = 9_000;

fn main() {
    divan::main();
}

/// An answer with this many customers.
fn details(customers: usize) -> String {
    let mut document = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<custInfos>\n");
    for number in 0..customers {
        writeln!(
            document,
            "<custInfo><custId>{id}</custId><custType>I</custType><loginId>u{id}</loginId>\
             <name><prefixName>Dr.</prefixName><firstName>Jane</firstName><lastName>Doe{id}</lastName>\
             <displayName><![CDATA[Jane Doe{id}]]></displayName></name><roles><role>PRIMARY</role></roles>\
             <addresses><address><addressSerno>{id}</addressSerno><addressType>HOME</addressType><best>true</best>\
             <preferred>true</preferred><street1>{id} Main St &amp; Co</street1><city>Anytown</city><state>VA</state>\
             <postalCode>22000</postalCode><countryCode>US</countryCode></address></addresses>\
             <phones><phone><phoneType>WORK</phoneType><preferred>true</preferred><number>555-{id}</number></phone></phones>\
             <emails><email><emailType>WORK</emailType><preferred>true</preferred><address>j{id}@example.org</address>\
             <badAddress>false</badAddress></email></emails>\
             <memberships><membership><subgroupId>NATL</subgroupId><subgroupName>National</subgroupName>\
             <member>true</member><statusCode>ACTIVE</statusCode><classCode>REG</classCode>\
             <joinDate>01/01/2020</joinDate><expirationDate>2026-12-31</expirationDate></membership></memberships>\
             </custInfo>",
            id = 1_000_000 + number
        )
        .unwrap();
    }
    document + "</custInfos>"
}

#[divan::bench(sample_count = 20)]
fn details_of_9000_customers(bencher: Bencher) {
    let document = details(CUSTOMERS);
    bencher.counter(BytesCount::of_str(&document)).counter(ItemsCount::new(CUSTOMERS)).bench(|| {
        let reader = DetailsReader::new(document.as_bytes(), Limits::default(), DetailsMode::Bulk);
        let read = reader.map(|detail| black_box(detail.unwrap())).filter(|detail| detail.content.is_ok()).count();
        assert_eq!(read, CUSTOMERS);
    });
}

#[divan::bench(sample_count = 20)]
fn queue_of_100000_customers(bencher: Bencher) {
    let ids: String = (0..100_000).map(|number| format!("<cust-id>{number}</cust-id>")).collect();
    let document = format!("<queue><status>SUCCESS</status><max-queue-num>1</max-queue-num>{ids}</queue>");
    bencher.counter(BytesCount::of_str(&document)).counter(ItemsCount::new(100_000_usize)).bench(|| {
        let mut customers = 0;
        let number = read_queue(document.as_bytes(), &Limits::default(), |_| customers += 1);
        assert_eq!((number.unwrap().as_deref(), customers), (Some("1"), 100_000));
    });
}
