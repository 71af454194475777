"""What the stories of tests/http and tests/soap have in common: how they are told, and how they say what they expect."""

import sys
import time
import traceback

STORIES = []


def story(function):
    """Adds a story to those that are told."""
    STORIES.append(function)
    return function


def expect(holds, otherwise):
    if not holds:
        raise AssertionError(otherwise)


def expect_equal(found, expected, what):
    expect(found == expected, f"{what}: {found!r} instead of {expected!r}")


def eventually(probe, what, seconds):
    """Waits until a probe returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def tell_all(tell):
    """Has `tell` tell every story, and ends the program. The last line is "N passed, N failed"."""
    passed = 0
    for function in STORIES:
        began = time.monotonic()
        try:
            tell(function)
        except AssertionError as error:
            print(f"FAILED {function.__name__}\n       {error}", flush=True)
        except Exception:
            print(f"FAILED {function.__name__}\n{traceback.format_exc()}", flush=True)
        else:
            passed += 1
            print(f"passed {function.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"{passed} passed, {len(STORIES) - passed} failed", flush=True)
    sys.exit(0 if passed == len(STORIES) else 1)
