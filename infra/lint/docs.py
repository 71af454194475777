#!/usr/bin/env python3
"""Lints README.md, infra/docs and infra/runbooks: `python infra/lint/docs.py`. Exits 1 and says what is wrong, one error a line.

A link must lead to a file and a heading that exist, a path in backticks to a file or folder, a test named as
`path.rs`::`test_name` to a function of that file. README.md has a greatest length.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README_LINES = 160

# A path in backticks is one of ours if it begins with a folder of the repository.
OUR_FOLDERS = ("functions/", "infra/", "tests/", ".ci/", ".cargo/")

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")
TEST = re.compile(r"`([^`]+\.rs)`::`([^`]+)`")
HEADING = re.compile(r"#{1,6} +(.+?) *$")
PATH = re.compile(r"[\w./-]+")


def prose(path):
    """The lines of a page outside of code blocks, with their numbers."""
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(path):
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for _, line in prose(path):
        if heading := HEADING.match(line):
            text = re.sub(r"[^\w\- ]", "", heading.group(1).lower()).replace(" ", "-")
            anchor, again = text, 0
            while anchor in found:
                again += 1
                anchor = f"{text}-{again}"
            found.add(anchor)
    return found


def link_error(page, target):
    if re.match(r"[a-z]+:", target):
        return None
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists():
        return f"the link {target} leads to no file"
    if anchor and (path.suffix != ".md" or anchor not in anchors(path)):
        return f"the link {target} leads to no heading"
    return None


def path_error(code):
    if not code.startswith(OUR_FOLDERS) or not PATH.fullmatch(code):
        return None
    return None if (ROOT / code).exists() else f"there is no {code}"


def test_error(file, test):
    path = ROOT / file
    if path.is_file() and re.search(rf"\bfn {re.escape(test)}\b", path.read_text(encoding="utf-8")):
        return None
    return f"there is no test {test} in {file}"


def errors(page):
    for number, line in prose(page):
        found = [link_error(page, target) for target in LINK.findall(line)]
        found += [path_error(code) for code in CODE.findall(line)]
        found += [test_error(*test) for test in TEST.findall(line)]
        yield from ((number, error) for error in found if error)


def main():
    readme = ROOT / "README.md"
    pages = [readme, *(page for folder in ("infra/docs", "infra/runbooks") for page in sorted((ROOT / folder).rglob("*.md")))]
    count = 0
    for page in pages:
        for number, error in errors(page):
            print(f"{page.relative_to(ROOT)}:{number}: {error}")
            count += 1
    if (lines := len(readme.read_text(encoding="utf-8").splitlines())) > README_LINES:
        print(f"README.md:{lines}: has {lines} lines, {README_LINES} at most")
        count += 1
    print(f"{len(pages)} pages, {count} errors")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
