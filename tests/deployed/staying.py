"""A deployed stack that stays: for trying what the documents say, without an AWS account."""

import signal
import sys
import time
from urllib.parse import urlsplit

from metrics import Metrics
from stack import REGION, ROOT, Gone, Stack

HOW_TO = """
The stack {name} stands on an emulator of AWS until Ctrl-C. In another terminal:

  export AWS_ENDPOINT_URL={endpoint} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
  export AWS_REGION={region} AWS_DEFAULT_REGION={region}
  export API_URL={api} PATH={path}:$PATH
  cargo run -- status --stack {name}

What it stores is gone when it ends.
"""


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stack = Stack()
    try:
        stack.start_emulator()
        stack.deploy()
        api = urlsplit(stack.outputs["ApiUrl"]).netloc.split(".")[0]
        address = urlsplit(stack.endpoint)
        api = f"http://{api}.execute-api.localhost:{address.port}"
        how_to = HOW_TO.format(
            name=stack.NAME, endpoint=stack.endpoint, region=REGION, api=api, path=ROOT / ".venv" / "bin")
        print(how_to, flush=True)
        metrics = Metrics(stack)
        while True:
            metrics.hand_on()
            time.sleep(5)
    except KeyboardInterrupt:
        pass
    except Gone as gone:
        sys.exit(str(gone))
    finally:
        stack.stop()


if __name__ == "__main__":
    main()
