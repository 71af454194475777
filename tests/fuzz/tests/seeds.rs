//! Writes the seeds: `cargo test -p fuzz --test seeds -- --ignored`. What the sources send comes from the simulators.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use fuzz::TARGETS;
use fuzz::corpus::folder;
use jiff::Timestamp;
use model::{Content, ListedChange, ListedCustomer, Version};
use simulators::association_anywhere::{self as aa, AaSettings, AaSimulator, Poison, Procedure};
use simulators::business_catalyst::{self as bc, BcSettings, BcSimulator, Operation};
use simulators::connector::{ConnectorSettings, ConnectorSimulator};
use tokio::net::TcpListener;
use wire::association_anywhere::{Credentials, Dialect, Section, enqueue_request, purge_request, queue_request};
use wire::business_catalyst::{self as contacts, ContactListReader, SoapVersion, retrieve_request};
use wire::customers_batch::{Answer, Format, GeneratedIds, Imported, Output, RowProblem};
use wire::{Limits, details_request};

/// The seeds by target and name.
#[derive(Default)]
struct Seeds(BTreeMap<(&'static str, String), Vec<u8>>);

impl Seeds {
    fn add(&mut self, target: &'static str, name: &str, bytes: impl AsRef<[u8]>) {
        assert!(TARGETS.iter().any(|known| known.name == target), "{target}");
        self.0.insert((target, name.to_owned()), bytes.as_ref().to_vec());
    }
}

async fn listen() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("http://{}", listener.local_addr().unwrap()), listener)
}

#[tokio::test]
#[ignore = "writes the folder corpus"]
async fn the_seeds_are_written() {
    let mut seeds = Seeds::default();
    association_anywhere(&mut seeds).await;
    business_catalyst(&mut seeds).await;
    connector(&mut seeds).await;
    forms(&mut seeds);
    batch_answers(&mut seeds);
    settings(&mut seeds);
    stored(&mut seeds);
    texts(&mut seeds);
    for ((target, name), bytes) in seeds.0 {
        let folder = folder("corpus", target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    }
}

async fn association_anywhere(seeds: &mut Seeds) {
    let settings = AaSettings { customers: 6, ..AaSettings::default() };
    let credentials = Credentials { username: &settings.username.clone(), password: &settings.password.clone() };
    let simulator = AaSimulator::new(settings);
    let (base, listener) = listen().await;
    let server = simulator.clone();
    tokio::spawn(async move { server.serve(listener).await });
    let urls = aa::urls(&base);
    let client = simulators::http_client().build().unwrap();
    let ask = async |url: &str, document: String| {
        let request = client.post(url).form(&[("p_input_xml_doc", document)]);
        request.send().await.unwrap().bytes().await.unwrap().to_vec()
    };
    let queue = || queue_request(Dialect::Hyphen, &credentials);
    simulator.delete(1003);
    seeds.add("aa-queue", "hyphenated", ask(&urls.queue, queue()).await);
    seeds.add("aa-queue", "reasons", ask(&urls.queue_with_reasons, queue_request(Dialect::Camel, &credentials)).await);
    simulator.enqueue_text("a\tb");
    simulator.fault_times(Procedure::Queue, aa::AaFault::Duplicates.into(), 1);
    seeds.add("aa-queue", "twice", ask(&urls.queue, queue()).await);
    let faults = [
        ("error", aa::AaFault::ErrorDocument("ORA-06512: at line 1".to_owned()).into()),
        ("failure", aa::AaFault::FailureStatus("the vendor is not known".to_owned()).into()),
        ("empty", aa::AaFault::Empty.into()),
        ("malformed", aa::Fault::Malformed),
        ("page", aa::Fault::NotXml),
        ("doctype", aa::Fault::Doctype),
        ("credentials", aa::Fault::WrongCredentials),
    ];
    seeds.add(
        "aa-queue",
        "attributes",
        "<queue a01=\"\" a02=\"\"><max-queue-num>1</max-queue-num><cust-id>\u{7}1</cust-id></queue>",
    );
    let sections = Section::ALL;
    let ids = ["1001", "1002", "1004", "1005"];
    for (name, fault) in faults {
        for procedure in [Procedure::Queue, Procedure::Details, Procedure::Purge] {
            simulator.fault_times(procedure, fault.clone(), 1);
        }
        seeds.add("aa-queue", name, ask(&urls.queue, queue()).await);
        seeds.add("aa-details", name, ask(&urls.details, details_request(["1001"], &[], &credentials)).await);
        seeds.add("aa-status", name, ask(&urls.purge, purge_request(Dialect::Hyphen, &credentials, "1")).await);
    }
    seeds.add("aa-status", "purged", ask(&urls.purge, purge_request(Dialect::Camel, &credentials, "2")).await);
    let enqueue = enqueue_request(Dialect::Hyphen, &credentials, Some("1001"));
    seeds.add("aa-status", "enqueued", ask(&urls.enqueue, enqueue).await);
    let bulk = ask(&urls.details, details_request(ids, &sections, &credentials)).await;
    seeds.add("aa-details", "bulk", &bulk);
    seeds.add(
        "aa-details",
        "single",
        ask(
            &urls.details,
            details_request(["1006"], &sections, &credentials).replace("<bulkRequest>true", "<bulkRequest>false"),
        )
        .await,
    );
    for (name, poison) in
        [("no-id", Poison::NoCustId), ("broken", Poison::BrokenXml), ("refused", Poison::ErrorElement)]
    {
        simulator.poison(1002, poison);
        seeds.add("aa-details", name, ask(&urls.details, details_request(["1002"], &[], &credentials)).await);
    }
    association_anywhere_bodies(seeds, &bulk);
}

/// An answer in other character sets and codings.
fn association_anywhere_bodies(seeds: &mut Seeds, bulk: &[u8]) {
    let text = String::from_utf8(bulk.to_vec()).unwrap();
    let begin = text.find("<custInfo>").unwrap_or_default();
    let utf16: Vec<u8> = format!("\u{feff}<r>{}</r>", &text[begin..][..600.min(text.len() - begin)])
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    seeds.add("aa-details", "utf-16-cut-off", utf16);
    for (name, head, coded) in [
        ("gzip", "gzip\ntext/xml; charset=UTF-8\n", gzip(bulk)),
        ("deflate", "deflate\ntext/xml\n", deflate(bulk)),
        ("identity", "identity\ntext/xml; charset=WE8MSWIN1252\n", bulk.to_vec()),
        ("two-members", "x-gzip\n\n", [gzip(b"<a>"), gzip(b"</a>")].concat()),
        ("bomb", "gzip\n\n", gzip(&vec![b' '; 256 * 1024])),
    ] {
        seeds.add("body", name, [head.as_bytes(), &coded].concat());
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn business_catalyst(seeds: &mut Seeds) {
    let settings = BcSettings { contacts: 5, ..BcSettings::default() };
    let credentials = contacts::Credentials {
        username: &settings.username.clone(),
        password: &settings.password.clone(),
        site_id: u32::try_from(settings.site_id).unwrap(),
    };
    let simulator = BcSimulator::new(settings);
    let (base, listener) = listen().await;
    let server = simulator.clone();
    tokio::spawn(async move { server.serve(listener).await });
    let client = simulators::http_client().build().unwrap();
    let ask = async |version: SoapVersion, operation: contacts::Operation, envelope: String| {
        let mut request = client.post(bc::endpoint(&base)).header("content-type", version.media_type());
        if let Some(action) = version.soap_action(operation) {
            request = request.header("soapaction", action);
        }
        request.body(envelope).send().await.unwrap().bytes().await.unwrap().to_vec()
    };
    let list = async |version| {
        let envelope = retrieve_request(version, &credentials, "2000-01-01T00:00:00".parse().unwrap(), 0);
        ask(version, contacts::Operation::Retrieve, envelope).await
    };
    simulator.delete(1002);
    let page = list(SoapVersion::V1_1).await;
    seeds.add("bc-contacts", "soap-1.1", &page);
    seeds.add("bc-contacts", "soap-1.2", list(SoapVersion::V1_2).await);
    for (name, poison) in [
        ("no-id", bc::Poison::NoEntityId),
        ("bad-date", bc::Poison::BadDate),
        ("late-date", bc::Poison::Date("9999-12-31T23:59:59.9999999")),
        ("entity", bc::Poison::UnknownEntity),
        ("broken", bc::Poison::BrokenXml),
    ] {
        simulator.poison(1001, poison);
        seeds.add("bc-contacts", name, list(SoapVersion::V1_1).await);
        simulator.heal(1001);
    }
    let write = async |version| {
        let contact = contacts::ContactToWrite { external_id: Some("M-1".to_owned()), ..Default::default() };
        let envelope = contacts::update_insert_request(version, &credentials, &[contact]).unwrap();
        ask(version, contacts::Operation::UpdateInsert, envelope).await
    };
    seeds.add("bc-update-answer", "soap-1.1", write(SoapVersion::V1_1).await);
    seeds.add("bc-update-answer", "soap-1.2", write(SoapVersion::V1_2).await);
    for (name, fault) in [
        ("fault", bc::BcFault::SoapFault("the site is not known".to_owned()).into()),
        ("fault-text", bc::BcFault::FaultText("Server was unable to process request.".to_owned()).into()),
        ("nobody-fault", bc::BcFault::NoContactsFault.into()),
        ("nobody", bc::BcFault::EmptyResult.into()),
        ("no-result", bc::BcFault::NoResult.into()),
        ("page", bc::Fault::NotXml),
        ("credentials", bc::Fault::WrongCredentials),
    ] {
        simulator.fault_times(Operation::Retrieve, fault.clone(), 1);
        seeds.add("bc-contacts", name, list(SoapVersion::V1_2).await);
        simulator.fault_times(Operation::UpdateInsert, fault, 1);
        seeds.add("bc-update-answer", name, write(SoapVersion::V1_1).await);
    }
    listed(seeds, &page);
}

/// What is stored of the contacts of a page.
fn listed(seeds: &mut Seeds, page: &[u8]) {
    let mut listed = Vec::new();
    for contact in ContactListReader::new(page, Limits::default()) {
        let contact = contact.unwrap();
        let content: Content = contact.content.unwrap();
        seeds.add("content", &format!("contact-{}", listed.len()), content.canonical_json());
        listed.push(ListedCustomer {
            source_id: contact.entity_id.unwrap(),
            version: Version::of_batch(1_790_000_000, 3),
            news: ListedChange::Present(Box::new(content)),
        });
        if listed.len() == 3 {
            break;
        }
    }
    let others = [ListedChange::Deleted, ListedChange::Unusable { reason: "no date".into(), raw: "<a/>".into() }];
    let first = listed[0].clone();
    listed.extend(others.into_iter().map(|news| ListedCustomer { news, ..first.clone() }));
    seeds.add("listed", "page", serde_json::to_string(&listed).unwrap());
}

async fn connector(seeds: &mut Seeds) {
    type Pushed = Arc<Mutex<Vec<(String, Vec<u8>)>>>;
    async fn keep(State(pushed): State<Pushed>, request: Request) -> String {
        let path = request.uri().path().to_owned();
        let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
        pushed.lock().unwrap().push((path, body.to_vec()));
        "<response><uuid>681c3c33-16f6-89e7-9c25-72fc59421237</uuid></response>".to_owned()
    }
    let pushed = Pushed::default();
    let (base, listener) = listen().await;
    let router = Router::new().fallback(keep).with_state(pushed.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = ConnectorSettings {
        base,
        people: 6,
        staff: 2,
        lead_sources: 2,
        burst: 1,
        doubles_percent: 0,
        lost_percent: 0,
        ..Default::default()
    };
    let simulator = ConnectorSimulator::new(settings);
    simulator.push_everything().await;
    simulator.convert_some(1).await;
    for (number, (path, body)) in pushed.lock().unwrap().iter().enumerate() {
        let target = match path.rsplit('/').next() {
            Some("user") => "connector-user",
            Some("staff") => "connector-staff",
            _ => "connector-lead-source",
        };
        seeds.add(target, &format!("pushed-{number}"), body);
    }
    let info = "<providerInfo><identifier>P</identifier><clientID>c</clientID><clubID>k</clubID><recordID>r</recordID>\
                </providerInfo>";
    let all = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><c:user xmlns:c=\"http://www.intouchfollowup.com/api/2011-11\">{}\
         <c:userInfo><c:firstname>F</c:firstname><c:lastname>L</c:lastname><c:birthdate>1980-02-29</c:birthdate>\
         <c:gender>F</c:gender><c:userStatus>INACTIVE</c:userStatus><c:userType>MEMBER</c:userType>\
         <c:address1>1 Main St</c:address1><c:address2>Floor 2</c:address2><c:city>Anytown</c:city>\
         <c:zipcode>22000</c:zipcode><c:state>VA</c:state><c:country>US</c:country><c:mobile>555-1</c:mobile>\
         <c:email>a@example.org</c:email><c:homePhone>555-2</c:homePhone><c:workPhone>555-3</c:workPhone>\
         <c:company>Acme &amp; Co</c:company><c:createdBy>x</c:createdBy><x y=\"1\">z<![CDATA[<]]></x></c:userInfo>\
         <c:leadInfo><c:trialStartDate>2026-01-02</c:trialStartDate><c:trialEndDate>2026-01-09</c:trialEndDate>\
         <c:ownerID>s-1</c:ownerID><c:leadSourceID>web</c:leadSourceID></c:leadInfo></c:user>",
        info.replace("</", "</c:")
            .replace("<p", "<c:p")
            .replace("<i", "<c:i")
            .replace("<cl", "<c:cl")
            .replace("<r", "<c:r")
    );
    seeds.add("connector-user", "everything", &all);
    seeds.add("connector-staff", "everything", &all);
    let source =
        format!("<leadSource>{info}<leadInfo><name>Web</name><active>false</active><x/></leadInfo></leadSource>");
    seeds.add("connector-lead-source", "inactive", source);
}

fn forms(seeds: &mut Seeds) {
    let columns = ["code", "card_number", "first_name", "last_name", "phone", "email", "custom_date", "custom_field"];
    let rows = "code|card_number|first_name|last_name|phone|email|custom_date|custom_field\r\n\
                11223344|11223344|jane|doe|555-5555|jane@example.org|1970-07-14|a\r\n\
                |44332211|José|Müller||||\r\n\r\nshort|row\r\n 1 | 2 | 3 | 4 | 5 | not an address |1970-99-99| 8 \r\n";
    let fields = |extra: &[(&str, &str)], rows: &str| {
        let mut fields: Vec<(String, String)> = [("type", "customers_batch"), ("user_id", "u"), ("account_id", "a")]
            .iter()
            .chain(extra)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        fields.extend((1..).zip(columns).map(|(number, name)| (format!("profiles_header_{number}"), name.to_owned())));
        fields.push(("profiles_data".to_owned(), rows.to_owned()));
        fields
    };
    let legacy = [
        ("user_password", "p"),
        ("delimiter", "pipe"),
        ("campaigns_to_include", "winter01|,|summer02"),
        ("overwrite_duplicates", "update"),
        ("no_undo", "yes"),
        ("output", "JSON"),
        ("condensed", "yes"),
    ];
    let newer = [
        ("API", "1.5"),
        ("user_api_key", "p"),
        ("delimiter", "comma"),
        ("campaigns_to_include", "winter01, summer02"),
        ("overwrite_duplicates", "yes"),
        ("allow_undo", "yes"),
        ("card_generate", "12"),
        ("callback", "a.b_1"),
    ];
    for (name, fields) in [("legacy", fields(&legacy, rows)), ("newer", fields(&newer, &rows.replace('|', ",")))] {
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        seeds.add("batch-form", name, pairs.join("&"));
        let mut body = String::from("x-Y.7\n");
        for (name, value) in &fields {
            body += &format!("--x-Y.7\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        seeds.add("batch-multipart", name, body + "--x-Y.7--\r\n");
    }
    for (name, delimiter, letter) in [("pipe", "pipe", "|"), ("comma", "comma", ","), ("tab", "tab", "\t")] {
        seeds.add("batch-rows", name, format!("{delimiter},{}\n{}", columns.join(","), rows.replace('|', letter)));
    }
    seeds.add("batch-rows", "one-column", "pipe,email\nemail\na@example.org\n\u{200b}b@example.org\nc");
    seeds.add("batch-rows", "passwords", "tab,code,password,pin\n1\ts\t1234\n2\t\t\n");
}

fn batch_answers(seeds: &mut Seeds) {
    let counts = "<customers><new>2</new><updated>1</updated></customers>";
    let imported = Imported {
        import: "0011223344556677-1".to_owned(),
        new: 2,
        updated: 1,
        ignored: 0,
        saves_undo: false,
        generated: vec![GeneratedIds { row: 1, code: Some("1234567890123456".to_owned()), card_number: None }],
        ignored_rows: vec![],
        failures: vec![RowProblem { row: 3, reason: "has 1 columns, and the headers name 12".to_owned() }],
    };
    let ours = |answer: Answer| answer.render(&Output { format: Format::Xml, condensed: false }).1;
    for (name, document) in [
        ("ours", ours(Answer::Imported(imported))),
        ("our-error", ours(Answer::Error("`campaigns_to_include`: is missing".to_owned()))),
        ("imported", format!("<response status=\"success\"><batch status=\"imported\">{counts}</batch></response>")),
        ("ampersands", format!("<response status=\"success\"><name>Tom & Co, R&D; &c</name>{counts}</response>")),
        ("error", "<response status=\"error\"><error>Duplicate & jane@example.org</error></response>".to_owned()),
        ("no-counts", "<?xml version=\"1.0\"?>\n<Response Status='success'><error/></Response>\n".to_owned()),
        ("doctype", format!("<!DOCTYPE response><response status=\"success\">{counts}</response>")),
    ] {
        seeds.add("batch-answer", name, document);
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

fn settings(seeds: &mut Seeds) {
    let pages = [
        ("association-anywhere", include_str!("../../../infra/docs/sources/association-anywhere.md")),
        ("business-catalyst", include_str!("../../../infra/docs/sources/business-catalyst.md")),
        ("connector", include_str!("../../../infra/docs/sources/intouch-connector.md")),
        ("batch-import", include_str!("../../../infra/docs/sources/batch-import.md")),
    ];
    let mut all = String::new();
    for (name, page) in pages {
        let block = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        seeds.add("connections", name, block);
        all += block;
        let parsed = config::Configuration::parse(block, config::Deployment::Local).unwrap();
        for registration in parsed.to_registrations() {
            seeds.add("registration", name, format!("{}\n{}", registration.kind, registration.document));
        }
    }
    all += "\n[[reader]]\ntenant = \"acme\"\ntoken = \"secretsmanager:customer-sync/reader\"\nscope = \"operate\"\n";
    seeds.add("connections", "all", all);
    seeds.add("registration", "reader", "reader\n{\"tenant\":\"acme\",\"token\":\"env:T\",\"scope\":\"read\"}");
}

fn stored(seeds: &mut Seeds) {
    let content = r##"{"external_id":"M-1","type":"company","status":"active","name":{"display":"Acme","first":"A"},
        "emails":[{"address":"a@example.org","type":"WORK","primary":true,"bad":false}],"roles":["PRIMARY"],
        "stage":"prospect","attributes":{"a":["x",{"@b":"1","#text":"t"},[]],"o":{"p":{"q":["r"]}}},
        "hidden":{"password":"$argon2id$x"}}"##;
    seeds.add("content", "nested", content);
    seeds.add("content", "lead-source", r#"{"name":"Web","active":true,"attributes":{"a":{"b":["c"]}}}"#);
    let hash = "0123456789abcdef0123456789abcdef";
    let image = format!(
        r#"[{{"source_id":"1","prior":{content},"left":"{hash}","found":"3/x","made":"4/y"}},
        {{"source_id":"2","prior":null,"left":"{hash}"}}]"#
    );
    seeds.add("before-images", "two", image);
    let progress = model::ListingProgress::default();
    seeds.add("listing-progress", "begin", serde_json::to_string(&progress).unwrap());
    seeds.add(
        "send-window",
        "two",
        format!(
            r#"{{"batch":7,"size":4,"sent":{{"0":[{0},{0},0],"12":[{0},{0},3]}}}}"#,
            Timestamp::UNIX_EPOCH.as_millisecond() + 1_790_000_000_000
        ),
    );
    seeds.add("messages", "chunk", r#"{"tenant":"acme","connection":"aa","batch":7,"chunk":42}"#);
    seeds.add("messages", "polls", r#"{"purpose":"due","connections":["acme/aa","other/bc"]}"#);
    seeds.add("messages", "batch", r#"{"purpose":"batch","connections":["acme/aa"]}"#);
}

fn texts(seeds: &mut Seeds) {
    for (number, text) in [
        "aa~10~01",
        "intouch~681c3c33-16f6-89e7-9c25-72fc59421237",
        "681c3c33-16f6-89e7-9c25-72fc59421237",
        &api::write_cursor(3, "10~01"),
        "secretsmanager:customer-sync/aa",
        "text/xml; charset=\"WE8ISO8859P1\"",
        "Australia/Sydney",
        "addresses",
        "ﬀ İSTANBUL ß \u{200b}x\u{202e}",
    ]
    .into_iter()
    .enumerate()
    {
        seeds.add("ids", &format!("{number}"), text);
    }
    seeds.add(
        "redaction",
        "quoted",
        "integrator\nhunter2 secret\nthe user INTEGRATOR with hunter2  SECRET is not known",
    );
    seeds.add("redaction", "short", "u\nab\nab abc ab: a b");
}
