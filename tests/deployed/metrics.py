"""Metrics of a deployed stack. The functions write them as log lines (EMF), of which CloudWatch Logs on AWS makes metrics; the
emulator does not, but evaluates alarms over metrics that it is given."""

import json


class Metrics:
    """Hands on the metrics in the logs, each once."""

    def __init__(self, stack):
        self.stack = stack
        self.seen = set()

    def hand_on(self):
        cloudwatch, logs = self.stack.client("cloudwatch"), self.stack.client("logs")
        groups = [name for name in self.stack.resources.values() if name.startswith("/aws/lambda/")]
        for group in groups:
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
                for event in page["events"]:
                    line = (group, event["timestamp"], event["message"])
                    if line in self.seen or '"_aws"' not in event["message"]:
                        continue
                    self.seen.add(line)
                    for namespace, data in metrics_of(json.loads(event["message"])):
                        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


def metrics_of(line):
    """What a line in the embedded metric format says: (namespace, metric data)."""
    for directive in line["_aws"]["CloudWatchMetrics"]:
        data = []
        for names in directive["Dimensions"]:
            dimensions = [{"Name": name, "Value": str(line[name])} for name in names]
            for metric in directive["Metrics"]:
                value = line[metric["Name"]]
                data.append({
                    "MetricName": metric["Name"], "Dimensions": dimensions, "Unit": metric.get("Unit", "None"),
                    "Timestamp": line["_aws"]["Timestamp"] / 1000,
                    "Values": [float(number) for number in (value if isinstance(value, list) else [value])]})
        yield directive["Namespace"], data
