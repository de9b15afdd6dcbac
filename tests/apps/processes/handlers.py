"""A function that does not end by itself."""

import json
import os
import time


def sleep(event, context):
    print("PYTHON " + json.dumps({"pid": os.getpid()}), flush=True)
    time.sleep(3600)
