//! Senders, what they post, and the answers.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use local_aws::TEMPLATE;
use local_aws::{Engine, Template};
use model::{ConnectionKey, Content, Customer};
use operations::imports::UndoReport;
use serde_json::{Value, json};
use store::ImportRecord;
use tests::AssociationAnywhereFixture;
use tower::ServiceExt;

pub(crate) const USER: &str = "john1970";
pub(crate) const PASSWORD: &str = "1959caadac9b13dcb3";
pub(crate) const ACCOUNT: &str = "greatwidgets";
/// The user and the account of another tenant.
pub(crate) const STRANGER: (&str, &str, &str) = ("mary1980", "a secret of another tenant", "smallwidgets");

/// The source's example, with the typo of its fifth header corrected.
const EXAMPLE: [(&str, &str); 14] = [
    ("user_id", USER),
    ("user_password", PASSWORD),
    ("account_id", ACCOUNT),
    ("type", "customers_batch"),
    ("delimiter", "pipe"),
    ("overwrite_duplicates", "update"),
    ("campaigns_to_include", "898989889|,|13234545|,|34534554"),
    ("profiles_header_1", "code"),
    ("profiles_header_2", "card_number"),
    ("profiles_header_3", "first_name"),
    ("profiles_header_4", "last_name"),
    ("profiles_header_5", "custom_date"),
    ("profiles_header_6", "phone"),
    (
        "Profiles_Data",
        "\n11223344|11223344|jane|doe|1970-07-14|555-5555\n22334455|22334455|jim|mcdoe|1966-07-28|555-5556\n\
         33445566|33445566|larry|smith|1980-02-05|555-5557\n",
    ),
];

/// A form that is posted.
#[derive(Clone)]
pub(crate) struct Form(Vec<(String, Vec<u8>)>);

impl Form {
    /// The source's example.
    pub(crate) fn example() -> Self {
        Self(EXAMPLE.map(|(name, value)| (name.to_owned(), value.as_bytes().to_owned())).into())
    }

    /// Rows under these headers, in this mode, answered as condensed JSON.
    pub(crate) fn rows(overwrite: &str, headers: &[&str], rows: &[&str]) -> Self {
        let mut form =
            Self::example().with("overwrite_duplicates", overwrite).with("campaigns_to_include", "898989889");
        form.0.retain(|(name, _)| !name.starts_with("profiles_header"));
        for (number, header) in (1..).zip(headers) {
            form = form.with(&format!("profiles_header_{number}"), header);
        }
        form.with("Profiles_Data", rows.join("\n")).with("output", "JSON").with("condensed", "yes")
    }

    /// This form with a field set to something else.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self = self.without(name);
        self.0.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn urlencoded(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| {
            let value: String = value.iter().map(|byte| format!("%{byte:02X}")).collect();
            format!("{name}={value}")
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    pub(crate) fn multipart(&self, boundary: &str) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in &self.0 {
            body.extend(
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").into_bytes(),
            );
            body.extend(value);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{boundary}--\r\n").into_bytes());
        body
    }
}

/// An answer with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) media_type: String,
    pub(crate) text: String,
}

impl Answer {
    /// A success in JSON; its counts make up its rows.
    #[track_caller]
    pub(crate) fn batch(&self) -> Value {
        let document: Value = serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"));
        assert_eq!(document["status"], "success", "{self:?}");
        document["batch"].clone()
    }

    /// New, updated, ignored, failed.
    #[track_caller]
    pub(crate) fn counts(&self) -> [u64; 4] {
        let batch = self.batch();
        let (customers, import) = (&batch["customers"], &batch["import"]);
        [&customers["new"], &customers["updated"], &import["ignored"], &import["failed"]]
            .map(|count| count.as_u64().unwrap())
    }

    #[track_caller]
    pub(crate) fn import(&self) -> String {
        self.batch()["import"]["id"].as_str().unwrap().to_owned()
    }

    /// The reasons of the rows that failed.
    #[track_caller]
    pub(crate) fn failures(&self) -> Vec<(u64, String)> {
        let batch = self.batch();
        let failures = batch["failures"].as_array().cloned().unwrap_or_default();
        let failure =
            |failure: &Value| (failure["row"].as_u64().unwrap(), failure["reason"].as_str().unwrap().to_owned());
        failures.iter().map(failure).collect()
    }

    /// Whether it says that another import is under way.
    fn is_busy(&self) -> bool {
        self.text.contains("another import of this account is under way: send the request again")
    }

    /// The dialect's error, in XML.
    #[track_caller]
    pub(crate) fn error(&self) -> &str {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        let error = self.text.strip_prefix("<response status=\"error\"><error>");
        error.and_then(|text| text.strip_suffix("</error></response>")).unwrap_or_else(|| panic!("no error: {self:?}"))
    }
}

/// A world with two accounts: `imports` of the tenant `acme`, and `others` of another.
pub(crate) async fn world() -> AssociationAnywhereFixture {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    let (user, password, account) = STRANGER;
    for (id, tenant, account, user, password) in
        [("imports", "acme", ACCOUNT, USER, PASSWORD), ("others", "other", account, user, password)]
    {
        let users = json!({ "users": [{ "user_id": user, "user_password": password }] });
        let credentials = world.secret(&format!("{id}.json"), &users);
        world
            .configure(&format!(
                "[[connection]]\nid = '{id}'\ntenant = '{tenant}'\nkind = 'batch-import'\naccount_id = '{account}'\n\
                 credentials = '{credentials}'\ncampaigns = ['898989889', '13234545', '34534554']\n"
            ))
            .await;
    }
    world
}

pub(crate) fn connection() -> ConnectionKey {
    ConnectionKey::new("acme", "imports")
}

pub(crate) async fn post(world: &AssociationAnywhereFixture, form: &Form) -> Answer {
    send(world, "application/x-www-form-urlencoded", &[], form.urlencoded()).await
}

/// Posts, and sends it again as long as another import is under way, as it is told to: on a clock that stands still,
/// the one that waits moves it on faster than the other works.
pub(crate) async fn post_until_done(world: &AssociationAnywhereFixture, form: &Form) -> Answer {
    loop {
        let answer = post(world, form).await;
        if !answer.is_busy() {
            return answer;
        }
    }
}

/// Posts, and lets the function take as long as a busy machine needs: the time that API Gateway gives is real.
pub(crate) async fn post_without_hurry(world: &AssociationAnywhereFixture, form: &Form) -> Answer {
    let mut template = Template::parse(TEMPLATE).unwrap();
    for function in &mut template.functions {
        function.timeout = Duration::from_secs(600);
    }
    let engine = Engine::new(&template, &world.clients, world.queues.clone(), world.database.clone()).unwrap();
    send_to(engine.gateway(), "application/x-www-form-urlencoded", &[], form.urlencoded()).await
}

pub(crate) async fn send(
    world: &AssociationAnywhereFixture,
    content_type: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    send_to(world.engine.gateway(), content_type, headers, body).await
}

async fn send_to(gateway: Router, content_type: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let mut request = Request::post("/api.php").header(header::CONTENT_TYPE, content_type);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = gateway.oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let status = response.status();
    let media_type = response.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, media_type: media_type.unwrap_or_default(), text: String::from_utf8(bytes.to_vec()).unwrap() }
}

pub(crate) async fn customer(world: &AssociationAnywhereFixture, source_id: &str) -> Option<Customer> {
    world.shadow().get(&connection(), source_id).await.unwrap()
}

pub(crate) async fn content(world: &AssociationAnywhereFixture, source_id: &str) -> Content {
    customer(world, source_id).await.unwrap().content
}

/// Source ids of all customers that exist.
pub(crate) async fn all_customers(world: &AssociationAnywhereFixture) -> Vec<String> {
    let deadline = world.now() + Duration::from_secs(60);
    let (customers, _) = world.shadow().list(&connection(), None, 10_000, deadline).await.unwrap();
    let mut ids: Vec<String> = customers.into_iter().map(|customer| customer.source_id).collect();
    ids.sort();
    ids
}

/// How many writes there were, to any table but the leases.
pub(crate) fn writes(world: &AssociationAnywhereFixture) -> u64 {
    ["PutItem", "BatchWriteItem", "TransactWriteItems", "DeleteItem"]
        .map(|operation| world.database.operations(operation))
        .iter()
        .sum()
}

pub(crate) async fn record(world: &AssociationAnywhereFixture, import: &str) -> ImportRecord {
    let deadline = world.now() + Duration::from_secs(60);
    world.imports().find(&connection(), import, deadline).await.unwrap().unwrap()
}

pub(crate) async fn undo(world: &AssociationAnywhereFixture, import: &str) -> UndoReport {
    let deadline = world.now() + Duration::from_secs(60);
    world.undo().carry_out(&connection(), &record(world, import).await, deadline).await.unwrap()
}

/// A report in short: restored, removed, already back, changed since.
pub(crate) fn report(report: &UndoReport) -> [usize; 4] {
    [&report.restored, &report.removed, &report.already_back, &report.changed_since].map(Vec::len)
}
