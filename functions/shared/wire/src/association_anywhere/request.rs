use std::fmt;

use serde::{Deserialize, Serialize};

use super::Section;
use crate::request_text::element;

/// How the element names of queue, purge and enqueue requests are spelled. The source has two families of procedures
/// side by side; readers accept both, always. Details requests have one spelling only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// The older family: `cust-id`, `vendor-id`, `max-queue-num`.
    #[default]
    Hyphen,
    /// The newer family: `custId`, `vendorId`, `maxQueueNum`.
    Camel,
}

/// What a request authenticates with, inside the document. There is no HTTP authentication.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The name that the source gave to the integrator.
    pub username: &'a str,
    /// Its password.
    pub password: &'a str,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Dialect {
    /// An element of queue, purge and enqueue requests. The guide gives `max-queue-num`; the other names are known from
    /// the source's procedures of the same family.
    fn element(self, name: &str, text: &str) -> String {
        element(&self.spelled(name), text)
    }

    /// A request with this name of its own element.
    fn request(self, name: &str, credentials: &Credentials, content: &str) -> String {
        let root = self.spelled(name);
        let username = self.element("vendor-id", credentials.username);
        let password = self.element("vendor-password", credentials.password);
        format!("<{root}>{username}{password}{content}</{root}>")
    }

    /// A name of the older family, as this one spells it.
    fn spelled(self, name: &str) -> String {
        let mut spelled = name.to_owned();
        if self == Self::Camel {
            while let Some(hyphen) = spelled.find('-') {
                spelled.remove(hyphen);
                spelled[hyphen..=hyphen].make_ascii_uppercase();
            }
        }
        spelled
    }
}

/// Asks which customers changed since the last purge (`GET_QUEUE_CUSTS_XML`, `GET_QUEUE_CUSTS_W_REASONS_XML`).
/// [`QueueReader`](super::QueueReader) reads the answer.
pub fn queue_request(dialect: Dialect, credentials: &Credentials) -> String {
    dialect.request("cust-request", credentials, "")
}

/// Clears from the queue what it returned up to `max_queue_num` (`PURGE_QUEUE_XML`).
/// [`StatusReader`](super::StatusReader) reads the answer.
pub fn purge_request(dialect: Dialect, credentials: &Credentials, max_queue_num: &str) -> String {
    dialect.request("purge-request", credentials, &dialect.element("max-queue-num", max_queue_num))
}

/// Puts one customer into the queue, or every customer if none is given (`FORCE_ENQUEUE_CUSTS_XML`).
/// [`StatusReader`](super::StatusReader) reads the answer.
pub fn enqueue_request(dialect: Dialect, credentials: &Credentials, customer: Option<&str>) -> String {
    let customer = customer.map(|id| dialect.element("cust-id", id)).unwrap_or_default();
    dialect.request("enqueue-request", credentials, &customer)
}

/// Asks for the details of customers (`GET_CUST_INFO_XML`): the given sections, each whole, with what the source marks
/// as bad, inactive or expired. Ids that do not exist are missing in the answer, which
/// [`DetailsReader`](super::DetailsReader) reads.
///
/// Sections come in the order of [`Section::ALL`], each once, in whatever order they are given.
pub fn details_request<'a>(
    ids: impl IntoIterator<Item = &'a str>,
    sections: &[Section],
    credentials: &Credentials,
) -> String {
    let mut request = String::from("<custInfoRequest>");
    for id in ids {
        request += &element("custId", id);
    }
    request += &element("integratorUsername", credentials.username);
    request += &element("integratorPassword", credentials.password);
    request += "<directoryId/>";
    request += &element("bulkRequest", "true");
    request += r#"<details includeCodeValues="true">"#;
    for section in Section::ALL.into_iter().filter(|section| sections.contains(section)) {
        request += "<";
        request += section.name();
        request += r#" include="true""#;
        for flag in section.further_flags() {
            request += " ";
            request += flag;
            request += r#"="true""#;
        }
        request += "/>";
    }
    request += "</details></custInfoRequest>";
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: Credentials = Credentials { username: "USER", password: "SECRET" };
    const AWKWARD: Credentials = Credentials { username: "a<b", password: "p&\"w>'" };

    #[test]
    fn a_queue_request_holds_the_credentials_and_nothing_else() {
        assert_eq!(
            queue_request(Dialect::Hyphen, &CREDENTIALS),
            "<cust-request><vendor-id>USER</vendor-id><vendor-password>SECRET</vendor-password></cust-request>"
        );
        assert_eq!(
            queue_request(Dialect::Camel, &CREDENTIALS),
            "<custRequest><vendorId>USER</vendorId><vendorPassword>SECRET</vendorPassword></custRequest>"
        );
    }

    #[test]
    fn a_purge_request_names_the_number_up_to_which_to_purge() {
        assert_eq!(
            purge_request(Dialect::Hyphen, &CREDENTIALS, "4711"),
            "<purge-request><vendor-id>USER</vendor-id><vendor-password>SECRET</vendor-password>\
             <max-queue-num>4711</max-queue-num></purge-request>"
        );
        assert_eq!(
            purge_request(Dialect::Camel, &CREDENTIALS, "4711"),
            "<purgeRequest><vendorId>USER</vendorId><vendorPassword>SECRET</vendorPassword>\
             <maxQueueNum>4711</maxQueueNum></purgeRequest>"
        );
    }

    #[test]
    fn an_enqueue_request_names_one_customer_or_means_all() {
        assert_eq!(
            enqueue_request(Dialect::Hyphen, &CREDENTIALS, Some("1001")),
            "<enqueue-request><vendor-id>USER</vendor-id><vendor-password>SECRET</vendor-password>\
             <cust-id>1001</cust-id></enqueue-request>"
        );
        assert_eq!(
            enqueue_request(Dialect::Hyphen, &CREDENTIALS, None),
            "<enqueue-request><vendor-id>USER</vendor-id><vendor-password>SECRET</vendor-password></enqueue-request>"
        );
        assert_eq!(
            enqueue_request(Dialect::Camel, &CREDENTIALS, Some("1001")),
            "<enqueueRequest><vendorId>USER</vendorId><vendorPassword>SECRET</vendorPassword>\
             <custId>1001</custId></enqueueRequest>"
        );
    }

    #[test]
    fn a_details_request_asks_for_each_section_whole() {
        assert_eq!(
            details_request(["1001", "1002"], &Section::ALL, &CREDENTIALS),
            concat!(
                "<custInfoRequest><custId>1001</custId><custId>1002</custId>",
                "<integratorUsername>USER</integratorUsername><integratorPassword>SECRET</integratorPassword>",
                r#"<directoryId/><bulkRequest>true</bulkRequest><details includeCodeValues="true">"#,
                r#"<roles include="true"/><addresses include="true" includeBad="true"/><phones include="true"/>"#,
                r#"<emails include="true" includeBad="true"/><websites include="true" includeBad="true"/>"#,
                r#"<jobs include="true" includeInactive="true"/>"#,
                r#"<employmentAttributes include="true" includeAll="true"/>"#,
                r#"<committeePositions include="true" includeInactive="true"/>"#,
                r#"<memberships include="true" includeInactive="true" includeInactiveSlots="true"/>"#,
                r#"<subscriptions include="true" includeExpired="true"/><communicationPreferences include="true"/>"#,
                r#"<customerAttributes include="true" includeAll="true"/>"#,
                r#"<custDimAttrs include="true" includeAll="true"/><bio include="true"/><aliases include="true"/>"#,
                r#"<companyAdmins include="true"/><certifications include="true"/><employees include="true"/>"#,
                r#"<referralInfo include="true"/><files include="true"/></details></custInfoRequest>"#,
            )
        );
    }

    #[test]
    fn a_details_request_asks_only_for_the_sections_given_in_the_sources_order() {
        assert_eq!(
            details_request(["1001"], &[Section::Phones, Section::Roles, Section::Phones], &CREDENTIALS),
            concat!(
                "<custInfoRequest><custId>1001</custId>",
                "<integratorUsername>USER</integratorUsername><integratorPassword>SECRET</integratorPassword>",
                r#"<directoryId/><bulkRequest>true</bulkRequest><details includeCodeValues="true">"#,
                r#"<roles include="true"/><phones include="true"/></details></custInfoRequest>"#,
            )
        );
    }

    #[test]
    fn what_xml_reserves_is_escaped_in_ids_and_credentials() {
        assert_eq!(
            enqueue_request(Dialect::Hyphen, &AWKWARD, Some("<1&2>")),
            "<enqueue-request><vendor-id>a&lt;b</vendor-id><vendor-password>p&amp;&quot;w&gt;&apos;</vendor-password>\
             <cust-id>&lt;1&amp;2&gt;</cust-id></enqueue-request>"
        );
        assert_eq!(
            enqueue_request(Dialect::Camel, &AWKWARD, Some("\"")),
            "<enqueueRequest><vendorId>a&lt;b</vendorId><vendorPassword>p&amp;&quot;w&gt;&apos;</vendorPassword>\
             <custId>&quot;</custId></enqueueRequest>"
        );
        for dialect in [Dialect::Hyphen, Dialect::Camel] {
            assert!(queue_request(dialect, &AWKWARD).contains("p&amp;&quot;w&gt;&apos;"));
            assert!(purge_request(dialect, &AWKWARD, "1&2").contains(">1&amp;2<"));
        }
        let details = details_request(["<1>"], &[], &AWKWARD);
        assert!(details.contains("<custId>&lt;1&gt;</custId><integratorUsername>a&lt;b</integratorUsername>"));
        assert!(details.contains("<integratorPassword>p&amp;&quot;w&gt;&apos;</integratorPassword>"));
    }

    #[test]
    fn credentials_do_not_show_in_debug_output() {
        let shown = format!("{CREDENTIALS:?}");
        assert!(!shown.contains("SECRET") && !shown.contains("USER"), "{shown}");
    }
}
