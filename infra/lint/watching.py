"""Checks what `template.yaml` watches with: alarms and their runbooks, the dashboard, saved queries. A part of template.py."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "infra" / "runbooks"

# $0.10 each a month.
MOST_ALARM_METRICS = 32
# Of a dashboard that costs nothing.
MOST_DASHBOARD_METRICS = 50


def resources(template, kind):
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def referred(value):
    """The logical id that a value stands for."""
    if isinstance(value, dict):
        return value.get("Ref") or value.get("Fn::GetAtt", [None])[0]
    return None


def metrics_of(alarm):
    """The metrics that an alarm looks at, as (name, dimensions as a list of logical ids or texts)."""
    properties = alarm["Properties"]
    plain = [properties] if "MetricName" in properties else []
    plain += [part["MetricStat"]["Metric"] for part in properties.get("Metrics", []) if "MetricStat" in part]
    for metric in plain:
        values = [dimension["Value"] for dimension in metric.get("Dimensions", [])]
        yield metric["MetricName"], [referred(value) or value for value in values]


def watches(alarm, metric, name):
    return any(found == metric and name in values for found, values in metrics_of(alarm))


def check_watching(template, findings):
    alarms = resources(template, "AWS::CloudWatch::Alarm")
    check_alarms(alarms, findings)
    check_runbooks(alarms, findings)
    check_dashboards(template, findings)
    check_texts(template, findings)


def check_alarms(alarms, findings):
    count = 0
    for name, alarm in alarms.items():
        properties = alarm["Properties"]
        for actions in ("AlarmActions", "OKActions"):
            told = [referred(action) for action in properties.get(actions, [])]
            findings.check(told == ["AlarmTopic"], name, f"{actions} must be the AlarmTopic")
        findings.check("TreatMissingData" in properties, name, "must say what missing data mean")
        # A query costs what it finds; it looks for metrics that are there only if something is wrong.
        count += len(list(metrics_of(alarm))) or 1
    findings.check(count <= MOST_ALARM_METRICS, "alarms", f"{count} metrics, {MOST_ALARM_METRICS} at most: each costs")


def check_runbooks(alarms, findings):
    named = set()
    for name, alarm in alarms.items():
        path = alarm["Properties"].get("AlarmDescription", "").rsplit(" ", 1)[-1]
        findings.check(
            re.fullmatch(r"infra/runbooks/[a-z0-9-]+\.md", path) and (ROOT / path).is_file(), name,
            f"AlarmDescription must end with the path of its runbook, not {path!r}")
        named.add(path)
    for runbook in sorted(RUNBOOKS.glob("*.md")):
        path = str(runbook.relative_to(ROOT))
        findings.check(path in named, path, "no alarm leads to it")


def check_dashboards(template, findings):
    for name, dashboard in resources(template, "AWS::CloudWatch::Dashboard").items():
        body = dashboard["Properties"]["DashboardBody"]["Fn::Sub"]
        try:
            widgets = json.loads(re.sub(r"\$\{[^}]*\}", "1", body))["widgets"]
        except ValueError as error:
            findings.check(False, name, f"DashboardBody must be JSON: {error}")
            continue
        count = sum(len(widget["properties"].get("metrics", [])) for widget in widgets)
        findings.check(
            count <= MOST_DASHBOARD_METRICS, name, f"has {count} metrics, {MOST_DASHBOARD_METRICS} at most for no price")


def check_texts(template, findings):
    """Texts and metrics that alarms, filters and queries look for must be ones that the functions write."""
    source = "\n".join(path.read_text() for path in sorted((ROOT / "functions").rglob("*.rs")))
    made = {
        transformation["MetricName"]
        for found in resources(template, "AWS::Logs::MetricFilter").values()
        for transformation in found["Properties"]["MetricTransformations"]}

    def check_messages(name, text):
        for quoted in re.findall(r"message (?:=|in) (\[[^\]]*\]|\"[^\"]*\")", text):
            for message in re.findall(r'"([^"]*)"', quoted):
                findings.check(f'"{message}"' in source, name, f"no function logs {message!r}")

    def check_metric(name, metric):
        findings.check(metric in made or f'"{metric}"' in source, name, f"no function publishes the metric {metric}")

    for name, query in resources(template, "AWS::Logs::QueryDefinition").items():
        check_messages(name, query["Properties"]["QueryString"])
    for name, found in resources(template, "AWS::Logs::MetricFilter").items():
        check_messages(name, found["Properties"]["FilterPattern"])
    for name, alarm in resources(template, "AWS::CloudWatch::Alarm").items():
        text = json.dumps(alarm["Properties"])
        for metric in re.findall(r"SELECT \w+\((\w+)\)", text):
            check_metric(name, metric)
        if "CustomerSync/" in text and "MetricName" in alarm["Properties"]:
            check_metric(name, alarm["Properties"]["MetricName"])
    for name, dashboard in resources(template, "AWS::CloudWatch::Dashboard").items():
        for metric in re.findall(r'\["CustomerSync/[^"]*","(\w+)"', dashboard["Properties"]["DashboardBody"]["Fn::Sub"]):
            check_metric(name, metric)
