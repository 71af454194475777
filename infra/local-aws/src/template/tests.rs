use super::*;
use crate::TEMPLATE;

mod ours;

/// The error of a template that can't be carried out.
fn refusal(text: &str) -> String {
    match Template::parse(text) {
        Ok(template) => panic!("nothing is refused: {template:?}"),
        Err(error) => error.to_string(),
    }
}

/// A template of one function with these lines among its properties.
fn function(properties: &str) -> String {
    let properties = indented(properties, 6);
    format!(
        "Resources:\n  Worker:\n    Type: AWS::Serverless::Function\n    Metadata:\n      BuildProperties:\n        \
         Binary: worker\n    Properties:\n      CodeUri: .\n{properties}"
    )
}

/// A template of one function with this event.
fn event(event: &str) -> String {
    function(&format!("Events:\n  Go:\n{}", indented(event, 4)))
}

fn resource(kind: &str, properties: &str) -> String {
    format!("Resources:\n  Thing:\n    Type: {kind}\n    Properties:\n{}", indented(properties, 6))
}

fn indented(lines: &str, spaces: usize) -> String {
    lines.lines().map(|line| format!("{:spaces$}{line}\n", "")).collect()
}

fn only_function(text: &str) -> Function {
    let mut template = Template::parse(text).unwrap();
    assert_eq!(template.functions.len(), 1);
    template.functions.remove(0)
}

#[test]
fn what_a_function_does_not_say_comes_from_the_globals_and_then_from_aws() {
    let worker = only_function(&function("Environment:\n  Variables:\n    B: own"));
    assert_eq!(worker.timeout, Duration::from_secs(3));
    let globals = "Globals:\n  Function:\n    Timeout: 7\n    Environment:\n      Variables: { A: all, B: all }\n";
    let worker = only_function(&format!("{globals}{}", function("Environment:\n  Variables:\n    B: own")));
    assert_eq!(worker.timeout, Duration::from_secs(7));
    assert_eq!((worker.environment["A"].as_str(), worker.environment["B"].as_str()), ("all", "own"));
    let worker = only_function(&format!("{globals}{}", function("Timeout: 8")));
    assert_eq!(worker.timeout, Duration::from_secs(8));
}

#[test]
fn triggers_have_the_defaults_of_aws() {
    let worker = only_function(&event("Type: SQS\nProperties:\n  Queue: !GetAtt Work.Arn"));
    assert_eq!(
        worker.queues,
        [QueueTrigger {
            queue: "Work".to_owned(),
            batch_size: 10,
            window: Duration::ZERO,
            concurrency: 5,
            reports_failures: false,
        }]
    );
    let worker = only_function(&event("Type: ScheduleV2\nProperties:\n  ScheduleExpression: rate(2 hours)"));
    assert_eq!(worker.schedules, [Schedule { every: Duration::from_secs(7_200) }]);
    let template = Template::parse(&resource("AWS::SQS::Queue", "SqsManagedSseEnabled: true")).unwrap();
    assert_eq!(
        template.queues,
        [Queue {
            name: "Thing".to_owned(),
            visibility_timeout: Duration::from_secs(30),
            retention: Duration::from_secs(345_600),
            dead_letter: None,
        }]
    );
}

#[test]
fn everything_that_a_trigger_can_say_is_carried_out() {
    let worker = only_function(&event(
        "Type: SQS\nProperties:\n  Queue: !GetAtt Work.Arn\n  BatchSize: 3\n  Enabled: true\n  \
         MaximumBatchingWindowInSeconds: 4\n  ScalingConfig: { MaximumConcurrency: 9 }\n  \
         FunctionResponseTypes: [ReportBatchItemFailures]",
    ));
    assert_eq!(
        worker.queues,
        [QueueTrigger {
            queue: "Work".to_owned(),
            batch_size: 3,
            window: Duration::from_secs(4),
            concurrency: 9,
            reports_failures: true,
        }]
    );
    for (rate, seconds) in [("1 minute", 60), ("5 minutes", 300), ("1 hour", 3_600), ("3 days", 259_200)] {
        let worker = only_function(&event(&format!(
            "Type: ScheduleV2\nProperties:\n  ScheduleExpression: rate({rate})\n  State: ENABLED\n  \
             RetryPolicy: {{ MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 60 }}"
        )));
        assert_eq!(worker.schedules, [Schedule { every: Duration::from_secs(seconds) }], "{rate}");
    }
    let worker = only_function(&event("Type: HttpApi\nProperties:\n  Method: get\n  Path: /v1/things/{id}"));
    assert_eq!(worker.routes, [HttpRoute { method: "GET".to_owned(), path: "/v1/things/{id}".to_owned() }]);
}

#[test]
fn a_reference_is_the_parameters_default_or_the_resource_itself() {
    let parameters = "Parameters:\n  Seconds: { Type: Number, Default: 11 }\n  Word: { Type: String }\n";
    let variables = "Timeout: !Ref Seconds\nEnvironment:\n  Variables:\n    TABLE: !Ref Things\n    \
                     ARN: !GetAtt Things.Arn\n    NUMBER: 1\n    YES: true";
    let worker = only_function(&format!("{parameters}{}", function(variables)));
    assert_eq!(worker.timeout, Duration::from_secs(11));
    for (name, value) in [("TABLE", "Things"), ("ARN", "Things"), ("NUMBER", "1"), ("YES", "true")] {
        assert_eq!(worker.environment[name], value);
    }
}

#[test]
fn sections_that_decide_what_the_template_is_are_refused() {
    let text = format!("Mappings:\n  A: {{}}\n{}", function("Timeout: 1"));
    assert_eq!(refusal(&text), "template.yaml: Mappings: is not supported on one machine");
}

#[test]
fn a_condition_is_left_out_with_what_means_nothing_here_and_refused_with_anything_else() {
    let conditions = "Conditions:\n  IsSecond: !Not [!Equals [!Ref Name, \"\"]]\n";
    let under_condition = |text: String| format!("{conditions}{}\n    Condition: IsSecond", text.trim_end());
    Template::parse(&under_condition(resource("AWS::SNS::Subscription", "Protocol: email"))).unwrap();
    for (text, place) in [
        (under_condition(function("Timeout: 1")), "Worker.Condition"),
        (under_condition(resource("AWS::SQS::Queue", "VisibilityTimeout: 1")), "Thing.Condition"),
        (under_condition(resource("AWS::DynamoDB::Table", "KeySchema: []")), "Thing.Condition"),
    ] {
        assert_eq!(refusal(&text), format!("template.yaml: {place}: is not supported on one machine"));
    }
    let network = "VpcConfig: !If [IsSecond, { SubnetIds: !Ref Subnets }, !Ref \"AWS::NoValue\"]\nTimeout: 9";
    assert_eq!(only_function(&format!("{conditions}{}", function(network))).timeout, Duration::from_secs(9));
    assert_eq!(
        refusal(&format!("{conditions}{}", function("Timeout: !If [IsSecond, 1, 2]"))),
        "template.yaml: Worker.Timeout: !If is not supported on one machine"
    );
}

#[test]
fn a_text_may_name_parameters_and_the_stack() {
    let parameters = "Parameters:\n  Word: { Type: String, Default: eleven }\n";
    let variables = "Environment:\n  Variables:\n    TEXT: !Sub \"${Word} in ${AWS::StackName}: ${Word}\"";
    let worker = only_function(&format!("{parameters}{}", function(variables)));
    assert_eq!(worker.environment["TEXT"], "eleven in local: eleven");
}

#[test]
fn a_resource_of_another_type_is_refused() {
    for kind in ["AWS::S3::Bucket", "AWS::Kinesis::Stream", "AWS::Serverless::Api"] {
        assert_eq!(
            refusal(&resource(kind, "A: 1")),
            format!("template.yaml: Thing: {kind} is not supported on one machine")
        );
    }
}

#[test]
fn a_resource_that_means_nothing_here_is_left_out() {
    for kind in WITHOUT_MEANING {
        let template = Template::parse(&resource(kind, "Anything: 1")).unwrap();
        assert!(template.functions.is_empty() && template.queues.is_empty() && template.tables.is_empty(), "{kind}");
    }
}

#[test]
fn a_property_that_is_not_carried_out_is_refused_by_its_place() {
    for (text, place) in [
        (function("ReservedConcurrentExecutions: 1"), "Worker.ReservedConcurrentExecutions"),
        (function("EventInvokeConfig: { DestinationConfig: {} }"), "Worker.EventInvokeConfig.DestinationConfig"),
        (
            format!(
                "Globals:
  Function:
    Layers: []
{}",
                function("Timeout: 1")
            ),
            "Globals.Function.Layers",
        ),
        (resource("AWS::SQS::Queue", "FifoQueue: true"), "Thing.FifoQueue"),
        (resource("AWS::SQS::Queue", "DelaySeconds: 5"), "Thing.DelaySeconds"),
        (resource("AWS::DynamoDB::Table", "LocalSecondaryIndexes: []"), "Thing.LocalSecondaryIndexes"),
        (event("Type: SQS\nProperties:\n  Queue: q\n  Enabled: false"), "Worker.Events.Go.Enabled"),
        (event("Type: SQS\nProperties:\n  Queue: q\n  FilterCriteria: {}"), "Worker.Events.Go.FilterCriteria"),
        (
            event("Type: SQS\nProperties:\n  Queue: q\n  FunctionResponseTypes: [Other]"),
            "Worker.Events.Go.FunctionResponseTypes[0]",
        ),
        (event("Type: ScheduleV2\nProperties:\n  State: DISABLED"), "Worker.Events.Go.State"),
        (event("Type: ScheduleV2\nProperties:\n  StartDate: '2026-01-01'"), "Worker.Events.Go.StartDate"),
        (event("Type: HttpApi\nProperties:\n  Auth: {}"), "Worker.Events.Go.Auth"),
    ] {
        assert_eq!(refusal(&text), format!("template.yaml: {place}: is not supported on one machine"));
    }
}

#[test]
fn an_event_of_another_type_is_refused() {
    for kind in ["Kinesis", "Schedule", "Api", "S3", "SNS"] {
        assert_eq!(
            refusal(&event(&format!("Type: {kind}\nProperties: {{}}"))),
            format!("template.yaml: Worker.Events.Go: an event of type {kind} is not supported on one machine")
        );
    }
}

#[test]
fn a_schedule_is_a_rate() {
    for expression in
        ["cron(0 12 * * ? *)", "at(2026-01-01T00:00:00)", "rate(1)", "rate(x minutes)", "rate(1 month)", "1 minute"]
    {
        assert_eq!(
            refusal(&event(&format!("Type: ScheduleV2\nProperties:\n  ScheduleExpression: {expression}"))),
            format!(
                "template.yaml: Worker.Events.Go.ScheduleExpression: \"{expression}\" is not supported on one machine: \
                 use rate(…)"
            )
        );
    }
}

#[test]
fn a_value_that_is_put_together_is_refused() {
    assert_eq!(
        refusal(&function("Environment:\n  Variables:\n    ARN: !Sub \"${Things.Arn}/index\"")),
        "template.yaml: Worker.Environment.Variables.ARN: !Sub is not supported on one machine"
    );
    assert_eq!(
        refusal(&function("Environment:\n  Variables:\n    NAME: !Join [\"-\", [a, b]]")),
        "template.yaml: Worker.Environment.Variables.NAME: !Join is not supported on one machine"
    );
    assert_eq!(
        refusal(&function("Environment:\n  Variables:\n    LIST: [a]")),
        "template.yaml: Worker.Environment.Variables.LIST: must be a text, a number, true or false"
    );
}

#[test]
fn a_catch_all_route_is_refused() {
    for (method, path) in [("GET", "/{proxy+}"), ("GET", "$default"), ("ANY", "/v1/things"), ("any", "/v1/things")] {
        assert_eq!(
            refusal(&event(&format!("Type: HttpApi\nProperties:\n  Method: {method}\n  Path: {path}"))),
            "template.yaml: Worker.Events.Go: a catch-all route is not supported on one machine",
            "{method} {path}"
        );
    }
}

#[test]
fn a_figure_that_is_none_is_refused() {
    for (text, place) in [
        (function("Timeout: soon"), "Worker.Timeout"),
        (function("Timeout: -1"), "Worker.Timeout"),
        (function("Timeout: 1.5"), "Worker.Timeout"),
        (function("Timeout: 5000000000"), "Worker.Timeout"),
        (function("Timeout: !Ref NoSuchParameter"), "Worker.Timeout"),
        (resource("AWS::SQS::Queue", "VisibilityTimeout: long"), "Thing.VisibilityTimeout"),
        (event("Type: SQS\nProperties:\n  Queue: q\n  BatchSize: many"), "Worker.Events.Go.BatchSize"),
    ] {
        assert_eq!(refusal(&text), format!("template.yaml: {place}: must be a whole number from 0 to 4294967295"));
    }
}

#[test]
fn what_says_too_little_is_refused() {
    for (times, missing) in [("{ Enabled: true }", "AttributeName"), ("{ AttributeName: expires }", "Enabled")] {
        assert_eq!(
            refusal(&resource("AWS::DynamoDB::Table", &format!("TimeToLiveSpecification: {times}"))),
            format!("template.yaml: Thing.TimeToLiveSpecification: missing field `{missing}`")
        );
    }
    assert_eq!(
        refusal("Resources:\n  Worker:\n    Type: AWS::Serverless::Function\n"),
        "template.yaml: Worker: Metadata names no Binary"
    );
    assert_eq!(
        refusal(&resource("AWS::SQS::Queue", "RedrivePolicy: { maxReceiveCount: 5 }")),
        "template.yaml: Thing.RedrivePolicy: missing field `deadLetterTargetArn`"
    );
    assert_eq!(
        refusal(&event("Type: SQS\nProperties:\n  Queue: q\n  ScalingConfig: {}")),
        "template.yaml: Worker.Events.Go.ScalingConfig: missing field `MaximumConcurrency`"
    );
    assert_eq!(refusal("- a list\n"), "template.yaml: the file: invalid type: sequence, expected a mapping");
    assert!(refusal("Resources: {").starts_with("template.yaml: the file: "));
}
