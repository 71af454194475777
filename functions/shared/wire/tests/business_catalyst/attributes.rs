//! What has no field is kept, and nothing overwrites anything.

use crate::sample::{contact, content, content_with, list, object, text};

#[test]
fn an_element_that_is_not_known_is_kept_as_structure() {
    let attributes = content_with("<neverHeardOf a=\"1\"><b>2</b>three</neverHeardOf>").attributes;
    assert_eq!(attributes["neverHeardOf"], object([("@a", text("1")), ("b", text("2")), ("#text", text("three"))]));
}

#[test]
fn what_comes_twice_is_kept_twice() {
    let content = content_with(
        "<externalId>a</externalId><externalId>b</externalId><ratingType>A</ratingType><ratingType>B</ratingType>",
    );
    assert_eq!(content.external_id.as_deref(), Some("a"));
    assert_eq!(content.attributes["externalId"], text("b"));
    assert_eq!(content.attributes["ratingType"], list([text("A"), text("B")]));
}

#[test]
fn a_typed_child_with_attributes_is_kept_beside_its_field() {
    let content = content_with("<firstName lang=\"en\">Jane</firstName><entityId kind=\"k\">1</entityId>");
    assert_eq!(content.name.first.as_deref(), Some("Jane"));
    assert_eq!(content.attributes["firstName"], object([("@lang", text("en")), ("#text", text("Jane"))]));
    assert_eq!(content.attributes["entityId"], object([("@kind", text("k"))]));
}

#[test]
fn the_time_of_the_last_update_never_becomes_content() {
    let with = |time| {
        content(&format!(
            "<ContactRecord><entityId>1</entityId><lastUpdateDate kind=\"k\">{time}</lastUpdateDate></ContactRecord>"
        ))
    };
    assert_eq!(with("2012-05-01T00:00:00").hash(), with("2013-05-01T00:00:00").hash());
}

#[test]
fn what_is_not_typed_of_an_entry_stands_beside_it_in_the_same_order() {
    let content = content_with(
        "<phoneNos total=\"3\"><PhoneNo><phoneNoTypeID>1</phoneNoTypeID><phoneNo>2</phoneNo><ext>12</ext></PhoneNo>\
         <PhoneNo><phoneNoTypeID>1</phoneNoTypeID><phoneNo>1</phoneNo></PhoneNo>\
         <PhoneNo><phoneNoTypeID>7</phoneNoTypeID><phoneNo>a@x.org</phoneNo><ok>no</ok></PhoneNo>\
         <PhoneNo><phoneNoTypeID>10</phoneNoTypeID><phoneNo>w</phoneNo><ok>no</ok></PhoneNo><note>n</note></phoneNos>\
         <addresses><Address><city>c</city><county>k</county></Address><note>n</note></addresses>",
    );
    let numbers: Vec<&str> = content.phones.iter().map(|phone| phone.number.as_str()).collect();
    assert_eq!(numbers, ["1", "2"]);
    assert_eq!(content.attributes["phones"], list([object([]), object([("ext", text("12"))])]));
    assert_eq!(content.attributes["phones#section"], object([("@total", text("3")), ("note", text("n"))]));
    assert_eq!(content.attributes["emails"], list([object([("ok", text("no"))])]));
    assert_eq!(
        content.attributes["webAddresses"],
        list([object([("ok", text("no")), ("phoneNo", text("w")), ("phoneNoTypeID", text("10"))])])
    );
    assert_eq!(content.attributes["addresses"], list([object([("county", text("k"))])]));
    assert_eq!(content.attributes["addresses#section"], object([("note", text("n"))]));
}

#[test]
fn an_entry_without_a_number_is_kept_where_it_says_anything_else() {
    let content = content_with("<phoneNos><PhoneNo><phoneNoTypeID>1</phoneNoTypeID><ext>12</ext></PhoneNo></phoneNos>");
    assert_eq!(content.phones[0].number, "");
    assert_eq!(content.attributes["phones"], list([object([("ext", text("12"))])]));
}

#[test]
fn forms_and_fields_of_the_same_name_do_not_overwrite_each_other() {
    let field = |id: &str, value: &str| {
        format!(
            "<CrmFormFields><fieldId>{id}</fieldId><fieldTypeId>1</fieldTypeId><fieldName>Note</fieldName>\
             <fieldValue>{value}</fieldValue></CrmFormFields>"
        )
    };
    let form = |id: &str, fields: &str| {
        format!(
            "<CrmForms><formId>{id}</formId><formName>Enquiry</formName><crmFormFields>{fields}</crmFormFields></CrmForms>"
        )
    };
    let forms = form("2", &field("5", "x")) + &form("1", &(field("4", "z") + &field("3", "y")));
    let attributes = content_with(&format!("<crmForms>{forms}</crmForms>")).attributes;
    assert_eq!(
        attributes["crmForms"],
        object([("Enquiry", list([object([("Note", list([text("y"), text("z")]))]), object([("Note", text("x"))])]))])
    );
    let ids = |id| object([("fieldId", text(id)), ("fieldTypeId", text("1"))]);
    assert_eq!(
        attributes["crmForms#details"],
        object([(
            "Enquiry",
            list([
                object([("formId", text("1")), ("crmFormFields", object([("Note", list([ids("3"), ids("4")]))]))]),
                object([("formId", text("2")), ("crmFormFields", object([("Note", ids("5"))]))]),
            ])
        )])
    );
}

#[test]
fn forms_and_fields_without_a_name_stand_under_their_ids() {
    let attributes = content_with(
        "<crmForms><CrmForms><formId>12</formId><crmFormFields><CrmFormFields><fieldId>7</fieldId>\
         <fieldValue>v</fieldValue></CrmFormFields></crmFormFields></CrmForms><CrmForms><crmFormFields><CrmFormFields>\
         <fieldValue>w</fieldValue></CrmFormFields></crmFormFields></CrmForms></crmForms>",
    )
    .attributes;
    assert_eq!(
        attributes["crmForms"],
        object([("#", object([("#", text("w"))])), ("#12", object([("#7", text("v"))]))])
    );
}

#[test]
fn what_stands_beside_forms_and_fields_is_kept() {
    let attributes = content_with(
        "<crmForms count=\"1\"><CrmForms><formName>F</formName><note>n</note><crmFormFields count=\"1\"><CrmFormFields>\
         <fieldName>A</fieldName><fieldValue>v</fieldValue><fieldValue>w</fieldValue></CrmFormFields></crmFormFields>\
         </CrmForms></crmForms>",
    )
    .attributes;
    assert_eq!(attributes["crmForms"], object([("F", object([("A", text("v"))]))]));
    assert_eq!(attributes["crmForms#section"], object([("@count", text("1"))]));
    assert_eq!(
        attributes["crmForms#details"],
        object([(
            "F",
            object([
                ("note", text("n")),
                ("crmFormFields", object([("A", object([("fieldValue", text("w"))]))])),
                ("crmFormFields#section", object([("@count", text("1"))])),
            ])
        )])
    );
}

#[test]
fn an_element_of_a_foreign_namespace_is_kept_and_never_matched() {
    let content = content_with(
        "<x:externalId xmlns:x=\"urn:x\">f</x:externalId><externalId xmlns=\"urn:y\">g</externalId>\
         <u:externalId>h</u:externalId><firstName xmlns=\"\">Jane</firstName>",
    );
    assert_eq!(content.external_id, None);
    assert_eq!(content.attributes["x:externalId"], text("f"));
    assert_eq!(content.attributes["externalId"], text("g"));
    assert_eq!(content.attributes["u:externalId"], text("h"));
    // An element without any namespace is taken for the source's.
    assert_eq!(content.name.first.as_deref(), Some("Jane"));
}

#[test]
fn attributes_of_the_contact_are_kept_and_what_xml_schema_says_is_not() {
    let changed =
        contact("1").replace("<ContactRecord>", "<ContactRecord changed=\"today\" xsi:type=\"ContactRecord\">");
    let content = content(&changed);
    assert_eq!(content.attributes["@changed"], text("today"));
    assert_eq!(content.attributes.len(), 1);
}
