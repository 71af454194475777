#!/usr/bin/env python3
"""Runs checkov over the expanded template.yaml: `.venv/bin/python infra/lint/accepted.py`. Exits 1 and says what it finds.

A finding is mended, or accepted with the reason under `Metadata: Accepted:` of the template, by type of resource.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from template import ROOT, TEMPLATE, TemplateLoader, expand

# In an environment of its own: it wants another boto than the emulator. tests/deployed/tools makes it.
CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"


def main():
    template = yaml.load(TEMPLATE.read_text(), TemplateLoader)
    accepted = template["Metadata"]["Accepted"]
    expanded = expand(template)
    for resource in expanded["Resources"].values():
        skipped = [{"id": check, "comment": why} for check, why in accepted.get(resource["Type"], {}).items()]
        if skipped:
            resource.setdefault("Metadata", {})["checkov"] = {"skip": skipped}

    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "expanded.json").write_text(json.dumps(expanded, indent=1))
        run = subprocess.run(
            [CHECKOV, "--directory", directory, "--framework", "cloudformation", "--skip-download", "--output", "json"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True)
    try:
        results = json.loads(run.stdout)["results"]
    except (ValueError, KeyError, TypeError):
        sys.exit(f"checkov failed: {run.stdout[-1000:]} {run.stderr[-1000:]}")

    lines = [f"{found['resource']}: {found['check_id']} {found['check_name']}" for found in results["failed_checks"]]
    met = {(found["resource"].rsplit(".", 1)[0], found["check_id"]) for found in results["skipped_checks"]}
    lines += [
        f"Metadata.Accepted.{kind}.{check}: accepts nothing"
        for kind, checks in accepted.items() for check in checks if (kind, check) not in met]
    for line in lines:
        print(line, file=sys.stderr)
    if lines:
        sys.exit(1)
    print(f"checkov: {len(results['passed_checks'])} passed, {len(results['skipped_checks'])} accepted")


if __name__ == "__main__":
    main()
