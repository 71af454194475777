use super::*;
use model::import::Overwrite;

use crate::{DestinationKind, Payload, Receiver};

const BC: &str = r#"
[[connection]]
id = "bc"
tenant = "acme"
kind = "business-catalyst"
endpoint = "https://bc.example.org/catalystcrmwebservice.asmx"
site_id = 12345
credentials = "env:BC_CREDENTIALS"
time_zone = "Australia/Sydney"
"#;
const LOYALTY: &str = r#"
[[destination]]
id = "loyalty"
tenant = "acme"
kind = "customers-batch"
from = ["aa", "bc"]
url = "https://loyalty.example.org/api.php"
credentials = "env:LOYALTY_CREDENTIALS"
campaigns = ["898989889"]
overwrite_duplicates = "update"
api = "legacy"
"#;
const SITE: &str = r#"
[[destination]]
id = "site"
tenant = "acme"
kind = "business-catalyst"
from = ["aa"]
endpoint = "https://other.example.org/catalystcrmwebservice.asmx"
site_id = 7
soap = "1.2"
credentials = "env:SITE_CREDENTIALS"
"#;
const HOOK: &str = r#"
[[destination]]
id = "hook"
tenant = "acme"
kind = "webhook"
from = ["aa"]
url = "https://hook.example.org/in"
credentials = "env:HOOK_CREDENTIALS"
"#;

#[test]
fn destinations_are_read_with_their_defaults() {
    let destinations = read(&format!("{MINIMAL}{BC}{LOYALTY}{SITE}{HOOK}")).destinations;
    let kinds: Vec<DestinationKind> = destinations.iter().map(|it| it.settings.receiver.kind()).collect();
    assert_eq!(kinds, [DestinationKind::CustomersBatch, DestinationKind::BusinessCatalyst, DestinationKind::Webhook]);
    assert_eq!(destinations[0].settings.from, ["aa", "bc"]);
    let rates = destinations.iter().map(|it| it.settings.max_requests_per_second).collect::<Vec<_>>();
    assert_eq!(rates, [10.0, 10.0, 50.0]);
    assert!(destinations.iter().all(|it| !it.settings.allow_private_addresses));
    let Receiver::CustomersBatch(loyalty) = &destinations[0].settings.receiver else { panic!() };
    assert_eq!(
        (&loyalty.campaigns[..], loyalty.overwrite_duplicates),
        (&["898989889".to_owned()][..], Overwrite::Update)
    );
    let Receiver::Webhook(hook) = &destinations[2].settings.receiver else { panic!() };
    assert_eq!(hook.payload, Payload::State);
}

#[test]
fn a_destination_reads_back_from_its_registration() {
    let configuration = read(&format!("{MINIMAL}{BC}{LOYALTY}{SITE}{HOOK}payload = \"ids\"\n"));
    for destination in &configuration.destinations {
        let registration = destination.to_registration();
        assert_eq!(registration.kind, "destination");
        assert_eq!(Destination::from_registration(&registration).unwrap(), *destination);
        assert!(configuration.to_registrations().contains(&registration));
    }
}

#[test]
fn everything_that_is_wrong_with_a_destination_is_named_at_once() {
    let text = "[[destination]]\nid = \"l\"\nkind = \"customers-batch\"\napi = \"2\"\nuser = 1\n[[destination]]\nkind = \"fax\"\n";
    assert_eq!(
        problems(&format!("{MINIMAL}{text}")),
        [
            "destination `l`: key `tenant`: is missing",
            "destination `l`: key `from`: is missing",
            "destination `l`: key `credentials`: is missing",
            "destination `l`: key `url`: is missing",
            "destination `l`: key `campaigns`: is missing",
            "destination `l`: key `api`: must be \"legacy\" or \"1.5\"",
            "destination `l`: key `user`: is not known",
            "destination 2: key `id`: is missing",
            "destination 2: key `tenant`: is missing",
            "destination 2: key `from`: is missing",
            "destination 2: key `credentials`: is missing",
            "destination 2: key `kind`: must be \"business-catalyst\" or \"customers-batch\" or \"webhook\"",
        ]
    );
}

#[test]
fn a_destination_gets_customers_of_its_own_tenant_alone() {
    let rule = "is no connection of the tenant";
    let elsewhere = HOOK.replace("acme", "globex");
    assert_eq!(problems(&format!("{MINIMAL}{elsewhere}")), [format!("destination `hook`: key `from`: `aa` {rule}")]);
    let unknown = HOOK.replace("[\"aa\"]", "[\"aa\", \"xx\"]");
    assert_eq!(problems(&format!("{MINIMAL}{unknown}")), [format!("destination `hook`: key `from`: `xx` {rule}")]);
}

#[test]
fn no_destination_has_the_id_of_a_connection_or_the_address_of_another() {
    let same_id = HOOK.replace("\"hook\"", "\"aa\"");
    assert_eq!(problems(&format!("{MINIMAL}{same_id}")), ["destination `aa`: key `id`: is used twice"]);
    let second = HOOK.replace("\"hook\"", "\"again\"");
    assert_eq!(
        problems(&format!("{MINIMAL}{HOOK}{second}")),
        ["destination `again`: key `url`: is that of another destination too, which would send everything twice"]
    );
    let second = second.replace("https://", "HTTPS://").replace("example.org", "EXAMPLE.org:443");
    assert_ne!(second, HOOK.replace("\"hook\"", "\"again\""));
    assert_eq!(problems(&format!("{MINIMAL}{HOOK}{second}")).len(), 1, "it is the same address in another spelling");
}

#[test]
fn an_address_that_is_not_public_must_be_allowed() {
    for host in ["127.0.0.1:8080", "10.0.0.7", "[::1]", "169.254.169.254"] {
        let text = HOOK.replace("hook.example.org", host);
        let problem = "is in a private network: that needs `allow_private_addresses = true`";
        assert_eq!(problems(&format!("{MINIMAL}{text}")), [format!("destination `hook`: key `url`: {problem}")]);
        let allowed = read(&format!("{MINIMAL}{text}allow_private_addresses = true\n"));
        assert!(allowed.destinations[0].settings.allow_private_addresses);
    }
}

#[test]
fn plain_http_must_be_allowed_too() {
    let text = HOOK.replace("https", "http");
    assert!(problems(&format!("{MINIMAL}{text}"))[0].contains("key `url`: plain http needs"));
    read(&format!("{MINIMAL}{text}insecure_http = true\n"));
}

#[test]
fn a_site_that_would_get_its_own_customers_back_is_told() {
    let warnings = |host: &str| {
        let site = SITE.replace("other.example.org", host).replace("site_id = 7", "site_id = 12345");
        let text = format!("{MINIMAL}{BC}{}", site.replace("[\"aa\"]", "[\"aa\", \"bc\"]"));
        Configuration::parse_usable(&text, Deployment::Local).unwrap().warnings
    };
    let warning = "`bc` is the same site: its own customers are not sent back to it";
    assert_eq!(warnings("BC.example.org"), [format!("destination `site`: key `from`: {warning}")]);
    let warning = "`bc` has the same `site_id` at another `endpoint`: if it is the same site, give both the same one, or \
                   its own customers are sent back to it";
    assert_eq!(warnings("other.example.org"), [format!("destination `site`: key `from`: {warning}")]);
}
