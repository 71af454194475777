//! The documents that are read: as the sources send them, with many customers.

use std::fmt::Write;

use wire::business_catalyst::NAMESPACE;

/// An answer with this many customers.
pub fn details(customers: usize) -> String {
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

/// An answer of a queue with this many customers.
pub fn queue(customers: usize) -> String {
    let ids: String = (0..customers).map(|number| format!("<cust-id>{number}</cust-id>")).collect();
    format!("<queue><status>SUCCESS</status><max-queue-num>1</max-queue-num>{ids}</queue>")
}

/// A page with this many contacts.
pub fn contact_list(contacts: usize) -> String {
    let mut document = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soap:Body><ContactList_RetrieveResponse \
         xmlns=\"{NAMESPACE}\"><ContactList_RetrieveResult>"
    );
    for number in 0..contacts {
        writeln!(
            document,
            "<ContactRecord><entityId>{id}</entityId><externalId>M-{id}</externalId><contactTitle>Dr.</contactTitle>\
             <deleted>false</deleted><fullName>Jane Doe{id}</fullName><firstName>Jane</firstName>\
             <lastName>Doe{id}</lastName><username>u{id}</username><password>p{id}</password>\
             <dateOfBirth>1980-02-29T00:00:00</dateOfBirth><createDate>2011-03-04T05:06:07.89</createDate>\
             <lastUpdateDate>2012-05-01T10:20:30.123</lastUpdateDate><customerType>Customer</customerType>\
             <relationships><Relationship xsi:nil=\"true\" /></relationships>\
             <addresses><Address><addressTypeID>1</addressTypeID><addressLine1>{id} Main St &amp; Co</addressLine1>\
             <city>Sydney</city><zipcode>2000</zipcode><state>NSW</state><countryCode>AU</countryCode></Address></addresses>\
             <phoneNos><PhoneNo><phoneNoTypeID>7</phoneNoTypeID><phoneNo>j{id}@example.org</phoneNo></PhoneNo>\
             <PhoneNo><phoneNoTypeID>5</phoneNoTypeID><phoneNo>555-{id}</phoneNo></PhoneNo></phoneNos>\
             <crmForms><CrmForms><formId>12</formId><formName>Enquiry</formName><crmFormFields><CrmFormFields>\
             <fieldId>7</fieldId><fieldTypeId>2</fieldTypeId><fieldName>Budget</fieldName><fieldValue>{id}</fieldValue>\
             </CrmFormFields><CrmFormFields><fieldId>8</fieldId><fieldTypeId>5</fieldTypeId><fieldName>Topic</fieldName>\
             <fieldValue>Boats</fieldValue></CrmFormFields></crmFormFields></CrmForms></crmForms>\
             <MasterOptIn>true</MasterOptIn></ContactRecord>",
            id = 1_000_000 + number
        )
        .unwrap();
    }
    document
        + "</ContactList_RetrieveResult><recordStart>0</recordStart><moreRecords>false</moreRecords>\
           </ContactList_RetrieveResponse></soap:Body></soap:Envelope>"
}

/// A push of one prospect.
pub fn prospect(number: usize) -> String {
    format!(
        "<user><providerInfo><identifier>INTOUCH</identifier><clientID>c-1</clientID><clubID>k-1</clubID>\
         <recordID>{number}</recordID></providerInfo><userInfo><firstname>Jane</firstname>\
         <lastname>Doe{number}</lastname><userStatus>ACTIVE</userStatus><userType>PROSPECT</userType>\
         <email>j{number}@example.org</email><homephone>555-{number}</homephone><address1>{number} Main St</address1>\
         <city>Anytown</city><state>VA</state><zip>22000</zip></userInfo></user>"
    )
}
