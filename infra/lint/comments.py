#!/usr/bin/env python3
"""Comments of Rust files are at most 120 characters wide: rustfmt does not wrap them. Tables, diagrams and links may be wider."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WIDTH = 120
COMMENT = re.compile(r"^\s*//[/!]?( ?)(.*)$")


def is_too_wide(line: str) -> bool:
    comment = COMMENT.match(line)
    if comment is None or len(line) <= WIDTH:
        return False
    text = comment.group(2)
    return not text.startswith(("|", " ", "http"))


def main() -> int:
    sources = [path for folder in ("functions", "infra", "tests") for path in sorted((ROOT / folder).rglob("*.rs"))]
    errors = 0
    for path in sources:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if is_too_wide(line):
                errors += 1
                print(f"{path.relative_to(ROOT)}:{number}: the comment has {len(line)} characters")
    print(f"{len(sources)} files, {errors} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
