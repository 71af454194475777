//! Our own template.

use super::*;

/// The function of our own template that has this binary.
fn ours(binary: &str) -> Function {
    let functions = Template::parse(TEMPLATE).unwrap().functions;
    functions.into_iter().find(|function| function.binary == binary).unwrap()
}

#[test]
fn the_templates_polls_are_planned_every_minute_and_a_plan_that_fails_is_not_repeated() {
    let plan = ours("schedule-polls");
    assert_eq!(plan.schedules, [Schedule { every: Duration::from_secs(60) }]);
    assert_eq!((plan.retries, plan.most_age), (0, Duration::from_secs(60)));
    assert!(plan.queues.is_empty() && plan.routes.is_empty());
}

#[test]
fn the_templates_pollers_are_invoked_with_one_message_at_a_time() {
    for (binary, queue) in [("poll-queue", "QueuePolls"), ("poll-contacts", "ContactPolls")] {
        let poll = ours(binary);
        assert_eq!(poll.timeout, Duration::from_secs(300), "{binary}");
        assert_eq!((poll.queues[0].queue.as_str(), poll.queues[0].batch_size), (queue, 1), "{binary}");
        assert!(poll.schedules.is_empty() && poll.routes.is_empty(), "{binary}");
    }
}

#[test]
fn the_templates_workers_are_invoked_with_messages_and_say_which_failed() {
    for (binary, queue, concurrency) in
        [("fetch-customers", "WorkQueue", 100), ("upsert-customers", "ContactsQueue", 20)]
    {
        let worker = ours(binary);
        assert_eq!(worker.timeout, Duration::from_secs(60), "{binary}");
        assert_eq!(
            worker.queues,
            [QueueTrigger {
                queue: queue.to_owned(),
                // A message of a source that hangs holds up no other.
                batch_size: 1,
                window: Duration::ZERO,
                concurrency,
                reports_failures: true,
            }]
        );
        assert!(worker.schedules.is_empty() && worker.routes.is_empty(), "{binary}");
    }
}

#[test]
fn the_templates_apis_have_their_routes() {
    let api = ours("customers-api");
    assert_eq!(api.timeout, Duration::from_secs(29));
    let mut routes: Vec<String> = api.routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    routes.sort();
    assert_eq!(
        routes,
        [
            " $default",
            "GET /",
            "GET /openapi.json",
            "GET /v1/changes",
            "GET /v1/connections",
            "GET /v1/customers",
            "GET /v1/customers/{id}",
            "GET /v1/imports",
            "GET /v1/lead-sources",
            "GET /v1/staff",
            "POST /v1/connections/{id}/pause",
            "POST /v1/connections/{id}/resume",
            "POST /v1/connections/{id}/resync",
            "POST /v1/customers/batch-get",
            "POST /v1/customers/search",
            "POST /v1/customers/where",
            "POST /v1/failures/drop",
            "POST /v1/failures/list",
            "POST /v1/failures/raw-document",
            "POST /v1/failures/redrive",
            "POST /v1/imports/{id}/undo",
        ]
    );
    assert!(api.schedules.is_empty() && api.queues.is_empty());

    let connector = ours("connector-api");
    assert_eq!(connector.timeout, Duration::from_secs(29));
    let mut routes: Vec<String> =
        connector.routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    routes.sort();
    assert_eq!(
        routes,
        [
            "GET /connector/api/2011-11/leadsource",
            "GET /connector/api/2011-11/staff",
            "GET /connector/api/2011-11/user",
            "POST /connector/api/2011-11/leadsource",
            "POST /connector/api/2011-11/staff",
            "POST /connector/api/2011-11/user",
        ]
    );
    assert!(connector.schedules.is_empty() && connector.queues.is_empty());

    let import = ours("import-api");
    assert_eq!(import.timeout, Duration::from_secs(29));
    assert_eq!(import.routes, [HttpRoute { method: "POST".to_owned(), path: "/api.php".to_owned() }]);
    assert!(import.schedules.is_empty() && import.queues.is_empty());
}

#[test]
fn the_templates_functions_have_the_environment_that_it_says() {
    let environment = |binary: &str| {
        let mut variables: Vec<String> =
            ours(binary).environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        variables.sort();
        variables
    };
    let of_all = [
        "METRICS_BY_CONNECTION=false",
        "POWERTOOLS_LOG_LEVEL=INFO",
        "POWERTOOLS_METRICS_NAMESPACE=CustomerSync/local",
        "CONTROL_TABLE=ControlTable",
        "SHADOW_TABLE=ShadowTable",
        "FEED_TABLE=FeedTable",
        "IMPORT_TABLE=ImportTable",
    ];
    for (binary, own) in [
        (
            "schedule-polls",
            &[
                "QUEUE_POLLS_URL=QueuePolls",
                "CONTACT_POLLS_URL=ContactPolls",
                "PUSH_REQUESTS_URL=PushRequests",
                "DRIFT_SAMPLE=20",
            ][..],
        ),
        ("poll-queue", &["WORK_QUEUE_URL=WorkQueue", "POLL_REQUESTS_URL=QueuePolls", "DRIFT_SAMPLE=20"]),
        ("poll-contacts", &["WORK_QUEUE_URL=ContactsQueue", "POLL_REQUESTS_URL=ContactPolls", "MOST_PAGES=20000"]),
        ("fetch-customers", &["POLL_REQUESTS_URL=QueuePolls"]),
        ("upsert-customers", &["POLL_REQUESTS_URL=ContactPolls"]),
        ("publish-changes", &["PUSH_REQUESTS_URL=PushRequests"]),
        ("push-changes", &[]),
        ("customers-api", &["ALLOWED_ORIGINS="]),
        ("connector-api", &[]),
        ("import-api", &[]),
    ] {
        let mut expected: Vec<String> = of_all.iter().chain(own).map(|text| (*text).to_owned()).collect();
        expected.push(format!("POWERTOOLS_SERVICE_NAME={binary}"));
        expected.sort();
        assert_eq!(environment(binary), expected, "{binary}");
    }
}

#[test]
fn the_templates_queues_have_the_times_and_the_dead_letters_that_it_says() {
    let queue = |name: &str, visibility: u64, retention: u64, dead_letter: Option<&str>| Queue {
        name: name.to_owned(),
        visibility_timeout: Duration::from_secs(visibility),
        retention: Duration::from_secs(retention),
        dead_letter: dead_letter.map(|queue| (queue.to_owned(), 5)),
    };
    assert_eq!(
        Template::parse(TEMPLATE).unwrap().queues,
        [
            queue("ContactPolls", 360, 120, None),
            queue("ContactsDeadLetterQueue", 30, 1_209_600, None),
            queue("ContactsQueue", 360, 86_400, Some("ContactsDeadLetterQueue")),
            queue("PushRequests", 1_800, 120, None),
            queue("QueuePolls", 360, 120, None),
            queue("WorkDeadLetterQueue", 30, 1_209_600, None),
            queue("WorkQueue", 360, 86_400, Some("WorkDeadLetterQueue")),
        ]
    );
}

#[test]
fn the_templates_tables_have_the_keys_and_indexes_that_it_says() {
    let template = Template::parse(TEMPLATE).unwrap();
    let requests: Vec<serde_json::Value> = template.tables.iter().map(Table::create_request).collect();
    let key = |hash: &str| json!({ "AttributeName": hash, "KeyType": "HASH" });
    let range = |range: &str| json!({ "AttributeName": range, "KeyType": "RANGE" });
    let text = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    assert_eq!(
        requests,
        [
            json!({
                "TableName": "ControlTable",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [text("connection"), text("entry"), text("kind")],
                "KeySchema": [key("connection"), range("entry")],
                "GlobalSecondaryIndexes": [{
                    "IndexName": "by-kind",
                    "KeySchema": [key("kind"), range("connection")],
                    "Projection": { "ProjectionType": "ALL" },
                }],
            }),
            json!({
                "TableName": "FeedTable",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [text("log"), text("entry")],
                "KeySchema": [key("log"), range("entry")],
            }),
            json!({
                "TableName": "ImportTable",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions":
                    [text("id"), text("listing"), json!({ "AttributeName": "began", "AttributeType": "N" })],
                "KeySchema": [key("id")],
                "GlobalSecondaryIndexes": [{
                    "IndexName": "by-connection",
                    "KeySchema": [key("listing"), range("began")],
                    "Projection": { "ProjectionType": "ALL" },
                }],
            }),
            json!({
                "TableName": "ShadowTable",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [text("id"), text("listing")],
                "KeySchema": [key("id")],
                "GlobalSecondaryIndexes": [{
                    "IndexName": "by-connection",
                    "KeySchema": [key("listing"), range("id")],
                    "Projection": { "ProjectionType": "KEYS_ONLY" },
                }],
                "StreamSpecification": { "StreamViewType": "NEW_AND_OLD_IMAGES" },
            }),
        ]
    );
    let times: Vec<serde_json::Value> = template.tables.iter().filter_map(Table::time_to_live_request).collect();
    let time = json!({ "AttributeName": "expires", "Enabled": true });
    let expiring = ["FeedTable", "ImportTable"];
    assert_eq!(times, expiring.map(|name| json!({ "TableName": name, "TimeToLiveSpecification": time })));
}
